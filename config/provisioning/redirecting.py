"""The URL that a redirect service of a vendor is told: that of the configuration, with the first secret."""

from sqlalchemy.ext.asyncio import AsyncSession

from registrar.store.vault import Vault

from ..redirect.outbox import UrlOf
from ..settings import ProvisioningSettings
from ..tables import SipPhone
from .arming import arm, row_of, url_of, writer_of


def redirect_urls(settings: ProvisioningSettings) -> UrlOf:
    """Return the function that knows where a phone loads its configuration from."""

    async def found(session: AsyncSession, vault: Vault, phone: SipPhone, *, is_sent: bool) -> str | None:
        writer = await writer_of(session, phone)
        if not settings.is_on or writer is None:
            return None
        row = await row_of(session, phone)
        if row is None and is_sent:
            row = await arm(session, vault, phone, settings)
        if row is None or row.first_sha256 is None or row.first_enc is None:
            return None
        return url_of(row, phone, writer, vault, settings)

    return found
