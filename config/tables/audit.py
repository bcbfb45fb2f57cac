"""The tables of the audit log: who did what, and the head of the chain that its rows form."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from .base import OID_LENGTH, BigId, Table, UtcDateTime

_WAITS = text("seq IS NULL")


class AuditLog(Table):
    """The audit log: who did what to what, from where, and what was there before and after (decision 107).

    A row is written in the transaction of its change. Its place in the chain, `seq` and `hash`, is written
    a moment later by another transaction (config/audit/chain.py).
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_row_oid_id", "row_oid", "id"),
        Index("ix_audit_log_customer_id_id", "customer_id", "id"),
        Index("ix_audit_log_waits", "id", sqlite_where=_WAITS, postgresql_where=_WAITS),
        Index("uq_audit_log_seq", "seq", unique=True),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.exact_now, index=True)
    """Finer than a second, because these entries are shown together with the journal of a phone."""
    actor: Mapped[str | None] = mapped_column(String(OID_LENGTH))
    """Id of the employee; None: the token belongs to no person."""
    actor_level: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(32))
    table_name: Mapped[str] = mapped_column(String(64))
    row_oid: Mapped[str] = mapped_column(String(OID_LENGTH))
    """Id of the object, or an empty text if it has none."""
    source_ip: Mapped[str] = mapped_column(String(45))
    via: Mapped[str] = mapped_column(String(64), default="")
    """With what the caller came: session:<id>, token:<id>, jwt:<start of its hash>, login, command:<user>."""
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    """The customer of the object; None: it belongs to no customer. A deleted customer keeps its rows."""
    named: Mapped[str | None] = mapped_column(String(320))
    """A name for an object without an id, such as a login or a network."""
    changes: Mapped[str | None] = mapped_column(Text)
    """JSON as it was hashed: `before`, `after`, and `parts` for rows that have no id of their own."""
    seq: Mapped[int | None] = mapped_column(BigInteger)
    """Place in the chain; None: it waits for the writer of the chain."""
    hash: Mapped[str | None] = mapped_column(String(64))


class AuditHead(Table):
    """One row: where the chain begins and ends. Its lock lets one writer at a time make the chain longer."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    base_seq: Mapped[int] = mapped_column(BigInteger)
    """Place of the newest row that was deleted because of its age; 0: none was."""
    base_hash: Mapped[str] = mapped_column(String(64))
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    seal: Mapped[str] = mapped_column(String(512))
    """The four values above, sealed with the secret key: who can only write SQL cannot cut the chain."""
