"""`sips:` URIs: by TLS and WSS alone, and who is called by one is shown no other (RFC 3261 26.2.2)."""

import pytest

from registrar.sip import Request

from .calls.test_node_relay import Nodes
from .handsets import ANN, BOB, Handset, Relay
from .world import DOMAIN, Incoming, World


def world_of() -> World:
    return World(ANN, BOB, media=Relay())


async def secured(world: World, account: object, transport: str, *, scheme: str = "sips") -> Handset:
    """A phone that is registered under a `sips:` Contact."""
    made = Handset(world, account, transport=transport, port=5070)  # type: ignore[arg-type]  # a Phone
    made.contact = made.contact.replace("sip:", f"{scheme}:")
    return await made.register()


def shown(message: Request) -> list[str]:
    """Contact and Record-Route."""
    return [message.headers.get("contact") or "", message.headers.get("record-route") or ""]


@pytest.mark.parametrize("transport", ["tls", "wss"])
@pytest.mark.parametrize("scheme", ["sip", "sips"])
async def test_a_call_to_a_sips_uri_goes_by_tls_and_shows_sips(transport: str, scheme: str) -> None:
    world = world_of()
    bob = await secured(world, BOB, transport, scheme=scheme)
    ann = await secured(world, ANN, "tls")
    incoming = await ann.call(f"sips:201@{DOMAIN}")
    (sent,) = world.wire.take()
    assert sent.flow == bob.flow
    assert [value[:6] for value in shown(sent.request)] == ["<sips:", "<sips:"]
    assert "transport=tls" not in "".join(shown(sent.request))
    his = await bob.take(sent)
    hers = ann.dialog(incoming)
    assert hers.uri.startswith("sips:") and hers.routes[0].startswith("<sips:")
    for mine, other in ((hers, his), (his, hers)):
        for method in ("ACK", "INVITE", "BYE"):
            await mine.send(method)
            (sent,) = world.wire.take()
            assert (sent.request.method, sent.flow) == (method, other.handset.flow)
            if method == "INVITE":
                assert shown(sent.request)[0].startswith("<sips:")


@pytest.mark.parametrize("transport", ["udp", "tcp", "ws"])
async def test_a_call_to_a_sips_uri_goes_by_nothing_else(transport: str) -> None:
    world = world_of()
    bob = Handset(world, BOB, transport=transport, port=5070)
    await bob.register()
    ann = await secured(world, ANN, "tls")
    incoming = await ann.call(f"sips:201@{DOMAIN}")
    assert incoming.statuses == [480]
    assert "sips" in incoming.answers[0].why
    assert world.wire.sent == []


async def test_of_several_phones_those_on_tls_ring() -> None:
    world = world_of()
    await Handset(world, BOB, port=5070).register()
    bob = await secured(world, BOB, "wss")
    ann = await secured(world, ANN, "tls")
    await ann.call(f"sips:201@{DOMAIN}")
    assert [sent.flow for sent in world.wire.take()] == [bob.flow]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_who_dials_a_sips_uri_comes_by_tls_himself(transport: str) -> None:
    world = world_of()
    await secured(world, BOB, "tls")
    ann = Handset(world, ANN, transport=transport)
    assert (await ann.call(f"sips:201@{DOMAIN}")).statuses == [480]
    assert world.wire.sent == []


async def test_a_phone_under_a_sips_contact_is_called_by_anybody() -> None:
    """It takes no Contact and Record-Route that are not `sips:` (section 8.1.1.8); its caller is on UDP."""
    world = world_of()
    bob = await secured(world, BOB, "tls")
    ann = await Handset(world, ANN).register()
    incoming = await ann.call()
    (sent,) = world.wire.take()
    assert sent.request.target == bob.contact and sent.request.target.startswith("sips:")
    assert [value[:6] for value in shown(sent.request)] == ["<sips:", "<sips:"]
    his, hers = await bob.take(sent), ann.dialog(incoming)
    assert hers.uri.startswith("sip:") and hers.routes[0].startswith("<sip:")
    for mine, other in ((hers, his), (his, hers)):
        incoming = await mine.send("INFO")
        (sent,) = world.wire.take()
        assert sent.flow == other.handset.flow
        await other.handset.reply(sent, 200)
        assert incoming.statuses == [200]


async def test_a_transfer_to_somebody_here_is_shown_as_sips_too() -> None:
    world = world_of()
    bob = await secured(world, BOB, "tls")
    ann = await Handset(world, ANN).register()
    incoming = await ann.call()
    await bob.take(world.wire.take()[0])
    await ann.dialog(incoming).send("REFER", f"Refer-To: <sip:200@{DOMAIN}>")
    (sent,) = world.wire.take()
    assert (sent.request.headers.get("refer-to") or "").startswith("<sips:200@192.0.2.10")


async def test_the_dialog_of_a_sips_uri_does_not_go_on_over_udp() -> None:
    world = world_of()
    bob = await secured(world, BOB, "tls")
    ann = await secured(world, ANN, "tls")
    incoming = await ann.call(f"sips:201@{DOMAIN}")
    await bob.take(world.wire.take()[0])
    hers = ann.dialog(incoming)
    plain = await Handset(world, ANN, port=5099).register()
    assert (await world.ask(Incoming(hers.request("INVITE"), plain.flow))).statuses == [480]
    assert world.wire.sent == []


async def test_from_node_to_node_there_is_no_tls() -> None:
    nodes = Nodes()
    await secured(nodes.b, BOB, "tls")
    ann = await secured(nodes.a, ANN, "tls")
    for uri in (f"sips:201@{DOMAIN}", f"sip:201@{DOMAIN}"):
        incoming = await ann.call(uri, call_id=uri)
        assert incoming.statuses == [480] and nodes.a.wire.sent == []
