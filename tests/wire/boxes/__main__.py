"""Print the stories of one phone of each brand: `python -m tests.wire.boxes > docs/boxes.md`."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from .server import office_of, served
from .story import tell_all

HEAD: Final = """\
# From the box to a call, seen

This is what `python -m tests.wire.boxes` prints: one emulated phone of each brand
"""


def main() -> int:
    """Print the document."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as site:
        print(asyncio.run(tell_all(office_of(site))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
