"""The processes as Redis knows them: their leases, their generations, the phones on their connections."""

import json
from dataclasses import dataclass

from tests.wire.site import Site


@dataclass(frozen=True)
class Process:
    """One start of one node."""

    name: str
    generation: str

    @property
    def row(self) -> str:
        """What it is called in `registrar:nodes`."""
        return f"{self.name} {self.generation}"

    @property
    def lease(self) -> str:
        """The key of the lease of its node."""
        return f"registrar:node:{self.name}"

    @property
    def index(self) -> str:
        """The key of the set of phones on its connections."""
        return f"registrar:flows:{self.name}:{self.generation}"


def process(site: Site) -> Process:
    """The living process of a server."""
    names = {row.rpartition(" ")[0] for row in rows(site)}
    (name,) = [name for name in names if name.endswith(f"-{site.sip[1]}")]
    return Process(name, json.loads(site.redis("get", f"registrar:node:{name}"))["generation"])


def rows(site: Site) -> dict[str, str]:
    """`registrar:nodes`: every process that lives or is still to be swept, and when it began."""
    return dict(site.redis("hgetall", "registrar:nodes"))


def flows(site: Site, of: Process | None = None) -> set[str]:
    """The phones in the index of the connections of a process, else of the one that lives."""
    return set(site.redis("smembers", (of or process(site)).index))
