"""Our media relay over a real rtpengine: sound both ways, engines that die, sessions that are left behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Final

import pytest

from registrar.errors import MediaRefused, StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import LegKind
from registrar.store.media_rtpengine import RtpengineMedia
from tests.patience import limit
from tests.peers.netns import Namespace
from tests.peers.rtp import RtpParty, assert_talk, audio_address
from tests.peers.rtpengine import Rtpengine
from tests.wire.need import need, need_namespace

pytestmark = pytest.mark.wire

PREFIX: Final = "test:"
LEARNING_SECONDS: Final = 6.0
"""Three seconds after an offer or answer the engine looks where a party sends from; twice that is safe."""
WEBRTC, PLAIN = LegKind.WEBRTC, LegKind.PLAIN

BROWSER: Final = b"""v=0\r
o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0\r
a=extmap-allow-mixed\r
a=msid-semantic: WMS stream\r
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0 8 126\r
c=IN IP4 0.0.0.0\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=candidate:1 1 udp 2122260223 8b8e0a3c-1f8c-4c7a-a9d5-0f0f8f0d7e11.local 40124 typ host generation 0\r
a=ice-ufrag:Yx1z\r
a=ice-pwd:abcdefghijklmnopqrstuvwx\r
a=ice-options:trickle\r
a=fingerprint:sha-256 FINGERPRINT\r
a=setup:actpass\r
a=mid:0\r
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
a=sendrecv\r
a=msid:stream track\r
a=rtcp-mux\r
a=rtpmap:111 opus/48000/2\r
a=rtcp-fb:111 transport-cc\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:126 telephone-event/8000\r
a=ssrc:3735928559 cname:x\r
""".replace(b"FINGERPRINT", b":".join([b"6B"] * 32))


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[Namespace]:
    """All tests of this module are inside."""
    need("rtpengine")
    need_namespace()
    with Namespace() as network, network.entered():
        yield network


@pytest.fixture(scope="module")
def engine(network: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rtpengine]:
    with Rtpengine(tmp_path_factory.mktemp("engine"), network.address) as engine:
        yield engine


@contextlib.asynccontextmanager
async def relay(*engines: Rtpengine, prefix: str = PREFIX) -> AsyncIterator[RtpengineMedia]:
    """The relay as the application runs it."""
    addresses = [engine.control for engine in engines]
    media = RtpengineMedia(addresses, prefix, Metrics(), second_look_seconds=0.05)
    running = asyncio.create_task(media.run())
    try:
        yield media
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await media.close()


@pytest.fixture
async def media(engine: Rtpengine) -> AsyncIterator[RtpengineMedia]:
    async with relay(engine) as media:
        yield media
        left = engine.sessions()
        for session in left:  # of a test that failed: the next ones begin anew
            media.delete(session, engine.name)
    assert left == []


async def until_gone(engine: Rtpengine) -> None:
    async with asyncio.timeout(limit(4)):
        while await asyncio.to_thread(engine.sessions):
            await asyncio.sleep(0.01)


async def offered(media: RtpengineMedia, session: str, sdp: bytes, to: LegKind = PLAIN) -> tuple[bytes, str]:
    return await media.offer(PREFIX + session, sdp, from_tag="a", to_tag="", to=to, engine="")


async def call(
    media: RtpengineMedia, session: str, caller: RtpParty, callee: RtpParty, engine: str = ""
) -> str:
    """Make or renew a session between two phones; the engine that has it."""
    name = PREFIX + session
    offer, engine = await media.offer(
        name, caller.sdp(), from_tag="a", to_tag="b" if engine else "", to=PLAIN, engine=engine
    )
    answer = await media.answer(name, callee.sdp(), from_tag="a", to_tag="b", engine=engine)
    callee.follow(offer)
    caller.follow(answer)
    return engine


@pytest.fixture
def phones(network: Namespace) -> Iterator[tuple[RtpParty, RtpParty]]:
    with RtpParty(network.address, 440) as one, RtpParty(network.address, 700) as other:
        yield one, other


async def test_two_plain_phones_hear_each_other(
    media: RtpengineMedia, engine: Rtpengine, phones: tuple[RtpParty, RtpParty]
) -> None:
    caller, callee = phones
    assert await call(media, "talk", caller, callee) == engine.name
    await asyncio.to_thread(assert_talk, caller, callee)
    assert caller.remote != callee.address and callee.remote != caller.address
    assert engine.sessions() == [f"{PREFIX}talk"]
    media.delete(f"{PREFIX}talk", engine.name)
    await until_gone(engine)
    async with asyncio.timeout(limit(4)):  # what was on its way may still arrive
        while (await asyncio.to_thread(caller.hear, 0.3)).packets:
            pass


async def test_a_stranger_is_not_heard(
    media: RtpengineMedia, network: Namespace, engine: Rtpengine, phones: tuple[RtpParty, RtpParty]
) -> None:
    where = await call(media, "quiet", *phones)
    await asyncio.to_thread(assert_talk, *phones, LEARNING_SECONDS)
    with RtpParty(network.address, 1500) as stranger:
        stranger.remote = phones[0].remote
        await asyncio.to_thread(assert_talk, *phones)
        assert (await asyncio.to_thread(stranger.hear, 0.1)).packets == 0
    media.delete(f"{PREFIX}quiet", where)
    await until_gone(engine)


async def test_the_desk_phone_gets_an_offer_that_it_understands(
    media: RtpengineMedia, engine: Rtpengine
) -> None:
    offer, _ = await offered(media, "plain", BROWSER)
    lines = offer.decode().split("\r\n")
    assert next(line for line in lines if line.startswith("m=")).split()[2] == "RTP/AVP"
    assert audio_address(offer)[0] == engine.address
    browser_only = "ice fingerprint setup candidate crypto rtcp-mux extmap msid ssrc rtcp-fb group".split()
    assert [line for line in lines for name in browser_only if line.startswith(f"a={name}")] == []
    assert "127.0.0.1" not in offer.decode()
    media.delete(f"{PREFIX}plain", engine.name)
    await until_gone(engine)


async def test_the_browser_gets_an_answer_that_it_understands(
    media: RtpengineMedia, engine: Rtpengine, phones: tuple[RtpParty, RtpParty]
) -> None:
    name = f"{PREFIX}web"
    _, where = await offered(media, "web", BROWSER)
    answer = await media.answer(name, phones[0].sdp(), from_tag="a", to_tag="b", engine=where)
    assert b"UDP/TLS/RTP/SAVPF" in answer
    for attribute in (
        b"a=rtcp-mux",
        b"a=fingerprint:sha-256 ",
        b"a=ice-ufrag:",
        b"a=setup:passive",
        b"a=mid:0",
    ):
        assert attribute in answer, attribute
    media.delete(name, where)
    await until_gone(engine)


async def test_a_browser_that_is_called_gets_an_offer_that_it_understands(
    media: RtpengineMedia, engine: Rtpengine, phones: tuple[RtpParty, RtpParty]
) -> None:
    offer, where = await offered(media, "ring", phones[0].sdp(), WEBRTC)
    assert b"UDP/TLS/RTP/SAVPF" in offer and b"a=setup:actpass" in offer and b"a=crypto" not in offer
    accepted = BROWSER.replace(b"actpass", b"active").replace(b" 111 63 0 8 126", b" 0 8")
    answer = await media.answer(f"{PREFIX}ring", accepted, from_tag="a", to_tag="b", engine=where)
    assert b"RTP/AVP 0" in answer and b"a=msid" not in answer and b"a=fingerprint" not in answer
    media.delete(f"{PREFIX}ring", where)
    await until_gone(engine)


@pytest.mark.parametrize(
    "sdp",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="no description"),
        pytest.param(b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n", id="no media"),
        pytest.param(b"v=0\r\no=x\r\ns=-\r\nt=0 0\r\nm=audio 1 RTP/AVP 0\r\n", id="no address"),
        pytest.param(b"v=0\r\nm=audio x RTP/AVP 0\r\nc=IN IP4 nobody\r\n", id="no port"),
    ],
)
async def test_what_no_engine_can_use_is_refused(media: RtpengineMedia, sdp: bytes) -> None:
    with pytest.raises(MediaRefused) as refused:
        await offered(media, "refused", sdp)
    assert str(refused.value).isascii() and str(refused.value).isprintable() and str(refused.value)


async def test_an_engine_that_is_killed_is_replaced_by_the_other(
    network: Namespace, tmp_path: Path, phones: tuple[RtpParty, RtpParty]
) -> None:
    with ExitStack() as stack:
        engines = {
            one.name: one
            for one in (stack.enter_context(Rtpengine(tmp_path / name, network.address)) for name in "ab")
        }
        async with relay(*engines.values()) as media:
            first = await call(media, "moves", *phones)
            await asyncio.to_thread(assert_talk, *phones, 0.5)
            await asyncio.to_thread(engines[first].kill9)
            second = await call(media, "moves", *phones, engine=first)
            assert {first, second} == set(engines)
            await asyncio.to_thread(assert_talk, *phones, 0.5)
            async with asyncio.timeout(limit(4)):
                while media.engines_up != [second]:
                    await asyncio.sleep(0.02)
            assert {(await offered(media, f"new{n}", phones[0].sdp()))[1] for n in range(8)} == {second}
            await asyncio.to_thread(engines[first].start)
            async with asyncio.timeout(limit(4)):
                while len(media.engines_up) < 2:
                    await asyncio.sleep(0.02)
            wheres = [(await offered(media, f"new{n}", phones[0].sdp()))[1] for n in range(8, 24)]
            assert set(wheres) == set(engines)


async def test_a_session_is_deleted_when_its_engine_answers_again(
    network: Namespace, tmp_path: Path, phones: tuple[RtpParty, RtpParty]
) -> None:
    with Rtpengine(tmp_path, network.address) as engine:
        async with relay(engine) as media:
            await call(media, "kept", *phones)
            engine.pause()
            media.delete(f"{PREFIX}kept", engine.name)
            with pytest.raises(StoreUnavailable):
                await offered(media, "other", phones[0].sdp())
            assert media.engines_up == []
            engine.resume()
            await until_gone(engine)


async def test_what_is_to_be_deleted_is_deleted_at_the_stop(
    engine: Rtpengine, phones: tuple[RtpParty, RtpParty]
) -> None:
    media = RtpengineMedia([engine.control], PREFIX, Metrics())  # nobody runs it
    await call(media, "last", *phones)
    media.delete(f"{PREFIX}last", engine.name)
    assert engine.sessions() == [f"{PREFIX}last"]
    await media.close()
    assert engine.sessions() == []


async def test_what_is_left_of_dead_calls_is_deleted_and_nothing_else(
    engine: Rtpengine, phones: tuple[RtpParty, RtpParty]
) -> None:
    async def is_alive(sessions: Sequence[str]) -> Sequence[bool]:
        looks.append(list(sessions))
        return [
            session.endswith("alive") or (session.endswith("late") and len(looks) > 1) for session in sessions
        ]

    looks: list[list[str]] = []
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(relay(engine))
        for session in ("alive", "late", "dead1", "dead2"):
            await offered(ours, session, phones[0].sdp())
        await ours.offer("strange", phones[0].sdp(), from_tag="a", to_tag="", to=PLAIN, engine="")
        assert await ours.leftovers(is_alive) == 2
        async with asyncio.timeout(limit(4)):
            while len(engine.sessions()) > 3:
                await asyncio.sleep(0.01)
        assert engine.sessions() == ["strange", f"{PREFIX}alive", f"{PREFIX}late"]
        assert [len(look) for look in looks] == [4, 3]
        for session in engine.sessions():
            ours.delete(session, engine.name)
        await until_gone(engine)


async def test_an_engine_without_ports_is_no_fault_of_the_description(
    network: Namespace, tmp_path: Path, phones: tuple[RtpParty, RtpParty]
) -> None:
    with Rtpengine(tmp_path, network.address, ports=8) as engine:
        async with relay(engine) as media:
            await offered(media, "one", phones[0].sdp())
            await offered(media, "two", phones[0].sdp())
            with pytest.raises(StoreUnavailable):
                await offered(media, "three", phones[0].sdp())
            assert media.engines_up == [engine.name]


async def test_an_answer_to_a_session_that_a_new_engine_does_not_know_is_no_fault_of_the_phone(
    network: Namespace, tmp_path: Path, phones: tuple[RtpParty, RtpParty]
) -> None:
    with Rtpengine(tmp_path, network.address) as engine:
        async with relay(engine) as media:
            _, where = await offered(media, "lost", phones[0].sdp())
            await asyncio.to_thread(engine.kill9)
            await asyncio.to_thread(engine.start)
            with pytest.raises(StoreUnavailable):
                await media.answer(f"{PREFIX}lost", phones[1].sdp(), from_tag="a", to_tag="b", engine=where)
