"""The tables of logins: sessions, and the second factor of people (decisions 108 and 109)."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from .. import checks, clock
from .base import NEVER_REUSED, BigId, Identified, Table, UtcDateTime

AGENT_LENGTH = 256


class LoginSession(Identified):
    """One login for a token. The token names it, and is void when it has ended."""

    __tablename__ = "login_session"
    __table_args__ = (NEVER_REUSED,)

    employee_id: Mapped[int] = mapped_column(ForeignKey("employee.id", ondelete="CASCADE"), index=True)
    source_ip: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(AGENT_LENGTH))
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """None: it lasts until the employee changes."""
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class EmployeeTotp(Table):
    """The secret of a person's authenticator (RFC 6238)."""

    __tablename__ = "employee_totp"

    employee_id: Mapped[int] = mapped_column(
        ForeignKey("employee.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    secret_enc: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    """Sealed for the id of the employee."""
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """None: the person has not shown a code yet, so logins need none."""
    last_step: Mapped[int] = mapped_column(BigInteger, default=0)
    """Number of the 30 s of the last code: it, and those before it, are refused from then on."""
    misses: Mapped[int] = mapped_column(default=0)
    """Wrong codes since the last right one."""
    held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """After too many wrong codes, none is looked at until then, whatever its source."""


class RecoveryCode(Table):
    """A code for a person whose authenticator is lost; each is good for one login."""

    __tablename__ = "recovery_code"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    employee_id: Mapped[int] = mapped_column(ForeignKey("employee.id", ondelete="CASCADE"), index=True)
    code_sha256: Mapped[str] = mapped_column(String(64))
    """80 random bits need no slower hash."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.utc_now)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
