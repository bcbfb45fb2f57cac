"""The certificate of a running server: shared by all listeners, watched, and renewed in time if ours."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from config import clock
from registrar.errors import ConfigurationError
from registrar.model import Epoch
from registrar.transport.tls import ServerTls

from .installation import Installation

RENEW_SECONDS: Final = 3_600.0
"""How often our own certificate is checked. It is renewed 30 days before it expires."""
WARN_SECONDS: Final = 14 * 86_400.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def served_certificate(installation: Installation, *, wanted: bool) -> AsyncIterator[ServerTls | None]:
    """Yield the certificate that the listeners serve, or None if it is not wanted.

    Raise ConfigurationError if it is wanted and cannot be used.
    """
    if not wanted:
        yield None
        return
    tls = ServerTls(*installation.certificate(), legacy=installation.settings.tls_legacy)
    for concern in concerns(tls, clock.epoch_now()):
        log.warning("%s", concern)
    with _quiet_names():
        async with _fresh(installation, tls):
            yield tls


@contextmanager
def _quiet_names() -> Iterator[None]:
    """Log a server name that is not ASCII at DEBUG. Python would print a traceback for each of them.

    Such a name ends its TLS handshake.
    """
    hook = sys.unraisablehook

    def told(unraisable: "sys.UnraisableHookArgs") -> None:  # a type that exists only for type checkers
        if isinstance(unraisable.exc_value, UnicodeDecodeError) and isinstance(unraisable.object, bytes):
            log.debug("a TLS client sent an invalid server name")
            return
        hook(unraisable)

    sys.unraisablehook = told
    try:
        yield
    finally:
        sys.unraisablehook = hook


@asynccontextmanager
async def _fresh(installation: Installation, tls: ServerTls) -> AsyncIterator[None]:
    """Load new certificate files, and renew our own certificate, during the block."""
    async with asyncio.TaskGroup() as tasks:
        jobs = [tasks.create_task(tls.run()), tasks.create_task(_renew(installation))]
        try:
            yield
        finally:
            for job in jobs:
                job.cancel()


async def _renew(installation: Installation) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await asyncio.to_thread(installation.certificate)
        except ConfigurationError as error:
            log.warning("the certificate cannot be renewed: %s", error)


def concerns(tls: ServerTls, now: Epoch) -> tuple[str, ...]:
    """Return warnings for the operator about the certificate: a problem, or the end within WARN_SECONDS."""
    left = tls.expires_at - now
    found = [tls.problem] if tls.problem else []
    if left < 0:
        found.append("the certificate has run out")
    elif left < WARN_SECONDS:
        found.append(f"the certificate runs out in {left / 86_400:.1f} days")
    return tuple(found)
