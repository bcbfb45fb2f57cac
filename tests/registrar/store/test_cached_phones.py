"""What the phones in the cache take of the memory."""

import subprocess
import sys
from collections.abc import Callable
from typing import Final

import pytest

from tests.figures import FIGURE

MEGABYTES: Final = 120


@pytest.mark.soak
def test_a_hundred_thousand_phones_take_little_memory(
    record_property: Callable[[str, object], None],
) -> None:
    command = [sys.executable, "-m", "tests.registrar.store.cached_phones"]
    taken = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    record_property(FIGURE, f"100,000 cached phones: {taken:.0f} MB")
    assert 10 < taken <= MEGABYTES
