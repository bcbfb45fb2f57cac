"""What a run of the tests has measured, gathered from every process of it."""

from collections.abc import Iterable
from typing import Final

import pytest

FIGURE: Final = "figure"
"""The property of a test's report that holds a line; the fixture `report` puts it there."""


def figures(outcomes: Iterable[object]) -> list[str]:
    """The lines in the reports among `outcomes`, each once, behind the names of their tests."""
    lines = {
        f"{outcome.nodeid.rpartition('::')[2].partition('@')[0]}: {text}": None
        for outcome in outcomes
        if isinstance(outcome, pytest.TestReport)
        for name, text in outcome.user_properties
        if name == FIGURE
    }
    return list(lines)
