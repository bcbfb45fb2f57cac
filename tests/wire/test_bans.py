"""Limits and bans from outside: strangers are held, an office is not, and a ban acts on all nodes."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import pytest

from tests.peers.endpoint import Endpoint
from tests.peers.phone import Account, Caller, UdpPhone
from tests.peers.pipe import UdpPipe
from tests.wire.guessing import WRONG, addresses
from tests.wire.need import need, rounds
from tests.wire.site import Site, within

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
        within(LIVE_SECONDS * 60, lambda site=site: not _answers(site, source), "it is shut out")
        assert site.metric("registrar_bans", kind="ban") >= 1
    lifted = time.monotonic()
    assert one.api("DELETE", f"/pbx/ban/{ban['_id']}").status == 200
    for site in sites:
        within(LIVE_SECONDS * 60, lambda site=site: _answers(site, source), "it is let in")
    assert rounds(0, 1) == 0 or time.monotonic() - lifted < LIVE_SECONDS
    assert [line["event"] for line in _events(one, ban["_id"])] == ["banned", "unbanned"]
    assert ban["_id"] not in [known["_id"] for known in bans(one)]


def _answers(site: Site, source: tuple[str, int]) -> bool:
    """Whether one OPTIONS from there is answered within half a second."""
    with closing(UdpPipe(site.sip, source)) as pipe:
        caller = Caller(Account("nobody", WRONG, site.demo()["domain"]), pipe.address)
        pipe.send(caller.options())
        return pipe.receive(0.5) is not None


def _events(site: Site, ban: str) -> list[dict[str, str]]:
    rows = site.redis("xrange", "registrar:events", "-", "+")
    found = [dict(zip(words[::2], words[1::2], strict=True)) for _, words in rows]
    return [fields for fields in found if fields.get("ban") == ban]
