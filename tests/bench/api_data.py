"""Tenants, phones and their live status, written in bulk into PostgreSQL and Redis."""

import random
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import asyncpg
from redis.asyncio import Redis
from sqlalchemy.engine import make_url

from config.database import check_fingerprint, migrate
from config.models import MODELS
from registrar.store import keys
from registrar.store.database import connect
from registrar.store.short_connection import connected
from registrar.store.state_index import StateIndex
from registrar.store.state_members import SqlMembers
from registrar.store.state_walk import StateWalk
from registrar.store.vault import Vault

SMALL_CUSTOMER: Final = 100
"""Phones of each customer but the large one."""
SOFTKEYS: Final = 4
"""Keys of each phone."""
PANEL_EVERY: Final = 20
"""One of so many phones has a side panel."""
ROWS_AT_ONCE: Final = 5_000
LIFETIME: Final = 86_400
NODE: Final = "bench-5060"
GENERATION: Final = "bench"
FILTER: Final = "østerg"
"""Is in the names of one person in twenty."""
FIRST_NAMES: Final = (
    "Anna Bo Carl Dorthe Erik Freja Gitte Hans Ida Jens Karen Lars Mette Niels Ole Pia".split()
)
LAST_NAMES: Final = (
    "Andersen Bruun Christensen Dahl Eriksen Frandsen Gade Hansen Iversen Jensen Kjær Lund Madsen Nielsen "
    "Olsen Petersen Rasmussen Sørensen Thomsen Østergård"
).split()
ROOMS: Final = "reception kitchen warehouse office meeting-room workshop".split()

Row = tuple[object, ...]


@dataclass(frozen=True)
class Filled:
    """What is in the stores, as the load tool needs it."""

    customer: str
    """Id of the large customer."""
    phones: list[str]
    """Ids of its phones."""
    employee: str
    """Somebody there with a primary extension."""
    online: int
    """How many phones of all are."""


async def fill(url: str, redis_url: str, secret_key: str, phones: int, large: int, now: float) -> Filled:
    """Make the schema at `url` and put `phones` into it, half of them online, `large` of one customer."""
    vault = Vault(secret_key)
    engine = connect(url)
    try:
        await migrate(engine)
        await check_fingerprint(engine, vault)
    finally:
        await engine.dispose()
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection: asyncpg.Connection = await asyncpg.connect(plain)
    try:
        tables = _Tables(connection, vault, datetime.fromtimestamp(int(now), UTC))
        filled = await tables.write(phones, large)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    online = await _go_online(redis_url, tables.everybody, now)
    await _index_states(url, redis_url)
    return Filled(filled.customer, filled.phones, filled.employee, online)


class _Tables:
    """Rows for the tables, counted by us: the ids of ours must be known before they are written."""

    def __init__(self, connection: asyncpg.Connection, vault: Vault, now: datetime) -> None:
        self._connection = connection
        self._vault = vault
        self._now = now
        self._random = random.Random(20261121)
        self.everybody: list[str] = []

    async def write(self, phones: int, large: int) -> Filled:
        """All of them; the answer is about the large customer."""
        models = {row["oid"]: row["id"] for row in await self._connection.fetch(_MODELS)}
        used = [models[str(MODELS[name]["oid"])] for name in ("generic", "snom", "yealink")]
        sizes = list(_sizes(phones, large))
        customers = [(number, _oid()) for number in range(1_001, 1_001 + len(sizes))]
        await self._copy(
            "customer",
            "id oid created_at updated_at name state is_reseller sip_domain version call_recording features",
            [
                (
                    id,
                    oid,
                    self._now,
                    self._now,
                    f"House {id}",
                    "ACTIVE",
                    False,
                    f"h{id}.example",
                    1,
                    False,
                    "[]",
                )
                for id, oid in customers
            ],
        )
        first = 1_001
        ids: list[str] = []
        for (customer, _), size in zip(customers, sizes, strict=True):
            for at in range(first, first + size, ROWS_AT_ONCE):
                ids += await self._house(customer, range(at, min(at + ROWS_AT_ONCE, first + size)), used)
            first += size
        for table in ("customer", "employee", "extension", "sip_phone"):
            counter = f"pg_get_serial_sequence('{table}', 'id')"
            await self._connection.execute(f"SELECT setval({counter}, {first + 10})")
        employee = await self._connection.fetchval("SELECT oid FROM employee ORDER BY id LIMIT 1")
        return Filled(customers[0][1], ids[:large], employee, 0)

    async def _house(self, customer: int, numbers: range, models: Sequence[int]) -> list[str]:
        """Employees, extensions and phones with these ids; each phone has a person of its own."""
        stamps = (self._now, self._now)
        people = [(id, _oid(), *stamps, customer, self._name(), "MANAGER", "ACTIVE", 1) for id in numbers]
        extensions = [
            (id, _oid(), *stamps, customer, id, True, f"Ext {id}", str(id), f"+45{30_000_000 + id}", 1, 1)
            for id in numbers
        ]
        oids = [_oid() for _ in numbers]
        phones = [self._phone(id, oid, customer, models) for id, oid in zip(numbers, oids, strict=True)]
        await self._copy(
            "employee", "id oid created_at updated_at customer_id name access_level state version", people
        )
        await self._copy("extension", _EXTENSION, [(*row, False, False, False) for row in extensions])
        await self._copy(
            "number",
            "customer_id number kind ref",
            [(customer, row[8], "extension", row[1]) for row in extensions],
        )
        await self._copy("sip_phone", " ".join(phones[0]), [tuple(phone.values()) for phone in phones])
        await self._copy(
            "sip_phone_softkey",
            "phone_id key_index function value label",
            [
                (id, index, "SPEEDDIAL", str(1_000 + index), f"Key {index}")
                for id in numbers
                for index in range(SOFTKEYS)
            ],
        )
        await self._copy(
            "sip_phone_side_panel",
            "phone_id position serial payment_option",
            [(id, 0, f"panel-{id}", "BOUGHT") for id in numbers if id % PANEL_EVERY == 0],
        )
        self.everybody += oids
        return oids

    def _phone(self, id: int, oid: str, customer: int, models: Sequence[int]) -> dict[str, object]:
        is_locked = id % 2 == 0
        return {
            "id": id,
            "oid": oid,
            "created_at": self._now,
            "updated_at": self._now,
            "customer_id": customer,
            "extension_id": id,
            "model_id": models[id % len(models)],
            "version": 1,
            "secret_version": 1,
            "username": secrets.token_hex(16),
            "password_enc": self._vault.seal(secrets.token_hex(16), oid),
            "pbx_cluster": 1,
            "webrtc": False,
            "mac": f"{id:012X}",
            "mac_slot": 0,
            "ip_mode": "LOCKED" if is_locked else "OPEN",
            "ip_countries": "",
            "ip_address": f"198.51.{id // 250 % 250}.{id % 250}" if is_locked else None,
            "ip_policy": "PHONE",
            "call_waiting": False,
            "dhsg": False,
            "softkey_configuration_on_device": False,
            "softkey_blf_blind_transfer": False,
            "codec_hd": True,
            "codec_video": False,
            "net_dhcp": True,
            "vlan_id": 0,
            "vlan_priority": 0,
            "ringer_volume": 8,
            "notes": f"{self._random.choice(ROOMS)}, floor {id % 9}" if id % 3 else None,
            "config_saved_at": self._now,
        }

    def _name(self) -> str:
        return f"{self._random.choice(FIRST_NAMES)} {self._random.choice(LAST_NAMES)}"

    async def _copy(self, table: str, columns: str, rows: Sequence[Row]) -> None:
        await self._connection.copy_records_to_table(table, records=rows, columns=columns.split())


_MODELS: Final = "SELECT id, oid FROM sip_phone_model"
_EXTENSION: Final = (
    "id oid created_at updated_at customer_id employee_id is_primary name number direct_number version "
    "sip_secret_version hotdesk_allowed mobile_follow dashboard"
)


def _sizes(phones: int, large: int) -> Iterator[int]:
    """One large customer, and small ones."""
    yield large
    for start in range(large, phones, SMALL_CUSTOMER):
        yield min(phones - start, SMALL_CUSTOMER)


async def _go_online(redis_url: str, phones: Sequence[str], now: float) -> int:
    """Every other phone, as the SIP side writes it."""
    online = phones[::2]
    redis = Redis.from_url(redis_url, decode_responses=True)
    try:
        for start in range(0, len(online), ROWS_AT_ONCE):
            pipeline = redis.pipeline(transaction=False)
            for number, phone in enumerate(online[start : start + ROWS_AT_ONCE], start):
                words = [word for pair in _status(number, now).items() for word in pair]
                pipeline.execute_command("HSET", keys.status(phone), *words)
            await pipeline.execute()
    finally:
        await redis.aclose()
    return len(online)


async def _index_states(url: str, redis_url: str) -> None:
    """The index of states, as the first start of the SIP side builds it."""
    engine = connect(url, read_only=True)
    try:
        async with connected(redis_url) as runner:
            await StateWalk(StateIndex(runner), SqlMembers(engine), repair=True, rest=0.0).run()
    finally:
        await engine.dispose()


def _status(number: int, now: float) -> dict[str, str]:
    return {
        "online": "1",
        "expiresAt": str(int(now) + LIFETIME),
        "userAgent": "snomD785/10.1.141.13",
        "localIpAddress": f"192.168.{number // 250 % 250}.{number % 250}",
        "publicIpAddress": f"198.51.{number // 250 % 250}.{number % 250}",
        "publicPort": str(1_024 + number % 60_000),
        "transport": "udp",
        "node": NODE,
        "generation": GENERATION,
        "state": "registered",
        "reason": "registered",
        "since": str(int(now)),
        "lastSeen": str(int(now)),
    }


def _oid() -> str:
    return secrets.token_hex(12)
