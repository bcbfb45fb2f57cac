"""The tables of customers and their people."""

from datetime import datetime
from typing import Final

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column

from .. import checks, clock
from ..access import AccessLevel
from ..properties import EMAIL, FLAG, NAMED, TEXT, InRows, stored, string_of, whole_of, word_of
from .base import NEVER_REUSED, Identified, Revised, Table, UtcDateTime

STATE: Final = word_of(("ACTIVE", "BLOCKED"))
"""Rows can also be DELETED, which no body says."""
LEVEL: Final = word_of(tuple(level.name for level in AccessLevel))
HOST_NAME: Final = string_of(checks.SHORT_TEXT, checks.host_name, "{} must be a host name")
LOGIN: Final = string_of(checks.SHORT_TEXT, checks.login, "{} is not a valid e-mail address")
_PASSWORD: Final = f"{{}} must be a text of at most {checks.MAX_PASSWORD} characters, and not empty"
PASSWORD: Final = string_of(checks.SHORT_TEXT, checks.password, _PASSWORD)
RESTRICTION: Final = string_of(
    checks.MAX_RESTRICTION, checks.restriction, "{} must be a comma list of addresses and networks"
)
MAX_CONTACTS: Final = 5
"""As many as any phone may have: see registrar/rules/register.py."""
MAX_QUOTA: Final = 1_000_000


def _quota(about: str, path: str) -> MappedColumn[int | None]:
    """Return the column of a quota that replaces a setting for one customer."""
    about = f"{about}; null: as the setting says. Above the own customer only"
    return stored(whole_of(0, MAX_QUOTA), about, f"quota.{path}")


class Installation(Table):
    """One row: which keys are in use, by their fingerprints, and since when if they replaced another key."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    secret_fingerprint: Mapped[str] = mapped_column(String(64))
    """The secret key that seals. A process without it does not start."""
    secret_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    jwt_fingerprint: Mapped[str | None] = mapped_column(String(64))
    jwt_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    media_sessions: Mapped[str | None] = mapped_column(String(64))
    """Prefix of the names of our sessions at the media relay: the same for all nodes and all keys."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.utc_now)


class Customer(Revised):
    """A tenant. If it has a SIP domain, its phones can register."""

    __tablename__ = "customer"
    __table_args__ = (
        CheckConstraint("state IN ('ACTIVE', 'BLOCKED', 'DELETED')", name="state"),
        UniqueConstraint("sip_domain"),
        NEVER_REUSED,
    )

    name: Mapped[str] = stored(TEXT, "Name of the company", NAMED, required=True)
    state: Mapped[str] = stored(
        STATE, "BLOCKED: no phone registers, and no person logs in", NAMED, default="ACTIVE"
    )
    parent_customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"), index=True)
    is_reseller: Mapped[bool] = stored(FLAG, "It may have customers of its own", NAMED)
    sip_domain: Mapped[str | None] = stored(
        HOST_NAME,
        "Where its phones register; unique; fixed as long as SIP users have passwords",
        NAMED,
        InRows(
            "domain",
            "Host name, unique on the whole platform",
            "Host name with which its users register",
            "sip.company.com",
            required=True,
            fixed=True,
        ),
    )
    sip_display_name: Mapped[str | None] = stored(
        TEXT, "Name of the domain for people", NAMED, InRows("displayName", "Name", example="Company")
    )
    totp_required: Mapped[bool] = stored(
        FLAG, "Its people log in with a password and the code of an authenticator", NAMED
    )
    call_recording: Mapped[bool] = stored(
        FLAG, "Calls of the domain are recorded", NAMED, InRows("rec", "Calls are recorded")
    )
    require_tls: Mapped[bool] = stored(
        FLAG, "Phones register and call over TLS or WSS only", "policy.tls", "requireTls"
    )
    require_srtp: Mapped[bool] = stored(
        FLAG, "Calls have encrypted media (SRTP), or are refused with 488", "policy.srtp", "requireSrtp"
    )
    require_sha256: Mapped[bool] = stored(
        FLAG,
        "Passwords are proved by SHA-256 only; the domain offers no MD5",
        "policy.sha256",
        "requireSha256",
    )
    require_networks: Mapped[bool] = stored(
        FLAG,
        "SIP users register from trusted networks only, and from nowhere if there is none",
        "policy.networks",
        "requireNetworks",
    )
    max_contacts: Mapped[int | None] = stored(
        whole_of(1, MAX_CONTACTS),
        "The most contacts of a phone; null: 5",
        "policy.maxContacts",
        "maxContacts",
    )
    max_calls: Mapped[int | None] = _quota("The most calls at once", "calls")
    max_call_rate: Mapped[int | None] = _quota("The most calls a second", "callsPerSecond")
    max_phone_calls: Mapped[int | None] = _quota("The most calls of one phone at once", "phoneCalls")
    max_extension_calls: Mapped[int | None] = _quota(
        "The most calls of one extension at once", "extensionCalls"
    )
    max_transactions: Mapped[int | None] = _quota("The most SIP transactions at one process", "transactions")
    max_phones: Mapped[int | None] = _quota("The most phones", "phones")
    max_logins: Mapped[int | None] = _quota("The most people with a login", "logins")
    max_webhooks: Mapped[int | None] = _quota("The most webhooks", "webhooks")
    max_streams: Mapped[int | None] = _quota("The most streams of events at one process", "streams")
    features: Mapped[list[str]] = mapped_column(JSON, default=list)
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    """Grows with the state, the domain and the trusted networks: everything that the view `phone_v1`
    shows."""


class Employee(Revised):
    """A person, who may call the API with a login or a token."""

    __tablename__ = "employee"
    __table_args__ = (Index("uq_employee_login_email", "login_email", unique=True), NEVER_REUSED)

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    name: Mapped[str] = stored(TEXT, "Name of the person", NAMED, required=True)
    access_level: Mapped[str] = stored(
        LEVEL,
        "What the person may do: each level may do what those before it may; at most one's own",
        NAMED,
        default=AccessLevel.PERSONAL.name,
    )
    state: Mapped[str] = stored(STATE, "BLOCKED: no login, and no token is good", NAMED, default="ACTIVE")
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    """Tokens contain it: a new password, level, state or login invalidates earlier tokens."""
    login_email: Mapped[str | None] = stored(
        LOGIN, "The login; unique among all employees of all customers", "emailAddress"
    )
    """In lower case."""
    password_hash: Mapped[str | None] = stored(
        PASSWORD,
        f"Written, never read; null takes it away. {checks.STRENGTH}",
        "password",
        written_as="password",
    )
    """argon2id"""
    ip_restriction: Mapped[str | None] = stored(
        RESTRICTION, "From where the person may call: 192.0.2.7,10.0.0.0/8; null: from anywhere", NAMED
    )
    contact_email: Mapped[str | None] = stored(
        EMAIL,
        "Where mail for the person goes",
        NAMED,
        InRows("email", "E-mail address", example="joe.blogs@company.com"),
    )
    first_name: Mapped[str | None] = stored(TEXT, "First name", NAMED, InRows(NAMED, example="Joe"))
    last_name: Mapped[str | None] = stored(TEXT, "Last name", NAMED, InRows(NAMED, example="Blogs"))
    title: Mapped[str | None] = stored(TEXT, "What the person does", NAMED, InRows("jobName", "Job"))
    department: Mapped[str | None] = stored(TEXT, "Department", NAMED, "departmentName")
    company_name: Mapped[str | None] = stored(TEXT, "Company", both=NAMED)
    office_name: Mapped[str | None] = stored(TEXT, "Office", both=NAMED)


class EmployeeToken(Identified):
    """A token of a machine, with the rights of the person for whom it was made."""

    __tablename__ = "employee_token"
    __table_args__ = (NEVER_REUSED,)

    employee_id: Mapped[int] = mapped_column(ForeignKey("employee.id", ondelete="CASCADE"), index=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    note: Mapped[str | None] = mapped_column(String(checks.SHORT_TEXT))
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """None only for a moment: an older version has made it while a newer one runs beside it."""
    warned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its coming end was announced."""
