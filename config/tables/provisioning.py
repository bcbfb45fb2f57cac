"""The tables of provisioning: the secrets of each MAC address, its last files, and one-time links."""

from datetime import datetime
from typing import Final

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from .. import checks
from .base import BigId, Table, UtcDateTime

MAC_LENGTH: Final = 12
DIGEST_LENGTH: Final = 64
ADDRESS_LENGTH: Final = 45
NAME_LENGTH: Final = 128


class Provisioning(Table):
    """The secrets with which the device at one MAC address loads its files (decision 96).

    The row counts only for phones of its customer: after the MAC address went to another one, it is void.
    """

    __tablename__ = "provisioning"

    mac: Mapped[str] = mapped_column(String(MAC_LENGTH), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    first_sha256: Mapped[str | None] = mapped_column(String(DIGEST_LENGTH), unique=True)
    """Hash of the first secret; None: it is spent."""
    first_enc: Mapped[str | None] = mapped_column(String(checks.SHORT_TEXT))
    """The first secret, sealed for the MAC address: an expected phone is told it."""
    first_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the first secret ends if no phone has used it."""
    steady_sha256: Mapped[str] = mapped_column(String(DIGEST_LENGTH), unique=True)
    steady_enc: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    """The steady secret, sealed: each configuration names it."""
    session_source: Mapped[str | None] = mapped_column(String(ADDRESS_LENGTH))
    """The address that has used the first secret."""
    session_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until when that address may use it again; None: it was not used."""
    expect_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until when the phone may ask without a secret, for where to load from."""
    expect_networks: Mapped[str | None] = mapped_column(String(checks.MAX_RESTRICTION))
    """Networks, separated by commas, from which it may ask then; None: any."""
    expect_source: Mapped[str | None] = mapped_column(String(ADDRESS_LENGTH))
    """The address that has asked; no other one is answered."""
    admin_password_enc: Mapped[str] = mapped_column(String(checks.SHORT_TEXT))
    """The password of the phone's own pages, sealed."""


class ProvisioningFile(Table):
    """The last configuration that a device has loaded, without its secrets: to show what would change."""

    __tablename__ = "provisioning_file"

    mac: Mapped[str] = mapped_column(
        String(MAC_LENGTH), ForeignKey("provisioning.mac", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    text_masked: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    """Hash of the whole text as it was sent."""
    served_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ProvisioningLink(Table):
    """A link that opens one file of one phone once."""

    __tablename__ = "provisioning_link"

    sha256: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    phone_id: Mapped[int] = mapped_column(BigId, ForeignKey("sip_phone.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    """The file: `linphone.xml` and others."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
