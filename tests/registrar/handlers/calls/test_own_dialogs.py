"""registrar/handlers/calls/own_dialogs.py: where a phone is reached that has a dialog with this service."""

from dataclasses import replace

import pytest

from registrar.handlers.calls.own_dialogs import OwnDialogs
from registrar.sip import Headers, Request
from registrar.transaction import Key

from ..handsets import ANN, Handset
from ..world import World


class User:
    def receive_response(self, key: Key, response: object) -> None: ...
    def request_failed(self, key: Key, *, timed_out: bool) -> None: ...


def dialogs_of(world: World) -> OwnDialogs:
    return OwnDialogs(world.reach, world.senders, world.wire, world.location, world.clock)


def draft(via: str, contact: str) -> Request:
    rows = [
        ("Via", via),
        ("From", "<sip:201@acme.test>;tag=1"),
        ("To", "<sip:200@acme.test>;tag=2"),
        ("Call-ID", "c"),
        ("CSeq", "1 NOTIFY"),
        ("Contact", contact),
        ("Content-Length", "0"),
    ]
    headers = Headers()
    for name, value in rows:
        headers.add(name, value)
    return Request("NOTIFY", "sip:u@10.0.0.7", headers)


@pytest.mark.parametrize(
    ("transport", "scheme", "contact", "sent"),
    [
        ("udp", "sip", "<sip:tok@192.0.2.10:5060>", True),
        ("tcp", "sip", "<sip:tok@192.0.2.10:8443;transport=tcp>", True),
        ("wss", "sips", "<sips:tok@192.0.2.10:8443;transport=ws>", True),
        ("tcp", "sips", "", False),
    ],
)
async def test_a_request_of_our_own(transport: str, scheme: str, contact: str, sent: bool) -> None:
    world = World(ANN)
    ann = await Handset(world, ANN, transport=transport).register()
    target = dialogs_of(world).target(ann.request("SUBSCRIBE", "sip:201@acme.test"), ann.flow, ANN.id)
    target = replace(target, contact=target.contact.replace("sip:", f"{scheme}:"))
    assert (dialogs_of(world).send(target, "tok", draft, User()) is not None) is sent
    assert [one.request.headers.get("contact") for one in world.wire.take()] == ([contact] if sent else [])


async def test_without_a_flow_nothing_is_sent() -> None:
    world = World(ANN)
    ann = await Handset(world, ANN, transport="tcp").register()
    dialogs = dialogs_of(world)
    target = dialogs.target(ann.request("SUBSCRIBE", "sip:201@acme.test"), ann.flow, ANN.id)
    assert dialogs.is_reachable(target)
    world.lines.flows.clear()
    assert not dialogs.is_reachable(target)
    assert not dialogs.send(target, "tok", draft, User())
    assert await dialogs.moved(target) is None


@pytest.mark.parametrize(("instance", "found"), [("urn:uuid:1", True), ("urn:uuid:2", False)])
async def test_the_same_device_on_another_connection(instance: str, found: bool) -> None:
    world = World(ANN)
    ann = await Handset(world, ANN, transport="tcp", instance="urn:uuid:1").register()
    dialogs = dialogs_of(world)
    target = dialogs.target(ann.request("SUBSCRIBE", "sip:201@acme.test"), ann.flow, ANN.id)
    world.lines.flows.pop(ann.flow.id)
    back = await Handset(world, ANN, transport="tcp", instance=instance).register()
    moved = await dialogs.moved(target)
    assert (moved is not None) is found
    if moved is not None:
        assert (moved.flow, moved.contact) == (back.flow.id, ann.contact)
