"""Who may register, read from the view that the config API publishes, and the lock of the first contact."""

import asyncio
import logging
import re
import secrets
import sqlite3
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import bindparam, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from registrar.errors import StoreUnavailable
from registrar.model import IpMode, Phone
from registrar.ports import Column

from .vault import Vault

MAX_VALUES: Final = 500
FAULTS: Final = (SQLAlchemyError, sqlite3.Error, ValueError, OSError, TimeoutError)
"""ValueError: the driver says that its connection is closed."""
log = logging.getLogger(__name__)

_COUNTRY_SEPARATOR: Final = re.compile(r"[,\s]+")

_COLUMNS: Final = (
    "id, version, username, domain, password_enc, customer, customer_state, extension, "
    "secret_version, ip_mode, ip_countries, ip_address, pbx_cluster, webrtc, instance_id"
)
_SELECT: Final = {
    column: text(
        f"SELECT {_COLUMNS} FROM phone_v1 WHERE {column} IN :wanted"  # noqa: S608  # names of ours
    ).bindparams(bindparam("wanted", expanding=True))
    for column in ("username", "id", "customer")
}
_DOMAINS: Final = text("SELECT domain FROM domain_v1")
_LOCK: Final = text(
    "UPDATE sip_phone SET ip_mode='LOCKED', ip_address=:address, version=version+1 "
    "WHERE oid=:phone AND ip_mode='OPEN'"
)


class SqlPhones:
    """Implements ports.Phones: one SELECT for phones, one for domains, one conditional UPDATE."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, vault: Vault) -> None:
        """`reader` never waits for writers; both may be one engine."""
        self._reader = reader
        self._writer = writer
        self._vault = vault
        self._connection: AsyncConnection | None = None
        self._turn = asyncio.Lock()

    async def select(self, column: Column, values: Iterable[str]) -> list[Phone]:
        """See ports.Phones."""
        wanted = list(values)
        read = self._read_sqlite if self._reader.dialect.name == "sqlite" else self._read
        found: list[Phone] = []
        try:
            for start in range(0, len(wanted), MAX_VALUES):
                rows = await read(column, wanted[start : start + MAX_VALUES])
                found.extend(self._phone(row) for row in rows)
        except FAULTS as error:
            raise StoreUnavailable(f"the database: {type(error).__name__}") from error
        return found

    async def _read(self, column: Column, values: list[str]) -> Iterable[Any]:
        async with self._reader.connect() as connection:
            result = await connection.execute(_SELECT[column], {"wanted": values})
            return result.all()

    async def _read_sqlite(self, column: Column, values: list[str]) -> Iterable[Any]:
        """The same by the driver alone: one hop to its thread instead of six, a third of the time."""
        async with self._turn:
            try:
                if self._connection is None:
                    self._connection = await self._reader.connect()
                raw = await self._connection.get_raw_connection()
                driver: Any = raw.driver_connection
                marks = ",".join("?" * len(values))
                statement = f"SELECT {_COLUMNS} FROM phone_v1 WHERE {column} IN ({marks})"  # noqa: S608
                rows: Iterable[Any] = await driver.execute_fetchall(statement, values)
            except FAULTS:
                await self.close()
                raise
            return rows

    async def close(self) -> None:
        """Give the connection of the reader back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def lock(self, phone: str, address: str) -> bool:
        """See ports.Phones."""
        try:
            async with self._writer.begin() as connection:
                result = await connection.execute(_LOCK, {"phone": phone, "address": address})
                return result.rowcount == 1
        except FAULTS as error:
            raise StoreUnavailable(f"the database: {type(error).__name__}") from error

    async def domains(self) -> frozenset[str]:
        """See ports.Phones."""
        try:
            async with self._reader.connect() as connection:
                rows = await connection.execute(_DOMAINS)
                return frozenset(str(row[0]).lower() for row in rows)
        except FAULTS as error:
            raise StoreUnavailable(f"the database: {type(error).__name__}") from error

    def _phone(self, row: Any) -> Phone:
        (
            oid, version, username, domain, sealed, customer, state, extension,
            secret_version, mode, countries, address, cluster, webrtc, instance,
        ) = row  # fmt: skip
        return Phone(
            id=oid,
            version=version,
            username=username,
            domain=(domain or "").lower(),
            customer=customer,
            active=state == "ACTIVE",
            extension=extension or "",
            password=self._password(sealed, oid),
            secret_version=secret_version,
            mode=IpMode(mode),
            countries=tuple(code for code in _COUNTRY_SEPARATOR.split((countries or "").upper()) if code),
            address=address or "",
            cluster=cluster,
            webrtc=bool(webrtc),
            instance=instance or "",
        )

    def _password(self, sealed: str, phone: str) -> str:
        """One row that cannot be opened must not take the others of its SELECT with it: it fits no digest."""
        try:
            return self._vault.open(sealed, phone)
        except StoreUnavailable as error:
            log.error("%s: it cannot register until its credentials are reset", error)
            return secrets.token_hex(32)
