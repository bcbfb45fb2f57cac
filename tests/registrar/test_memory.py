"""registrar/memory.py: rings of objects are found by the clock, however little is made."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from registrar import memory
from tests.patience import limit


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Ring:
    """Holds itself: nobody else need."""

    def __init__(self) -> None:
        self.itself = self


async def test_a_ring_is_gone_after_a_step_though_python_would_not_look_yet() -> None:
    memory.settle()
    stop = asyncio.Event()
    tidying = asyncio.create_task(memory.tidy(stop))
    await asyncio.sleep(0)
    ring = weakref.ref(Ring())
    assert ring() is not None
    async with asyncio.timeout(limit(5)):
        while ring() is not None:
            await asyncio.sleep(0.01)
    stop.set()
    async with asyncio.timeout(limit(2)):
        await tidying


async def test_what_outlives_a_step_is_found_with_the_next_whole_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory.settle()
    old = Ring()
    ring = weakref.ref(old)
    gc.collect(1)
    gc.collect(1)  # it is old now
    del old
    gc.collect(1)
    assert ring() is not None
    monkeypatch.setattr(memory, "WHOLE_SECONDS", 0.1)
    stop = asyncio.Event()
    tidying = asyncio.create_task(memory.tidy(stop))
    async with asyncio.timeout(limit(5)):
        while ring() is not None:
            await asyncio.sleep(0.01)
    stop.set()
    await tidying


def test_what_is_there_at_the_start_is_not_looked_at_again() -> None:
    kept = [Ring() for _ in range(1_000)]
    memory.settle()
    assert gc.get_freeze_count() >= len(kept)
    assert gc.get_count()[2] == 0


async def test_steps_bring_no_whole_look_forward() -> None:
    memory.settle()
    looks: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        looks.append(info["generation"])

    gc.callbacks.append(note)
    try:
        for _ in range(1_500):
            gc.collect(1)
        made = [[number] for number in range(100_000)]
    finally:
        gc.callbacks.remove(note)
    assert len(made) and 2 not in looks and 0 in looks
