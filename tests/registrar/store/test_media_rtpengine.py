"""Several engines as one relay: who is asked, who stands in, what is remembered; and no engine at all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import pytest

from registrar.errors import MediaRefused, StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import LegKind
from registrar.store import media_engine
from registrar.store.media_none import NoMedia
from registrar.store.media_rtpengine import RtpengineMedia
from registrar.store.ng import Encodable
from tests.patience import limit
from tests.peers.ng_engine import NgEngine

WEBRTC, PLAIN = LegKind.WEBRTC, LegKind.PLAIN
PHONE: Final = (
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
)
PAGE: Final = PHONE.replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVPF") + b"a=msid:x y\r\na=rtcp-mux\r\n"
HIDDEN: Final = b"a=candidate:1 1 udp 1 abc.local 4 typ host\r\n"
RELAYED: Final[dict[str, Encodable]] = {"result": "ok", "sdp": PHONE}


@pytest.fixture
async def engines() -> AsyncIterator[list[NgEngine]]:
    engines = [NgEngine(), NgEngine(), NgEngine()]
    for engine in engines:
        engine.says(offer=RELAYED, answer=RELAYED)
        await engine.start()
    yield engines
    for engine in engines:
        engine.stop()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def media(engines: list[NgEngine], metrics: Metrics) -> AsyncIterator[RtpengineMedia]:
    """Over the engines; nobody runs it unless the test does."""
    media = RtpengineMedia(
        [("127.0.0.1", one.port) for one in engines], "our:", metrics, second_look_seconds=0
    )
    yield media
    await media.close()


@contextlib.asynccontextmanager
async def running(media: RtpengineMedia) -> AsyncIterator[None]:
    task = asyncio.create_task(media.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def offer(
    media: RtpengineMedia, session: str = "our:1", sdp: bytes = PHONE, to: LegKind = PLAIN, engine: str = ""
) -> tuple[bytes, str]:
    return await media.offer(session, sdp, from_tag="a", to_tag="b" if engine else "", to=to, engine=engine)


async def soon(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(limit(4)):
        while not holds():
            await asyncio.sleep(0.005)


def counted(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def by_name(engines: list[NgEngine], name: str) -> NgEngine:
    return next(engine for engine in engines if engine.name == name)


async def test_an_offer_says_what_the_engine_needs(media: RtpengineMedia, engines: list[NgEngine]) -> None:
    _, where = await offer(media, sdp=PAGE + HIDDEN)
    await offer(media, sdp=PHONE, to=WEBRTC, engine=where)
    first, second = by_name(engines, where).commands("offer")
    assert (first[b"call-id"], first[b"from-tag"], first[b"sdp"]) == (b"our:1", b"a", PAGE)
    assert b"to-tag" not in first
    assert first[b"transport-protocol"] == b"RTP/AVP"
    assert second[b"to-tag"] == b"b"
    assert second[b"transport-protocol"] == b"UDP/TLS/RTP/SAVPF"


async def test_an_answer_names_no_kind_of_leg(media: RtpengineMedia, engines: list[NgEngine]) -> None:
    _, where = await offer(media)
    await media.answer("our:1", PAGE + HIDDEN, from_tag="a", to_tag="b", engine=where)
    (said,) = by_name(engines, where).commands("answer")
    assert said == {
        b"command": b"answer",
        b"call-id": b"our:1",
        b"from-tag": b"a",
        b"to-tag": b"b",
        b"sdp": PAGE,
        b"replace": [b"origin", b"session-connection"],
        b"flags": [b"strict-source"],
    }


async def test_what_only_browsers_read_is_kept_from_phones_alone(
    media: RtpengineMedia, engines: list[NgEngine]
) -> None:
    left_over: dict[str, Encodable] = {"result": "ok", "sdp": PHONE + b"a=msid:x y\r\n"}
    for engine in engines:
        engine.says(offer=left_over, answer=left_over)
    relayed, where = await offer(media, sdp=PAGE)
    assert relayed == PHONE
    assert b"a=msid" in (await offer(media, sdp=PHONE))[0]
    assert await media.answer("our:1", PAGE, from_tag="a", to_tag="b", engine=where) == PHONE
    assert b"a=msid" in await media.answer("our:1", PHONE, from_tag="a", to_tag="b", engine=where)
    for engine in engines:
        engine.says(answer={"result": "ok", "sdp": PAGE})
    assert await media.answer("our:1", PAGE, from_tag="a", to_tag="b", engine=where) == PAGE


async def test_new_sessions_are_spread_and_each_stays_where_it_is(
    media: RtpengineMedia, engines: list[NgEngine], metrics: Metrics
) -> None:
    wheres = {n: (await offer(media, f"our:{n}"))[1] for n in range(600)}
    assert all(140 <= list(wheres.values()).count(engine.name) <= 260 for engine in engines)
    assert {n: (await offer(media, f"our:{n}"))[1] for n in range(600)} == wheres
    other = next(engine.name for engine in engines if engine.name != wheres[0])
    assert (await offer(media, "our:0", engine=other))[1] == other
    assert counted(metrics, "registrar_media_sessions_total", event="opened") == 1_200


async def test_another_stands_in_for_an_engine_that_is_away(
    media: RtpengineMedia, engines: list[NgEngine], metrics: Metrics
) -> None:
    _, where = await offer(media)
    by_name(engines, where).stop()
    await asyncio.sleep(0.01)
    _, other = await offer(media, engine=where)
    assert other != where
    assert where not in media.engines_up and len(media.engines_up) == 2
    assert counted(metrics, "registrar_media_engine_up", engine=where) == 0
    assert counted(metrics, "registrar_media_commands_total", command="offer", result="unanswered") == 1


async def test_an_engine_that_was_silent_loses_the_session_that_it_may_have(
    media: RtpengineMedia, engines: list[NgEngine]
) -> None:
    _, where = await offer(media)
    silent = by_name(engines, where)
    silent.says(offer=None)
    async with running(media):
        _, other = await offer(media, "our:1", engine=where)
        assert other != where
        await soon(lambda: silent.commands("delete"))
    assert silent.commands("delete")[0][b"call-id"] == b"our:1"
    assert by_name(engines, other).commands("delete") == []


async def test_a_call_goes_on_where_it_is_when_no_engine_takes_its_new_offer(
    engines: list[NgEngine], metrics: Metrics
) -> None:
    only = engines[0]
    media = RtpengineMedia([("127.0.0.1", only.port)], "our:", metrics)
    await offer(media)
    only.says(offer=None)
    with pytest.raises(StoreUnavailable):
        await offer(media, engine=only.name)
    async with running(media):
        await soon(lambda: media.engines_up)
        with pytest.raises(StoreUnavailable):
            await offer(media, "our:2")
        await soon(lambda: only.commands("delete"))
    assert [command[b"call-id"] for command in only.commands("delete")] == [b"our:2"]
    await media.close()


async def test_when_all_are_away_nobody_waits(media: RtpengineMedia, engines: list[NgEngine]) -> None:
    for engine in engines:
        engine.stop()
    await asyncio.sleep(0.01)
    with pytest.raises(StoreUnavailable):
        await offer(media)
    assert media.engines_up == []
    async with asyncio.timeout(limit(0.1)):
        with pytest.raises(StoreUnavailable):
            await offer(media)


async def test_a_ping_finds_an_engine_again(
    media: RtpengineMedia, engines: list[NgEngine], metrics: Metrics
) -> None:
    away = engines[0]
    away.stop()
    async with running(media):
        await soon(lambda: away.name not in media.engines_up)
        await away.start()
        await soon(lambda: away.name in media.engines_up)
    assert counted(metrics, "registrar_media_engine_up", engine=away.name) == 1


async def test_one_that_answers_a_ping_with_anything_else_is_away(
    media: RtpengineMedia, engines: list[NgEngine]
) -> None:
    engines[0].says(ping={"result": "error"})
    async with running(media):
        await soon(lambda: media.engines_up == [engine.name for engine in engines[1:]])


async def test_a_full_engine_passes_the_call_on_and_stays_up(
    media: RtpengineMedia, engines: list[NgEngine]
) -> None:
    _, where = await offer(media)
    full: list[dict[str, Encodable]] = [
        {"result": "error", "error-reason": "Ran out of ports"},
        {"result": "load limit", "message": "x"},
        {"result": "ok"},
    ]
    for answer in full:
        by_name(engines, where).says(offer=answer)
        assert (await offer(media))[1] != where
    assert len(media.engines_up) == 3
    for engine in engines:
        engine.says(offer=full[0])
    with pytest.raises(StoreUnavailable):
        await offer(media)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("Failed to parse SDP", "Failed to parse SDP"),
        ('a "quoted\\ \r\nInjected: line', "a quoted Injected: line"),
        ("ø" * 10 + "x" * 500, "x" * 120),
        ("", ""),
    ],
)
async def test_a_refusal_is_one_line_for_a_warning(
    media: RtpengineMedia, engines: list[NgEngine], reason: str, said: str
) -> None:
    for engine in engines:
        engine.says(offer={"result": "error", "error-reason": reason})
    with pytest.raises(MediaRefused) as refused:
        await offer(media)
    assert str(refused.value) == (said or media_engine.REFUSED)
    assert sum(len(engine.commands("offer")) for engine in engines) == 1


@pytest.mark.parametrize("body", [b"", b"hello", PHONE.partition(b"m=")[0]])
async def test_a_body_without_media_is_not_sent_to_anybody(
    media: RtpengineMedia, engines: list[NgEngine], body: bytes
) -> None:
    with pytest.raises(MediaRefused):
        await offer(media, sdp=body)
    with pytest.raises(MediaRefused):
        await media.answer("our:1", body, from_tag="a", to_tag="b", engine=engines[0].name)
    assert [engine.heard for engine in engines] == [[], [], []]


@pytest.mark.parametrize("engine", ["", "192.0.2.1:1"])
async def test_an_engine_that_is_not_ours_cannot_be_asked(media: RtpengineMedia, engine: str) -> None:
    with pytest.raises(StoreUnavailable):
        await media.answer("our:1", PHONE, from_tag="a", to_tag="b", engine=engine)
    media.delete("our:1", engine)


async def test_a_session_that_is_lost_is_no_fault_of_the_phone(
    media: RtpengineMedia, engines: list[NgEngine]
) -> None:
    engines[0].says(answer={"result": "error", "error-reason": "Unknown call-id"})
    with pytest.raises(StoreUnavailable):
        await media.answer("our:1", PHONE, from_tag="a", to_tag="b", engine=engines[0].name)
    assert len(media.engines_up) == 3


async def test_a_session_is_deleted_at_once(
    media: RtpengineMedia, engines: list[NgEngine], metrics: Metrics
) -> None:
    async with running(media):
        for n in range(30):
            media.delete(f"our:{n}", engines[0].name)
        await soon(lambda: counted(metrics, "registrar_media_sessions_total", event="deleted") == 30)
    assert len(engines[0].commands("delete")) == 30
    assert engines[0].commands("delete")[0] == {
        b"command": b"delete",
        b"call-id": b"our:0",
        b"delete-delay": 0,
    }


async def test_what_could_not_be_deleted_is_deleted_later(
    media: RtpengineMedia, engines: list[NgEngine]
) -> None:
    engines[0].stop()
    async with running(media):
        await soon(lambda: len(media.engines_up) == 2)
        media.delete("our:1", engines[0].name)
        media.delete("our:2", engines[0].name)
        await engines[0].start()
        await soon(lambda: len(engines[0].commands("delete")) == 2)


async def test_a_session_that_is_used_again_is_not_deleted(
    media: RtpengineMedia, engines: list[NgEngine]
) -> None:
    where = engines[0].name
    media.delete("our:1", where)
    media.delete("our:2", where)
    assert (await offer(media, "our:1", engine=where))[1] == where
    await media.close()
    assert [command[b"call-id"] for command in engines[0].commands("delete")] == [b"our:2"]


async def test_the_memory_of_what_is_to_be_deleted_has_an_end(
    media: RtpengineMedia, engines: list[NgEngine], metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_engine, "MAX_REMEMBERED", 3)
    for n in range(5):
        media.delete(f"our:{n}", engines[0].name)
    await media.close()
    deleted = [command[b"call-id"] for command in engines[0].commands("delete")]
    assert deleted == [b"our:2", b"our:3", b"our:4"]
    assert counted(metrics, "registrar_media_sessions_total", event="left") == 2


def says_alive(*alive: str) -> Callable[[Sequence[str]], Awaitable[Sequence[bool]]]:
    async def is_alive(sessions: Sequence[str]) -> Sequence[bool]:
        return [session in alive for session in sessions]

    return is_alive


async def test_leftovers_are_ours_and_dead(media: RtpengineMedia, engines: list[NgEngine]) -> None:
    engines[0].says(list={"result": "ok", "calls": ["our:dead", "our:alive", "their:dead", 7]})
    engines[1].says(list={"result": "ok"})
    engines[2].stop()
    assert await media.leftovers(says_alive("our:alive")) == 1
    await media.close()
    assert [command[b"call-id"] for command in engines[0].commands("delete")] == [b"our:dead"]
    assert engines[0].commands("list")[0][b"limit"] == 500


async def test_a_session_that_is_younger_than_its_call_is_no_leftover(
    media: RtpengineMedia, engines: list[NgEngine]
) -> None:
    engines[0].says(list={"result": "ok", "calls": ["our:young"]})
    answers = iter([[False], [True]])

    async def is_alive(sessions: Sequence[str]) -> Sequence[bool]:
        return next(answers)

    assert await media.leftovers(is_alive) == 0


async def test_an_engine_that_is_named_twice_is_one(metrics: Metrics) -> None:
    media = RtpengineMedia([("127.0.0.1", 1), ("127.0.0.1", 1), ("::1", 2)], "our:", metrics)
    assert media.engines_up == ["127.0.0.1:1", "[::1]:2"]
    assert media.configured
    assert not RtpengineMedia([], "our:", metrics).configured


async def test_without_a_relay_nothing_is_configured() -> None:
    media = NoMedia()
    assert not media.configured
    with pytest.raises(StoreUnavailable):
        await media.offer("our:1", PHONE, from_tag="a", to_tag="", to=WEBRTC, engine="")
    with pytest.raises(StoreUnavailable):
        await media.answer("our:1", PHONE, from_tag="a", to_tag="b", engine="")
    media.delete("our:1", "")
