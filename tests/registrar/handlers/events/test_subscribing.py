"""registrar/handlers/events/subscribing.py: who may watch whom, and how a subscription lives and ends."""

from collections.abc import Callable

import pytest

from registrar.handlers.answers import BUSY, NO_SUCH_CALL, NOT_ITS_PHONE, Answer
from registrar.handlers.events.notifier import Limits
from registrar.handlers.events.subscribing import OTHERS_MAILBOX, crowded, full, too_many
from registrar.model import Phone
from registrar.sip import parse_name_addr

from ..handsets import ANN, BOB, CAT, RIVAL, Handset
from ..world import DOMAIN, Incoming, World
from .lamps import Lamp, lamp_dialog, subscribe, tag, told, watch


def world_of(limits: Limits | None = None) -> World:
    return World(ANN, BOB, CAT, RIVAL, subscriptions=limits or Limits())


async def ann_of(world: World, **about: object) -> Handset:
    return await Handset(world, ANN, **about).register()  # type: ignore[arg-type]  # as Handset takes them


async def test_a_subscription_is_answered_here_and_told_the_state_at_once() -> None:
    world = world_of()
    await Handset(world, BOB, port=5070).register()
    ann = await ann_of(world)
    incoming = await subscribe(ann, "201", "Expires: 1800")
    (response,) = incoming.responses
    assert (response.status, response.headers.get("expires")) == (200, "1800")
    (first,) = told(world)
    assert first.sent.flow == ann.flow
    assert first.request.target == ann.contact
    assert (first.state, first.line) == ("active;expires=1800", "terminated")
    assert first.request.headers.get("event") == "dialog"
    assert first.request.headers.get("content-type") == "application/dialog-info+xml"
    assert tag(first.request.headers.get("from") or "") == tag(response.headers.get("to") or "")
    assert tag(first.request.headers.get("to") or "") == tag(response.headers.get("from") or "")
    assert first.request.headers.get("contact") == response.headers.get("contact")
    assert first.request.call_id == response.call_id
    assert first.xml.attrib["entity"] == f"sip:201@{DOMAIN}"
    assert first.xml.attrib["state"] == "full"
    assert "record-route" not in response.headers


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        pytest.param("999", 404, id="nobody"),
        pytest.param("202", 200, id="somebody without a phone"),
        pytest.param("203", 404, id="somebody of another customer"),
        pytest.param("sip:201@rival.test", 404, id="in another domain of ours"),
        pytest.param("sip:201@elsewhere.test", 404, id="at another service"),
        pytest.param("sip:201@192.0.2.10", 200, id="by our address"),
        pytest.param(f"sip:{DOMAIN}", 404, id="nobody at all"),
    ],
)
async def test_whom_a_phone_may_watch(uri: str, status: int) -> None:
    world = world_of()
    assert (await subscribe(await ann_of(world), uri)).statuses == [status]
    assert len(world.notifier) == (status == 200)


@pytest.mark.parametrize("event", ["Event: conference", "Event: refer", "Event: ;", "X-Event: dialog"])
async def test_another_package_is_no_event_of_this_service(event: str) -> None:
    world = world_of()
    await Handset(world, BOB, port=5070).register()
    incoming = await subscribe(await ann_of(world), event=event)
    assert incoming.statuses == [489]
    assert dict(incoming.answers[0].headers) == {"Allow-Events": "dialog, presence, message-summary, refer"}
    assert world.wire.sent == []


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("Expires: 1800", 1800),
        ("Expires: 5", 60),
        ("Expires: 86400", 3600),
        ("X: y", 3600),
        ("Expires: -", 3600),
    ],
)
async def test_how_long_a_subscription_lasts(asked: str, granted: int) -> None:
    world = world_of()
    incoming = await subscribe(await ann_of(world), "201", asked)
    assert incoming.responses[0].headers.get("expires") == str(granted)
    (first,) = told(world)
    assert first.state == f"active;expires={granted}"


async def test_a_fetch_is_told_the_state_once() -> None:
    world = world_of()
    incoming = await subscribe(await ann_of(world), "201", "Expires: 0")
    assert incoming.responses[0].headers.get("expires") == "0"
    (only,) = told(world)
    assert (only.state, only.line) == ("terminated;reason=timeout", "terminated")
    assert len(world.notifier) == 0
    assert world.subscriptions.stored == {}


async def test_a_refresh_prolongs_it_and_is_told_the_state() -> None:
    world = world_of()
    lamp = await watch(await ann_of(world), "201", "Expires: 60")
    world.clock.now += 50
    refreshed = await lamp.refresh(120)
    assert refreshed.statuses == [200]
    (again,) = told(world)
    assert (again.state, again.cseq, again.version) == ("active;expires=120", 2, 2)
    world.clock.now += 100
    await world.notifier.look()
    assert len(world.notifier) == 1
    world.clock.now += 20
    await world.notifier.look()
    (last,) = told(world)
    assert (last.state, len(world.notifier)) == ("terminated;reason=timeout", 0)
    assert (await lamp.refresh()).answers == [NO_SUCH_CALL]


async def test_the_end_of_a_subscription_is_told() -> None:
    world = world_of()
    lamp = await watch(await ann_of(world))
    ended = await lamp.refresh(0)
    assert ended.responses[0].headers.get("expires") == "0"
    (last,) = told(world)
    assert (last.state, last.cseq) == ("terminated;reason=timeout", 2)
    assert len(world.notifier) == 0
    assert (await lamp.refresh()).answers == [NO_SUCH_CALL]


async def test_a_refresh_of_an_unknown_subscription_is_481() -> None:
    world = world_of()
    lamp = await watch(await ann_of(world))
    good, call_id = lamp.dialog.uri, lamp.dialog.call_id
    for uri in (good.replace("sip:s", "sip:sA"), f"sip:201@{DOMAIN}", "sip:192.0.2.10"):
        lamp.dialog.uri = uri
        assert (await lamp.refresh()).statuses == [481]
    lamp.dialog.uri, lamp.dialog.call_id = good, "another"
    assert (await lamp.refresh()).statuses == [481]
    lamp.dialog.call_id = call_id
    assert (await lamp.refresh()).statuses == [200]
    assert (await lamp.refresh(600, event="Event: presence")).statuses == [481]
    assert (await lamp.dialog.send("INFO")).statuses == [481]
    world.subscriptions.stored.clear()
    assert (await lamp.refresh()).statuses == [481]


async def test_a_cseq_number_that_does_not_rise_is_refused() -> None:
    world = world_of()
    lamp = await watch(await ann_of(world))
    lamp.handset.cseq -= 1
    assert (await lamp.refresh()).statuses == [500]


async def test_another_phone_cannot_refresh_it_and_the_same_one_from_elsewhere_proves_itself() -> None:
    world = world_of()
    lamp = await watch(await ann_of(world))
    cat = await Handset(world, CAT, port=5072).register()
    lamp.dialog.handset = cat
    cat.cseq = 10
    assert (await proven(lamp)).answers == [NOT_ITS_PHONE]
    elsewhere = Handset(world, ANN, port=5099)
    elsewhere.cseq = 20
    lamp.dialog.handset = elsewhere
    assert (await lamp.dialog.send("CANCEL")).statuses == [481], "it is never challenged"
    told(world)
    assert (await proven(lamp)).statuses == [200]
    (again,) = told(world)
    assert again.sent.flow == elsewhere.flow
    assert (await lamp.refresh()).statuses == [200], "the dialog is there from now on"


async def proven(lamp: Lamp) -> Incoming:
    """A refresh that is challenged, and then has credentials."""
    handset = lamp.dialog.handset
    bare = await lamp.refresh()
    assert bare.statuses == [407]
    value = dict(bare.answers[0].headers)["Proxy-Authenticate"]
    realm, nonce = (value.partition(f'{name}="')[2].partition('"')[0] for name in ("realm", "nonce"))
    return await lamp.refresh(600, handset.credentials("SUBSCRIBE", realm, nonce))


async def test_a_new_subscription_of_a_device_replaces_the_old_one() -> None:
    world = world_of()
    ann = await ann_of(world)
    old = await watch(ann, call_id="one")
    new = await watch(ann, call_id="two")
    assert (len(world.notifier), len(world.subscriptions.stored)) == (1, 1)
    assert (await old.refresh()).statuses == [481]
    assert (await new.refresh()).statuses == [200]
    other = await Handset(world, ANN, port=5090).register()
    told(world)
    await watch(other, call_id="three")
    assert len(world.notifier) == 2, "another device of the same phone"


@pytest.mark.parametrize(
    ("limits", "second", "refusal"),
    [
        pytest.param(Limits(of_phone=1), (ANN, "202"), too_many, id="of a phone"),
        pytest.param(Limits(of_phone=1), (CAT, "201"), None, id="of a phone, and another one subscribes"),
        pytest.param(Limits(watchers=1), (CAT, "201"), crowded, id="of a number"),
        pytest.param(Limits(watchers=1), (CAT, "202"), None, id="of a number, and another one is watched"),
        pytest.param(Limits(of_node=1), (CAT, "202"), full, id="of a node"),
    ],
)
async def test_limits(
    limits: Limits, second: tuple[Phone, str], refusal: Callable[[Limits], Answer] | None
) -> None:
    world = world_of(limits)
    ann = await ann_of(world)
    await watch(ann)
    phone, number = second
    other = ann if phone is ANN else await Handset(world, phone, port=5072).register()
    told(world)
    incoming = await subscribe(other, number, call_id="b")
    assert incoming.answers == ([refusal(limits)] if refusal else [])
    assert len(world.notifier) == (1 if refusal else 2)


async def test_at_a_limit_a_device_may_replace_its_own_subscription() -> None:
    world = world_of(Limits(of_phone=1, watchers=1))
    ann = await ann_of(world)
    await watch(ann)
    await watch(ann, "201", call_id="c")
    assert len(world.notifier) == 1


def test_the_answers_name_the_limit_that_is_set() -> None:
    limits = Limits(of_phone=3, watchers=4, of_node=5)
    assert "a phone has 3 subscriptions" in too_many(limits).why
    assert "4 phones at most" in crowded(limits).why
    assert (full(limits).status, "5 subscriptions" in full(limits).why) == (503, True)


async def test_without_a_store_there_is_no_subscription() -> None:
    world = world_of()
    ann = await ann_of(world)
    lamp = await watch(ann)
    world.subscriptions.away = True
    assert (await subscribe(ann, "202", call_id="b")).answers == [BUSY]
    assert (await lamp.refresh()).answers == [BUSY]
    world.people.away = True
    assert (await lamp.refresh()).answers == [BUSY]


async def test_the_messages_of_the_own_number_are_none() -> None:
    world = world_of()
    ann = await ann_of(world)
    event = "Event: message-summary"
    assert (await subscribe(ann, "201", event=event)).answers == [OTHERS_MAILBOX]
    assert (await subscribe(ann, "200", event=event)).statuses == [200]
    (first,) = told(world)
    assert first.request.headers.get("content-type") == "application/simple-message-summary"
    assert first.request.body == (
        b"Messages-Waiting: no\r\nMessage-Account: sip:200@acme.test\r\nVoice-Message: 0/0 (0/0)\r\n"
    )


async def test_a_contact_is_needed_and_tls_for_sips() -> None:
    world = world_of()
    ann = await ann_of(world)
    assert (await subscribe(ann, f"sips:201@{DOMAIN}")).statuses == [480]
    web = await Handset(world, CAT, transport="wss").register()
    incoming = await subscribe(web, f"sips:201@{DOMAIN}")
    assert incoming.statuses == [200]
    assert parse_name_addr(incoming.responses[0].headers.get("contact") or "").uri.scheme == "sips"


async def test_the_id_of_an_event_comes_back() -> None:
    world = world_of()
    ann = await ann_of(world)
    incoming = await subscribe(ann, event="Event: Dialog;id=7")
    (first,) = told(world)
    assert first.request.headers.get("event") == "dialog;id=7"
    dialog = lamp_dialog(ann, incoming)
    assert (await dialog.send("SUBSCRIBE", "Event: dialog")).statuses == [481]
    assert (await dialog.send("SUBSCRIBE", "Event: dialog;id=7")).statuses == [200]
