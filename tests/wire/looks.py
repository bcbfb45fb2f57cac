"""Whether everybody can use the board as it is shown."""

from pathlib import Path
from typing import Final

from tests.patience import SOAK
from tests.peers.accessible import examine
from tests.peers.board_page import BoardPage

WIDE: Final = 1280
NARROW: Final = 320
"""CSS pixels: WCAG 2.2, success criterion 1.4.10."""
LOOKS: Final = [(WIDE, False), (NARROW, True), *([(WIDE, True), (NARROW, False)] if SOAK else [])]
RULES: Final = 10


def looks_well(page: BoardPage, folder: Path, name: str) -> None:
    """Check the page as it is: wide and light, narrow and dark; with SOAK=1 in all four ways."""
    for width, dark in LOOKS:
        shown = page.tab.screenshot(folder / f"{name}-{width}-{dark}.png", width=width, dark=dark)
        found = examine(page.tab)
        assert (found.serious, shown) == ([], width), f"{name}, {width} pixels, dark: {dark}"
        assert found.passed >= RULES
