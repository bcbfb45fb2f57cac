"""`registrar serve` with a listener for phones, over TLS by the certificate that it generates."""

import ssl
from pathlib import Path
from typing import Any

from tests.peers.ports import free_port
from tests.wire.site import Site

from .story import Office


def served(folder: Path, **settings: str) -> Site:
    """Return a server that is not started yet."""
    place = f"127.0.0.1:{free_port()}"
    prov = {"prov_https": place, "prov_url": f"https://{place}", "prov_misses": "1000"}
    told: dict[str, Any] = prov | settings
    return Site(folder, transports=("tcp", "tls"), **told)


def office_of(site: Site) -> Office:
    """Return the office of a running server. Its phones know the authority of the server."""
    certificate = Path(site.settings["data_dir"]) / "tls.crt"
    trusts = ssl.create_default_context(cafile=str(certificate))
    return Office(site, trusts)
