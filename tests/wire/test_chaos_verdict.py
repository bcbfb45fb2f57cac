"""The verdicts of the chaos table: each figure that is not met makes a row fail."""

from dataclasses import replace
from typing import Any

import pytest

from tests.patience import limit
from tests.wire.chaos.journal import Attempt, Journal, Truth
from tests.wire.chaos.verdict import Verdict, recovery, table

pytestmark = pytest.mark.wire

HELD = Verdict(
    "Redis killed", 3, [Attempt("udp", "a", 1.0, 1.1, 200), Attempt("call", "a", 1.0, 1.1, 503)],
    lost=(), samples=20_000, disagreements=("one",), rude=(), exceptions=0, recovered=0.5, at_most=2,
)  # fmt: skip


def attempt(began: float, status: int, kind: str = "udp", node: str = "a") -> Attempt:
    return Attempt(kind, node, began, began + 0.1, status)


def test_a_row_holds_if_every_figure_is_met() -> None:
    assert HELD.failures() == []
    assert (
        table([HELD]).splitlines()[2]
        == "| Redis killed | 3 | 1 | 1 | 0 | 0 | 0 | 20,000 | 1 | 0.5 s | holds |"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"faults": 0},
        {"attempts": [attempt(1, 503)]},
        {"attempts": [attempt(1, 200), attempt(2, 403)]},
        {"lost": ["a binding"]},
        {"samples": 0, "disagreements": ()},
        {"disagreements": ["one", "another", "a third"]},
        {"rude": ["500"]},
        {"exceptions": 1.0},
        {"recovered": None},
        {"recovered": limit(2) + 0.1},
    ],
)
def test_a_row_fails_for_each_figure_that_is_not_met(change: dict[str, Any]) -> None:
    verdict = replace(HELD, **change)
    assert len(verdict.failures()) == 1
    assert verdict.cells()[-1] == "fails"


def test_a_row_has_recovered_when_each_kind_is_served_at_each_node_and_stays_so() -> None:
    asked = [attempt(9, 503), attempt(10.5, 503), attempt(11, 200), attempt(11, 200, node="b")]
    assert recovery(asked, 10) == pytest.approx(1.1)
    assert recovery([*asked, attempt(12, 0, "call")], 10) is None
    assert recovery([*asked, attempt(12, 0, "call"), attempt(13, 200, "call")], 10) == pytest.approx(3.1)


def test_a_sample_counts_only_if_the_phone_knew_the_same_before_and_after() -> None:
    journal = Journal()
    shown = {name: {"online": False, "reason": "expired"} for name in "abcd"} | {"e": {"online": None}}
    before = {name: Truth(True, 1) for name in "abde"}
    after = before | {"b": Truth(True, 2), "c": Truth(True)}
    journal.compare("a", 0.0, shown, before, after, struck={"d"})
    assert (journal.samples, journal.unknown, journal.excused) == (3, 1, 1)
    assert journal.disagreements == ["0.00 a shows a online: False (expired)"]
