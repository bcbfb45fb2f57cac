"""Print docs/boxes.md: `python -m tests.wire.boxes > docs/boxes.md`."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from .server import office_of, served
from .story import tell_all

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "boxes.md"
HEAD: Final = """\
# From the box to a call: one phone of each brand

`python -m tests.wire.boxes > docs/boxes.md` writes this page: it starts the server, and emulated
phones load, register, call and load again. `tests/wire/test_boxes.py` compares the page with what
happens. The emulators ask for files in the order of their brand, read them with parsers of their
own, and know nothing else of their account. They follow public guides; no real phone was at hand
([provisioning.md](provisioning.md)).

`staff` is a request to the API, `phone` what the phone sends, `server` what the phone is sent.
Secrets, ids and usernames are shortened. The first secret is in the first load, the steady one in
the second. Each phone calls the one before it.
"""


def document(story: str) -> str:
    """Return the page with a story."""
    return f"{HEAD}\n```\n{story}```\n"


def main() -> int:
    """Print the page."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as site:
        sys.stdout.write(document(asyncio.run(tell_all(office_of(site)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
