"""Which keys the installation uses: the row that all processes read, and the change to another key."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import CursorResult, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.errors import ConfigurationError
from registrar.store.keyring import Keyring, derive

from .. import clock
from ..database import reading, writing
from ..tables import AuditLog, Installation

Kind = Literal["secret", "jwt"]
KINDS: Final[tuple[Kind, ...]] = ("secret", "jwt")
PREFIX_BYTES: Final = 3


@dataclass(frozen=True, slots=True)
class InUse:
    """The keys in use, by their fingerprints."""

    secret: str
    secret_since: datetime | None
    """When this key replaced another one; None: it is the first."""
    jwt: str
    jwt_since: datetime | None
    media_sessions: str

    def of(self, kind: Kind) -> tuple[str, datetime | None]:
        """Return the key of one kind, and since when."""
        return (self.secret, self.secret_since) if kind == "secret" else (self.jwt, self.jwt_since)

    def tell(self, secret: Keyring, jwt: Keyring) -> None:
        """Let both rings make with the keys in use."""
        secret.use(active=self.secret, rotated=self.secret_since is not None)
        jwt.use(active=self.jwt, rotated=self.jwt_since is not None)


async def settle(engine: AsyncEngine, secret: Keyring, jwt: Keyring) -> InUse:
    """Complete the row at the start of a process, and let both rings use the keys in it.

    A JWT key that is replaced without the old one beside it is taken as it is: its tokens end. Raise
    ConfigurationError if the secret key of the row is not in the ring.
    """

    async def complete(session: AsyncSession) -> InUse:
        row = await session.get(Installation, 1)
        if row is None or row.secret_fingerprint not in secret.names:
            raise ConfigurationError("REGISTRAR_SECRET_KEY is not the key this database was made with")
        if row.jwt_fingerprint not in jwt.names:
            row.jwt_fingerprint, row.jwt_since = jwt.first, None
        if row.media_sessions is None:
            row.media_sessions = media_sessions(secret.named(row.secret_fingerprint) or "")
        return _in_use(row)

    found = await writing(engine, complete)
    found.tell(secret, jwt)
    return found


async def in_use(engine: AsyncEngine) -> InUse | None:
    """Return the keys in use, or None before the first start."""
    async with reading(engine) as session:
        row = await session.get(Installation, 1)
    return None if row is None else _in_use(row)


async def switch(
    engine: AsyncEngine, kind: Kind, before: str, after: str, told: Mapping[str, object]
) -> bool:
    """Let all processes use the key `after` within seconds. Return False if `before` was not in use.

    `told` is the row of the audit log, in the same transaction.
    """
    column = Installation.secret_fingerprint if kind == "secret" else Installation.jwt_fingerprint
    since = Installation.secret_since if kind == "secret" else Installation.jwt_since
    statement = update(Installation).where(Installation.id == 1, column == before)

    async def write(session: AsyncSession) -> bool:
        result = await session.execute(statement.values({column: after, since: clock.utc_now()}))
        if not isinstance(result, CursorResult) or result.rowcount != 1:
            return False
        await session.execute(insert(AuditLog).values(**told))
        return True

    return await writing(engine, write)


def media_sessions(secret_key: str) -> str:
    """Return the prefix of the names of this installation's sessions at the media relay."""
    return f"registrar-{derive(secret_key, 'media', PREFIX_BYTES).hex()}-"


def _in_use(row: Installation) -> InUse:
    return InUse(
        row.secret_fingerprint,
        row.secret_since,
        row.jwt_fingerprint or "",
        row.jwt_since,
        row.media_sessions or "",
    )
