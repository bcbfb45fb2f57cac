"""Country files of any age."""

import tempfile
import time
from pathlib import Path
from typing import Final

from mmdb_writer import MMDBWriter
from netaddr import IPSet

DAY: Final = 86_400
BUILT: Final = b"build_epoch"


def countries(
    kind: str = "DBIP-Country-Lite", *, days: float = 0, country: str = "DK", network: str = "5.0.0.0/8"
) -> bytes:
    """A file made so many days ago that knows one network."""
    writer = MMDBWriter(6, kind, languages=["en"], ipv4_compatible=True)
    writer.insert_network(IPSet([network]), {"country": {"iso_code": country}})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.mmdb"
        writer.to_db_file(str(path))
        content = bytearray(path.read_bytes())
    # After its name stand the number's size and type, an octet each, and the number.
    at = content.rindex(BUILT) + len(BUILT)
    size = content[at] & 0x1F
    content[at + 2 : at + 2 + size] = int(time.time() - days * DAY).to_bytes(size, "big")
    return bytes(content)
