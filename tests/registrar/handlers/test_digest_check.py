"""The budget of wrong passwords as a phone, its neighbours and a guesser meet it."""

import asyncio
from dataclasses import replace

from registrar.handlers.digest_check import FAILED_SECONDS, MAX_SURE
from registrar.handlers.sentry import MANY_NAMES
from registrar.model import Epoch, Flow, IpMode, Mono
from registrar.rules.bans import Kind, Why
from registrar.rules.guesses import (
    HOLD_SECONDS,
    PER_ACCOUNT,
    PER_MINUTE,
    PER_SOURCE,
    SPRAY_SECONDS,
    WINDOW_SECONDS,
    Guesser,
    guesser,
)
from tests.registrar.handlers.world import (
    DOMAIN,
    ELSEWHERE,
    HOME,
    Device,
    Incoming,
    World,
    phone,
    request,
    user,
)


def stranger(world: World, name: str = "x", address: str = HOME) -> Device:
    """Somebody who does not know the password."""
    return Device(world, phone(name, password="wrong"), address)


async def guess(world: World, name: str = "x", address: str = HOME) -> int:
    """One guess with a challenge of its own."""
    return (await stranger(world, name, address).register()).status


async def exhaust(world: World, address: str = HOME) -> None:
    """Make all the guesses that a source has."""
    for number in range(PER_SOURCE):
        assert await guess(world, chr(0x100 + number), address) == 401


def bad(world: World, result: str = "bad") -> float:
    return world.metrics.auth._counts.get((result,), 0.0)


async def test_the_eleventh_guess_at_an_account_is_not_checked() -> None:
    world = World()
    for _ in range(PER_ACCOUNT):
        assert await guess(world) == 401
    answer = await stranger(world).register()
    assert answer.status == 403 and answer.why == "too many wrong passwords"
    assert dict(answer.headers)["Retry-After"] == str(HOLD_SECONDS)
    assert (bad(world), bad(world, "held")) == (PER_ACCOUNT, 1)


async def test_the_right_password_does_not_help_a_held_account_but_from_elsewhere_it_does() -> None:
    world = World()
    for _ in range(PER_ACCOUNT):
        await guess(world, "u")
    assert (await Device(world).register()).status == 403
    assert (await Device(world, address=ELSEWHERE, contact="10.0.0.8").register()).status == 200
    world.clock.now += HOLD_SECONDS + 1
    answer = await Device(world, contact="10.0.0.9").register()
    assert (answer.status, answer.why[:20]) == (403, "this phone is locked"), "it is locked to the other one"


async def test_known_and_unknown_names_get_the_same_answers_and_cost_the_same_budget() -> None:
    world = World()
    answers = {name: [await guess(world, name) for _ in range(PER_ACCOUNT + 2)] for name in ("u", "x")}
    assert answers["u"] == answers["x"] == [401] * PER_ACCOUNT + [403] * 2


async def test_a_ban_does_not_tell_which_of_the_names_exist() -> None:
    after = []
    for last in ("u", "x"):
        world = World()
        for number in range(MANY_NAMES - 1):
            await guess(world, chr(0x100 + number))
        await world.settle()
        assert world.book.begun == []
        await guess(world, last)
        await world.settle()
        after.append([ban.why for ban in world.book.begun])
    assert after == [[Why.MANY_NAMES], [Why.MANY_NAMES]]


async def test_a_source_that_is_over_its_budget_is_not_looked_up_any_more() -> None:
    world = World()
    await exhaust(world)
    world.people.away = True
    assert await guess(world, "y") == 403, "the database was not asked"
    world.people.away = False
    assert await guess(world, "y", ELSEWHERE) == 401
    taken = world.guesses.taken
    assert await guess(world, "z") == 403
    assert world.guesses.taken == taken, "nor was Redis"


async def test_who_was_good_there_before_is_served_all_the_while() -> None:
    world = World()
    device = Device(world)
    assert (await device.register()).status == 200
    await exhaust(world)
    assert (await device.send()).status == 200
    fresh = Device(
        World(node="b", beside=world), contact="10.0.0.8"
    )  # of another node, whose memory is empty
    await guess(fresh.world, "y")
    assert (await fresh.register()).status == 200


async def test_who_was_good_elsewhere_is_not_good_here() -> None:
    world = World()
    assert (await Device(world, address=ELSEWHERE).register()).status == 200
    await exhaust(world)
    assert (await Device(world).register()).status == 403


async def test_a_good_account_has_ten_guesses_like_any_other() -> None:
    world = World()
    device = Device(world)
    await device.register()
    await exhaust(world)
    for _ in range(PER_ACCOUNT):
        assert await guess(world, "u") == 401
    assert await guess(world, "u") == 403
    assert (await device.send()).status == 403
    world.clock.now += HOLD_SECONDS + 1
    device.nonce, device.count = "", 0
    assert (await device.register()).status == 200, "and is good again afterwards"


async def test_wrong_passwords_of_others_do_not_count_against_a_good_account() -> None:
    """A right digest of a source that is watched is counted first, and given back."""
    world = World()
    await guess(world, "y")
    device = Device(world)
    for _ in range(3 * PER_ACCOUNT):
        world.digest_check.sure.clear()
        assert (await device.register()).status == 200
    assert await guess(world, "z") == 401


async def test_right_passwords_that_come_at_once_fill_no_budget() -> None:
    """A desk phone subscribes to each key of its panel in one burst, beside somebody who guesses."""
    world = World()
    await guess(world, "y")
    device = Device(world)
    device.take(await device.send(method="OPTIONS"))
    built = []
    for number in range(2 * PER_ACCOUNT):
        device.call_id = f"burst-{number}"
        built.append(device.build(3_600, method="OPTIONS"))
    flow = Flow("udp", "192.0.2.10", 5060, HOME, 5060)
    asked = await asyncio.gather(*[world.ask(Incoming(one, flow)) for one in built])
    assert [incoming.statuses for incoming in asked] == [[404]] * len(built), "nobody has that number"
    assert bad(world, "held") == 0


async def test_two_nodes_share_a_budget() -> None:
    one = World()
    two = World(node="b", beside=one)
    for number in range(PER_SOURCE):
        assert await guess(one if number % 2 else two, chr(0x100 + number)) == 401
    assert await guess(one, "y") == await guess(two, "y") == 403
    assert bad(one) + bad(two) == PER_SOURCE


async def test_a_node_that_hears_of_a_hold_checks_nothing() -> None:
    world = World()
    world.digest_check.hear(HOME, world.clock())  # over by now
    assert await guess(world) == 401
    world.digest_check.hear(HOME, Epoch(world.clock() + 100))
    assert await guess(world, "y") == 403


async def test_a_good_account_that_is_held_elsewhere_is_held_here_after_one_more() -> None:
    one = World()
    two = World(node="b", beside=one)
    device = Device(two)
    assert (await device.register()).status == 200
    for _ in range(PER_ACCOUNT):
        assert await guess(one, "u") == 401
    two.digest_check.hear(guesser(HOME, "u" * 32, 64), Epoch(two.clock() + HOLD_SECONDS))
    assert [await guess(two, "u") for _ in range(3)] == [403] * 3
    assert (await device.send()).status == 403


async def test_while_redis_is_away_the_budget_of_this_node_counts() -> None:
    world = World()
    device = Device(world)
    await device.register()
    world.guesses.away = True
    await exhaust(world)
    assert await guess(world, "y") == 503, "it may be good there, which only Redis knows: 403 could be a lie"
    assert await guess(world, "y", ELSEWHERE) == 401
    assert (await device.send()).status == 200
    assert bad(world) == PER_SOURCE + 1, "a digest is not computed for it either"


async def test_while_redis_is_away_an_account_has_ten_guesses() -> None:
    world = World()
    world.guesses.away = True
    answers = [await guess(world) for _ in range(PER_ACCOUNT + 1)]
    assert answers == [401] * PER_ACCOUNT + [403]


async def test_the_budget_is_full_again_after_the_window() -> None:
    world = World()
    await exhaust(world)
    world.clock.now += WINDOW_SECONDS + 1
    await exhaust(world)


async def test_a_failed_digest_is_answered_at_a_fixed_time_after_its_arrival() -> None:
    world, flow = World(), Flow("udp", "192.0.2.10", 5060, HOME, 5060)
    for number in range(PER_ACCOUNT + 1):
        device = stranger(world)
        device.take(await device.send())
        built = device.build(3_600)
        arrived = Mono(100.0 + number)
        incoming = await world.ask(Incoming(built, flow, started=arrived))
        assert incoming.statuses == [401 if number < PER_ACCOUNT else 403]
        assert world.pauses[-1] == arrived + FAILED_SECONDS


async def test_a_challenge_never_counts() -> None:
    world = World()
    for number in range(3 * PER_SOURCE):
        answer = await world.serve(request(call_id=f"c{number}"))
        assert getattr(answer, "status", 0) == 401
    assert (await Device(world).register()).status == 200
    assert not world.guesses.taken


async def test_a_dead_nonce_is_no_guess() -> None:
    world = World()
    for password in ("wrong", "p" * 32):
        device = Device(world, phone(password=password), ELSEWHERE)
        device.take(await device.send())
        device.address = HOME
        assert "stale=true" in (await device.send()).headers[0][1]
    assert bad(world) == 0 and not world.guesses.taken


async def test_a_refresh_writes_nothing_and_a_day_later_who_is_good_is_noted_again() -> None:
    world = World()
    device = Device(world)
    await device.register()
    assert len(world.guesses.noted) == 1
    for _ in range(5):
        assert (await device.send()).status == 200
    assert len(world.guesses.noted) == 1
    world.clock.now += 86_401
    device.nonce, device.count = "", 0
    assert (await device.register()).status == 200
    assert len(world.guesses.noted) == 2


async def test_users_of_two_domains_with_one_name_are_two_accounts() -> None:
    anna, other = user(), user(id="u8", domain="rival.test", password="other")
    world = World(anna, other)
    device = Device(world, replace(anna, password="secret"))
    device.to = f"sip:anna@{DOMAIN}"
    assert (await device.register()).status == 200
    (noted,) = world.guesses.noted
    assert (HOME, "anna", DOMAIN) in world.digest_check.sure and noted.source == HOME


async def test_the_memory_of_good_accounts_has_an_end() -> None:
    world = World()
    world.digest_check.sure.update({(HOME, str(number), DOMAIN): 0.0 for number in range(MAX_SURE)})
    assert (await Device(world).register()).status == 200
    assert len(world.digest_check.sure) == MAX_SURE and (HOME, "0", DOMAIN) not in world.digest_check.sure


# Many sources and one account


def sources(number: int, first: int = 0) -> list[str]:
    return [f"10.{place >> 8}.{place & 255}.1" for place in range(first, first + number)]


async def spray(world: World, name: str, number: int, first: int = 0) -> list[int]:
    """One guess at an account from each of so many sources."""
    return [await guess(world, name, source) for source in sources(number, first)]


async def test_many_sources_get_fifty_guesses_a_minute_at_one_account() -> None:
    world = World()
    for name in ("u", "x"):  # the second one does not exist, and is answered alike
        assert await spray(world, name, 80) == [401] * PER_MINUTE + [403] * 30
    world.clock.now += SPRAY_SECONDS + 1
    assert await spray(world, "u", 80, 100) == [401] * PER_MINUTE + [403] * 30
    assert bad(world) == 3 * PER_MINUTE


async def test_the_retry_after_of_such_a_hold_is_the_time_to_the_next_guess() -> None:
    world = World()
    await spray(world, "u", PER_MINUTE)
    world.clock.now += 20
    answer = await stranger(world, "u").register()
    assert (answer.status, dict(answer.headers)["Retry-After"]) == (403, str(SPRAY_SECONDS - 20))


async def test_slow_guessing_is_counted_and_not_held() -> None:
    """One a minute from another source each time is what a budget for a minute lets through, and no more."""
    world = World()
    for source in sources(120):
        assert await guess(world, "u", source) == 401
        world.clock.now += 60
    assert bad(world) == 120


async def test_the_places_of_the_owner_are_never_shut_out_by_guesses_from_elsewhere() -> None:
    """Neither at this node nor at one that has never seen the phone; only the store knows that it is good."""
    world = World()
    device = Device(world)
    assert (await device.register()).status == 200
    other = World(node="b", beside=world)
    fresh = Device(other, contact="10.0.0.8")
    for each in (world, other):
        await spray(each, "u", 80)
    assert (await device.send()).status == 200
    assert (await fresh.register()).status == 200
    assert await guess(other, "u", HOME) == 401, "a wrong one of its own is checked, and outside of the count"


async def test_while_it_is_not_known_where_an_account_is_good_nobody_is_told_that_it_is_held() -> None:
    world = World()
    assert (await Device(world).register()).status == 200
    other = World(node="b", beside=world)
    await spray(other, "u", 80)
    other.guesses.away = True
    assert (await Device(other, contact="10.0.0.8").register()).status == 503
    other.guesses.away = False
    assert (await Device(other, contact="10.0.0.8").register()).status == 200


async def test_at_a_new_place_the_owner_waits_for_the_end_of_the_hold() -> None:
    world = World(phone(mode=IpMode.ROAMING, countries=("SE",)))
    await spray(world, "u", PER_MINUTE)
    assert (await Device(world, address=ELSEWHERE).register()).status == 403
    world.clock.now += SPRAY_SECONDS + 1
    assert (await Device(world, address=ELSEWHERE).register()).status == 200


async def test_nodes_tell_each_other_of_each_guess() -> None:
    one = World()
    two = World(node="b", beside=one)
    assert await spray(one, "u", 30) == [401] * 30
    for mark in one.guesses.tries:
        two.digest_check.hear_try(mark)
    assert await spray(two, "u", 30, 100) == [401] * (PER_MINUTE - 30) + [403] * 10


async def test_a_hold_is_recorded_and_a_lifted_one_is_forgotten() -> None:
    world = World()
    for _ in range(PER_ACCOUNT):
        await guess(world, "u")
        await guess(world, "x")
    (ban,) = world.book.begun
    assert (ban.phone, ban.address, ban.kind) == ("id-u", HOME, Kind.HOLD)
    assert await guess(world, "u") == 403
    world.digest_check.free(HOME, ban.mark)
    world.guesses._ledger.free(Guesser(HOME, ban.mark))  # as the API does in Redis
    assert await guess(world, "u") == 401
