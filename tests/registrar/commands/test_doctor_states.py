"""What the doctor says of the index of states."""

from pathlib import Path

import pytest

from registrar.commands.doctor_states import check_states, judge_states
from registrar.doctor import Level
from registrar.settings import read
from registrar.store.state_walk import SHOWN, Walked

RIGHT = Walked(phones=7)
WRONG = Walked(phones=7, wrong=2, examples=["a", "b"])
MANY = Walked(phones=70, wrong=SHOWN + 1, examples=["a"] * SHOWN)
NUMBERS = Walked(phones=7, customers=1)


@pytest.mark.parametrize(
    ("found", "repaired", "level", "detail"),
    [
        (RIGHT, False, Level.OK, "agrees with the status of 7 phones"),
        (RIGHT, True, Level.OK, "agrees with the status of 7 phones"),
        (WRONG, False, Level.WARN, "is wrong: 2 of 7 phones, a, b"),
        (WRONG, True, Level.OK, "was wrong and is mended: 2 of 7 phones, a, b"),
        (MANY, False, Level.WARN, "is wrong: 6 of 70 phones, a, a, a, a, a ..."),
        (NUMBERS, False, Level.WARN, "is wrong: 0 of 7 phones; the numbers of 1 customers"),
    ],
)
def test_a_walk_is_judged(found: Walked, repaired: bool, level: Level, detail: str) -> None:
    finding = judge_states(found, repaired=repaired)
    assert (finding.level, finding.detail) == (level, detail)
    assert finding.advice == ("registrar doctor --repair" if level is Level.WARN else "")


async def test_without_stores_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert await check_states(read({}), tmp_path, repair=True) == []
    assert list(tmp_path.iterdir()) == []
