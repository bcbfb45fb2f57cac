"""The tables of what can be dialled, and of the networks from which SIP users register."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .. import checks, clock
from ..properties import (
    CALLER_NAME,
    DIAL_PLAN,
    DIALLED,
    FLAG,
    NAMED,
    TEXT,
    InRows,
    secret_of,
    stored,
    string_of,
    text_of,
    whole_of,
    word_of,
)
from .base import NEVER_REUSED, OID_LENGTH, Identified, Revised, Table, UtcDateTime

MAX_SIP_PASSWORD: Final = 128
MAX_PIN: Final = 16
RING_STRATEGIES: Final = ("all", "huntLongestIdle")
MAX_ATTEMPTS: Final = 100
MAX_RING_SECONDS: Final = 3_600
MAX_ORDER: Final = 10_000
LAST_PRIORITY: Final = 20

SIP_USER: Final = string_of(64, checks.sip_user, "{} must be letters, digits and . _ ~ + -, at most 64")
NETWORK: Final = string_of(64, checks.cidr, "{} must be a network such as 10.0.20.0/24")
STRATEGY: Final = word_of(RING_STRATEGIES)
EITHER_STRATEGY: Final = string_of(16, STRATEGY.check, f"{{}} must be {' or '.join(RING_STRATEGIES)}")


IN_DOMAIN: Final = "Unique among the users, groups and queues of the domain"
NUMBER: Final = InRows("extensionNumber", IN_DOMAIN, "Number in the domain")
CALLER: Final = InRows(
    NAMED,
    "How the caller is shown: text, {displayName}, {srcPhoneNumber} and {dgrpName}",
    "How the caller is shown",
    "{displayName}",
)
UNIQUE: Final = "Unique among the extensions, groups and queues of the customer"
SHOWN_CALLER: Final = f"How the caller is shown: text and {', '.join(checks.PLACEHOLDERS)}"
SHOWN_NAME: Final = "Name that phones show"


class Number(Table):
    """The owner of a number in a customer's dial plan, which extensions, groups and queues share.

    Every row of those three tables has a row here, which `operations.dial_plan` writes with it.
    """

    __tablename__ = "number"
    __table_args__ = (CheckConstraint("kind IN ('extension', 'group', 'queue')", name="kind"),)

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    number: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    ref: Mapped[str] = mapped_column(String(OID_LENGTH), unique=True)
    """The `oid` of the row that has the number."""


class Extension(Identified):
    """A number of a customer's dial plan; with `sip_user` and a password also a SIP user that registers."""

    __tablename__ = "extension"
    __table_args__ = (
        UniqueConstraint("customer_id", "number"),
        Index("uq_extension_customer_id_sip_user", "customer_id", "sip_user", unique=True),
        Index(
            "uq_extension_primary",
            "employee_id",
            unique=True,
            sqlite_where=text("is_primary"),
            postgresql_where=text("is_primary"),
        ),
        NEVER_REUSED,
    )

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    employee_id: Mapped[int | None] = mapped_column(ForeignKey("employee.id"), index=True)
    is_primary: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    """Grows with every change."""
    number: Mapped[str] = stored(DIAL_PLAN, UNIQUE, NAMED, replace(NUMBER, example="200"), required=True)
    name: Mapped[str] = stored(
        TEXT,
        "Name of the person or the place",
        NAMED,
        InRows("displayName", "Name", example="Joe Blogs"),
        required=True,
    )
    direct_number: Mapped[str | None] = stored(DIALLED, "Number outside", "direct")
    sip_user: Mapped[str | None] = stored(
        SIP_USER,
        "Name of a SIP user that registers with a password of its own at the customer's domain",
        NAMED,
        InRows(
            "user",
            "SIP user name, unique in the domain; it never changes",
            "SIP user name; null: registers with no password of its own",
            "joe.blogs",
            required=True,
            fixed=True,
        ),
    )
    sip_ha1_md5: Mapped[str | None] = stored(
        secret_of(MAX_SIP_PASSWORD),
        f"Its password; written, never read. {checks.STRENGTH}",
        "sipPassword",
        InRows(
            "password", f"With it the user registers; written, never read. {checks.STRENGTH}", required=True
        ),
        written_as="password",
        sql=String(64),
    )
    """HA1 of (sip_user, SIP domain, password). The password itself is not stored."""
    sip_ha1_sha256: Mapped[str | None] = mapped_column(String(64))
    sip_secret_version: Mapped[int] = mapped_column(default=1)
    pin_hash: Mapped[str | None] = stored(
        secret_of(MAX_PIN), "For hot desking; written, never read", both="pin", written_as="pin"
    )
    """argon2id"""
    hotdesk_allowed: Mapped[bool] = stored(FLAG, "Hot desk login with the pin is allowed", both=NAMED)
    uk_caller_id: Mapped[str | None] = stored(DIALLED, "Caller id for calls to UK numbers", both=NAMED)
    us_caller_id: Mapped[str | None] = stored(DIALLED, "Caller id for calls to US numbers", both=NAMED)
    uk_phone_id: Mapped[int | None] = stored(
        whole_of(0, checks.MAX_NUMBER),
        "Phone id to provision, UK",
        NAMED,
        InRows(NAMED, "Phone to provision, UK", example="", fixed=True),
    )
    us_phone_id: Mapped[int | None] = stored(
        whole_of(0, checks.MAX_NUMBER),
        "Phone id to provision, US",
        NAMED,
        InRows(NAMED, "Phone to provision, US", example="", fixed=True),
    )
    mobile_number: Mapped[str | None] = stored(DIALLED, "Missed calls go here", both=NAMED)
    mobile_follow: Mapped[bool] = stored(FLAG, "Follow to the mobile number", both=NAMED)
    dashboard: Mapped[bool] = stored(FLAG, "Shown on the real-time dashboard", both=NAMED)


class SipGroup(Revised):
    """Extensions that ring together, and what the members may do with each other's calls."""

    __tablename__ = "sip_group"
    __table_args__ = (UniqueConstraint("customer_id", "number"), NEVER_REUSED)

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    name: Mapped[str] = stored(
        TEXT, "Name of the group", NAMED, InRows("groupName", example="sales"), required=True
    )
    display_name: Mapped[str | None] = stored(
        TEXT, SHOWN_NAME, NAMED, InRows(NAMED, example="Sales Dept", required=True)
    )
    number: Mapped[str] = stored(DIAL_PLAN, UNIQUE, NAMED, replace(NUMBER, example="600"), required=True)
    ring_retry: Mapped[bool] = stored(FLAG, "Ring again if the call was not answered", both=NAMED)
    ring_exclusive: Mapped[bool] = stored(
        FLAG, "Do not ring members who are in a call", NAMED, InRows(NAMED, "Calls queue for the group")
    )
    caller_name_format: Mapped[str | None] = stored(CALLER_NAME, SHOWN_CALLER, NAMED, CALLER)
    pickup: Mapped[bool] = stored(FLAG, "Members may pick up each other's calls", NAMED)
    steal: Mapped[bool] = stored(FLAG, "Members may take over each other's calls", NAMED)
    spy: Mapped[bool] = stored(FLAG, "Members may listen to each other's calls", NAMED)
    set_presence: Mapped[bool] = stored(FLAG, "Members may set each other's presence", NAMED)
    queue_member: Mapped[bool] = stored(
        FLAG, "Members may log each other in to queues and out of them", NAMED
    )


class _GroupLink(Table):
    """The link of an extension to a group."""

    __abstract__ = True

    group_id: Mapped[int] = mapped_column(ForeignKey("sip_group.id", ondelete="CASCADE"), primary_key=True)
    extension_id: Mapped[int] = mapped_column(
        ForeignKey("extension.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class SipGroupMember(_GroupLink):
    """An extension of a group."""

    __tablename__ = "sip_group_member"

    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.utc_now)


class SipGroupController(_GroupLink):
    """An extension that may pick up the calls of a group."""

    __tablename__ = "sip_group_controller"


class Queue(Revised):
    """A queue of calls that wait for a member."""

    __tablename__ = "queue"
    __table_args__ = (UniqueConstraint("customer_id", "number"), NEVER_REUSED)

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    name: Mapped[str] = stored(
        TEXT, "Name of the queue", NAMED, InRows("queueName", example="sales"), required=True
    )
    display_name: Mapped[str | None] = stored(
        TEXT, SHOWN_NAME, NAMED, InRows(NAMED, example="Sales Dept", required=True)
    )
    number: Mapped[str] = stored(DIAL_PLAN, UNIQUE, NAMED, replace(NUMBER, example="700"), required=True)
    caller_name_format: Mapped[str | None] = stored(CALLER_NAME, SHOWN_CALLER, NAMED, CALLER)
    strategy: Mapped[str | None] = stored(
        text_of(32),
        "How members that are extensions ring: CONCURRENT (all at once), LONGEST_IDLE (one after the other, "
        "the longest idle first); with any other value one after the other in the order of `priority`",
        NAMED,
    )


class QueueMember(Revised):
    """The target of a queue's calls: a group, an extension, or an external number."""

    __tablename__ = "queue_member"
    __table_args__ = (
        CheckConstraint(
            "(CASE WHEN group_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN extension_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN external_number IS NULL THEN 0 ELSE 1 END) = 1",
            name="one_target",
        ),
        CheckConstraint("ring_strategy IN ('all', 'huntLongestIdle')", name="ring_strategy"),
        NEVER_REUSED,
    )

    queue_id: Mapped[int] = mapped_column(ForeignKey("queue.id", ondelete="CASCADE"), index=True)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("sip_group.id", ondelete="CASCADE"), index=True)
    extension_id: Mapped[int | None] = mapped_column(
        ForeignKey("extension.id", ondelete="CASCADE"), index=True
    )
    external_number: Mapped[str | None] = mapped_column(String(32))
    ring_strategy: Mapped[str] = stored(
        STRATEGY,
        "",
        NAMED,
        InRows(
            NAMED,
            f"How the users of the group ring: {' or '.join(RING_STRATEGIES)}",
            "How the users of the group ring",
            "all",
            required=True,
            kind=EITHER_STRATEGY,
        ),
        default="all",
    )
    ring_attempts: Mapped[int] = stored(
        whole_of(1, MAX_ATTEMPTS),
        "",
        NAMED,
        InRows(
            NAMED,
            "How often, when all are busy",
            example="3",
            required=True,
            kind=whole_of(0, MAX_ATTEMPTS).as_text,
        ),
        default=1,
    )
    ring_secs: Mapped[int] = stored(
        whole_of(1, MAX_RING_SECONDS),
        "",
        NAMED,
        InRows(NAMED, "How long, until the next member rings", example="20", required=True),
        default=20,
    )
    ring_order: Mapped[int] = stored(
        whole_of(1, LAST_PRIORITY),
        "",
        "priority",
        InRows(
            NAMED, "The lowest rings first", example="0", required=True, kind=whole_of(0, MAX_ORDER).as_text
        ),
        default=1,
    )
    permanent: Mapped[bool] = stored(FLAG, "", NAMED)


class TrustedNetwork(Revised):
    """A network from which the SIP users of a customer may register (decision 3)."""

    __tablename__ = "trusted_network"
    __table_args__ = (UniqueConstraint("customer_id", "network"), NEVER_REUSED)

    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    network: Mapped[str] = mapped_column(String(64))
    """CIDR in canonical form: the host bits are zero."""
    network_as_sent: Mapped[str] = stored(
        NETWORK,
        "A network of IPv4 or IPv6 in CIDR form; host bits do not count",
        row=InRows("network", shown="The network as it was sent", example="10.0.20.10/24"),
        required=True,
    )
    description: Mapped[str | None] = stored(
        TEXT, "Description", row=InRows("description", example="Head office")
    )
