"""Waiting until a moment: never too early, in the right order, and everybody is woken at the end."""

import asyncio
import time

from registrar.model import Mono
from registrar.transport.punctual import Punctual


def now() -> Mono:
    return Mono(time.monotonic())


async def test_nobody_wakes_too_early_and_the_order_is_that_of_the_moments() -> None:
    clock = Punctual(now)
    begin = now()
    woken: list[int] = []

    async def sleep(milliseconds: int) -> None:
        due = Mono(begin + milliseconds / 1000)
        await clock.until(due)
        assert now() >= due
        woken.append(milliseconds)

    await asyncio.gather(*[sleep(milliseconds) for milliseconds in (30, 10, 20, 40, 15)])
    assert woken == [10, 15, 20, 30, 40]
    clock.close()


async def test_a_moment_that_is_past_is_no_wait() -> None:
    clock = Punctual(now)
    await clock.until(Mono(now() - 1))
    clock.close()


async def test_it_is_more_exact_than_a_millisecond() -> None:
    """The best of many: on a busy machine most are late, but the event loop's timers never come so close."""
    clock = Punctual(now)
    late = []
    for number in range(100):
        due = Mono(now() + 0.0021 + number * 1e-5)
        await clock.until(due)
        late.append(now() - due)
    assert 0 <= min(late) < 0.0005
    clock.close()


async def test_one_who_is_cancelled_keeps_nobody_else_waiting() -> None:
    clock = Punctual(now)
    first = asyncio.create_task(clock.until(Mono(now() + 0.01)))
    second = asyncio.create_task(clock.until(Mono(now() + 0.02)))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()
    clock.close()


async def test_its_end_wakes_everybody() -> None:
    clock = Punctual(now)
    waiting = asyncio.create_task(clock.until(Mono(now() + 3_600)))
    await asyncio.sleep(0)
    clock.close()
    await asyncio.wait_for(waiting, 60)
    clock.close()
