"""How long tests wait.

`make test` must pass on a machine that other work shares, so there a wait is as long as it takes. `make soak`
(SOAK=1) and `make bench` run on a quiet machine and hold the limits of the wall clock.
"""

import os
from typing import Final

SOAK: Final = os.environ.get("SOAK") == "1"
PATIENCE: Final = 60.0


def limit(seconds: float) -> float:
    """Return the most that something may take: `seconds` in the large rounds, else a minute more."""
    return seconds if SOAK else seconds + PATIENCE
