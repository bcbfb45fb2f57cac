"""Calls that move: to another phone by REFER, to one of three that ring, to a new connection; with sound."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.peers.cable import Cable
from tests.peers.calling import CallingPhone
from tests.peers.pjsua import PjsuaPhone
from tests.peers.rtp import RtpParty, goertzel, level
from tests.wire.callers import eventually
from tests.wire.need import in_soak
from tests.wire.site import Site, within
from tests.wire.sound import LOUD, SOON, Room, Studio, Voice, assert_talk, connect, end

pytestmark = pytest.mark.wire
SETTLE_SECONDS = 0.5

BACK_SECONDS: Final = 10.0
OWN_TONE: Final = 1_900


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio.open(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


@pytest.fixture(scope="module")
def server(studio: Studio) -> Iterator[Site]:
    with studio.site("auto") as site:
        yield site


@pytest.fixture
def room(studio: Studio, server: Site, tmp_path: Path) -> Iterator[Room]:
    with Room(studio, server, tmp_path) as room:
        yield room


# Transfer


@pytest.mark.parametrize("kinds", ["wss udp udp", in_soak("udp wss udp"), in_soak("tls udp wss")])
def test_blind_transfer(room: Room, kinds: str) -> None:
    """The first one sends the second one to the third one."""
    one, other, third = map(room.voice, kinds.split())
    connect(one, other)
    assert_talk(one, other)
    one.refer(third.number)
    third.wait_ring()
    third.answer()
    other.wait_moved()
    assert_talk(other, third)
    one.wait_over()
    end(third, other)


@pytest.mark.parametrize("kinds", ["wss udp", in_soak("udp wss")])
def test_attended_transfer(room: Room, kinds: str) -> None:
    """A desk phone talks to one, then to the other, and leaves them to each other."""
    desk = room.desk()
    first, second = map(room.voice, kinds.split())
    connect(desk, first)
    assert_talk(desk, first)
    desk.hold()
    first.wait_held()
    before = desk.current
    connect(desk, second)
    assert_talk(desk, second)
    desk.hold()  # JsSIP refuses to be taken over while it is being put on hold
    second.wait_held()
    time.sleep(SETTLE_SECONDS)  # until the ACK of that is there, too
    consulted, desk.current = desk.current, before
    desk.join(consulted)
    second.take_over()
    desk.wait_referred()
    first.wait_moved()
    assert_talk(first, second)
    end(first, second)


def test_a_page_of_sipjs_joins_a_phone_of_pjsip_with_another(room: Room, tmp_path: Path) -> None:
    """An attended transfer between three that other people wrote; pjsip holds no URI of 256 octets."""
    page, desk, called = room.stranger("sipjs"), room.desk(), room.extension()
    address = room.studio.network.address
    with PjsuaPhone(
        tmp_path,
        called.handset.account,
        room.site.tcp,
        transport="tcp",
        address=address,
        answers=True,
    ) as transferee:
        page.call(called.number)
        page.wait_talking()
        (first,) = transferee.calls()
        connect(page, desk)
        page.page.join()
        desk.take_over()
        within(SOON, lambda: set(transferee.calls()) > {first}, "pjsua2 has a second call")
        (second,) = set(transferee.calls()) - {first}
        transferee.wait_state(second, "CONFIRMED")
        page.page.wait_joined()
        page.hang_up()
        transferee.wait_state(first, "DISCONNCTD")
        assert transferee.state(second) == "CONFIRMED"
        desk.hang_up()
        transferee.wait_state(second, "DISCONNCTD")


# Three phones of one extension


@pytest.mark.parametrize(
    "who", [pytest.param(0, id="browser"), in_soak(1, id="baresip"), in_soak(2, id="phone of ours")]
)
async def test_three_phones_ring_and_one_answers(room: Room, who: int) -> None:
    """The others hear that the call was answered elsewhere."""
    address = room.studio.network.address
    called = room.extension(3)
    web = await asyncio.to_thread(room.web, extension=called, handset=called.handsets[0])
    desk = await asyncio.to_thread(room.desk, "tcp", extension=called, handset=called.handsets[1])
    caller = await asyncio.to_thread(room.desk)
    account = called.handsets[2].account
    async with await CallingPhone.open(account, room.site.sip, "udp", source=(address, 0)) as ours:
        assert (await ours.register()).status == 200
        caller.call(called.number)
        incoming = await ours.incoming()
        incoming.ring()
        await asyncio.to_thread(web.wait_ring)
        await asyncio.to_thread(desk.wait_ring)
        if who < 2:
            one: Voice = (web, desk)[who]
            await asyncio.to_thread(one.answer)
            await asyncio.to_thread(caller.wait_talking)
            assert any("cause=200" in value for value in (await incoming.cancelled()).listed("reason"))
            await asyncio.to_thread(assert_talk, one, caller)
        else:
            with RtpParty(address, OWN_TONE) as party:
                party.follow(incoming.invite.body)
                incoming.answer(party.sdp())
                await asyncio.to_thread(caller.wait_talking)
                await asyncio.to_thread(caller.assert_hears, OWN_TONE)
                heard = await asyncio.to_thread(party.hear)
                assert level(heard.samples) > LOUD and goertzel(heard.samples, caller.tone) > 0.9
        if who != 0:
            await asyncio.to_thread(web.wait_over)
            assert web.page.why == "Another phone answered."
        if who != 1:
            await asyncio.to_thread(desk.wait_over)
        await asyncio.to_thread(caller.hang_up)
        if who == 2:
            await incoming.asked("BYE")
        else:
            await asyncio.to_thread(one.wait_over)
        await eventually(lambda: room.media() == [], "the call is gone")


# Another connection


@pytest.mark.parametrize("who", ["browser", "desk phone"])
def test_a_call_outlives_the_connection_of_the_browser(room: Room, who: str) -> None:
    """It is cut, and comes back as the same instance: meanwhile both hear each other, either can hang up."""
    with Cable(room.site.wss, room.studio.network.address) as cable:
        web, desk = room.web(server=cable.address), room.desk()
        connect(desk, web)
        (before,) = room.site.bindings(web.handset)
        assert cable.cut() == 1
        state = web.page.tab.state
        within(SOON, lambda: state()["connection"] != "connected", "the page knows")
        assert_talk(web, desk)
        within(BACK_SECONDS, lambda: before not in room.site.bindings(web.handset), "it is registered anew")
        (after,) = room.site.bindings(web.handset)
        assert after[0] == before[0], "by the same contact"
        within(SOON, lambda: state()["connection"] == "connected", "the page knows that too")
        assert_talk(web, desk)
        one, other = (web, desk) if who == "browser" else (desk, web)
        end(one, other)
        room.assert_nothing_left()
