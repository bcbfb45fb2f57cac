"""The garbage collector's schedule: by the clock, in steps that are too short to delay a call.

By itself, Python counts the objects that were made and not freed. A server that keeps something of each call
for half a minute frees as many objects as it makes. The collector would then run late, and look at all
objects at once, for a tenth of a second.
"""

import asyncio
import gc
from typing import Final

STEP_SECONDS: Final = 0.2
WHOLE_SECONDS: Final = 3_600.0
"""Time between full collections.

Reference cycles that outlive a step are rare. With 100,000 phones in the caches a full collection is a pause.
"""
THRESHOLDS: Final = (20_000, 1_000, 1_000_000_000)
"""Thresholds of Python's own counting, for objects made within one step.

Each of our steps counts for the last threshold, too.
"""


def settle() -> None:
    """Collect once, exclude all objects that exist now from later collections, and set the thresholds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


async def tidy(stop: asyncio.Event) -> None:
    """Collect young objects in each step, and once an hour all objects made since `settle`, until `stop`."""
    loop = asyncio.get_running_loop()
    whole_at = loop.time() + WHOLE_SECONDS
    while not stop.is_set():
        await asyncio.sleep(STEP_SECONDS)
        now = loop.time()
        if now < whole_at:
            gc.collect(1)
        else:
            whole_at = now + WHOLE_SECONDS
            gc.collect()
