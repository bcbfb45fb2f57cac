"""One-time links: the account of a phone for a softphone, behind a URL that opens once.

The database has the digest of the secret alone. The URL is told to the caller who makes it, and never again.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import delete, or_

from registrar.model import IpMode

from .. import clock
from ..errors import refused
from ..operations.audit import Work
from ..operations.draft import Document
from ..operations.phones.write import TABLE, lock_phone
from ..settings import ProvisioningSettings
from ..tables import ProvisioningLink, SipPhone
from . import secrets
from .draft import Unwritable
from .load import load
from .softphones import CLIENTS, Client

LINK: Final = "link"
"""The action in the audit log, and the property of the request."""
LASTS: Final = timedelta(minutes=10)
WILL_LOCK: Final = (
    "The phone is OPEN: it is locked to the address from which the link is loaded. A softphone that moves "
    "between networks needs the mode ROAMING"
)


class Link(NamedTuple):
    """A link that was made."""

    phone: SipPhone
    client: Client
    secret: str
    expires: datetime
    warnings: tuple[str, ...]


def read_client(document: Document) -> Client:
    """Return the softphone that the request names. Raise Refused (422) for an unknown one."""
    sent = document.given(LINK)
    client = CLIENTS.get(sent) if isinstance(sent, str) else None
    if client is None:
        raise refused(LINK, f"link must be one of {', '.join(CLIENTS)}", "enum", 422)
    return client


async def make_link(work: Work, oid: object, client: Client, settings: ProvisioningSettings) -> Link:
    """Make a link to the file of a softphone; former links of this phone end.

    Raise Refused: 404, and 409 if there is no listener for phones, or if the file cannot carry the account.
    """
    if not settings.is_on:
        raise refused(LINK, "No listener for phones is configured: set REGISTRAR_PROV_HTTPS", "allowed")
    phone, customer = await lock_phone(work.session, work.caller, oid)
    if not customer.sip_domain:
        raise refused("customer", "The customer has no SIP domain, so the phone cannot register", "exists")
    warnings = await _tried(work, phone, client, settings)
    if phone.ip_mode == IpMode.OPEN and phone.ip_policy == "PHONE":
        warnings = (WILL_LOCK, *warnings)
    secret, now = secrets.new_secret(), clock.utc_now()
    await work.session.execute(
        delete(ProvisioningLink).where(
            or_(ProvisioningLink.phone_id == phone.id, ProvisioningLink.expires_at <= now)
        )
    )
    row = ProvisioningLink(
        sha256=secrets.digest(secret), phone_id=phone.id, name=client.file, expires_at=now + LASTS
    )
    work.session.add(row)
    work.record(LINK, TABLE, phone.oid)
    return Link(phone, client, secret, row.expires_at, warnings)


async def _tried(
    work: Work, phone: SipPhone, client: Client, settings: ProvisioningSettings
) -> tuple[str, ...]:
    """Return what the file does not carry. Raise Refused (409) if it cannot be written at all."""
    device = await load(work.session, work.vault, [phone.oid], settings)
    if device is None:
        raise LookupError(phone.oid)
    try:
        file = client.render(device.phone.account, device.phone.server)
    except Unwritable as error:
        raise refused(
            error.field, f"{client.title} cannot be given this account: {error}", "allowed"
        ) from None
    return (*file.warnings, *(f"{one.field} is left out: {one.reason}" for one in file.left_out))
