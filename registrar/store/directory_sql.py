"""Phones and callees from the views that the config API publishes, and the lock of the first contact."""

import asyncio
import logging
import re
import secrets
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import bindparam, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from registrar.errors import StoreUnavailable
from registrar.model import Called, IpMode, IpNetwork, Phone
from registrar.ports import Column
from registrar.rules.access import network
from registrar.rules.terms import parse_terms

from . import callee_sql
from .vault import Vault

MAX_VALUES: Final = 500
FAULTS: Final = (SQLAlchemyError, sqlite3.Error, ValueError, OSError, TimeoutError)
"""ValueError: the driver says that its connection is closed."""
log = logging.getLogger(__name__)

_COUNTRY_SEPARATOR: Final = re.compile(r"[,\s]+")
_USER_ID: Final = re.compile(r"u([1-9][0-9]{0,17})")
"""The id of a SIP user outside the database; the number is that of its row."""
_NOWHERE: Final = network("255.255.255.255/32")
"""Replaces a network that cannot be read. No peer has this address, and the list does not become empty."""

_COLUMNS: Final = (
    "id, version, username, domain, password_enc, ha1_md5, ha1_sha256, customer, customer_state, extension, "
    "secret_version, ip_mode, ip_countries, ip_address, ip_policy, networks, pbx_cluster, webrtc, "
    "instance_id, name, codec_hd, codec_video, person, terms"
)
# The tables of the view have an index for each condition: `kind` selects one half of the view.
_PHONES_BY_NAME: Final = "kind = 'phone' AND username IN"
PHONES_BY_ID: Final = "kind = 'phone' AND id IN"
USERS_BY_ID: Final = "kind = 'user' AND user_id IN"
_OF_EXTENSION: Final = "extension_id IN"
"""Both halves have an index for this condition only: it finds the phones of an extension and its SIP user."""
_SELECT: Final = {
    condition: text(
        f"SELECT {_COLUMNS} FROM phone_v1 WHERE {condition} :wanted"  # noqa: S608  # only our constants
    ).bindparams(bindparam("wanted", expanding=True))
    for condition in (_PHONES_BY_NAME, PHONES_BY_ID, USERS_BY_ID, _OF_EXTENSION)
}
_Callee = tuple[Sequence[Any], Sequence[Any], Iterable[Any]]
"""The row of a dialled word, the rows of its members, and the rows of the phones that ring."""
# "200" may be a user of every domain: each pair is one probe of two indexes. OFFSET keeps PostgreSQL from
# reading all users for the join.
_PAIRS: Final = "unnest(CAST(:names AS text[]), CAST(:domains AS text[])) AS wanted (name, host)"
_USER: Final = "kind = 'user' AND domain = wanted.host AND username = wanted.name OFFSET 0"
_ONE_USER: Final = f"SELECT {_COLUMNS} FROM phone_v1 WHERE {_USER}"  # noqa: S608  # only our constants
_USERS_BY_NAME: Final = text(
    f"SELECT found.* FROM {_PAIRS}, LATERAL ({_ONE_USER}) AS found"  # noqa: S608  # only our constants
)
_USERS_OF_DOMAIN: Final = "kind = 'user' AND domain = ? AND username IN"
_CALLEE: Final = text(callee_sql.DIALLED)
_WHO_RINGS: Final = {kind: text(statement) for kind, statement in callee_sql.MEMBERS.items()}
_PICKABLE: Final = text(callee_sql.PICKABLE)
_MEMBERS: Final = text("SELECT id FROM phone_v1 WHERE customer = :customer")
_DOMAINS: Final = text("SELECT domain, sha256 FROM domain_v1")
_LOCK: Final = text(
    "UPDATE sip_phone SET ip_mode='LOCKED', ip_address=:address, version=version+1, "
    "locked_at=CURRENT_TIMESTAMP, "
    "unlocked_until=NULL, unlock_mode=NULL, unlock_address=NULL "
    "WHERE oid=:phone AND ip_mode='OPEN' AND ip_policy='PHONE'"
)


class SqlPhones:
    """Phones in SQL; implements ports.Phones with SELECTs from three views and one conditional UPDATE."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, vault: Vault) -> None:
        """Read with `reader`, which never waits for writers. Lock with `writer`. Both may be one engine."""
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

    async def members(self, customer: str) -> list[str]:
        """See ports.Phones."""
        try:
            async with self._reader.connect() as connection:
                rows = await connection.execute(_MEMBERS, {"customer": customer})
                return [str(row[0]) for row in rows]
        except FAULTS as error:
            raise StoreUnavailable(f"the database: {type(error).__name__}") from error

    async def pickable(self, person: str) -> frozenset[str]:
        """See ports.Phones."""
        try:
            async with self._reader.connect() as connection:
                rows = await connection.execute(_PICKABLE, {"picker": person})
                return frozenset(str(row[0]) for row in rows)
        except FAULTS as error:
            raise StoreUnavailable(f"the database: {type(error).__name__}") from error

    async def callee(self, customer: str, user: str) -> Called | None:
        """See ports.Phones.

        One SELECT finds what is called, one the members of a group or queue, and one the phones that ring.
        """
        read = self._read_callee_sqlite if self._reader.dialect.name == "sqlite" else self._read_callee
        try:
            found = await read({"customer": customer, "word": user})
        except FAULTS as error:
            raise StoreUnavailable(f"the database: {type(error).__name__}") from error
        if found is None:
            return None
        dialled, members, rows = found
        return callee_sql.destination(dialled, members, [self._phone(row) for row in rows])

    async def _read_callee(self, asked: Mapping[str, str]) -> _Callee | None:
        async with self._reader.connect() as connection:
            dialled = (await connection.execute(_CALLEE, asked)).first()
            if dialled is None:
                return None
            members: Sequence[Any] = ()
            if dialled.kind in _WHO_RINGS:
                members = (await connection.execute(_WHO_RINGS[dialled.kind], {"ref": dialled.ref})).all()
            condition, wanted = _who_rings(dialled, members)
            if not wanted:
                return dialled, members, ()
            return dialled, members, (await connection.execute(_SELECT[condition], {"wanted": wanted})).all()

    async def _read_callee_sqlite(self, asked: Mapping[str, str]) -> _Callee | None:
        """Return the same as `_read_callee`, with the driver alone like `_read_sqlite`."""
        async with self._turn:
            try:
                driver = await self._driver()
                found = list(await driver.execute_fetchall(callee_sql.DIALLED, asked))
                if not found:
                    return None
                kind, ref = found[0][0], found[0][5]
                members: list[Any] = []
                if kind in callee_sql.MEMBERS:
                    members = list(await driver.execute_fetchall(callee_sql.MEMBERS[kind], {"ref": ref}))
                condition, wanted = _who_rings(found[0], members)
                if not wanted:
                    return found[0], members, ()
                return found[0], members, await driver.execute_fetchall(_marked(condition, wanted), wanted)
            except FAULTS:
                await self.close()
                raise

    async def _read(self, column: Column, values: list[str]) -> Iterable[Any]:
        rows: list[Any] = []
        async with self._reader.connect() as connection:
            for condition, wanted in _simple(column, values).items():
                rows += await connection.execute(_SELECT[condition], {"wanted": wanted})
            users = _users(column, values)
            if users:
                names, domains = zip(*users, strict=True)
                pairs = {"names": list(names), "domains": list(domains)}
                rows += await connection.execute(_USERS_BY_NAME, pairs)
        return rows

    async def _read_sqlite(self, column: Column, values: list[str]) -> Iterable[Any]:
        """Return the same rows as `_read`, with the driver alone.

        This takes one hop to its thread instead of six, and a third of the time. The users of one domain are
        one SELECT: SQLite would read the whole view for the join.
        """
        asked: list[tuple[str, list[object], list[str]]] = [
            (condition, wanted, []) for condition, wanted in _simple(column, values).items()
        ]
        by_domain: dict[str, list[object]] = defaultdict(list)
        for name, domain in _users(column, values):
            by_domain[domain].append(name)
        asked += [(_USERS_OF_DOMAIN, names, [domain]) for domain, names in by_domain.items()]
        rows: list[Any] = []
        async with self._turn:
            try:
                driver = await self._driver()
                for condition, wanted, before in asked:
                    rows += await driver.execute_fetchall(_marked(condition, wanted), [*before, *wanted])
            except FAULTS:
                await self.close()
                raise
        return rows

    async def _driver(self) -> Any:
        if self._connection is None:
            self._connection = await self._reader.connect()
        raw = await self._connection.get_raw_connection()
        return raw.driver_connection

    async def close(self) -> None:
        """Give the connection of the reader back to the pool."""
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

    async def domains(self) -> Mapping[str, bool]:
        """See ports.Phones."""
        try:
            async with self._reader.connect() as connection:
                rows = await connection.execute(_DOMAINS)
                return {str(domain).lower(): bool(sha256) for domain, sha256 in rows}
        except FAULTS as error:
            raise StoreUnavailable(f"the database: {type(error).__name__}") from error

    def _phone(self, row: Any) -> Phone:
        (
            oid, version, username, domain, sealed, ha1_md5, ha1_sha256, customer, state, extension,
            secret_version, mode, countries, address, policy, networks, cluster, webrtc, instance,
            name, hd_audio, video, person, terms,
        ) = row  # fmt: skip
        by_domain = policy == "DOMAIN"
        return Phone(
            id=oid,
            version=version,
            username=username,
            domain=sys.intern((domain or "").lower()),  # shared: a cache holds all phones of a customer
            customer=sys.intern(str(customer)),
            active=state == "ACTIVE",
            extension=extension or "",
            password="" if sealed is None else self._password(sealed, oid),
            secret_version=secret_version,
            mode=IpMode(mode),
            countries=tuple(code for code in _COUNTRY_SEPARATOR.split((countries or "").upper()) if code),
            address=address or "",
            cluster=cluster,
            webrtc=bool(webrtc),
            instance=instance or "",
            ha1_md5=(ha1_md5 or "").lower(),
            ha1_sha256=(ha1_sha256 or "").lower(),
            by_domain=by_domain,
            networks=_networks(networks or "") if by_domain else (),
            name=name or "",
            hd_audio=bool(hd_audio),
            video=bool(video),
            person=person or "",
            terms=parse_terms(terms),
        )

    def _password(self, sealed: str, phone: str) -> str:
        """Return the password, or random text, which fits no digest, if it cannot be decrypted.

        One unreadable row must not fail the other rows of its SELECT.
        """
        try:
            return self._vault.open(sealed, phone)
        except StoreUnavailable as error:
            log.error("%s: it cannot register until its credentials are reset", error)
            return secrets.token_hex(32)


def _marked(condition: str, wanted: Sequence[object]) -> str:
    """Return the SELECT of phones for the driver of SQLite, which replaces the question marks."""
    marks = ",".join("?" * len(wanted))
    return f"SELECT {_COLUMNS} FROM phone_v1 WHERE {condition} ({marks})"  # noqa: S608  # only our constants


def _who_rings(dialled: Sequence[Any], members: Sequence[Any]) -> tuple[str, Sequence[object]]:
    """Return the condition that selects the phones of a row of `callee_v1`, and its values.

    It selects all phones of the extension or of the members, or the one phone if the row has no extension.
    """
    kind, _, _, extension, phone, *_ = dialled
    if kind in callee_sql.MEMBERS:
        return _OF_EXTENSION, callee_sql.extensions(members)
    return (PHONES_BY_ID, [phone]) if extension is None else (_OF_EXTENSION, [extension])


def by_id(ids: Iterable[str]) -> dict[str, list[object]]:
    """Return the values that select phones and SIP users by their ids, by the condition that takes them."""
    asked: dict[str, list[object]] = defaultdict(list)
    for id in ids:
        if user := _USER_ID.fullmatch(id):
            asked[USERS_BY_ID].append(int(user[1]))
        else:
            asked[PHONES_BY_ID].append(id)
    return asked


def _simple(column: Column, values: Sequence[str]) -> Mapping[str, list[object]]:
    """Return the values that one column identifies, by the condition that selects them."""
    if column != "login":
        return by_id(values)
    names: list[object] = [value for value in values if "@" not in value]
    return {_PHONES_BY_NAME: names} if names else {}


def _users(column: Column, values: Sequence[str]) -> list[tuple[str, str]]:
    """Return the SIP users among the logins as pairs of name and domain."""
    if column != "login":
        return []
    split = [value.rpartition("@") for value in values]
    return [(name, domain) for name, at, domain in split if at]


@lru_cache(1_024)
def _networks(listed: str) -> tuple[IpNetwork, ...]:
    """Return the trusted networks of a domain; domains with the same list share one value."""
    found = []
    for part in filter(None, listed.split(",")):
        try:
            found.append(network(part))
        except ValueError:
            log.error("a trusted network cannot be read: %r", part)
            found.append(_NOWHERE)
    return tuple(found)
