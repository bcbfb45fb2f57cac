"""How long tests wait.

`make test` must pass on a machine that other work shares, so there a wait is as long as it takes. `make soak`
(SOAK=1) and `make bench` run on a quiet machine and hold the limits of the wall clock. PATIENCE=60 beside it
lets the large rounds wait on a busy machine, too: they show what is lost and wrong then, and not how soon.
"""

import os
from typing import Final

SOAK: Final = os.environ.get("SOAK") == "1"
PATIENCE: Final = float(os.environ.get("PATIENCE", "0" if SOAK else "60"))

FIRST_PAUSE: Final = 0.01
LONGEST_PAUSE: Final = FIRST_PAUSE if SOAK else 0.1
"""A look starts a program or asks the server: a hundred a second takes half of a core from the others."""


def pause(waited: float) -> float:
    """Return how long to sleep before the next look after `waited` seconds: a tenth of them, bounded."""
    return min(max(FIRST_PAUSE, waited / 10), LONGEST_PAUSE)


def limit(seconds: float) -> float:
    """Return the most that something may take: `seconds` in the large rounds, else a minute more."""
    return seconds + PATIENCE
