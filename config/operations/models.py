"""The search for a phone model."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..models import GENERIC as GENERIC
from ..models import MODELS as MODELS
from ..models import WEBRTC as WEBRTC
from ..tables import SipPhoneModel
from .ids import parse_oid


async def find_model(session: AsyncSession, oid: object) -> SipPhoneModel | None:
    """Return the model with this id, or None if it is unknown or not an id."""
    parsed = parse_oid(oid)
    if parsed is None:
        return None
    found: SipPhoneModel | None = await session.scalar(
        select(SipPhoneModel).where(SipPhoneModel.oid == parsed)
    )
    return found
