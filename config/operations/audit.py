"""A change in progress, and the audit log: one row for each change, written in the same transaction."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from registrar.rules.features import ReservedWords
from registrar.store.vault import Vault

from .. import clock
from ..auth import Caller
from ..preconditions import UNCONDITIONAL, Condition
from ..tables import AuditLog, Customer, Extension, Identified
from .passwords import Passwords

Wished = dict[str, tuple[str, Mapping[str, str]]]
"""Id of an extension -> its customer, and the wishes to write to Redis (people.LivePeople.change)."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller, and the address that the request came from."""

    caller: Caller
    source_ip: str
    condition: Condition = UNCONDITIONAL
    """The condition under which the change is made, such as If-Match."""


@dataclass(frozen=True, slots=True)
class Work:
    """A change in progress. It runs inside one write transaction, and may be run more than once."""

    session: AsyncSession
    actor: Actor
    passwords: Passwords
    vault: Vault
    reserved: ReservedWords
    """Words that are not free as numbers of a dial plan."""
    wished: Wished
    """Wishes of people, which are written just before the commit."""

    @property
    def caller(self) -> Caller:
        """Return the caller who makes the change."""
        return self.actor.caller

    def wish(self, extension: Extension, customer: Customer, wishes: Mapping[str, str]) -> None:
        """Let wishes of a person be written to Redis just before the commit; add them to the audit log."""
        if wishes:
            self.wished[extension.oid] = customer.oid, wishes
            self.record("update", "person", extension.oid)

    def record(self, action: str, table: str, oid: str) -> None:
        """Add one row to the audit log; `action` is create, update, delete or resetcredentials."""
        self.session.add(
            AuditLog(
                actor=self.caller.employee,
                actor_level=self.caller.level.name,
                action=action,
                table_name=table,
                row_oid=oid,
                source_ip=self.actor.source_ip,
            )
        )

    async def create(self, row: Identified) -> None:
        """Write a new row, and its creation to the audit log."""
        self.session.add(row)
        await self.session.flush()
        self.record("create", row.__tablename__, row.oid)

    async def update(self, row: Identified) -> None:
        """Write the columns of a row that were changed, and the change to the audit log."""
        row.updated_at = clock.utc_now()
        self.record("update", row.__tablename__, row.oid)
        await self.session.flush()

    async def delete(self, row: Identified) -> None:
        """Delete a row, and write that to the audit log."""
        await self.session.delete(row)
        self.record("delete", row.__tablename__, row.oid)
        await self.session.flush()
