"""New credentials for a phone: what could tell them to a former holder of its secrets is void, too.

A password that has leaked was in a file, and the URL of the file may have leaked with it. So a reset also
makes new secrets of provisioning, and ends one-time links and the `pbxDeviceToken`: each of them would open
the new password.
"""

from typing import Final, NamedTuple

from sqlalchemy import delete

from ..operations.audit import Work
from ..operations.phones.write import TABLE, reset_credentials
from ..settings import ProvisioningSettings
from ..tables import ProvisioningLink, SipPhone
from .arming import arm, row_of, set_steady

NEXT_STEP: Final = (
    "The URL that the phone loads its configuration from is void, too. Make the next one with "
    'POST /pbx/sipphone/{id}/provisioning {"rearm": true} and enter it at the phone, or reset the phone to '
    "factory settings if a redirect service or DHCP sends it here"
)
KEPT: Final = (
    "The phone learns its new password when it loads its configuration: restart it. Anybody who has the "
    "URL of its configuration learns it, too"
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
    if keep:
        return Reset(phone, KEPT if row is not None else "")
    phone.device_token_sha256 = None
    await work.session.execute(delete(ProvisioningLink).where(ProvisioningLink.phone_id == phone.id))
    if row is None:
        return Reset(phone, "")
    set_steady(await arm(work.session, work.vault, phone, settings), work.vault)
    await work.settle(phone.mac)
    work.record("rotate", TABLE, phone.oid)
    return Reset(phone, NEXT_STEP.replace("{id}", phone.oid))
