"""New credentials for a phone. Each secret that would open them becomes void, too.

A password that has leaked was in a file, and the URL of the file may have leaked with it. So a reset also
makes new secrets of provisioning, and ends one-time links and the `pbxDeviceToken`: each of them would open
the new password. The password of the phone's own pages was in the file, too. The phone has it until it loads
the new one, and it is shown until then: it may be needed to enter the new URL.
"""

from typing import Final, NamedTuple

from sqlalchemy import delete

from ..operations.audit import Work
from ..operations.phones.write import TABLE, reset_credentials
from ..settings import ProvisioningSettings
from ..tables import ProvisioningLink, SipPhone
from .admin_password import make_admin, read_admin
from .arming import arm, row_of, set_steady, writer_of

NEXT_STEP: Final = (
    "The URL that the phone loads its configuration from is void, too. Make the next one with "
    'POST /pbx/sipphone/{id}/provisioning {"rearm": true} and enter it at the phone, or reset the phone to '
    "factory settings if a redirect service or DHCP sends it here"
)
BY_HAND: Final = (
    "No configuration is written for this phone: enter the new username and password at the phone. "
    "The URLs and secrets that it had are void"
)
KEPT: Final = (
    "The phone learns its new password when it loads its configuration: restart it. Each holder of "
    "the URL of its configuration learns it, too"
)


class Reset(NamedTuple):
    """A phone with new credentials, and what to do now."""

    phone: SipPhone
    next_step: str
    """Empty for a phone that has no secrets of provisioning: enter the credentials by hand."""


async def reset(work: Work, oid: object, settings: ProvisioningSettings, *, keep: bool) -> Reset:
    """Make new credentials, and let no former secret open them. Raise Refused as `reset_credentials`.

    `keep` leaves the secrets as they are: for a password that is changed, and has not leaked.
    """
    phone = await reset_credentials(work, oid)
    row = await row_of(work.session, phone)
    is_told = settings.is_on and await writer_of(work.session, phone) is not None
    if keep:
        return Reset(phone, KEPT if row is not None and is_told else "")
    phone.device_token_sha256 = None
    await work.session.execute(delete(ProvisioningLink).where(ProvisioningLink.phone_id == phone.id))
    if row is None:
        return Reset(phone, "")
    row = await arm(work.session, work.vault, phone, settings)
    set_steady(row, work.vault)
    former = read_admin(row, work.vault).asked if phone.config_loaded_at is not None else ""
    make_admin(row, work.vault, former)
    await work.settle(phone.mac)
    work.record("rotate", TABLE, phone.oid)
    return Reset(phone, NEXT_STEP.replace("{id}", phone.oid) if is_told else BY_HAND)
