"""The table of changes that the SIP side follows (registrar/store/change_follower.py)."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from .. import clock
from .base import NEVER_REUSED, OID_LENGTH, BigId, Table

WORD_LENGTH = 16


def _now() -> int:
    return int(clock.epoch_now())


class NotedChange(Table):
    """One change that the SIP side must hear of: a word of `registrar.store.announce`, and one id."""

    __tablename__ = "change"
    __table_args__ = (NEVER_REUSED,)

    seq: Mapped[int] = mapped_column(BigId, primary_key=True)
    what: Mapped[str] = mapped_column(String(WORD_LENGTH))
    id: Mapped[str] = mapped_column(String(OID_LENGTH))
    """Of a phone, of a SIP user (`u7`), or of a customer; empty for `everybody`."""
    at: Mapped[int] = mapped_column(BigInteger, default=_now)
    """Seconds since 1970."""
