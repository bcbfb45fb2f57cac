"""registrar/handlers/events/publishing.py: what a phone publishes of its person."""

from dataclasses import replace

import pytest

from registrar.handlers.answers import BUSY
from registrar.handlers.events.publishing import (
    BAD_EVENT,
    BAD_MATCH,
    NO_DOCUMENT,
    NOT_CURRENT,
    NOT_PIDF,
    OTHERS_PRESENCE,
    TOO_LARGE,
)
from registrar.model import Destination, Devices, Feature, FeatureKind, Group
from registrar.rules.publication import MAX_OCTETS
from tests.every import every

from ..handsets import ANN, BOB, CAT, Handset
from ..world import DOMAIN, Incoming, People, World
from .lamps import heard, subscribe

EVENT = "Event: presence"
PIDF_TYPE = "Content-Type: application/pidf+xml"
ME = replace(ANN, person="p-ann")
OTHER = replace(BOB, person="p-bob")
WORDS: dict[str, Destination] = {
    "200": Devices("200", "Ann", (ME,), "p-ann"),
    "201": Devices("201", "Bob", (OTHER,), "p-bob"),
    "600": Group("g-all", "600", "All", ()),
    "*76": Feature(FeatureKind.DND_TOGGLE, "*76"),
}


class Plan(People):
    """A dial plan with two people, a group and a feature code."""

    async def called(self, customer: str, user: str) -> Destination:
        return WORDS.get(user) or await super().called(customer, user)


def world_of() -> World:
    return World(people=Plan(ME, OTHER, CAT))


def pidf(note: str = "Lunch", basic: str = "open") -> bytes:
    return (
        '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:200@acme.test"><tuple id="a">'
        f"<status><basic>{basic}</basic></status><note>{note}</note></tuple></presence>"
    ).encode()


async def publish(
    handset: Handset,
    *more: str,
    to: str = "200",
    body: bytes = b"",
    typed: str = PIDF_TYPE,
    event: str = EVENT,
) -> Incoming:
    about = (event, *((typed,) if body and typed else ()), *more)
    return await handset.call(to, "PUBLISH", more=about, body=body)


def tag_of(incoming: Incoming) -> str:
    assert incoming.statuses == [200], incoming.answers
    return dict(incoming.answers[0].headers)["SIP-ETag"]


def seconds_of(incoming: Incoming) -> str:
    return dict(incoming.answers[0].headers)["Expires"]


async def kept(world: World) -> tuple[bool, str] | None:
    (state,) = await world.doing.states(["p-ann"])
    return (state.published.is_open, state.published.note) if state.published else None


async def test_a_phone_publishes_refreshes_changes_and_removes() -> None:
    world = world_of()
    ann = await Handset(world, ME).register()
    first = tag_of(await publish(ann, body=pidf()))
    assert await kept(world) == (True, "Lunch")
    world.clock.now += 3_000
    refreshed = await publish(ann, f"SIP-If-Match: {first}", "Expires: 600")
    second = tag_of(refreshed)
    assert (seconds_of(refreshed), second != first) == ("600", True)
    assert await kept(world) == (True, "Lunch")
    assert (await publish(ann, f"SIP-If-Match: {first}")).answers == [NOT_CURRENT]
    third = tag_of(await publish(ann, f"SIP-If-Match: {second}", body=pidf("Home", "closed")))
    assert await kept(world) == (False, "Home")
    removed = await publish(ann, f"SIP-If-Match: {third}", "Expires: 0")
    assert (removed.statuses, seconds_of(removed)) == ([200], "0")
    assert await kept(world) is None
    assert (await publish(ann, f"SIP-If-Match: {third}", "Expires: 0")).answers == [NOT_CURRENT]
    assert world.wire.sent == []


async def test_a_published_state_ends() -> None:
    world = world_of()
    ann = await Handset(world, ME).register()
    tag = tag_of(await publish(ann, "Expires: 60", body=pidf()))
    world.clock.now += 61
    assert await kept(world) is None
    assert (await publish(ann, f"SIP-If-Match: {tag}")).answers == [NOT_CURRENT]


@pytest.mark.parametrize(
    ("asked", "granted"),
    [("Expires: 1800", "1800"), ("Expires: 5", "60"), ("Expires: 86400", "3600"), ("X: y", "3600")],
)
async def test_how_long_a_publication_lasts(asked: str, granted: str) -> None:
    assert seconds_of(await publish(Handset(world_of(), ME), asked, body=pidf())) == granted


@every(
    ("to", "status"),
    [
        pytest.param("201", 403, id="another person"),
        pytest.param("600", 403, id="a group"),
        pytest.param("*76", 403, id="a feature code"),
        pytest.param("202", 403, id="a phone without a person"),
        pytest.param("299", 404, id="nothing"),
        pytest.param("sip:200@elsewhere.test", 404, id="at another service"),
        pytest.param(f"sip:{DOMAIN}", 404, id="the domain"),
        pytest.param("sip:200@192.0.2.10", 200, id="by our address"),
    ],
)
async def test_whose_state_a_phone_publishes(to: str, status: int) -> None:
    world = world_of()
    assert (await publish(Handset(world, ME), to=to, body=pidf())).statuses == [status]
    assert (await kept(world) is not None) is (status == 200)
    (other,) = await world.doing.states(["p-bob"])
    assert other.published is None


async def test_a_phone_without_a_person_publishes_nothing() -> None:
    assert (await publish(Handset(world_of(), CAT), to="202", body=pidf())).answers == [OTHERS_PRESENCE]


@pytest.mark.parametrize("event", ["Event: dialog", "Event: message-summary", "X: presence", "Event: ;id=1"])
async def test_another_package_is_not_published(event: str) -> None:
    incoming = await publish(Handset(world_of(), ME), event=event, body=pidf())
    assert incoming.answers == [BAD_EVENT]
    assert dict(incoming.answers[0].headers) == {"Allow-Events": "presence"}


@pytest.mark.parametrize("typed", ["Content-Type: application/sdp", "Content-Type: text/plain", ""])
async def test_another_type_is_not_read(typed: str) -> None:
    incoming = await publish(Handset(world_of(), ME), body=pidf(), typed=typed)
    assert incoming.answers == [NOT_PIDF]
    assert dict(incoming.answers[0].headers) == {"Accept": "application/pidf+xml"}


async def test_what_is_no_publication_is_refused_and_leaves_the_state() -> None:
    world = world_of()
    ann = await Handset(world, ME).register()
    tag = tag_of(await publish(ann, body=pidf()))
    full = pidf().ljust(MAX_OCTETS)
    assert (await publish(ann)).answers == [NO_DOCUMENT]
    assert (await publish(ann, "SIP-If-Match: ")).answers == [BAD_MATCH]
    assert (await publish(ann, f"SIP-If-Match: {tag}", "SIP-If-Match: b")).answers == [BAD_MATCH]
    assert (await publish(ann, body=full + b" ")).answers == [TOO_LARGE]
    assert (await publish(ann, f"SIP-If-Match: {tag}", body=b"<presence/>")).statuses == [400]
    assert (await publish(ann, body=b"<!DOCTYPE a>" + pidf())).statuses == [400]
    assert await kept(world) == (True, "Lunch")
    world.clock.now += 301  # a phone has eight nonces at a time
    assert tag_of(await publish(ann, f"SIP-If-Match: {tag}", body=full))


async def test_a_store_that_is_away_is_503() -> None:
    world = world_of()
    ann = await Handset(world, ME).register()
    world.doing.away = True
    assert (await publish(ann, body=pidf())).answers == [BUSY]


# What watchers see


def shown(world: World) -> list[tuple[str, str]]:
    """What each NOTIFY since the last time says: open or closed, and the note."""
    space = "{urn:ietf:params:xml:ns:pidf}"
    documents = [one.xml for one in heard(world)]
    return [
        (one.findtext(f".//{space}basic") or "", one.findtext(f".//{space}note") or "") for one in documents
    ]


async def hear(world: World) -> list[tuple[str, str]]:
    """What watchers are told after the news of people."""
    news, world.doing.news[:] = list(world.doing.news), []
    world.clock.now += 2
    for one in news:
        await world.notifier.heard_person(one.person)
    await world.notifier.look()
    return shown(world)


async def test_watchers_see_what_is_published_until_it_ends() -> None:
    world = world_of()
    ann = await Handset(world, ME).register()
    bob = await Handset(world, OTHER, port=5070).register()
    assert (await subscribe(bob, "200", event=EVENT)).statuses == [200]
    assert shown(world) == [("open", "")]
    tag = tag_of(await publish(ann, "Expires: 60", body=pidf("Lunch", "closed")))
    assert await hear(world) == [("closed", "Lunch")]
    tag_of(await publish(ann, f"SIP-If-Match: {tag}", "Expires: 100"))
    assert await hear(world) == [], "a refresh is no news"
    await world.doing.change("p-ann", "dnd", "1")
    assert await hear(world) == [("open", "Do not disturb")]
    await world.doing.change("p-ann", "dnd", "")
    assert await hear(world) == [("closed", "Lunch")]
    world.clock.now += 58
    await world.notifier.look()
    await world.notifier.look()
    assert shown(world) == [], "the refresh has moved the end"
    world.clock.now += 40
    await world.notifier.look()
    await world.notifier.look()
    assert shown(world) == [("open", "")]


async def test_the_end_of_a_published_state_is_seen_at_once() -> None:
    world = world_of()
    bob = await Handset(world, OTHER, port=5070).register()
    tag_of(await publish(await Handset(world, ME).register(), "Expires: 70", body=pidf()))
    world.clock.now += 20
    await subscribe(bob, "200", event=EVENT)
    assert shown(world) == [("open", "Lunch")]
    world.clock.now += 49
    await world.notifier.look()
    await world.notifier.look()
    assert shown(world) == []
    world.clock.now += 1
    await world.notifier.look()
    await world.notifier.look()
    assert shown(world) == [("open", "")]


async def test_a_phone_that_is_offline_shows_why() -> None:
    world = world_of()
    bob = await Handset(world, OTHER, port=5070).register()
    tag_of(await publish(Handset(world, ME), body=pidf()))
    await subscribe(bob, "200", event=EVENT)
    assert shown(world) == [("closed", "Offline: never registered")]
