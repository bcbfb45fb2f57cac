"""Any bytes at all, chosen by which code they reach: `python -m tests.fuzz message --runs 200000`.

Each target is a module with `check`, which raises when something does not hold, and `SEEDS` to begin with.
"""

from typing import Final

TARGETS: Final = ("message", "framer", "uri", "addresses", "credentials", "websocket")
