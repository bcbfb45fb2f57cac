"""axe-core, rules for pages that everybody can use, run in a tab of the browser."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from tests.peers.browser import FOLDER, Tab

SCRIPT: Final = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS: Final = ("serious", "critical")
RUN: Final = """
axe.run(document).then(({ violations, passes }) => ({
  passed: passes.length,
  found: violations.map(({ id, impact, nodes }) => [id, impact, nodes.map(({ html }) => html).join(' ')]),
}))
"""


@dataclass(frozen=True)
class Findings:
    """What the rules say about a page as it is now."""

    passed: int
    """How many rules found something to look at, and nothing wrong with it."""
    serious: list[str]
    """Each rule that is broken, and where, of those that keep people from using the page."""


def examine(tab: Tab) -> Findings:
    """Run all rules on the page in the tab."""
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(f"{_script()}\nundefined")
    told = tab.evaluate(RUN)
    serious = [f"{rule}: {where}" for rule, impact, where in told["found"] if impact in SERIOUS]
    return Findings(int(told["passed"]), serious)


@cache
def _script() -> str:
    return SCRIPT.read_text(encoding="utf-8")
