"""A change in progress, the ids and credentials that it makes, and the audit log.

The log has one row for each change, written in the same transaction.
"""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from registrar.rules.features import ReservedWords
from registrar.store.vault import Vault

from .. import clock
from ..auth import Caller
from ..preconditions import UNCONDITIONAL, Condition
from ..redirect.outbox import Outbox
from ..tables import CREDENTIAL_LENGTH, OID_LENGTH, AuditLog, Identified
from .passwords import Passwords

CREDENTIAL_ALPHABET: Final = string.ascii_lowercase + string.digits
"""These characters survive devices that fold case; 32 of them are 165 bits."""


def new_oid() -> str:
    """Return a new random public id."""
    return secrets.token_hex(OID_LENGTH // 2)


def parse_oid(value: object) -> str | None:
    """Return the id as it is stored (lower case), or None if `value` cannot be an id."""
    if not isinstance(value, str) or len(value) != OID_LENGTH:
        return None
    return value.lower() if set(value) <= set(string.hexdigits) else None


def new_credential() -> str:
    """Return a new username or password of a phone."""
    while True:
        credential = "".join(secrets.choice(CREDENTIAL_ALPHABET) for _ in range(CREDENTIAL_LENGTH))
        if not credential.startswith("0x"):  # sipp, and perhaps other programs, read such a text as a number
            return credential


BY_ITSELF: Final = "SYSTEM"
"""The level of the actor in the audit log if no person did it."""


def by_itself(action: str, table: str, oid: str) -> dict[str, object]:
    """Return a row of the audit log about something that this service did without a person."""
    return {
        "at": clock.exact_now(),
        "actor": None,
        "actor_level": BY_ITSELF,
        "action": action,
        "table_name": table,
        "row_oid": oid,
        "source_ip": "",
    }


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
    outbox: Outbox
    """What the redirect services of the vendors are to know."""

    @property
    def caller(self) -> Caller:
        """Return the caller who makes the change."""
        return self.actor.caller

    def wish(self, person: str, customer: str, wishes: Mapping[str, str]) -> None:
        """Let wishes of a person be written to Redis just before the commit; add them to the audit log."""
        if wishes:
            self.wished[person] = customer, wishes
            self.record("update", "person", person)

    def record(self, action: str, table: str, oid: str) -> None:
        """Add one row to the audit log; `action` is a verb, such as create, update or delete."""
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

    async def settle(self, *macs: str | None) -> None:
        """Let the redirect services know who has these MAC addresses now."""
        await self.session.flush()
        await self.outbox.settle(self.session, self.vault, *macs)

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
