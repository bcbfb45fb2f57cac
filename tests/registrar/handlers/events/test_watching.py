"""registrar/handlers/events/watching.py: presence, the switches of feature codes, groups and queues."""

from dataclasses import replace

import pytest

from registrar.model import (
    Call,
    CallState,
    Destination,
    Devices,
    Feature,
    FeatureKind,
    Group,
    Party,
    PersonState,
    Queue,
    QueueMember,
    Strategy,
)
from registrar.store.call_codec import started_event

from ..handsets import ANN, BOB, CAT, Handset
from ..world import DOMAIN, People, World
from .lamps import Persons, Told, happen, heard, subscribe, watch

PRESENCE = "Event: presence"
ME = replace(ANN, person="p-ann")
CALL = Call("ab" * 16, "c", "acme", DOMAIN, Party("", ""), Party("", ""), CallState.RINGING, 0.0)
DEVICES = Devices("201", "Bob", (BOB,), "p-bob")
SALES = Queue(
    "q-sales", "700", "Sales", (QueueMember((Devices("200", "Ann", (ME,), "p-ann"),), Strategy.ALL, 1, 20),)
)


class Plan(People):
    """A dial plan with persons, groups, queues and feature codes."""

    words: dict[str, Destination]

    async def called(self, customer: str, user: str) -> Destination:
        return self.words.get(user) or await super().called(customer, user)


def world_of() -> tuple[World, Persons]:
    people, persons = Plan(ME, BOB, CAT), Persons()
    people.words = {
        "201": DEVICES,
        "600": Group("g-all", "600", "All", (DEVICES,)),
        "700": SALES,
        "*76": Feature(FeatureKind.DND_TOGGLE, "*76"),
        "*72": Feature(FeatureKind.CFU_ON, "*72"),
        "*90": Feature(FeatureKind.CFB_ON, "*90"),
        "*92": Feature(FeatureKind.CFNR_ON, "*92"),
        "*45700": Feature(FeatureKind.QUEUE, "*45", "700"),
        "*45701": Feature(FeatureKind.QUEUE, "*45", "701"),
        "*8": Feature(FeatureKind.PICKUP_GROUP, "*8"),
    }
    return World(people=people, persons=persons), persons


async def changed(world: World, person: str) -> Told | None:
    world.clock.now += 2
    await world.notifier.heard_person(person)
    return next(iter(heard(world)), None)


async def presence_of(world: World, user: str = "201") -> Told:
    ann = await Handset(world, ME).register()
    assert (await subscribe(ann, user, event=PRESENCE)).statuses == [200]
    (first,) = heard(world)
    return first


def basic(one: Told | None) -> tuple[str, str]:
    """The word for programs and the note for people."""
    assert one is not None
    space = "{urn:ietf:params:xml:ns:pidf}"
    (tuple_,) = one.xml.findall(f"{space}tuple")
    return tuple_.findtext(f"{space}status/{space}basic") or "", tuple_.findtext(f"{space}note") or ""


async def test_presence_follows_registration_calls_and_wishes() -> None:
    world, persons = world_of()
    assert basic(await presence_of(world)) == ("closed", "Offline: never registered")
    bob = await Handset(world, BOB, port=5070).register()
    world.clock.now += 2
    await world.notifier.heard([{"event": "registered", "phone": BOB.id, "customer": "acme"}])
    (online,) = heard(world)
    assert basic(online) == ("open", "")
    assert online.xml.attrib["entity"] == f"sip:201@{DOMAIN}"
    persons.known["p-bob"] = PersonState(dnd=True)
    assert basic(await changed(world, "p-bob")) == ("open", "Do not disturb")
    persons.known["p-bob"] = PersonState(cfu="202")
    assert basic(await changed(world, "p-bob")) == ("open", "Away")
    persons.known["p-bob"] = PersonState()
    assert basic(await changed(world, "p-bob")) == ("open", "")
    await bob.call("202", call_id="call")
    world.clock.now += 2
    world.wire.take()
    await happen(world)
    assert heard(world) == [], "nobody is registered at 202"
    await Handset(world, CAT, port=5072).register()
    await bob.call("202", call_id="call-2")
    world.wire.take()
    await happen(world)
    (talking,) = heard(world)
    assert basic(talking) == ("open", "On the phone")


async def test_presence_says_why_a_phone_is_offline() -> None:
    world, _ = world_of()
    bob = await Handset(world, BOB, port=5070).register()
    assert basic(await presence_of(world)) == ("open", "")
    await bob.register(0)
    world.clock.now += 2
    await world.notifier.heard([{"event": "unregistered", "phone": BOB.id, "customer": "acme"}])
    (offline,) = heard(world)
    assert basic(offline) == ("closed", "Offline: unregistered")


@pytest.mark.parametrize(
    ("code", "on"),
    [
        ("*76", PersonState(dnd=True)),
        ("*72", PersonState(cfu="202")),
        ("*90", PersonState(cfb="202")),
        ("*92", PersonState(cfnr="202")),
    ],
)
async def test_the_lamp_of_a_feature_code_shows_the_wish_of_its_own_person(
    code: str, on: PersonState
) -> None:
    world, persons = world_of()
    lamp = await watch(await Handset(world, ME).register(), code)
    assert (lamp.first.line, lamp.first.xml.attrib["entity"]) == ("terminated", f"sip:{code}@{DOMAIN}")
    persons.known["p-bob"] = on
    assert await changed(world, "p-bob") is None
    persons.known["p-ann"] = on
    lit = await changed(world, "p-ann")
    assert lit is not None and lit.line == "confirmed"
    persons.known["p-ann"] = PersonState()
    dark = await changed(world, "p-ann")
    assert dark is not None and dark.line == "terminated"


async def test_the_lamp_of_a_queue_is_on_for_a_member_that_has_not_left() -> None:
    world, persons = world_of()
    ann = await Handset(world, ME).register()
    lamp = await watch(ann, "*45700")
    assert lamp.first.line == "confirmed"
    persons.known["p-ann"] = PersonState(left=frozenset({"q-sales"}))
    left = await changed(world, "p-ann")
    assert left is not None and left.line == "terminated"
    assert (await watch(ann, "*45701", call_id="b")).first.line == "terminated", "there is no such queue"
    cat = await Handset(world, CAT, port=5072).register()
    assert (await watch(cat, "*45700", call_id="c")).first.line == "terminated", "it is no member"


async def test_a_feature_code_without_a_state_is_unknown() -> None:
    world, _ = world_of()
    assert (await subscribe(await Handset(world, ME).register(), "*8")).statuses == [404]


async def test_a_call_that_rings_for_a_group_is_shown_at_the_group_and_its_members() -> None:
    world, persons = world_of()
    ann = await Handset(world, ME).register()
    await watch(ann, "600", call_id="group")
    await watch(ann, "201", call_id="member")
    world.clock.now += 2
    call = replace(
        CALL,
        caller=Party(CAT.id, "202", "Cat"),
        callee=Party("", "600", "All"),
        started_at=world.clock.now,
    )
    world.store.started(call)
    assert world.store.events == [started_event(call)]
    await happen(world)
    (group,) = heard(world)
    assert (group.request.call_id, group.line) == ("group", "early")
    persons.known["p-bob"] = PersonState(calls=(call.id,))
    member = await changed(world, "p-bob")
    assert member is not None and member.line == "early"
    answered = replace(call, state=CallState.ANSWERED, callee=Party("id-x", "205", "Eve"))
    world.store.answered(answered)
    world.clock.now += 2
    await happen(world)
    rest = {one.request.call_id: one.line for one in heard(world)}
    assert rest["member"] == "terminated", "another member has taken it"
