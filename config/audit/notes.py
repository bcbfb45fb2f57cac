"""What is no change and is noted beside the path: reads of passwords, exports, and failed logins.

They wait in memory for at most two seconds, so a read never waits for a writer of the database.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.model import Mono

from .. import clock
from ..checks import is_clean
from ..tables import AuditLog, Customer
from .system import BY_ITSELF
from .values import text_of

READ, EXPORT, FAILED = "read", "export", "login-failed"
MAX_WAITING: Final = 10_000
"""Further notes are dropped and counted, while the database is away."""
AGAIN_SECONDS: Final = 3_600.0
"""A token that reads the same password again within an hour is not noted again: clients ask each second."""
MAX_REMEMBERED: Final = 10_000
GATHER_SECONDS: Final = 60.0
"""Failed logins of the same source and login within this time are one row with a number."""
MAX_GATHERED: Final = 1_000
"""Of a flood, the failures of further logins are counted together."""
OTHERS: Final = ("", "others", "many")
ILLEGIBLE: Final = "\N{REPLACEMENT CHARACTER}"
"""In the place of a character that no database stores: a stranger chooses the name of a failed login."""

Row = dict[str, object]


@dataclass(slots=True)
class Failures:
    """Failed logins of one source, login and reason."""

    count: int = 0
    employee: str | None = None
    customer: str | None = None


@dataclass(slots=True)
class Notes:
    """Notes that wait to be written."""

    now: Callable[[], Mono] = clock.mono_now
    dropped: int = 0
    _rows: list[tuple[Row, str | None]] = field(default_factory=list)
    """Columns, and the id of the customer if its number is not known yet."""
    _remembered: OrderedDict[tuple[object, ...], Mono] = field(default_factory=OrderedDict)
    _failures: dict[tuple[str, str, str], Failures] = field(default_factory=dict)
    _gathered: float = 0.0

    def read(
        self,
        by: Mapping[str, object],
        table: str,
        oids: list[str],
        customer: str | None,
        shown: tuple[str, ...] = (),
    ) -> None:
        """Note that passwords were shown: those of one object, or of a list.

        `shown` names what was shown, if it is something else than the SIP password alone.
        """
        key = (by["actor"], by["via"], by["source_ip"], table, shown, *oids)
        if oids and not self._is_fresh(key):
            several = len(oids) > 1
            after: Row = {"objects": oids} if several else {}
            if shown:
                after["shown"] = list(shown)
            self._add(_row(by, READ, table, "" if several else oids[0], after=after), customer)

    def export(
        self, by: Mapping[str, object], named: str, customer: str | None, /, **details: object
    ) -> None:
        """Note that a list was taken away as a file."""
        self._add(_row(by, EXPORT, "", "", named=named, after=details), customer)

    def failed(
        self, address: str, login: str, reason: str, employee: str | None, customer: str | None
    ) -> None:
        """Count a failed login; `employee` is the owner of the login, or None if that is unknown."""
        key = (address, login[:256], reason)
        if key not in self._failures and len(self._failures) >= MAX_GATHERED:
            key, employee, customer = OTHERS, None, None
        one = self._failures.setdefault(key, Failures())
        one.count += 1
        one.employee, one.customer = employee, customer

    async def write(self, engine: AsyncEngine, *, all: bool = False) -> int:
        """Write what waits, and return how many rows; failed logins once a minute, or with `all`."""
        if all or self.now() - self._gathered >= GATHER_SECONDS:
            self._gather()
        rows = self._rows[:MAX_WAITING]
        if not rows:
            return 0
        async with engine.begin() as connection:
            oids = {oid for _, oid in rows if oid is not None}
            found = await connection.execute(select(Customer.oid, Customer.id).where(Customer.oid.in_(oids)))
            numbers: dict[str, int] = dict(found.all())
            told = [row | {"customer_id": numbers.get(oid) if oid else None} for row, oid in rows]
            await connection.execute(insert(AuditLog), told)
        del self._rows[: len(rows)]
        return len(rows)

    def _gather(self) -> None:
        self._gathered = self.now()
        failures, self._failures = self._failures, {}
        for (address, login, reason), one in failures.items():
            by = {"actor": one.employee, "actor_level": BY_ITSELF, "via": "login", "source_ip": address}
            after = {"count": one.count, "reason": reason}
            table = "employee" if one.employee else ""
            self._add(_row(by, FAILED, table, one.employee or "", named=login, after=after), one.customer)

    def _add(self, row: Row, customer: str | None) -> None:
        if len(self._rows) >= MAX_WAITING:
            self.dropped += 1
            return
        self._rows.append((row, customer))

    def _is_fresh(self, key: tuple[object, ...]) -> bool:
        """Return whether this was noted a short time ago; else remember that it is noted now."""
        noted, now = self._remembered.pop(key, None), self.now()
        is_fresh = noted is not None and now - noted < AGAIN_SECONDS
        self._remembered[key] = noted if noted is not None and is_fresh else now
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return is_fresh


def _row(
    by: Mapping[str, object], action: str, table: str, oid: str, *, named: str | None = None, after: Row
) -> Row:
    return dict(by) | {
        "at": clock.exact_now(),
        "action": action,
        "table_name": table,
        "row_oid": oid,
        "named": None if named is None else _legible(named),
        "changes": text_of({"after": after}),
    }


def _legible(text: str) -> str:
    return text if is_clean(text) else "".join(one if is_clean(one) else ILLEGIBLE for one in text)
