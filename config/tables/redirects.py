"""The tables of the redirect outbox: what the services of the vendors are to know, and who tells them."""

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from .base import NEVER_REUSED, BigId, Lease, Table, UtcDateTime

MAC_LENGTH: Final = 12
MAX_ERROR: Final = 300


class Redirect(Table):
    """What one service is to know of one MAC address. The row stays until the service has forgotten it."""

    __tablename__ = "redirect"
    __table_args__ = (
        UniqueConstraint("mac", "service"),
        CheckConstraint("state IN ('pending', 'registered', 'foreign', 'failed', 'manual')", name="state"),
        Index("ix_redirect_service_state_next_at", "service", "state", "next_at"),
        NEVER_REUSED,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    mac: Mapped[str] = mapped_column(String(MAC_LENGTH))
    service: Mapped[str] = mapped_column(String(16))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    url_enc: Mapped[str | None] = mapped_column(Text)
    """Where the phone is to be sent; None: the service is to forget the phone."""
    state: Mapped[str] = mapped_column(String(16), default="pending")
    was_sent: Mapped[bool] = mapped_column(default=False)
    """Whether the service may know the MAC address by us."""
    revision: Mapped[int] = mapped_column(BigInteger, default=1)
    """Grows when something else is wanted, so that the answer to an old request changes nothing."""
    tries: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(String(MAX_ERROR))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.utc_now, onupdate=clock.utc_now)


class RedirectLease(Lease):
    """The process that asks the redirect services."""

    __tablename__ = "redirect_lease"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)
