"""Coverage-guided fuzzing of every part that reads what strangers send; `make fuzz` runs more of it."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz import TARGETS
from tests.peers.process import CLEAN_ENVIRONMENT
from tests.wire.conftest import Report
from tests.wire.need import need_module, rounds

pytestmark = pytest.mark.wire

ROOT: Final = Path(__file__).parents[2]
LONGEST_SECONDS: Final = 110.0
"""No test may take longer than two minutes."""
PARTS: Final = rounds(1, 4)
RUNS: Final = rounds(2_000, 50_000)


@pytest.fixture(scope="module")
def done() -> Counter[str]:
    """How many runs of each target found nothing."""
    return Counter()


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found(target: str, part: int, done: Counter[str], tmp_path: Path, report: Report) -> None:
    need_module("atheris")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, f"--runs={RUNS}"],
        cwd=tmp_path,
        env={**CLEAN_ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LONGEST_SECONDS,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said[-4_000:]
    ended = re.search(r"Done (\d+) runs", said)  # libFuzzer may do some more
    assert ended and int(ended[1]) >= RUNS, said[-1_000:]
    done[target] += RUNS
    if part == PARTS - 1:
        report(f"{target}: {done[target]:,} runs, no find")
