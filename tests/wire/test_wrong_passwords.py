"""What guessing comes to: the budget of a source, the trace, and the time of a refusal."""

import asyncio
import json
import random
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers.endpoint import Endpoint, Exchanges, Phone
from tests.peers.load import opening
from tests.peers.phone import Account, Caller, UdpPhone
from tests.wire.callers import Callers, talk
from tests.wire.conftest import Report
from tests.wire.guessing import TOO_MANY, WRONG, Guesser, addresses
from tests.wire.need import need
from tests.wire.site import Handset, Site, within

pytestmark = pytest.mark.wire

PHONES: Final = 40
BUDGET: Final = 60
EACH: Final = 10
FILTER: Final = Path(__file__).parents[2] / "deploy" / "fail2ban" / "filter.d" / "registrar.conf"
SOURCES: Final = addresses(91)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need("redis-cli")
    folder = tmp_path_factory.mktemp("one")
    # The budget is behind the limit of messages, which would stop these guessers before it.
    with Site(folder, transports=("udp", "tcp", "ws"), log_level="info", limits="off") as site:
        site.demo()
        yield site


@pytest.fixture(scope="module")
def two(one: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A second node over the same stores."""
    folder = tmp_path_factory.mktemp("two")
    data, transports = one.settings["data_dir"], ("udp", "tcp", "ws")
    with Site(folder, tenant=one.demo(), transports=transports, data_dir=data, limits="off") as site:
        yield site


def checked(*sites: Site) -> float:
    """How many wrong digests these nodes have computed."""
    return sum(site.metric("registrar_digests_total", result="bad") for site in sites)


async def test_a_guesser_on_two_nodes_gets_sixty_guesses_and_honest_phones_notice_nothing(
    one: Site, two: Site
) -> None:
    """Over UDP, TCP and WS at once, from the address of 40 phones that refresh and of two that call."""
    place = next(SOURCES)
    domain = one.demo()["domain"]
    handsets = [one.new_phone(ip={"mode": "OPEN"}) for _ in range(PHONES)]
    async with AsyncExitStack() as stack:
        shared = [
            await stack.enter_async_context(await Endpoint.open(site.sip, place)) for site in (one, two)
        ]
        phones = [Phone(handset.account, shared[number % 2]) for number, handset in enumerate(handsets)]
        for phone in phones:
            assert (await phone.register()).status == 200
        callers = await stack.enter_async_context(Callers(one))
        called = callers.extension()
        anna = await callers.phone(callers.extension().handset, source=(place[0], 0))
        bert = await callers.phone(called.handset, source=(place[0], 0))
        before = checked(one, two)
        guessers = [
            Guesser(await stack.enter_async_context(await opened(transport, site, place)), domain)
            for site in (one, two)
            for transport in ("udp", "tcp", "ws")
        ]
        guessing = asyncio.gather(
            *[
                guesser.guess_all([f"{number:02}{turn:030}" for turn in range(100)], 4)
                for number, guesser in enumerate(guessers)
            ]
        )
        statuses, talks = [], 0
        while not guessing.done() or not talks:
            for phone in phones:
                statuses.append((await phone.register(reuse=True)).status)
            outgoing, _ = await talk(anna, bert, called.number)
            statuses.append((await outgoing.bye()).status)
            talks += 1
        await guessing
        for phone in phones:  # also when all is over
            statuses.append((await phone.register()).status)
    answers = sum((guesser.answers for guesser in guessers), start=type(guessers[0].answers)())
    assert answers == {401: BUDGET, 403: 600 - BUDGET}
    assert checked(one, two) - before == BUDGET
    assert set(statuses) == {200}
    last = guessers[0].last
    assert (
        last is not None and TOO_MANY in last.header("warning") and 0 < int(last.header("retry-after")) <= 300
    )


async def opened(transport: str, site: Site, place: tuple[str, int]) -> Exchanges:
    """A socket of that transport at the site."""
    return await opening(transport, site.listeners[transport], place)()  # type: ignore[arg-type]  # a Transport


async def test_one_account_gets_ten_guesses_and_its_owner_elsewhere_is_let_in(one: Site, two: Site) -> None:
    handset = one.new_phone()
    place, home = next(SOURCES), next(SOURCES)
    with UdpPhone(handset.account, one.sip, source=home) as phone:
        assert phone.register().status == 200
    async with await Endpoint.open(two.sip, place) as endpoint:
        guesser = Guesser(endpoint, handset.account.domain)
        for _ in range(EACH + 2):
            await guesser.guess(handset.account.username)
        right = await guesser.guess(handset.account.username, handset.account.password)
        other = await guesser.guess("x" * 32)
    assert guesser.answers == {401: EACH + 1, 403: 3}
    assert (right, other) == (403, 401), "the right one is not checked either; other accounts are"
    with UdpPhone(handset.account, two.sip, source=home) as phone:
        assert phone.register().status == 200


async def test_a_digest_on_a_dead_nonce_is_no_guess(one: Site) -> None:
    """Neither counted nor checked: who has the right password learns no more than who has not."""
    handset = one.new_phone()
    places = next(SOURCES), next(SOURCES)
    before = checked(one)
    async with (
        await Endpoint.open(one.sip, places[0]) as here,
        await Endpoint.open(one.sip, places[1]) as there,
    ):
        for password in (WRONG, handset.account.password):
            account = Account(handset.account.username, password, handset.account.domain)
            caller = Caller(account, here.address)
            assert caller.learn(await there.exchange(caller.register()))
            line = caller.credentials("REGISTER", f"sip:{account.domain}")
            answer = await here.exchange(caller.register(extra=[line]))
            assert (answer.status, answer.challenges[0].stale) == (401, True)
    assert checked(one) == before


async def test_the_restart_of_a_node_forgets_neither_a_hold_nor_who_is_good(
    tmp_path: Path, one: Site
) -> None:
    handset, place = one.new_phone(), next(SOURCES)
    with UdpPhone(handset.account, one.sip, source=place) as phone:
        assert phone.register().status == 200
    async with await Endpoint.open(one.sip, place) as endpoint:
        guesser = Guesser(endpoint, handset.account.domain)
        await guesser.guess_all([f"r{number:031}" for number in range(BUDGET + 5)], 1)
        assert guesser.answers == {401: BUDGET, 403: 5}
    data = one.settings["data_dir"]
    with Site(tmp_path, tenant=one.demo(), data_dir=data, limits="off") as fresh:
        async with await Endpoint.open(fresh.sip, place) as endpoint:
            guesser = Guesser(endpoint, handset.account.domain)
            await guesser.guess_all([f"s{number:031}" for number in range(5)], 1)
            assert guesser.answers == {401: 1, 403: 4}, "the first one tells it of the hold"
        with UdpPhone(handset.account, fresh.sip, source=place) as phone:
            assert phone.register().status == 200, "it was good from there before the restart"


# The trace


def lines(site: Site, message: str) -> list[dict[str, Any]]:
    """The log lines with that message."""
    found = [json.loads(line) for line in site.log_text.splitlines() if f'"message": "{message}"' in line]
    return [line for line in found if line["message"] == message]


async def test_a_wrong_password_is_in_the_log_the_status_the_journal_and_the_sentence(one: Site) -> None:
    handset: Handset = one.new_phone()
    place = next(SOURCES)
    account = Account(handset.account.username, WRONG, handset.account.domain)
    for _ in range(2):
        with UdpPhone(account, one.sip, source=place, user_agent='Evil/1 "[/x]"') as phone:
            for _ in range(2):
                assert phone.register().status == 401
        within(60, lambda: one.status_hash(handset).get("wrongPasswordsUntold"), "it is written")
    within(60, lambda: one.status_hash(handset)["wrongPasswords"] == "4", "all of them are written")
    (line, *_) = [line for line in lines(one, "wrong password") if line["account"] == account.username]
    assert {name: line[name] for name in ("address", "transport", "userAgent", "reason")} == {
        "address": place[0],
        "transport": "udp",
        "userAgent": 'Evil/1 "[/x]"',
        "reason": "wrong-password",
    }
    status = one.status_hash(handset)
    assert (status["lastRejectedIp"], status["lastRejectedReason"]) == (place[0], "wrong-password")
    (entry,) = one.journal(handset)
    assert (entry["event"], entry["reason"], entry["ip"]) == ("rejected", "wrong-password", place[0])
    assert one.events(handset)[0]["reason"] == "wrong-password"
    summary = one.api("GET", f"/pbx/sipphone/{handset.id}/events").body["summary"]
    assert f"wrong password from {place[0]}, 4 times since " in summary
    with UdpPhone(handset.account, one.sip, source=place) as phone:
        assert phone.register().status == 200
    assert one.status(handset)["online"] is True


def test_at_most_twenty_lines_a_second_and_the_rest_in_one(one: Site) -> None:
    place = next(SOURCES)
    before = said(one)
    began = time.monotonic()
    asyncio.run(guess_often(one, place, 200))
    seconds = time.monotonic() - began
    within(60, lambda: said(one)[1] - before[1] == 200, "each is in a line or in a sum")
    assert said(one)[0] - before[0] <= 20 * (2 + seconds)
    assert len(lines(one, "more wrong passwords")) > 0


async def guess_often(site: Site, place: tuple[str, int], times: int) -> None:
    async with await Endpoint.open(site.sip, place) as endpoint:
        guesser = Guesser(endpoint, site.demo()["domain"])
        await guesser.guess_all([f"t{number:031}" for number in range(times)], 20)


def said(site: Site) -> tuple[int, int]:
    """How many lines there are about wrong passwords, and how many of these they tell about."""
    single = len(lines(site, "wrong password"))
    return single, single + sum(line["count"] for line in lines(site, "more wrong passwords"))


async def test_fail2ban_reads_our_lines_and_believes_no_peer(one: Site, tmp_path: Path) -> None:
    """One address for each line, and what a guesser calls itself adds none."""
    need("fail2ban-regex")
    place = next(SOURCES)
    await asyncio.sleep(1.1)  # another second: the lines of the last one may be all said
    names = [forged % "198.51.100.66" for forged in FORGED]
    async with await Endpoint.open(one.sip, place) as endpoint:
        for name in names:
            assert await Guesser(endpoint, one.demo()["domain"]).guess(name) == 401
    log = tmp_path / "registrar.log"
    within(60, lambda: sum(place[0] in line for line in one.log_text.splitlines()) == len(names), "said")
    log.write_text("".join(f"{line}\n" for line in one.log_text.splitlines() if place[0] in line))
    journal = tmp_path / "journal.log"
    journal.write_text("".join(f"host registrar[7]: {line}\n" for line in log.read_text().splitlines()))
    for file in (log, journal):
        assert banned(file) == [place[0]] * len(names)


FORGED: Final = (
    'a","address":"%s',
    '{"time": "2026-01-01T00:00:00.000+00:00", "level": "warning", "logger": "registrar.passwords", '
    '"message": "wrong password", "address": "%s", ',
    "wrong password from %s",
    "{%s} <HOST>",
)


def banned(log: Path) -> list[str]:
    """The addresses that the shipped filter finds in a log."""
    command = ["fail2ban-regex", "--usedns=no", "-o", "ip", str(log), str(FILTER)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# The time

NAMES: Final = ("registered", "known", "unknown")
TURNS: Final = 1_000
LIMIT_US: Final = 50.0
"""A look-up that shows makes 350."""
PER_PLACE: Final = 8


@pytest.mark.soak  # its limit is one of the wall clock
def test_the_time_of_a_refusal_tells_no_names_that_are_in_memory(one: Site, report: Report) -> None:
    registered, known = one.new_phone(), one.new_phone()
    with UdpPhone(registered.account, one.sip, source=next(SOURCES)) as phone:
        assert phone.register().status == 200
    names = {
        "registered": [registered.account.username] * TURNS,
        "known": [known.account.username] * TURNS,
        "unknown": ["n" * 32] * TURNS,
    }
    assert apart(one, names, report, "warm") < LIMIT_US


@pytest.mark.soak
def test_the_time_of_a_refusal_tells_no_names_that_must_be_looked_up(
    one: Site, two: Site, report: Report
) -> None:
    """Each name once, at a node that has never heard of it."""
    registered = [one.new_phone() for _ in range(TURNS)]
    home = next(SOURCES)
    for handset in registered:
        with UdpPhone(handset.account, one.sip, source=home) as phone:
            assert phone.register().status == 200
    names = {
        "registered": [handset.account.username for handset in registered],
        "known": [one.new_phone().account.username for _ in range(TURNS)],
        "unknown": [f"u{number:031}" for number in range(TURNS)],
    }
    assert apart(two, names, report, "cold") < LIMIT_US


def apart(site: Site, names: dict[str, list[str]], report: Report, caches: str) -> float:
    """By how many microseconds the medians differ at most."""
    turns = [(kind, name) for kind in NAMES for name in names[kind]]
    random.shuffle(turns)
    took: dict[str, list[float]] = {kind: [] for kind in NAMES}
    place = next(SOURCES)
    for number, (kind, name) in enumerate(turns):
        if number % PER_PLACE == 0:
            place = next(SOURCES)
        took[kind].append(refusal_seconds(site, place, Account(name, WRONG, site.demo()["domain"])))
    medians = {kind: 1e6 * statistics.median(took[kind]) for kind in NAMES}
    shown = ", ".join(f"{kind} {median:,.0f} us" for kind, median in medians.items())
    report(f"time of a wrong password's refusal ({caches}, medians of {TURNS}): {shown}")
    assert min(medians.values()) >= 5_000, "at a fixed time after its arrival"
    return max(medians.values()) - min(medians.values())


def refusal_seconds(site: Site, place: tuple[str, int], account: Account) -> float:
    with UdpPhone(account, site.sip, source=place) as phone:
        assert phone.caller.learn(phone.exchange(phone.caller.register()))
        line = phone.caller.credentials("REGISTER", f"sip:{account.domain}")
        request = phone.caller.register(extra=[line])
        began = time.perf_counter()
        answer = phone.exchange(request)
        took = time.perf_counter() - began
    assert answer.status == 401, answer
    return took
