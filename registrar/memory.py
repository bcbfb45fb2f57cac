"""When Python looks for rings of objects that nobody reaches: by the clock, in steps that no call notices.

By itself it counts what was made and not freed. A server that keeps of every call something for half a minute
frees as much as it makes: it would look late, and then at everything at once, for a tenth of a second.
"""

import asyncio
import gc
from typing import Final

STEP_SECONDS: Final = 0.2
WHOLE_SECONDS: Final = 3_600.0
"""Rings that outlive a step are rare; with 100,000 phones in the caches a whole look is a pause."""
THRESHOLDS: Final = (20_000, 1_000, 1_000_000_000)
"""Of Python's own counting: for what is made within one step. Each of our steps counts for the last, too."""


def settle() -> None:
    """What is there now stays: it need not be looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


async def tidy(stop: asyncio.Event) -> None:
    """Look at what is new since the last step, once an hour at all that came since `settle`; until `stop`."""
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
