"""The certificate of a running server: one for all its listeners, watched, and our own made anew in time."""

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
    for concern in concerns(tls, clock.epoch_now()):
        log.warning("%s", concern)
    with _quiet_names():
        async with _fresh(installation, tls):
            yield tls


@contextmanager
def _quiet_names() -> Iterator[None]:
    """A server name that is not ASCII ends its handshake; Python would print a traceback for each of them."""
    hook = sys.unraisablehook

    def told(unraisable: "sys.UnraisableHookArgs") -> None:  # a type that exists for checkers only
        if isinstance(unraisable.exc_value, UnicodeDecodeError) and isinstance(unraisable.object, bytes):
            log.debug("a TLS client asked for a server name that is none")
            return
        hook(unraisable)

    sys.unraisablehook = told
    try:
        yield
    finally:
        sys.unraisablehook = hook


@asynccontextmanager
async def _fresh(installation: Installation, tls: ServerTls) -> AsyncIterator[None]:
    """Look for new files, and make our own anew, for the length of the block."""
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
