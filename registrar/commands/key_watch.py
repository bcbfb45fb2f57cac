"""The keys of a running process: read again when their files change, and used as the database says.

Each process tells in Redis which keys it knows, so that `registrar keys rotate` can wait for all of them.
"""

import asyncio
import json
import logging
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from config.operations.keys import KINDS, InUse, in_use
from config.operations.resealing import count_left, reseal
from registrar.errors import ConfigurationError
from registrar.metrics import Metrics
from registrar.settings import Settings
from registrar.store import keys
from registrar.store.keyfile import former
from registrar.store.keyring import Keyring

from .installation import Installation, Stores, held_keys, key_file

LOOK_SECONDS: Final = 2.0
"""How soon a process notices a new key, and that it is in use."""
RESEAL_SECONDS: Final = 60.0
SETTLE_SECONDS: Final = 10.0
"""After a change, until all processes have noticed it: then nothing is sealed with the old key any more."""
STORE_FAULTS: Final = (SQLAlchemyError, RedisError, OSError)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Again:
    """How the settings are read again, and the files in them that hold keys."""

    read: Callable[[], Settings]
    files: tuple[Path, ...]


class KeyWatch:
    """Keeps both rings of this process as the files and the database say."""

    def __init__(
        self,
        installation: Installation,
        stores: Stores,
        metrics: Metrics,
        again: Again,
        *,
        seals: bool,
    ) -> None:
        """`seals`: this process also seals again what is sealed with an old key."""
        self._installation = installation
        self._stores = stores
        self._metrics = metrics
        self._seals = seals
        self._name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._again = again
        own = [key_file(installation.directory, kind) for kind in KINDS]
        self._files = (*own, *map(former, own), *again.files)
        self._seen = _look(self._files)

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop` is set."""
        jobs = [asyncio.create_task(self._watch())]
        if self._seals:
            jobs.append(asyncio.create_task(self._reseal()))
        try:
            await stop.wait()
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            with suppress(*STORE_FAULTS):
                await self._stores.redis.hdel(keys.KEYS_KNOWN, self._name)

    async def look(self) -> None:
        """Read the keys again if a file has changed, use those that the database names, and tell about it."""
        found = await in_use(self._stores.reader)
        if found is None:
            return
        seen = await asyncio.to_thread(_look, self._files)
        if seen != self._seen:
            self._seen = seen
            await asyncio.to_thread(self._read, found)
        found.tell(self._installation.secret_keys, self._installation.jwt_keys)
        await self._tell()

    def _read(self, found: InUse) -> None:
        """Hold the keys that are in the files now, unless the one in use is not among them."""
        installation = self._installation
        try:
            settings = self._again.read()
            held = {kind: held_keys(settings, installation.directory, kind) for kind in KINDS}
        except (ConfigurationError, OSError) as error:
            log.warning("the keys cannot be read again, those of before stay in use: %s", error)
            return
        for kind in KINDS:
            ring = installation.keys(kind)
            active, since = found.of(kind)
            candidate = Keyring(*held[kind])
            if active in candidate.names:
                ring.use(held[kind], active, rotated=since is not None)
            else:
                log.warning("the files hold no %s key that is in use; those of before stay in use", kind)

    async def _tell(self) -> None:
        seconds, _ = await self._stores.redis.time()
        known = {
            "at": seconds,
            "secret": self._installation.secret_keys.names,
            "jwt": self._installation.jwt_keys.names,
        }
        await self._stores.redis.hset(keys.KEYS_KNOWN, self._name, json.dumps(known))

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except STORE_FAULTS as error:
                log.debug("the keys in use could not be looked up: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _reseal(self) -> None:
        """Seal again, as long as the key of before is here, what is still sealed with it."""
        while True:
            ring = self._installation.secret_keys
            active = ring.active
            if ring.rotated and len(ring.names) > 1:
                try:
                    await self._reseal_all()
                except STORE_FAULTS as error:
                    log.warning("stored secrets could not be sealed again, and it is tried again: %s", error)
            for _ in range(round(RESEAL_SECONDS / LOOK_SECONDS)):
                await asyncio.sleep(LOOK_SECONDS)
                if ring.active != active:
                    await asyncio.sleep(SETTLE_SECONDS)
                    break

    async def _reseal_all(self) -> None:
        vault = self._stores.vault
        left = await count_left(self._stores.reader, vault)
        self._metrics.sealed_old.set(left)
        if left:
            await reseal(self._stores.writer, vault, self._metrics.sealed_old.dec)
            self._metrics.sealed_old.set(await count_left(self._stores.reader, vault))
            log.info("%d stored secrets are sealed with the new key", left)


def _look(files: tuple[Path, ...]) -> tuple[tuple[int, int, int] | None, ...]:
    return tuple(_trace(path) for path in files)


def _trace(path: Path) -> tuple[int, int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns
