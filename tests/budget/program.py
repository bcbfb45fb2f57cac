"""The program under test, with counters that another process reads.

Start it as `python -m tests.budget.program FILE ...`.
FILE holds two unsigned 64-bit numbers in the machine's order: calls of Python functions by the main thread
(a coroutine that goes on counts again), and SQL statements. The other words are those of `registrar`.
"""

import mmap
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

from sqlalchemy import Engine, event

CALLS: Final = 0
STATEMENTS: Final = 1
SIZE: Final = 16


def main() -> None:
    """Count, and run the command line."""
    file, *arguments = sys.argv[1:]
    with Path(file).open("r+b") as opened:
        cells = memoryview(mmap.mmap(opened.fileno(), SIZE)).cast("Q")

    def count_call(frame: FrameType, kind: str, argument: object) -> None:
        if kind == "call":
            cells[CALLS] += 1

    def count_statement(*given: Any) -> None:
        cells[STATEMENTS] += 1

    event.listen(Engine, "before_cursor_execute", count_statement)
    from registrar.__main__ import main as run

    sys.argv[1:] = arguments
    sys.setprofile(count_call)
    run()


if __name__ == "__main__":
    main()
