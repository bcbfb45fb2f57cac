"""Run tests beside busy loops: `python -m tests.busy --loops 4 --times 10 -- -m timed`.

What follows `--` is for pytest. The loops have the niceness of the tests, so on two cores four of them leave
a third of the machine. It ends with the first run that fails.
"""

import argparse
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Final

LOOP: Final = "while True: pass"


def main() -> int:
    """Return the exit code of the first run that failed, else 0."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--loops", type=int, default=4)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("pytest", nargs="*")
    asked = parser.parse_args()
    with ExitStack() as stack:
        for _ in range(asked.loops):
            loop = subprocess.Popen([sys.executable, "-c", LOOP])
            stack.callback(loop.wait)
            stack.callback(loop.kill)
        for number in range(1, asked.times + 1):
            begin = time.monotonic()
            code = subprocess.run([sys.executable, "-m", "pytest", "-q", *asked.pytest]).returncode
            print(f"run {number} of {asked.times}: {code}, {time.monotonic() - begin:.0f} s", flush=True)
            if code:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
