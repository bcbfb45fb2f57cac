"""One refresh, one first registration and one call cost no more than what is committed in figures.json."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.budget.ledger import Budget, read_budget
from tests.budget.meter import Cost
from tests.figures import FIGURE

ONE: Final = {"refresh": Cost(100, 2, 0)}


def test_requests_cost_no_more_than_committed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    budget = read_budget(sys.version_info[:2])
    counted = budget.check(tmp_path)
    for line in budget.table(counted):
        record_property(FIGURE, line)
    assert not budget.overruns(counted), "see docs/bench.md, Budget"


@pytest.mark.parametrize(
    ("counted", "overruns"),
    [
        (Cost(103, 2, 0), 0),
        (Cost(104, 2, 0), 1),
        (Cost(50, 3, 0), 1),
        (Cost(50, 2, 1), 1),
        (Cost(104, 3, 1), 3),
    ],
)
def test_three_percent_of_calls_or_one_command_are_the_limit(counted: Cost, overruns: int) -> None:
    assert len(Budget(ONE).overruns({"refresh": counted})) == overruns


def test_a_kind_that_was_not_counted_is_an_overrun() -> None:
    assert Budget(ONE).overruns({})


def test_a_version_without_figures_takes_those_of_the_nearest() -> None:
    assert read_budget((3, 99)).costs == read_budget((3, 11)).costs
