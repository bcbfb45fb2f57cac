"""registrar/store/wall_clock.py: the time that all nodes share."""

import logging
from dataclasses import dataclass

import pytest

from registrar.store.wall_clock import STEP_SECONDS, WallClock

BEGIN = 1_790_000_000.0
HOUR = 3_600.0


@dataclass
class Machine:
    """The two clocks of a machine, of which one can be set."""

    mono: float = 100.0
    epoch: float = BEGIN

    def passes(self, seconds: float) -> None:
        self.mono += seconds
        self.epoch += seconds

    def clock(self) -> WallClock:
        return WallClock(lambda: self.mono, lambda: self.epoch)


def hear(clock: WallClock, machine: Machine, told: float, took: float = 0.002) -> None:
    clock.hear(told, machine.mono, machine.mono + took)


def test_it_is_the_clock_of_the_machine_until_redis_tells_the_time() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.passes(5)
    assert clock() == BEGIN + 5


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_of_the_machine_is_not_seen(jump: float) -> None:
    machine = Machine()
    clock = machine.clock()
    hear(clock, machine, BEGIN)
    machine.epoch += jump
    machine.passes(5)
    assert clock() == BEGIN + 5
    hear(clock, machine, BEGIN + 5)
    assert clock() == BEGIN + 5


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
def test_a_machine_that_starts_with_a_wrong_clock_follows_redis(
    wrong: float, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(epoch=BEGIN + wrong)
    clock = machine.clock()
    with caplog.at_level(logging.WARNING):
        hear(clock, machine, BEGIN)
        hear(clock, machine, BEGIN)
    assert clock() == pytest.approx(BEGIN, abs=0.01)
    assert [record.message for record in caplog.records] == [
        f"the clock of this machine is not that of Redis, which counts: {-wrong:+.0f} s"
    ]


def test_a_jump_of_redis_alone_is_told_once_and_not_followed(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    clock = machine.clock()
    hear(clock, machine, BEGIN)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            hear(clock, machine, BEGIN + HOUR)
    assert clock() == BEGIN
    assert len(caplog.records) == 1


def test_a_jump_of_both_is_followed() -> None:
    """As after a sleep of the machine, in which its monotonic clock stood still."""
    machine = Machine()
    clock = machine.clock()
    hear(clock, machine, BEGIN)
    machine.epoch += HOUR
    hear(clock, machine, BEGIN + HOUR)
    assert clock() == pytest.approx(BEGIN + HOUR, abs=0.01)


def test_it_drifts_with_redis_but_not_for_each_millisecond() -> None:
    machine = Machine()
    clock = machine.clock()
    hear(clock, machine, BEGIN + 0.2)
    assert clock() == BEGIN
    hear(clock, machine, BEGIN + STEP_SECONDS - 1)
    assert clock() == pytest.approx(BEGIN + STEP_SECONDS - 1, abs=0.01)


def test_an_answer_that_took_long_tells_nothing() -> None:
    machine = Machine()
    clock = machine.clock()
    hear(clock, machine, BEGIN - HOUR, took=0.6)
    assert clock() == BEGIN
