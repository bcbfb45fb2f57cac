"""Quotas of a customer in the API: more is refused with 409, and operators are told before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from registrar.model import Notice
from registrar.rules.quotas import NEARLY_USED
from registrar.store.notices import notice_fields

from .. import clock
from ..errors import refused
from ..settings import ApiQuotas
from ..tables import Customer, Employee, SipPhone, Webhook

_COUNTED: Final = {
    "phones": select(func.count(SipPhone.id)),
    "logins": select(func.count(Employee.id)).where(Employee.login_email.is_not(None)),
    "webhooks": select(func.count(Webhook.id)),
}
_OWNERS: Final[dict[str, InstrumentedAttribute[int]]] = {
    "phones": SipPhone.customer_id,
    "logins": Employee.customer_id,
    "webhooks": Webhook.customer_id,
}
_WORDS: Final = {"phones": "phones", "logins": "people with a login", "webhooks": "webhooks"}


@dataclass(frozen=True, slots=True)
class Used:
    """How much of a quota a customer uses after a change."""

    quota: str
    customer: str
    count: int
    most: int

    def event(self) -> Mapping[str, str]:
        """Return the fields of the event that most of the quota is used."""
        return notice_fields(Notice(NEARLY_USED, clock.epoch_now(), self.quota, self.customer))


@dataclass(slots=True)
class Room:
    """The room that customers have, and how much of it a change has used."""

    quotas: ApiQuotas
    used: list[Used] = field(default_factory=list)

    async def take(self, session: AsyncSession, customer: Customer, quota: str) -> None:
        """Count one more. Raise Refused (409) if the customer has as many as it may have.

        Of several requests at the same moment, each may be let in.
        """
        most = most_of(self.quotas, customer, quota)
        counted = _COUNTED[quota].where(_OWNERS[quota] == customer.id)
        count = await session.scalar(counted) or 0
        if count >= most:
            message = f"The customer has {count} {_WORDS[quota]} already, and may have {most}"
            raise refused("customer", message, "range")
        self.used.append(Used(quota, customer.oid, count + 1, most))


def most_of(quotas: ApiQuotas, customer: Customer, quota: str) -> int:
    """Return the number of a customer: its own, else that of the settings."""
    own: int | None = getattr(customer, f"max_{quota}")
    most: int = getattr(quotas, quota)
    return most if own is None else own
