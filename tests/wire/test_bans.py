"""Limits and bans from outside: strangers are held, an office is not, and a ban acts on all nodes."""

import asyncio
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers.endpoint import Endpoint, Phone
from tests.peers.netns import PATH, Namespace
from tests.peers.phone import Account, Address, Answer, Caller, UdpPhone
from tests.peers.pipe import UdpPipe
from tests.wire.conftest import Report
from tests.wire.crowd import settle
from tests.wire.guessing import WRONG, Guesser, addresses
from tests.wire.need import need, need_namespace, rounds
from tests.wire.site import Handset, Site, within

pytestmark = [pytest.mark.wire, pytest.mark.xdist_group("bans")]

SOURCES: Final = addresses(93)
BURST: Final = 60
RATE: Final = 20
LIVE_SECONDS: Final = 1.0
"""Within which a ban, and the end of one, must have reached every process."""


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need("redis-cli")
    with Site(tmp_path_factory.mktemp("one"), transports=("udp", "tcp"), log_level="info") as site:
        site.demo()
        yield site


@pytest.fixture(scope="module")
def two(one: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A second node over the same stores."""
    folder, data = tmp_path_factory.mktemp("two"), one.settings["data_dir"]
    with Site(folder, tenant=one.demo(), transports=("udp", "tcp"), data_dir=data) as site:
        yield site


def post(site: Site, **ban: object) -> dict[str, Any]:
    """A ban as the API made it."""
    reply = site.api("POST", "/pbx/ban", ban)
    assert reply.status == 200, reply
    made: dict[str, Any] = reply.body
    return made


def bans(site: Site) -> list[dict[str, Any]]:
    reply = site.api("GET", "/pbx/ban?limit=1000")
    assert reply.status == 200, reply
    found: list[dict[str, Any]] = reply.body["bans"]
    return found


def limited(site: Site) -> float:
    return sum(
        site.metric("registrar_limited_total", limit=limit)
        for limit in ("source", "place", "strangers", "later")
    )


async def answered(site: Site, source: str, requests: int) -> int:
    """How many of so many REGISTERs at once, sent once each from one socket, get an answer."""
    async with await Endpoint.open(site.sip, (source, 0)) as endpoint:
        caller = Caller(Account("nobody", WRONG, site.demo()["domain"]), endpoint.address)
        sent = [caller.register() for _ in range(requests)]
        endpoint.retransmits = False
        tries = [asyncio.ensure_future(endpoint.exchange(one, 3.0)) for one in sent]
        done = await asyncio.gather(*tries, return_exceptions=True)
    return sum(not isinstance(one, BaseException) for one in done)


async def test_a_stranger_is_answered_sixty_times_and_then_held(one: Site) -> None:
    source, before, begun = next(SOURCES)[0], limited(one), time.monotonic()
    got = await answered(one, source, 200)
    seconds = time.monotonic() - begun
    assert BURST <= got <= BURST + RATE * seconds
    assert limited(one) - before == 200 - got


def test_a_banned_address_is_silent_on_all_nodes_until_it_is_unbanned(one: Site, two: Site) -> None:
    source = next(SOURCES)
    handset = one.new_phone(ip={"mode": "OPEN"})
    sites = (one, two)
    with UdpPhone(handset.account, one.sip, source=source) as phone:
        assert phone.register().status == 200
    ban = post(one, address=source[0], why="test", seconds=600)
    for site in sites:
        within(LIVE_SECONDS * 60, partial(_is_silent, site, source), "it is shut out")
        assert site.metric("registrar_bans", kind="ban") >= 1
    lifted = time.monotonic()
    assert one.api("DELETE", f"/pbx/ban/{ban['_id']}").status == 200
    for site in sites:
        within(LIVE_SECONDS * 60, partial(_answers, site, source), "it is let in")
    assert rounds(0, 1) == 0 or time.monotonic() - lifted < LIVE_SECONDS
    assert [line["event"] for line in _events(one, ban["_id"])] == ["banned", "unbanned"]
    assert ban["_id"] not in [known["_id"] for known in bans(one)]


def _answers(site: Site, source: tuple[str, int]) -> bool:
    """Whether one OPTIONS from there is answered within half a second."""
    with closing(UdpPipe(site.sip, source)) as pipe:
        caller = Caller(Account("nobody", WRONG, site.demo()["domain"]), pipe.address)
        pipe.send(caller.options())
        return pipe.receive(0.5) is not None


def _is_silent(site: Site, source: tuple[str, int]) -> bool:
    return not _answers(site, source)


def _events(site: Site, ban: str) -> list[dict[str, str]]:
    rows = site.redis("xrange", "registrar:events", "-", "+")
    found = [dict(zip(words[::2], words[1::2], strict=True)) for _, words in rows]
    return [fields for fields in found if fields.get("ban") == ban]


# An office: phones behind one address, one with an old password, and a scanner


OFFICE: Final = rounds(60, 5_000)
SECONDS: Final = rounds(3, 300)
"""Twice: before and after a restart of everything."""
AT_ONCE: Final = 40
REFRESH_SECONDS: Final = rounds(3, 60)


class Bureau:
    """Phones behind one address, each with a socket of its own, and what they were answered."""

    def __init__(self, site: Site, source: str, handsets: Sequence[Handset]) -> None:
        self._site = site
        self._source = source
        self._handsets = handsets
        self.answers: Counter[str] = Counter()
        self._phones: list[Phone] = []
        self._endpoints: list[Endpoint] = []

    async def arrive(self) -> None:
        """All open a new socket and register, as after a power cut."""
        self.leave()
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(handset: Handset) -> None:
            async with turns:
                endpoint = await Endpoint.open(self._site.sip, (self._source, 0))
                self._endpoints.append(endpoint)
                phone = Phone(handset.account, endpoint)
                self._note(await phone.register())
                self._phones.append(phone)

        await asyncio.gather(*map(one, self._handsets))

    async def refresh(self, seconds: float) -> None:
        """All refresh again and again, spread over the time that a round takes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for phone in self._phones:
                self._note(await phone.register(reuse=True))
                await asyncio.sleep(REFRESH_SECONDS / len(self._phones))

    def _note(self, answer: Answer) -> None:
        self.answers[f"{answer.status} {answer.header('warning')}".strip()] += 1

    def leave(self) -> None:
        for endpoint in self._endpoints:
            endpoint.close()
        self._phones, self._endpoints = [], []


async def retry(site: Site, source: str, account: Account, seconds: float) -> Counter[int]:
    """A phone with an old password, which tries again each second."""
    async with await Endpoint.open(site.sip, (source, 0)) as endpoint:
        guesser, end = Guesser(endpoint, account.domain), time.monotonic() + seconds
        while time.monotonic() < end:
            await guesser.guess(account.username)
            await asyncio.sleep(1.0)
        return guesser.answers


async def scan(site: Site, source: str, seconds: float) -> int:
    """A scanner that sends 200 REGISTERs a second from one port; how many were answered."""
    answered = 0
    async with await Endpoint.open(site.sip, (source, 0)) as endpoint:
        endpoint.retransmits = False
        caller = Caller(Account("nobody", WRONG, site.demo()["domain"]), endpoint.address)
        end, tries = time.monotonic() + seconds, []
        while time.monotonic() < end:
            tries += [asyncio.ensure_future(endpoint.exchange(caller.register(), 2.0)) for _ in range(20)]
            await asyncio.sleep(0.1)
        for done in await asyncio.gather(*tries, return_exceptions=True):
            answered += not isinstance(done, BaseException)
    return answered


def restart_everything(site: Site) -> None:
    """The process and its Redis end and begin at once."""
    assert site.stop() == 0
    site.start()


async def test_an_office_is_never_refused_for_its_scanner_and_its_old_password(
    tmp_path: Path, report: Report
) -> None:
    """Also after a restart of everything at once, when no process remembers who was good there."""
    source = next(SOURCES)[0]
    with Site(tmp_path, log_level="warning") as site:
        site.demo()
        handsets = (await settle(site, OFFICE)).handsets
        await asyncio.to_thread(restart_everything, site)  # it knows the new customers from its start
        office, scanned, old = Bureau(site, source, handsets[1:]), 0, Counter[int]()
        await office.arrive()
        for _ in range(2):
            begun = time.monotonic()
            got = await asyncio.gather(
                office.refresh(SECONDS),
                retry(site, source, handsets[0].account, SECONDS),
                scan(site, source, SECONDS),
            )
            seconds = time.monotonic() - begun
            old, scanned = old + got[1], got[2]
            assert BURST <= scanned <= BURST + RATE * (seconds + 1), "a scanner behind one port is held"
            await asyncio.to_thread(restart_everything, site)
            await office.arrive()
        office.leave()
        assert set(office.answers) == {"200"}, office.answers
        assert set(old) <= {401, 403}
        assert not [ban for ban in bans(site) if ban["kind"] == "ban"], "its address is never banned"
        report(
            f"office of {OFFICE}, two restarts of all: {office.answers['200']:,} served, 0 refused; "
            f"the scanner was answered {scanned} times in {seconds:.0f} s; the old password {dict(old)}"
        )


# Guessers and scanners with valid nonces


async def test_a_scanner_of_names_is_banned_and_is_let_in_again_when_the_ban_is_lifted(
    one: Site, two: Site
) -> None:
    source = next(SOURCES)
    async with await Endpoint.open(one.sip, source) as endpoint:
        guesser = Guesser(endpoint, one.demo()["domain"])
        await guesser.guess_all([f"n{number:031}" for number in range(20)], 1)
    assert guesser.answers == {401: 20}
    within(60, lambda: not _answers(two, source), "the other node has banned it")
    (ban,) = [ban for ban in bans(one) if ban["address"] == source[0]]
    assert (ban["kind"], ban["why"], ban["by"]) == ("ban", "many-names", "automatic")
    assert one.api("DELETE", f"/pbx/ban/{ban['_id']}").status == 200
    within(60, lambda: _answers(one, source) and _answers(two, source), "both let it in")


async def test_a_hold_is_shown_and_lifting_it_gives_a_new_budget_on_both_nodes(one: Site, two: Site) -> None:
    handset, source = one.new_phone(ip={"mode": "OPEN"}), next(SOURCES)
    async with await Endpoint.open(one.sip, source) as endpoint:
        guesser = Guesser(endpoint, handset.account.domain)
        for _ in range(12):
            await guesser.guess(handset.account.username)
        assert guesser.answers == {401: 10, 403: 2}

        def hold() -> list[str]:
            return [ban["_id"] for ban in bans(one) if ban["phone"] == handset.id and ban["kind"] == "hold"]

        within(60, hold, "the hold is shown")
        (found,) = hold()
        assert one.api("DELETE", f"/pbx/ban/{found}").status == 200
    for site in (one, two):

        def enters(site: Site = site) -> bool:
            with UdpPhone(handset.account, site.sip, source=source) as phone:
                return phone.register().status == 200

        within(60, enters, "it may try again")


async def test_a_banned_phone_is_refused_and_goes_offline(one: Site, two: Site) -> None:
    handset, source = one.new_phone(ip={"mode": "OPEN"}), next(SOURCES)
    with UdpPhone(handset.account, one.sip, source=source) as phone:
        assert phone.register().status == 200
        ban = post(one, phone=handset.id, why="stolen")
        within(60, lambda: one.status_hash(handset)["online"] == "0", "its registration ends")
        answer = phone.register()
        assert answer.status == 403 and "banned" in answer.header("warning")
        assert one.api("DELETE", f"/pbx/ban/{ban['_id']}").status == 200
        within(60, lambda: phone.register().status == 200, "it is let in")


SPRAYERS: Final = rounds(30, 1_000)
EACH: Final = 3
CHECKED_A_MINUTE: Final = 60


async def test_many_sources_get_sixty_checked_guesses_a_minute_and_the_owner_none_less(
    one: Site, two: Site, report: Report
) -> None:
    """Each source stays below its own limits; the account is tried on both nodes."""
    handset, home = one.new_phone(ip={"mode": "OPEN"}), next(SOURCES)
    with UdpPhone(handset.account, one.sip, source=home) as phone:
        assert phone.register().status == 200
    before = sum(site.metric("registrar_digests_total", result="bad") for site in (one, two))
    begun, answers, honest = time.monotonic(), Counter[int](), []

    async def spray(number: int) -> None:
        site = (one, two)[number % 2]
        async with await Endpoint.open(site.sip, next(SOURCES)) as endpoint:
            guesser = Guesser(endpoint, handset.account.domain)
            for _ in range(EACH):
                await guesser.guess(handset.account.username)
            answers.update(guesser.answers)

    for first in range(0, SPRAYERS, 10):
        await asyncio.gather(*[spray(number) for number in range(first, first + 10)])
        async with await Endpoint.open((one, two)[first // 10 % 2].sip, (home[0], 0)) as endpoint:
            honest.append((await Phone(handset.account, endpoint).register()).status)
    minutes = 1 + int((time.monotonic() - begun) / 60)
    checked = sum(site.metric("registrar_digests_total", result="bad") for site in (one, two)) - before
    assert answers[401] == checked <= CHECKED_A_MINUTE * minutes
    assert answers[403] == SPRAYERS * EACH - checked
    assert set(honest) == {200}
    report(
        f"{SPRAYERS} sources, {SPRAYERS * EACH} guesses at an account: {checked:.0f} checked in {minutes} min"
    )


SLOW_MINUTES: Final = 12
"""Longer than the ten minutes of the budgets."""
SLOW_SOURCES: Final = 200


@pytest.mark.soak
async def test_one_guess_a_minute_from_each_source_learns_no_more(
    one: Site, two: Site, report: Report
) -> None:
    """Many sources share what an account allows; one alone cannot tell whether a name exists."""
    tried, alone = one.new_phone(ip={"mode": "OPEN"}), one.new_phone(ip={"mode": "OPEN"})
    names = {"known": alone.account.username, "unknown": "x" * len(alone.account.username)}
    single: dict[str, list[int]] = {what: [] for what in names}
    sources = [next(SOURCES) for _ in range(SLOW_SOURCES)]
    lonely = {what: next(SOURCES) for what in names}
    answers: list[Counter[int]] = []
    with UdpPhone(tried.account, one.sip, source=next(SOURCES)) as phone:
        assert phone.register().status == 200
        begun = time.monotonic()
        for minute in range(SLOW_MINUTES):
            answers.append(Counter())
            for number, source in enumerate(sources):
                answers[-1][await guess_once((one, two)[number % 2], source, tried.account)] += 1
            for what, name in names.items():
                account = Account(name, WRONG, alone.account.domain)
                single[what].append(await guess_once(one, lonely[what], account))
            assert phone.register().status == 200, "the owner is not held for what others guess"
            await asyncio.sleep(max(0.0, begun + 60 * (minute + 1) - time.monotonic()))
    assert all(set(one) <= {401, 403} for one in answers), answers
    assert all(one[401] <= CHECKED_A_MINUTE for one in answers)
    assert answers[0][401] > 0
    assert single["known"] == single["unknown"]
    report(
        f"{SLOW_SOURCES} sources, one guess a minute each for {SLOW_MINUTES} min: "
        f"{[one[401] for one in answers]} checked in each minute; one source alone: "
        f"{single['known'].count(401)} of {SLOW_MINUTES} answered 401, a name that does not exist the same"
    )


async def guess_once(site: Site, source: Address, account: Account) -> int:
    """One wrong password from a socket of its own: the status."""
    async with await Endpoint.open(site.sip, source) as endpoint:
        return await Guesser(endpoint, account.domain).guess(account.username)


def test_the_command_prints_the_bans_for_people_and_for_packet_filters(one: Site) -> None:
    ban = post(one, address="198.51.100.0/24", why="scans us", seconds=600)
    lines = one.command("bans").splitlines()
    (line,) = [line for line in lines if line.startswith(ban["_id"])]
    assert all(word in line for word in ("198.51.100.0/24", "scans us", f"by {ban['by']}"))
    assert "198.51.100.0/24 timeout " in one.command("bans", "--format", "nftables")
    printed = one.command("bans", "--format", "fail2ban")
    assert "fail2ban-client set registrar banip 198.51.100.0/24\n" in printed
    assert ban["_id"] in [known["id"] for known in json.loads(one.command("bans", "--format", "json"))]
    assert one.api("DELETE", f"/pbx/ban/{ban['_id']}").status == 200


def test_the_kernel_drops_what_the_export_names(one: Site) -> None:
    """nft loads it twice, the second time in place of the first; a packet from there comes no more."""
    need("nft")
    need_namespace()
    made = [
        post(one, address=address, seconds=600) for address in ("10.77.0.3", "10.77.1.0/24", "2001:db8::/64")
    ]
    rules = one.command("bans", "--format", "nftables")
    for ban in made:
        assert one.api("DELETE", f"/pbx/ban/{ban['_id']}").status == 200
    with Namespace("10.77.0.1", "10.77.0.2", "10.77.0.3") as network, network.entered():
        assert _comes(network, "10.77.0.2") and _comes(network, "10.77.0.3")
        for _ in range(2):
            subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True, env={"PATH": PATH})
        assert _comes(network, "10.77.0.2") and not _comes(network, "10.77.0.3")


def _comes(network: Namespace, source: str) -> bool:
    """Whether a datagram from a source reaches another address of this network."""
    with network.socket() as sender, network.socket() as receiver:
        receiver.bind((network.address, 0))
        receiver.settimeout(0.3)
        sender.bind((source, 0))
        sender.sendto(b"hello", receiver.getsockname())
        try:
            return receiver.recv(10) == b"hello"
        except TimeoutError:
            return False
