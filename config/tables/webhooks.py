"""The tables of webhooks: where events go, those that wait or were sent, and which process sends them."""

from datetime import datetime
from typing import Final

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from .. import checks
from ..properties import NAMED, stored, string_of, word_of
from .base import NEVER_REUSED, BigId, Lease, Revised, Table, UtcDateTime

POSITION_LENGTH: Final = 41
"""The id of an entry of a stream: two numbers of 64 bits."""
MAX_REASON: Final = 300
URL: Final = string_of(
    checks.MAX_URL, checks.url, "{} must be a web address that begins with https:", maxLength=checks.MAX_URL
)
STATE: Final = word_of(("ACTIVE", "DISABLED"))


class Webhook(Revised):
    """A web server that is told events of a customer."""

    __tablename__ = "webhook"
    __table_args__ = (CheckConstraint("state IN ('ACTIVE', 'DISABLED')", name="state"), NEVER_REUSED)

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    url: Mapped[str] = stored(URL, "Where events are sent, by POST", NAMED, required=True)
    state: Mapped[str] = stored(
        STATE,
        "DISABLED: nothing is sent. A webhook that fails for 24 hours becomes so; ACTIVE sends what happens "
        "from then on",
        NAMED,
        default="ACTIVE",
    )
    events: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Names of events; empty: all."""
    reason: Mapped[str | None] = mapped_column(String(MAX_REASON))
    """Why it was disabled, if this service did it."""
    secret_enc: Mapped[str] = mapped_column(String(255))
    after: Mapped[str] = mapped_column(String(POSITION_LENGTH))
    """Position in the stream of all events; only what comes later is sent."""
    failures: Mapped[int] = mapped_column(Integer, default=0)
    """Failures since the last success, of any event."""
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it is tried again, after several failures in a row."""


class WebhookDelivery(Table):
    """One event for one webhook."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        CheckConstraint("state IN ('PENDING', 'DELIVERED', 'FAILED')", name="state"),
        Index("ix_webhook_delivery_webhook_id_state_id", "webhook_id", "state", "id"),
        Index("ix_webhook_delivery_webhook_id_state_lane_id", "webhook_id", "state", "lane", "id"),
        NEVER_REUSED,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    message_id: Mapped[str] = mapped_column(String(64))
    """The same for each try."""
    event: Mapped[str] = mapped_column(String(64))
    lane: Mapped[str] = mapped_column(String(160))
    """The phone or call of the event: deliveries of one lane are made one after the other."""
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), default="PENDING")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    first_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    status: Mapped[int | None] = mapped_column(Integer)
    """The HTTP status of the last try."""
    error: Mapped[str | None] = mapped_column(String(MAX_REASON))
    milliseconds: Mapped[int | None] = mapped_column(BigInteger)


class WebhookFeed(Lease):
    """One row: the process that sends events to webhooks, and how far it has read the stream."""

    __tablename__ = "webhook_feed"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    position: Mapped[str] = mapped_column(String(POSITION_LENGTH))
