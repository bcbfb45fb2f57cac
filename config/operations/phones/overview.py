"""The live status of every phone as rows for `registrar status`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.rules.status import LiveStatus

from ...live import Live

PAGE: Final = 1_000
UNTOLD: Final = "unknown: Redis does not answer"
_ALL: Final = text("SELECT id, username, extension FROM phone_v1 ORDER BY id")
_ONE: Final = text(
    "SELECT id, username, extension FROM phone_v1 "
    "WHERE id = :phone OR username = :phone OR extension = :phone"
)
_SOME: Final = text("SELECT id, username, extension FROM phone_v1 WHERE id IN :phones").bindparams(
    bindparam("phones", expanding=True)
)


class Name(NamedTuple):
    """The username and the extension of a phone."""

    username: str
    extension: str


@dataclass(frozen=True, slots=True)
class Overview:
    """One phone and its status."""

    id: str
    username: str
    extension: str
    status: LiveStatus

    def cells(self) -> tuple[str, ...]:
        """Return the cells of a table row."""
        status = self.status
        why = f"{status.reason}, still bound" if status.silent else status.reason or "never registered"
        why = UNTOLD if status.online is None else why
        online = {True: "yes", False: "no", None: "unknown"}[status.online]
        public = status.public_ip_address or ""
        if public and status.public_port:
            public = f"{public}:{status.public_port}"
        return (
            self.id,
            self.extension,
            online,
            "" if status.expires is None else str(status.expires),
            why,
            _time(status.since) or "",
            public,
            status.local_ip_address or "",
            status.user_agent or "",
        )

    def json(self) -> dict[str, object]:
        """Return the row with the field names of the API."""
        status = self.status
        return {
            "_id": self.id,
            "username": self.username,
            "extensionNumber": self.extension or None,
            "online": status.online,
            "expires": status.expires,
            "state": status.state,
            "reason": status.reason,
            "since": _time(status.since),
            "publicIpAddress": status.public_ip_address,
            "publicPort": status.public_port,
            "localIpAddress": status.local_ip_address,
            "transport": status.transport,
            "userAgent": status.user_agent,
            "lastRejectedAt": _time(status.last_rejected_at),
            "lastRejectedIp": status.last_rejected_ip,
            "lastRejectedReason": status.last_rejected_reason,
        }


async def overview(reader: AsyncEngine, live: Live, phone: str | None) -> list[Overview]:
    """Return every phone, or the ones with this id, username or extension number."""
    async with reader.connect() as connection:
        result = await connection.execute(_ALL if phone is None else _ONE, {"phone": phone} if phone else {})
        rows = [(str(row[0]), str(row[1]), str(row[2] or "")) for row in result]
    shown: list[Overview] = []
    for start in range(0, len(rows), PAGE):
        page = rows[start : start + PAGE]
        statuses: Sequence[LiveStatus] = await live.statuses([row[0] for row in page])
        shown.extend(Overview(*row, status) for row, status in zip(page, statuses, strict=True))
    return shown


async def names(reader: AsyncEngine, phones: Collection[str]) -> dict[str, Name]:
    """Return the current names of these phones by id; deleted phones are left out."""
    async with reader.connect() as connection:
        result = await connection.execute(_SOME, {"phones": list(phones)})
        return {str(row[0]): Name(str(row[1]), str(row[2] or "")) for row in result}


def _time(epoch: int | None) -> str | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
