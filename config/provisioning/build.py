"""The listener for phones, composed of its parts."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.metrics import Metrics
from registrar.model import IpNetwork
from registrar.rules.access import Access
from registrar.store.vault import Vault

from .. import clock
from ..changes import Changes
from ..origins import Origins
from ..settings import ProvisioningSettings
from .faults import Faults
from .limits import Limiter
from .news import News
from .records import Records
from .serve import PhoneFiles
from .service import Pieces, Service


def limiter_of(settings: ProvisioningSettings, redis: Redis, metrics: Metrics) -> Limiter:
    """Return the limit of guesses. The listeners of one process share it, so it holds without Redis, too."""
    return Limiter(redis, clock.mono_now, settings.misses, metrics.prov_limited.inc)


def phone_files(
    settings: ProvisioningSettings,
    reader: AsyncEngine,
    writer: AsyncEngine,
    redis: Redis,
    vault: Vault,
    changes: Changes,
    origins: Origins,
    metrics: Metrics,
    trusted: Sequence[IpNetwork] = (),
    limiter: Limiter | None = None,
) -> PhoneFiles:
    """Return the application that serves files to phones; by default it counts guesses alone."""
    access = Access(
        origins.known_country,
        proxies=trusted,
        ipv6_prefix=settings.lock_ipv6_prefix,
        cluster=settings.pbx_cluster,
    )
    pieces = Pieces(
        settings,
        reader,
        vault,
        Records(reader, writer, vault),
        access,
        limiter or limiter_of(settings, redis, metrics),
        News(redis, clock.epoch_now),
        changes,
        Faults(),
        clock.epoch_now,
    )
    return PhoneFiles(Service(pieces), trusted, metrics, urlsplit(settings.base).path)
