"""Registrations from a new country, or by a new brand: told once, if the account was known before."""

from dataclasses import replace
from typing import Any

import pytest

from config.chores import Chores
from config.operations.unusual import MAX_SEEN, Sighting, is_registration, learned
from registrar.store import keys
from registrar.store.event_stream import Entry
from tests.config.world import World

COUNTRIES = {"192.0.2.1": "DK", "192.0.2.2": "SE"}


def entry(ip: str = "192.0.2.1", agent: str = "Snom 725/10", event: str = "registered", **more: str) -> Entry:
    return Entry("1-1", {"event": event, "phone": "p", "ip": ip, "userAgent": agent} | more)


@pytest.mark.parametrize(
    ("known", "new", "after", "is_unusual"),
    [
        ("", "DK", "DK", False),
        ("DK", "DK", "DK", False),
        ("DK", "SE", "DK SE", True),
        ("DK SE", "DK", "SE DK", False),
        ("DK", "", "DK", False),
        ("", "", "", False),
    ],
)
def test_what_was_not_seen_before_is_unusual(known: str, new: str, after: str, is_unusual: bool) -> None:
    assert learned(known, new) == (after, is_unusual)


def test_so_many_are_kept_and_the_one_seen_longest_ago_goes() -> None:
    known = " ".join(f"C{number}" for number in range(MAX_SEEN))
    after, is_unusual = learned(known, "XX")
    assert is_unusual and after.split() == [*known.split()[1:], "XX"]


@pytest.mark.parametrize(
    ("agent", "brand"),
    [
        ("Yealink SIP-T46S 66.84.0.15", "yealink"),
        ("snom725/10.1", "snom"),
        ("", ""),
        ("12345", ""),
        ("x" * 100, "x" * 24),
    ],
)
def test_the_brand_is_the_first_word(agent: str, brand: str) -> None:
    assert Sighting(entry(agent=agent), "DK").brand == brand


def test_which_events_count() -> None:
    assert is_registration(entry()) and is_registration(entry(event="moved"))
    assert not is_registration(entry(event="lost")) and not is_registration(entry(ip=""))


async def told(world: World) -> list[tuple[str, str, str]]:
    """Phone, reason and country of the events."""
    found = []
    entries: Any = await world.redis.xrange(keys.EVENTS)
    for _, fields in entries:
        one = {_text(name): _text(value) for name, value in fields.items()}
        if one["event"] == "unusual":
            found.append((one["phone"], one["reason"], one["country"]))
    return found


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


async def registered(world: World, phone: str, ip: str, agent: str) -> None:
    fields: dict[Any, Any] = {
        "key": f"{phone}{ip}{agent}",
        "event": "registered",
        "phone": phone,
        "customer": "c",
    }
    await world.redis.xadd(keys.EVENTS, fields | {"ip": ip, "userAgent": agent, "time": "1"})


def chores_of(world: World) -> Chores:
    parts = world.app().state.parts
    chores = Chores(replace(parts))
    parts.origins.country = COUNTRIES.get
    return chores


async def test_a_new_country_and_a_new_brand_are_told_once(world: World) -> None:
    chores = chores_of(world)
    await registered(world, "a", "192.0.2.1", "Snom 1")
    await registered(world, "b", "192.0.2.2", "Yealink 1")
    assert await chores.tell_unusual() == 0, "the first of an account is usual"
    await registered(world, "a", "192.0.2.1", "Snom 2")
    await registered(world, "a", "192.0.2.2", "Snom 2")
    await registered(world, "b", "192.0.2.2", "friendly-scanner")
    await registered(world, "b", "203.0.113.1", "Yealink 2")
    assert await chores.tell_unusual() == 2
    await registered(world, "a", "192.0.2.2", "Snom 3")
    assert await chores.tell_unusual() == 0
    assert await told(world) == [("a", "country", "SE"), ("b", "user-agent", "SE")]


async def test_a_second_process_tells_nothing_again_and_goes_on_from_there(world: World) -> None:
    first, second = chores_of(world), chores_of(world)
    await registered(world, "a", "192.0.2.1", "Snom 1")
    await first.tell_unusual()
    await registered(world, "a", "192.0.2.2", "Snom 1")
    assert await second.tell_unusual() == 0, "the other one has the lease"
    assert await first.tell_unusual() == 1
    await world.execute("UPDATE seen_feed SET owner = '', until = '2020-01-01 00:00:00+00:00'")
    assert await second.tell_unusual() == 0, "that was told already"
    await registered(world, "a", "192.0.2.1", "Linphone")
    assert await second.tell_unusual() == 1
    assert await told(world) == [("a", "country", "SE"), ("a", "user-agent", "DK")]
