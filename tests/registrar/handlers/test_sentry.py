"""Automatic bans, and the record of holds."""

from ipaddress import ip_network

from registrar.handlers.sentry import BAN_SECONDS, MANY_NAMES, TRIES_IN_HOLD, Sentry
from registrar.model import Epoch
from registrar.rules.bans import Kind, Why
from registrar.rules.guesses import WINDOW_SECONDS, guesser
from tests.registrar.handlers.world import HOME, World, phone


def made(world: World, *, bans: bool = True, exempt: str = "") -> Sentry:
    networks = (ip_network(exempt),) if exempt else ()
    return Sentry(world.book, world.guesses, world.start_task, world.clock, bans=bans, exempt=networks)


def try_names(sentry: Sentry, number: int, first: int = 0) -> None:
    for name in range(first, first + number):
        sentry.wrong(guesser(HOME, f"n{name}", 64))


async def test_a_stranger_that_tries_many_names_is_banned_once() -> None:
    world = World()
    sentry = made(world)
    try_names(sentry, MANY_NAMES - 1)
    try_names(sentry, MANY_NAMES - 1)
    await world.settle()
    assert world.book.begun == []
    try_names(sentry, 10, 100)
    await world.settle()
    (ban,) = world.book.begun
    assert (ban.kind, ban.address, ban.why, ban.phone) == (Kind.BAN, HOME, Why.MANY_NAMES, "")
    assert ban.until - ban.since == BAN_SECONDS


async def test_names_over_a_long_time_are_none_of_a_scanner() -> None:
    world = World()
    sentry = made(world)
    for first in range(0, 100, 10):
        try_names(sentry, 10, first)
        world.clock.now += WINDOW_SECONDS + 1
    await world.settle()
    assert world.book.begun == []


async def test_a_source_with_a_good_phone_is_never_banned() -> None:
    world = World()
    world.guesses.good(guesser(HOME, "somebody", 64))
    sentry = made(world)
    try_names(sentry, 100)
    for _ in range(200):
        sentry.insisted(HOME)
    await world.settle()
    assert world.book.begun == []


async def test_if_the_store_is_away_no_one_is_banned() -> None:
    world = World()
    world.guesses.away = True
    try_names(made(world), 100)
    await world.settle()
    assert world.book.begun == []


async def test_who_goes_on_during_a_hold_is_banned() -> None:
    world = World()
    sentry = made(world)
    for _ in range(TRIES_IN_HOLD):
        sentry.insisted(HOME)
    await world.settle()
    assert [ban.why for ban in world.book.begun] == [Why.GUESSING]


async def test_exempt_networks_are_not_banned_and_off_bans_no_one() -> None:
    for options in ({"exempt": "198.51.100.0/24"}, {"bans": False}):
        world = World()
        try_names(made(world, **options), 100)
        await world.settle()
        assert world.book.begun == []


async def test_a_network_with_an_exempt_address_is_not_banned() -> None:
    world = World()
    sentry = made(world, exempt="2001:db8::5/128")
    for name in range(MANY_NAMES):
        sentry.wrong(guesser("2001:db8::9", f"n{name}", 64))
        sentry.wrong(guesser("2001:db8:0:1::9", f"n{name}", 64))
    await world.settle()
    assert [ban.address for ban in world.book.begun] == ["2001:db8:0:1::/64"]


def test_a_hold_is_recorded_once_and_again_when_it_is_longer() -> None:
    world = World()
    sentry, who, known = made(world), guesser(HOME, "u", 64), phone()
    until = Epoch(world.clock.now + 300)
    for end in (until, until, Epoch(until + 0.5)):
        sentry.held(who, known, end)
    assert len(world.book.begun) == 1
    sentry.held(who, known, Epoch(until + 20))
    (first, second) = world.book.begun
    assert first.id == second.id
    assert (first.kind, first.phone, first.customer, first.mark) == (Kind.HOLD, known.id, "acme", who.mark)


def test_the_hold_of_a_name_that_does_not_exist_is_not_recorded() -> None:
    world = World()
    made(world).held(guesser(HOME, "nobody", 64), None, Epoch(world.clock.now + 300))
    assert world.book.begun == []


async def test_after_a_ban_was_lifted_a_source_begins_again() -> None:
    world = World()
    sentry = made(world)
    try_names(sentry, MANY_NAMES)
    sentry.forget(HOME)
    try_names(sentry, MANY_NAMES - 1)
    await world.settle()
    assert len(world.book.begun) == 1
    try_names(sentry, 1, 500)
    await world.settle()
    assert len(world.book.begun) == 2
