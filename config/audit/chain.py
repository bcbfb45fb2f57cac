"""The chain of the audit log, as values: each hash covers its row and the hash of the row before."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.store.vault import Vault

from ..tables import AuditHead, AuditLog

START: Final = "0" * 64
"""The hash before the first row."""
OWNER: Final = "audit-head"
"""Binds the seal of the head to its purpose."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain begins and ends."""

    base_seq: int = 0
    base_hash: str = START
    seq: int = 0
    hash: str = START

    def __str__(self) -> str:
        """Return the text that is sealed."""
        return f"{self.base_seq} {self.base_hash} {self.seq} {self.hash}"


def head_of(row: AuditHead) -> Head:
    """Return the head that a row of the database tells."""
    return Head(row.base_seq, row.base_hash, row.seq, row.hash)


def seal(head: Head, vault: Vault) -> str:
    """Return the seal of a head: only a holder of the secret key can make it."""
    return vault.seal(str(head), OWNER)


def is_sealed(head: Head, seal: str, vault: Vault) -> bool:
    """Return whether the seal belongs to this head and to our secret key."""
    try:
        return vault.open(seal, OWNER) == str(head)
    except StoreUnavailable:
        return False


def link(before: str, seq: int, row: AuditLog) -> str:
    """Return the hash of a row at this place, after the row with the hash `before`."""
    told = [
        before,
        seq,
        _moment(row.at),
        row.actor,
        row.actor_level,
        row.via,
        row.action,
        row.table_name,
        row.row_oid,
        row.customer_id,
        row.named,
        row.source_ip,
        row.changes,
    ]
    return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
