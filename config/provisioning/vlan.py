"""How a phone is told to leave a VLAN: only one that was told a VLAN before (decision 102)."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..tables import ProvisioningFile
from .extra import without_extra

MARKS: Final[Mapping[str, str]] = {
    "snom": "<vlan_id ",
    "snom8": "<vlan_id ",
    "snom-dect": "<vlan_id ",
    "mitel": "\ntagging enabled: ",
    "yealink": "\nstatic.network.vlan.internet_port_enable = ",
    "yealink-dect": "\nstatic.network.vlan.internet_port_enable = ",
    "gigaset-n510": ".ucB_VLAN_ENABLED",
    "maxwell": '"NET.VLAN.Tagging"',
    "grandstream": ".vlan.enable",
    "spa": "<Enable_VLAN ",
    "mpp": "<Enable_VLAN ",
}
"""Writer -> text that a file has if it says anything about a VLAN, on or off.

So a file that has told the phone to leave is the same at the next load.
"""


async def had_vlan(session: AsyncSession, mac: str, writer: str) -> bool:
    """Return whether the file that a device loaded last says anything about a VLAN.

    Extra lines do not count: who sets a VLAN there also ends it there.
    """
    mark = MARKS.get(writer)
    if mark is None:
        return False
    kept = select(ProvisioningFile.text_masked).where(
        ProvisioningFile.mac == mac, ProvisioningFile.text_masked.contains(mark, autoescape=True)
    )
    return any(mark in without_extra(text) for text in await session.scalars(kept))
