"""The certificate of a running server: one for all its listeners, watched, and our own made anew in time."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from registrar.errors import ConfigurationError
from registrar.model import Epoch
from registrar.transport.tls import ServerTls

from .installation import Installation

RENEW_SECONDS: Final = 3_600.0
"""How often our own certificate is looked at; it is made anew 30 days before its end."""
WARN_SECONDS: Final = 14 * 86_400.0

log = logging.getLogger(__name__)


@asynccontextmanager
async def served_certificate(installation: Installation, *, wanted: bool) -> AsyncIterator[ServerTls | None]:
    """What the listeners serve during the block, None when none of them wants it.

    Raises ConfigurationError when it is wanted and cannot be used.
    """
    if not wanted:
        yield None
        return
    tls = ServerTls(*installation.certificate())
    async with asyncio.TaskGroup() as tasks:
        jobs = [tasks.create_task(tls.run()), tasks.create_task(_renew(installation))]
        try:
            yield tls
        finally:
            for job in jobs:
                job.cancel()


async def _renew(installation: Installation) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await asyncio.to_thread(installation.certificate)
        except ConfigurationError as error:
            log.warning("the certificate cannot be made anew: %s", error)


def concerns(tls: ServerTls, now: Epoch) -> tuple[str, ...]:
    """What an operator should know about the certificate; nothing when it is good for a while."""
    left = tls.expires_at - now
    found = [tls.problem] if tls.problem else []
    if left < 0:
        found.append("the certificate has run out")
    elif left < WARN_SECONDS:
        found.append(f"the certificate runs out in {left / 86_400:.1f} days")
    return tuple(found)
