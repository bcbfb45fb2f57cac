"""What each account was used with, to tell what is unusual, and the job that reads it from the events."""

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from .base import OID_LENGTH, Lease, Table

WORDS_LENGTH = 640
POSITION_LENGTH = 41


class AccountSeen(Table):
    """The countries and brands of phones of one account, the newest last, as words."""

    __tablename__ = "account_seen"

    phone_oid: Mapped[str] = mapped_column(String(OID_LENGTH), primary_key=True)
    """A phone, or a SIP user (`u7`). No reference: it may be deleted before its last event is read."""
    countries: Mapped[str] = mapped_column(String(WORDS_LENGTH))
    brands: Mapped[str] = mapped_column(String(WORDS_LENGTH))


class SeenFeed(Lease):
    """One row: the process that looks for unusual registrations, and how far it has read the stream."""

    __tablename__ = "seen_feed"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    position: Mapped[str] = mapped_column(String(POSITION_LENGTH))
