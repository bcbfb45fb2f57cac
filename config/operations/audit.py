"""A change in progress, the ids and credentials that it makes, and what the audit log tells of it.

The rows of the log are written in the same transaction (config/audit/trail.py).
"""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change
from registrar.rules.features import ReservedWords
from registrar.store.vault import Vault

from .. import clock
from ..audit.trail import Deed, Trail
from ..auth import Caller
from ..preconditions import UNCONDITIONAL, Condition
from ..redirect.outbox import Outbox
from ..tables import CREDENTIAL_LENGTH, OID_LENGTH, Identified
from .passwords import Passwords
from .quotas import Room

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


Wished = dict[str, tuple[str, Mapping[str, str]]]
"""Id of an extension -> its customer, and the wishes to write to Redis (people.LivePeople.change)."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller, and the address that the request came from."""

    caller: Caller
    source_ip: str
    condition: Condition = UNCONDITIONAL
    """The condition under which the change is made, such as If-Match."""

    def columns(self) -> dict[str, object]:
        """Return the columns of the audit log that tell who does something, and from where."""
        caller = self.caller
        return {
            "actor": caller.employee,
            "actor_level": caller.level.name,
            "via": caller.via,
            "source_ip": self.source_ip,
        }


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
    trail: Trail
    """What the audit log is told."""
    room: Room
    """What customers may still have."""
    announced: list[Change]
    """What the SIP side must hear of: it is noted in this transaction, and published after the commit."""

    @property
    def caller(self) -> Caller:
        """Return the caller who makes the change."""
        return self.actor.caller

    def wish(self, person: str, customer: str, wishes: Mapping[str, str]) -> None:
        """Let wishes of a person be written to Redis just before the commit; add them to the audit log."""
        if wishes:
            self.wished[person] = customer, wishes
            self.record("update", "person", person, after=dict(wishes))

    def announce(self, change: Change) -> None:
        """Let the SIP side hear of a change."""
        self.announced.append(change)

    def record(
        self,
        action: str,
        table: str,
        oid: str,
        *,
        customer: int | None = None,
        named: str | None = None,
        **changes: object,
    ) -> None:
        """Add one row to the audit log; `action` is a verb, such as create, update or delete.

        The trail knows the customer, and what was before and after, of a row that this transaction reads or
        changes. Of anything else, give them: `before={...}, after={...}`, and `named` for an object without
        an id, whose `oid` is an empty text.
        """
        self.trail.add(Deed(action, table, oid, customer, named, changes))

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
