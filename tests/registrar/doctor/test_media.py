"""registrar/doctor/media.py: which engines answer, and how bad it is when one does not."""

from collections.abc import AsyncIterator

import pytest

from registrar.doctor import Level
from registrar.doctor.media import check
from registrar.model import MediaPolicy
from tests.peers.ng_engine import NgEngine
from tests.peers.ports import free_port


@pytest.fixture
async def engine() -> AsyncIterator[NgEngine]:
    made = NgEngine()
    await made.start()
    yield made
    made.stop()


async def checked(*engines: tuple[str, int]) -> list[tuple[Level, str]]:
    return [(finding.level, finding.detail) for finding in await check(engines, MediaPolicy.AUTO)]


async def test_an_engine_that_answers_is_well(engine: NgEngine) -> None:
    assert await checked(("127.0.0.1", engine.port)) == [(Level.OK, f"{engine.name} answers")]


async def test_nobody_there_keeps_calls_from_their_sound() -> None:
    port = free_port()
    (found,) = await check([("127.0.0.1", port)], MediaPolicy.AUTO)
    assert found.level is Level.FAIL
    assert found.detail.startswith(f"127.0.0.1:{port}: ") and "--listen-ng=127.0.0.1:" in found.advice


async def test_one_of_two_that_is_away_is_a_warning(engine: NgEngine) -> None:
    levels = [level for level, _ in await checked(("127.0.0.1", engine.port), ("127.0.0.1", free_port()))]
    assert levels == [Level.OK, Level.WARN]


async def test_silence_is_told_from_a_refusal(engine: NgEngine) -> None:
    engine.answer = lambda cookie, body: None
    assert await checked(("127.0.0.1", engine.port)) == [(Level.FAIL, f"{engine.name}: no answer")]


async def test_something_else_on_that_port_is_no_engine(engine: NgEngine) -> None:
    engine.says(ping={"result": "hello"})
    assert await checked(("127.0.0.1", engine.port)) == [
        (Level.FAIL, f"{engine.name}: answers, but is not rtpengine")
    ]


@pytest.mark.parametrize(
    ("policy", "level"),
    [(MediaPolicy.AUTO, Level.OK), (MediaPolicy.NEVER, Level.OK), (MediaPolicy.ALWAYS, Level.FAIL)],
)
async def test_without_an_engine_only_calls_that_must_have_one_are_in_trouble(
    policy: MediaPolicy, level: Level
) -> None:
    (found,) = await check([], policy)
    assert found.level is level
