"""The tables of past calls, which the SIP side writes (registrar/store/history_sql.py).

The times of a call are milliseconds since 1970, so that both databases read and sort them alike.
"""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from .. import checks
from .base import NEVER_REUSED, OID_LENGTH, BigId, Table

RESULT_LENGTH = 24


class CallHistory(Table):
    """A call that is over, or an INVITE that was refused before there was a call."""

    __tablename__ = "call_history"
    __table_args__ = (
        Index("ix_call_history_started_ms_id", "started_ms", "id"),
        Index("ix_call_history_customer_started_ms_id", "customer", "started_ms", "id"),
        Index("ix_call_history_customer_dialled", "customer", "dialled", "started_ms"),
        Index("ix_call_history_customer_caller_number", "customer", "caller_number", "started_ms"),
        Index("ix_call_history_customer_callee_number", "customer", "callee_number", "started_ms"),
        Index("ix_call_history_caller_phone", "caller_phone", "started_ms"),
        Index("ix_call_history_callee_phone", "callee_phone", "started_ms"),
        NEVER_REUSED,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    call: Mapped[str] = mapped_column(String(32), unique=True)
    """Id of the call: the first report of its end stays."""
    customer: Mapped[str] = mapped_column(String(OID_LENGTH))
    started_ms: Mapped[int] = mapped_column(BigInteger)
    answered_ms: Mapped[int | None] = mapped_column(BigInteger)
    ended_ms: Mapped[int] = mapped_column(BigInteger)
    dialled: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    caller_phone: Mapped[str] = mapped_column(String(OID_LENGTH))
    caller_person: Mapped[str] = mapped_column(String(OID_LENGTH))
    """Id of an extension; empty: none."""
    caller_number: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    caller_name: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    caller_transport: Mapped[str] = mapped_column(String(8))
    callee_phone: Mapped[str] = mapped_column(String(OID_LENGTH))
    callee_person: Mapped[str] = mapped_column(String(OID_LENGTH))
    callee_number: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    callee_name: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    callee_transport: Mapped[str] = mapped_column(String(8))
    via: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    via_name: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    result: Mapped[str] = mapped_column(String(RESULT_LENGTH))
    """A word of `registrar.model.CallResult`."""
    cause: Mapped[str] = mapped_column(String(RESULT_LENGTH))
    """A word of `registrar.model.Cause`."""
    status: Mapped[int | None]
    reason: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    ended_by: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    relayed: Mapped[bool]
    private: Mapped[bool]
    """Whether the caller withheld its identity from the callee."""
    node: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    sip_call_id: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))


class CallHistoryPerson(Table):
    """The part of one person in a past call."""

    __tablename__ = "call_history_person"
    __table_args__ = (
        CheckConstraint("side IN ('caller', 'callee')", name="side"),
        Index("ix_call_history_person_person_started_ms", "person", "started_ms", "history_id"),
    )

    history_id: Mapped[int] = mapped_column(
        ForeignKey("call_history.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    side: Mapped[str] = mapped_column(String(8), primary_key=True)
    person: Mapped[str] = mapped_column(String(OID_LENGTH), primary_key=True)
    """Id of an extension, which may be gone."""
    result: Mapped[str] = mapped_column(String(RESULT_LENGTH))
    """What became of the call for this person."""
    started_ms: Mapped[int] = mapped_column(BigInteger)
    """That of the call."""
