"""What one transaction changes: seen where SQLAlchemy writes it, so that no change is forgotten.

A `Trail` listens to the session of a transaction. It keeps what each row was before and is afterwards. An
operation adds its deeds, such as `resetcredentials`. At the end, `write` makes one INSERT of them: a deed
gets the change of its row, and a changed row without a deed gets one, `create`, `update` or `delete`. Rows
without an id of their own, such as softkeys, are told with the first deed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Column, and_, event, insert, inspect, or_, select
from sqlalchemy import Table as SqlTable
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState, PassiveFlag, Session, UOWTransaction

from .. import clock
from ..tables import AuditLog, Customer, Employee, Queue, SipGroup, SipPhone, Table
from .values import AFTER, BEFORE, BOOKKEEPING, Values, shown, text_of, whole

CREATE, UPDATE, DELETE = "create", "update", "delete"
NOT_TOLD: Final = frozenset(
    {"audit_log", "audit_head"}  # the log itself
    | {"number", "installation", "seeded_model", "change"}  # follow from other rows
    | {
        "call_history",
        "call_history_person",
        "webhook_delivery",
        "redirect",
        "provisioning_file",
    }  # no settings
    | {"webhook_feed", "redirect_lease"}  # positions of jobs
)
"""Tables whose rows are not what a person changes."""
MAX_BULK: Final = 1_000
"""Rows of one statement that are told one by one; of more, the number."""
OWNERS: Final[Mapping[str, type[Table]]] = {
    "employee_id": Employee,
    "phone_id": SipPhone,
    "group_id": SipGroup,
    "queue_id": Queue,
}
"""Column -> the table of the row that knows the customer."""


def _children() -> dict[str, list[tuple[SqlTable, str, str]]]:
    """Return for each table the tables whose rows go with its rows, and the columns that join them."""
    found: dict[str, list[tuple[SqlTable, str, str]]] = {}
    for table in Table.metadata.sorted_tables:
        for key in table.foreign_keys:
            if key.ondelete == "CASCADE" and table.name not in NOT_TOLD:
                found.setdefault(key.column.table.name, []).append((table, key.parent.name, key.column.name))
    return found


_CHILDREN: Final = _children()

Row = dict[str, Any]
Key = tuple[str, tuple[object, ...]]


@dataclass(slots=True)
class Seen:
    """What became of one row."""

    action: str
    oid: str | None
    customer: int | None
    before: Values = field(default_factory=dict)
    after: Values = field(default_factory=dict)

    def told(self) -> Values:
        """Return what is different afterwards."""
        if self.action != UPDATE:
            return {"before": self.before, "after": self.after}
        new = {name: value for name, value in self.after.items() if self.before.get(name) != value}
        return {"before": {name: self.before.get(name) for name in new}, "after": new}


@dataclass(slots=True)
class Deed:
    """One row of the audit log in the making."""

    action: str
    table: str
    oid: str
    customer: int | None = None
    named: str | None = None
    changes: Values = field(default_factory=dict)


class Trail:
    """The deeds and the changes of one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        """Begin to listen; this ends with the session."""
        self._session = session
        self._deeds: list[Deed] = []
        self._seen: dict[Key, Seen] = {}
        self._omitted: dict[str, int] = {}
        event.listen(session.sync_session, "before_flush", self._deleting)
        event.listen(session.sync_session, "after_flush", self._flushed)
        event.listen(session.sync_session, "do_orm_execute", self._executed)

    def add(self, deed: Deed) -> None:
        """Add what an operation does."""
        self._deeds.append(deed)

    def deleted(self, table: str) -> list[str]:
        """Return the ids of the rows of a table that are gone. Call `write` before."""
        gone = (seen for (name, _), seen in self._seen.items() if name == table)
        return [seen.oid for seen in gone if seen.action == DELETE and seen.oid is not None]

    async def write(self, by: Mapping[str, object]) -> bool:
        """Write all deeds with one INSERT, and return whether there are any.

        `by` has the columns that tell who did them, and from where.
        """
        await self._session.flush()
        rows = [self._row(deed) | dict(by) for deed in self._finished()]
        if rows:
            await self._session.execute(insert(AuditLog.__table__), rows)  # type: ignore[arg-type]  # a Table
        return bool(rows)

    def _row(self, deed: Deed) -> Row:
        return {
            "at": clock.exact_now(),
            "action": deed.action,
            "table_name": deed.table,
            "row_oid": deed.oid,
            "customer_id": deed.customer if deed.customer is not None else self._customer(deed.oid),
            "named": deed.named,
            "changes": text_of(deed.changes),
        }

    def _finished(self) -> list[Deed]:
        """Return the deeds with their changes, and a deed for each changed row that has none."""
        parts: list[Values] = []
        fresh: list[Deed] = []
        for (table, key), seen in self._seen.items():
            told = seen.told()
            if not (told["before"] or told["after"] or seen.action != UPDATE):
                continue
            if seen.oid is None:
                parts.append({"table": table, "key": list(map(str, key)), "action": seen.action} | told)
                continue
            deed = self._deed_of(table, seen.oid) or Deed(seen.action, table, seen.oid, seen.customer)
            deed.customer = seen.customer if deed.customer is None else deed.customer
            deed.changes |= told
            fresh += [] if any(deed is one for one in self._deeds) else [deed]
        return _with_parts([*self._deeds, *fresh], parts, self._omitted)

    def _deed_of(self, table: str, oid: str) -> Deed | None:
        same = (deed for deed in self._deeds if (deed.table, deed.oid) == (table, oid))
        return next((deed for deed in same if "after" not in deed.changes), None)

    def _customer(self, oid: str) -> int | None:
        """Return the customer of a row that this transaction has read or changed, or None."""
        for row in self._session.sync_session.identity_map.values():
            if oid and getattr(row, "oid", None) == oid:
                table = inspect(row).mapper.local_table
                return _customer_of(self._session.sync_session, table, row.__dict__)
        return next((seen.customer for seen in self._seen.values() if oid and seen.oid == oid), None)

    # What SQLAlchemy writes

    def _deleting(self, session: Session, _context: UOWTransaction, _some: object) -> None:
        """See the rows that the database deletes with others, before they are gone."""
        for row in session.deleted:
            self._cascade(session, inspect(row).mapper.local_table, [dict(row.__dict__)])

    def _cascade(self, session: Session, table: SqlTable, gone: Sequence[Row]) -> None:
        for child, column, parent in _CHILDREN.get(table.name, ()):
            keys = [row[parent] for row in gone if row.get(parent) is not None]
            rows = _rows(session, select(child).where(child.c[column].in_(keys))) if keys else []
            for row in rows:
                self._change(session, child, DELETE, row, {})
            self._cascade(session, child, rows)

    def _flushed(self, session: Session, _context: UOWTransaction) -> None:
        for row in session.new:
            self._note(session, row, CREATE)
        for row in session.dirty:
            self._note(session, row, UPDATE)
        for row in session.deleted:
            self._note(session, row, DELETE)

    def _note(self, session: Session, row: Any, action: str) -> None:
        table: SqlTable = row.__table__
        if table.name in NOT_TOLD:
            return
        state = inspect(row)
        before: Row = {}
        after: Row = {}
        for attribute in state.mapper.column_attrs:
            column = attribute.columns[0].name
            history = state.get_history(attribute.key, PassiveFlag.PASSIVE_NO_INITIALIZE)
            now = history.added or history.unchanged
            after[column] = now[0] if now else None
            was = history.deleted or history.unchanged
            before[column] = was[0] if was else None
        self._change(session, table, action, before, after)

    def _executed(self, state: ORMExecuteState) -> Any:
        """See the rows that a statement changes: read them before it, and after an UPDATE again."""
        if not (state.is_update or state.is_delete):
            return None
        statement: Any = state.statement
        table: SqlTable = statement.table
        if table.name in NOT_TOLD or _only_bookkeeping(statement):
            return None
        session, keys = state.session, list(table.primary_key)
        wanted = select(table).where(statement.whereclause).limit(MAX_BULK + 1)
        there = _rows(session, wanted, state.parameters)
        if state.is_delete:
            self._cascade(session, table, there)
        done: Any = state.invoke_statement()
        if len(there) > MAX_BULK:
            self._omitted[table.name] = self._omitted.get(table.name, 0) + max(done.rowcount, 0)
            return done
        if state.is_delete:
            for row in there:
                self._change(session, table, DELETE, row, {})
            return done
        after = {_key(keys, row): row for row in _again(session, table, keys, there)}
        for row in there:
            self._change(session, table, UPDATE, row, after.get(_key(keys, row), row))
        return done

    def _change(self, session: Session, table: SqlTable, action: str, before: Row, after: Row) -> None:
        now = after or before
        key = table.name, _key(list(table.primary_key), now)
        seen = self._seen.get(key)
        if seen is not None and action == DELETE and seen.action == CREATE:
            del self._seen[key]
            return
        if seen is None or (seen.action == DELETE and action == CREATE):
            customer = _customer_of(session, table, now)
            was = seen.before if seen is not None else {}
            seen = self._seen[key] = Seen(UPDATE if was else action, now.get("oid"), customer, was)
        elif action == DELETE:
            seen.action, seen.after = DELETE, {}
        _merge(seen, action, before, after)


def _merge(seen: Seen, action: str, before: Row, after: Row) -> None:
    """Take over what a row was, unless an earlier change has told it, and what it is now."""
    if action == DELETE:
        seen.before = whole(before, BEFORE) | seen.before
        return
    if action == CREATE:
        seen.after |= dict.fromkeys(seen.before) | whole(after, AFTER)
        return
    for name, value in after.items():
        if name in BOOKKEEPING or before[name] == value:
            continue
        if seen.action == UPDATE:
            seen.before.setdefault(name, shown(name, before[name], BEFORE))
        seen.after[name] = shown(name, value, AFTER)


def _with_parts(deeds: list[Deed], parts: Sequence[Values], omitted: Mapping[str, int]) -> list[Deed]:
    if parts or omitted:
        first = (
            deeds[0] if deeds else Deed(UPDATE, str(parts[0]["table"] if parts else next(iter(omitted))), "")
        )
        first.changes |= {"parts": list(parts), "omitted": dict(omitted)}
        return deeds or [first]
    return deeds


def _customer_of(session: Session, table: SqlTable, row: Mapping[str, Any]) -> int | None:
    """Return the number of the customer of a row, or None; no SQL is sent for it."""
    own = "id" if table.name == Customer.__tablename__ else "customer_id"
    if own in row:
        return _number(row[own])
    for column, owner in OWNERS.items():
        number = row.get(column)
        found = session.identity_map.get(session.identity_key(owner, number)) if number is not None else None
        if found is not None:
            return _number(found.__dict__.get("customer_id"))
    return None


def _only_bookkeeping(statement: Any) -> bool:
    """Return whether an UPDATE writes only columns that follow from other changes."""
    values: Mapping[Any, object] = getattr(statement, "_values", None) or {}
    return bool(values) and {str(getattr(name, "name", name)) for name in values} <= BOOKKEEPING


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _rows(session: Session, statement: Any, parameters: Any = None) -> list[Row]:
    return [dict(row) for row in session.connection().execute(statement, parameters or {}).mappings()]


def _again(session: Session, table: SqlTable, keys: Sequence[Column[Any]], rows: Sequence[Row]) -> list[Row]:
    if not rows:
        return []
    if len(keys) == 1:
        return _rows(session, select(table).where(keys[0].in_([row[keys[0].name] for row in rows])))
    same = (and_(*(column == row[column.name] for column in keys)) for row in rows)
    return _rows(session, select(table).where(or_(*same)))


def _key(keys: Sequence[Column[Any]], row: Row) -> tuple[object, ...]:
    return tuple(row.get(column.name) for column in keys)
