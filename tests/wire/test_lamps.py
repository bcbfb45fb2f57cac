"""Lamps: phones on two nodes watch others, who are called; a node is restarted, a phone goes away."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers.browser import Browser
from tests.peers.library_phone import LibraryPhone
from tests.peers.redis import RedisServer
from tests.peers.watching import Lamp, Notify, WatchingPhone
from tests.wire.callers import Callers, Extension, eventually
from tests.wire.conftest import Report
from tests.wire.need import in_soak, need, need_browser
from tests.wire.office import Office, Person
from tests.wire.site import Handset, Site, within

pytestmark = pytest.mark.wire

TRANSPORTS: Final = ("tcp", "tls", "ws", "wss")
PACE_SECONDS: Final = 1.1
"""One NOTIFY a second is the most that a subscriber gets."""
MAX_OCTETS: Final = 1_300
"""A NOTIFY over UDP fits into one packet."""
ON_HOLD: Final = b'<param pname="+sip.rendering" pvalue="no"/></target></local>'
"""In the document: the watched party holds the call."""
ACQUAINTED_SECONDS: Final = 1.0
ENDED_SECONDS: Final = 20.0
"""A phone whose connection closed has 10 s to come back."""
TAKEN_OVER_SECONDS: Final = 15.0
FOUND_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Nodes:
    """Both of them, and the phones of one test."""

    a: Site
    b: Site
    callers: Callers

    async def watcher(self, transport: str, site: Site, handset: Handset | None = None) -> WatchingPhone:
        """A phone with lamps that is registered."""
        account = (handset or self.callers.extension().handset).account
        phone = await WatchingPhone.open(account, site.listeners[transport], transport)
        answer = await phone.register()
        assert answer.status == 200, answer
        return phone


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    """Two processes over one Redis and one database."""
    need("redis-server", "redis-cli")
    folder = tmp_path_factory.mktemp("lamps")
    with RedisServer(folder / "redis") as redis:
        settings: dict[str, Any] = {"data_dir": str(folder / "data"), "redis_url": redis.url}
        first = Site(folder / "a", transports=TRANSPORTS, **settings)
        with first as a, Site(folder / "b", tenant=a.demo(), transports=TRANSPORTS, **settings) as b:
            time.sleep(ACQUAINTED_SECONDS)
            yield a, b


@pytest.fixture
async def nodes(sites: tuple[Site, Site]) -> AsyncIterator[Nodes]:
    a, b = sites
    async with Callers(b) as callers:
        yield Nodes(a, b, callers)


def rising(told: list[Notify]) -> bool:
    """Whether CSeq and version only rise."""
    numbers = [(one.cseq, one.version) for one in told if one.message.body]
    return all(one[0] < other[0] and one[1] < other[1] for one, other in pairwise(numbers))


async def a_call(nodes: Nodes, lamp: Lamp, called: Extension, report: Report | None = None) -> None:
    """Somebody calls, it rings, is answered and ends; the lamp shows each state."""
    bob = await nodes.callers.phone(called.handset, "udp", site=nodes.b)
    cat = await nodes.callers.phone(nodes.callers.extension().handset, "tcp", site=nodes.b)
    await lamp.shows("terminated")
    steps: list[tuple[str, float]] = []

    async def shown(line: str, began: float) -> None:
        steps.append((line, (await lamp.shows(line)).at - began))
        await asyncio.sleep(PACE_SECONDS)

    await asyncio.sleep(PACE_SECONDS)
    began = time.monotonic()
    outgoing = await cat.call(called.number)
    incoming = await bob.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    await shown("early", began)
    began = time.monotonic()
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    await shown("confirmed", began)
    began = time.monotonic()
    assert (await outgoing.bye()).status == 200
    await shown("terminated", began)
    assert max(len(one.message.raw) for one in lamp.told) <= MAX_OCTETS
    if report is not None:
        report(
            f"lamp over {lamp.phone.line.transport}: " + ", ".join(f"{s} {1000 * t:.0f} ms" for s, t in steps)
        )


@pytest.mark.parametrize("transport", ["udp", in_soak("tcp"), "wss"])
async def test_the_states_of_a_call_come_in_order(nodes: Nodes, transport: str, report: Report) -> None:
    called = nodes.callers.extension()
    async with await nodes.watcher(transport, nodes.a) as phone:
        lamp = await phone.watch(called.number)
        await a_call(nodes, lamp, called, report)
        assert [one.line for one in lamp.told] == ["terminated", "early", "confirmed", "terminated"]
        assert [one.version for one in lamp.told] == [1, 2, 3, 4]
        assert [one.cseq for one in lamp.told] == [1, 2, 3, 4]
        assert (await lamp.ask(0)).status == 200
        last = await lamp.until(lambda one: one.state.startswith("terminated"), "the last one")
        assert (last.state, last.cseq) == ("terminated;reason=timeout", 5)
        assert (await lamp.ask()).status == 481


async def test_a_refresh_may_come_to_another_node(nodes: Nodes) -> None:
    called = nodes.callers.extension()
    watcher = nodes.callers.extension().handset
    async with await nodes.watcher("udp", nodes.a, watcher) as phone:
        lamp = await phone.watch(called.number)
        await lamp.shows("terminated")
        async with await nodes.watcher("tcp", nodes.b, watcher) as moved:
            moved.lamps.append(lamp)
            assert (await lamp.ask(phone=moved)).status == 200
            await lamp.until(lambda one: one.cseq > 1_000, "from the other node")
            await a_call(nodes, lamp, called)
            assert rising(lamp.told)
            assert (await lamp.ask(0, phone=moved)).status == 200


async def test_presence_and_the_other_packages(nodes: Nodes) -> None:
    called = nodes.callers.extension()
    async with await nodes.watcher("tcp", nodes.a) as phone:
        lamp = await phone.watch(called.number, "presence")
        first = await lamp.until(lambda one: b"closed" in one.message.body, "offline")
        assert b"<note>Offline: never registered</note>" in first.message.body
        await asyncio.sleep(PACE_SECONDS)
        bob = await nodes.callers.phone(called.handset, "tcp", site=nodes.b)
        await lamp.until(lambda one: b"<basic>open</basic>" in one.message.body, "online")
        await asyncio.sleep(PACE_SECONDS)
        assert (await bob.register(0)).status == 200
        gone = await lamp.until(lambda one: b"closed" in one.message.body, "offline again")
        assert b"<note>Offline: unregistered</note>" in gone.message.body
        other = await phone.lamp(called.number, "conference").ask()
        assert (other.status, other.header("allow-events")) == (
            489,
            "dialog, presence, message-summary, refer",
        )
        assert (await phone.lamp("2999").ask()).status == 404
        assert (await phone.lamp(called.number, "message-summary").ask()).status == 403


async def test_a_call_on_hold_is_marked(nodes: Nodes) -> None:
    called = nodes.callers.extension()
    async with await nodes.watcher("udp", nodes.a) as phone:
        lamp = await phone.watch(called.number)
        bob = await nodes.callers.phone(called.handset, "udp", site=nodes.b)
        cat = await nodes.callers.phone(nodes.callers.extension().handset, "tcp", site=nodes.b)
        outgoing = await cat.call(called.number)
        incoming = await bob.incoming()
        incoming.answer()
        await outgoing.answered()
        await incoming.acknowledged()
        await lamp.shows("confirmed")
        await asyncio.sleep(PACE_SECONDS)
        assert (await incoming.reinvite(bob.sdp(version=2, direction="sendonly"))).status == 200
        held = await lamp.until(lambda one: ON_HOLD in one.message.body, "on hold")
        assert held.line == "confirmed"
        await asyncio.sleep(PACE_SECONDS)
        assert (await incoming.reinvite(bob.sdp(version=3))).status == 200
        resumed = await lamp.until(lambda one: ON_HOLD not in one.message.body, "resumed")
        assert resumed.line == "confirmed"
        assert (await outgoing.bye()).status == 200


async def test_a_phone_publishes_and_watchers_at_another_node_see_it(nodes: Nodes) -> None:
    called = nodes.callers.extension()
    async with (
        await nodes.watcher("tcp", nodes.a) as phone,
        await nodes.watcher("udp", nodes.b, called.handset) as bob,
    ):
        lamp = await phone.watch(called.number, "presence")
        await lamp.until(lambda one: b"<basic>open</basic>" in one.message.body, "online")
        await asyncio.sleep(PACE_SECONDS)
        answer = await bob.publish(called.number, pidf("At lunch &amp; back at 2", "closed"), 60)
        assert (answer.status, answer.header("expires")) == (200, "60")
        told = await lamp.until(lambda one: b"<basic>closed</basic>" in one.message.body, "published")
        assert b"<note>At lunch &amp; back at 2</note>" in told.message.body
        await asyncio.sleep(PACE_SECONDS)
        tag = answer.header("sip-etag")
        assert (await bob.publish(called.number, match=f"{tag}x")).status == 412
        refreshed = await bob.publish(called.number, match=tag)
        assert (refreshed.status, refreshed.header("expires")) == (200, "600")
        assert (await bob.publish(called.number, match=tag, expires=0)).status == 412
        assert (await bob.publish(called.number, match=refreshed.header("sip-etag"), expires=0)).status == 200
        gone = await lamp.until(lambda one: b"<basic>open</basic>" in one.message.body, "removed")
        assert b"note" not in gone.message.body
        bomb = f'<!DOCTYPE a [<!ENTITY b "bbb">]>{pidf("&b;")}'
        assert (await bob.publish(called.number, bomb)).status == 400
        assert (await phone.publish(called.number, pidf("not mine"))).status == 403


def pidf(note: str, basic: str = "open") -> str:
    """A document as phones publish it."""
    return (
        '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:me@here"><tuple id="a">'
        f"<status><basic>{basic}</basic></status><note>{note}</note></tuple></presence>"
    )


async def test_a_fetch_is_answered_once(nodes: Nodes) -> None:
    called = nodes.callers.extension()
    async with await nodes.watcher("udp", nodes.a) as phone:
        lamp = phone.lamp(called.number)
        assert (await lamp.ask(0)).header("expires") == "0"
        only = await lamp.until(lambda one: True, "the only one")
        assert (only.state, only.line) == ("terminated;reason=timeout", "terminated")


async def test_a_closed_connection_ends_a_subscription(nodes: Nodes) -> None:
    called = nodes.callers.extension()
    async with await nodes.watcher("tcp", nodes.a) as phone:
        lamp = await phone.watch(called.number)
        await lamp.shows("terminated")
        assert is_stored(nodes.b, lamp)
    await eventually(lambda: not is_stored(nodes.b, lamp), "it is ended", ENDED_SECONDS)


def is_stored(site: Site, lamp: Lamp) -> bool:
    """Whether Redis has the subscription."""
    found = [site.redis("hget", key, "callId") for key in site.redis("keys", "registrar:sub:*")]
    return lamp.caller.call_id in found


async def test_sip_js_watches_from_another_node(nodes: Nodes, tmp_path: Path) -> None:
    need_browser()
    called, page = nodes.callers.extension(), nodes.callers.extension()
    bob = await nodes.callers.phone(called.handset, "udp", site=nodes.b)
    cat = await nodes.callers.phone(nodes.callers.extension().handset, "tcp", site=nodes.b)
    with Browser(tmp_path) as browser:
        phone = LibraryPhone(browser.tab("lamp"), "sipjs")

        async def shows(*states: str) -> None:
            seen = lambda: tuple(state for _, _, state in phone.lamp()) == states  # noqa: E731
            await asyncio.to_thread(within, FOUND_SECONDS, seen, f"the page has seen {states}")
            await asyncio.sleep(PACE_SECONDS)

        await asyncio.to_thread(phone.register, page.handset.account, "wss://{}:{}".format(*nodes.a.wss))
        phone.watch(called.number)
        await shows("terminated")
        outgoing = await cat.call(called.number)
        incoming = await bob.incoming()
        incoming.ring()
        await shows("terminated", "early")
        incoming.answer()
        await outgoing.answered()
        await incoming.acknowledged()
        await shows("terminated", "early", "confirmed")
        assert (await outgoing.bye()).status == 200
        await shows("terminated", "early", "confirmed", "terminated")
        numbers = [(cseq, version) for cseq, version, _ in phone.lamp()]
        assert all(one[0] < other[0] and one[1] < other[1] for one, other in pairwise(numbers))


async def test_in_the_end_a_node_is_restarted_and_numbers_rise(nodes: Nodes, report: Report) -> None:
    called = nodes.callers.extension()
    async with await nodes.watcher("udp", nodes.a) as phone:
        lamp = await phone.watch(called.number)
        await a_call(nodes, lamp, called)
        before = lamp.told[-1]
        began = time.monotonic()
        nodes.a.kill9()
        nodes.a.start()
        again = await lamp.until(lambda one: one.cseq >= before.cseq + 1_000, "after", TAKEN_OVER_SECONDS)
        report(f"a restarted node sent its first NOTIFY after {again.at - began:.2f} s")
        await a_call(nodes, lamp, called)
        assert (await lamp.ask()).status == 200
        await lamp.until(lambda one: one.version > again.version + 3, "the refresh")
        assert rising(lamp.told)
        assert [one.line for one in lamp.told if one.cseq < again.cseq] == [
            "terminated", "early", "confirmed", "terminated",
        ]  # fmt: skip


# What a lamp is for


async def test_the_call_that_a_lamp_shows_is_picked_up(nodes: Nodes, report: Report) -> None:
    """INVITE with Replaces of the id in the document alone, at another node than that of the call."""
    office = Office(nodes.callers)
    ann, bob = await office.people(2)
    extension = nodes.callers.extension()
    cat = Person(extension, (await nodes.callers.phone(extension.handset, site=nodes.a),))
    office.group([bob, cat], pickup=True)
    async with await nodes.watcher("tcp", nodes.a, extension.handset) as phone:
        lamp = await phone.watch(bob.extension.number)
        await lamp.shows("terminated")
        await asyncio.sleep(PACE_SECONDS)
        outgoing = await ann.phone.call(bob.extension.number)
        incoming = await bob.phone.incoming()
        incoming.ring()
        await outgoing.provisional(180)
        shown = (await lamp.shows("early")).message.body.decode()
        name = shown.partition(' call-id="')[2].partition('"')[0]
        assert name
        assert name != incoming.invite.call_id
        begun = time.monotonic()
        replaces = f"Replaces: {name};to-tag=l;from-tag=r;early-only"
        final = await (await cat.phone.call(ann.extension.number, lines=[replaces])).final()
        assert final.first == "SIP/2.0 480 Picked Up"
        taken = await cat.phone.incoming()
        report(f"picked up at another node: it rings after {1000 * (time.monotonic() - begun):.0f} ms")
        assert taken.invite.header("answer-mode") == "Auto"
        taken.answer()
        assert f"<sip:{extension.number}@" in (await outgoing.answered()).header("p-asserted-identity")
        assert any(one.startswith("SIP;cause=200") for one in (await incoming.cancelled()).listed("reason"))
        assert (await outgoing.bye()).status == 200
    stranger = await office.person()
    outgoing = await ann.phone.call(bob.extension.number)
    incoming = await bob.phone.incoming(nth=1)
    incoming.ring()
    await stranger.phone.call(ann.extension.number, lines=[replaces])
    await asyncio.sleep(PACE_SECONDS)
    assert stranger.phone.calls == [], "an id of a former call, and no right to pick up"
    outgoing.cancel()
    assert (await outgoing.final()).status == 487


async def test_the_lamps_of_switches(nodes: Nodes) -> None:
    """DND and a queue: the lamp follows the code, and so does the queue."""
    office = Office(nodes.callers)
    ann, bob = await office.people(2)
    queue = office.queue({"extension": bob.id, "ringSecs": 30})
    leave = f"*45{queue.number}"

    async def switch(lamp: Lamp, code: str, line: str) -> None:
        await asyncio.sleep(PACE_SECONDS)
        assert (await (await bob.phone.call(code)).final()).header("reason") == "SIP;cause=200"
        await lamp.shows(line)

    async with await nodes.watcher("tcp", nodes.a, bob.extension.handset) as phone:
        dnd, joined = await phone.watch("*76"), await phone.watch(leave)
        await dnd.shows("terminated")
        await joined.shows("confirmed")
        for lamp, code, off, on in (
            (dnd, "*76", "confirmed", "terminated"),
            (joined, leave, "terminated", "confirmed"),
        ):
            before = len(bob.phone.calls)
            await switch(lamp, code, off)
            assert (await (await ann.phone.call(queue.number)).final()).status == 480
            assert len(bob.phone.calls) == before
            await switch(lamp, code, on)
            outgoing = await ann.phone.call(queue.number)
            await bob.phone.incoming(nth=before)
            outgoing.cancel()
            assert (await outgoing.final()).status == 487
