"""The check of `registrar doctor` for the URLs that phones are told: it asks there as a phone would."""

import asyncio
from pathlib import Path
from typing import Final

from config import clock
from config.provisioning.answers import NOT_FOUND
from config.provisioning.render import stub
from registrar.doctor import Finding
from registrar.doctor.phones import Told, check
from registrar.settings import Settings
from registrar.store import certificate

from .installation import legacy_url

MITEL: Final = "mitel"
"""The writer of the file that any phone may load."""


async def check_phones(settings: Settings, directory: Path) -> list[Finding]:
    """Return the findings about each URL; none without a listener for phones."""
    if not settings.serves_phones:
        return []
    authority = directory / certificate.CERTIFICATE
    own = authority if settings.tls_cert is None and authority.exists() else None
    urls = {"REGISTRAR_PROV_URL": settings.prov_url, "REGISTRAR_PROV_URL_LEGACY": legacy_url(settings)}
    told = [
        Told(setting, url, stub(MITEL, f"{url}/").encode(), NOT_FOUND.body, own)
        for setting, url in urls.items()
        if url
    ]
    found = await asyncio.gather(*(asyncio.to_thread(check, one, clock.epoch_now()) for one in told))
    return [finding for findings in found for finding in findings]
