"""What a device would load now, without its secrets: the files, what is left out, and what has changed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import unified_diff
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ..tables import ProvisioningFile
from . import files, softphones
from .draft import LeftOut
from .files import Meant
from .load import Device
from .render import WRITERS, File, Unwritable, render
from .view import Provisioned, masked

MAX_DIFF: Final = 2_000
"""Lines of a diff; a longer one is cut."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One file as it would be sent, with its secrets replaced."""

    name: str
    content_type: str
    text: str
    sha256: str
    """Hash of the whole text, with the secrets. Short ones, such as a PIN, can be guessed from it."""
    is_config: bool
    loaded_at: datetime | None = None
    """When it was loaded last."""
    is_loaded: bool | None = None
    """Whether the device has loaded this very text; None: it has not loaded the file yet."""
    diff: str = ""
    """From what was loaded last to what would be loaded now."""


@dataclass(frozen=True, slots=True)
class Preview:
    """All files of a device."""

    files: tuple[Shown, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]
    problems: tuple[LeftOut, ...]
    """Values that cannot be written: the device gets 503 until they are changed."""


async def preview(session: AsyncSession, device: Device, *, secrets: bool = False) -> Preview:
    """Return what a device would load now; the texts have their secrets only if that is asked for."""
    phone = device.phone
    kept = await _kept(session, phone.mac)
    shown: list[Shown] = []
    left_out: dict[LeftOut, None] = {}
    warnings: dict[str, None] = {}
    problems: list[LeftOut] = []
    for name in _names(phone):
        try:
            file = _written(phone, name)
        except Unwritable as error:
            problems.append(LeftOut(error.field, error.reason))
            continue
        left_out |= dict.fromkeys(file.left_out)
        warnings |= dict.fromkeys(file.warnings)
        bare = _written(masked(phone), name).text
        one = _shown(file, bare, kept.get(name), phone)
        shown.append(replace(one, text=file.text) if secrets else one)
    return Preview(tuple(shown), tuple(left_out), tuple(warnings), tuple(problems))


def _names(phone: Provisioned) -> Sequence[str]:
    if phone.writer in WRITERS:
        names = files.names(phone.writer, phone.mac, phone.model)
        return [name for name in names if files.meant(phone.writer, phone.mac, name) is not None]
    return [client.file for client in softphones.CLIENTS.values()]


def _written(phone: Provisioned, name: str) -> File:
    client = None if phone.writer in WRITERS else softphones.of_file(name)
    return render(phone, name) if client is None else client.render(phone.account, phone.server)


async def _kept(session: AsyncSession, mac: str) -> Mapping[str, ProvisioningFile]:
    rows = await session.scalars(select(ProvisioningFile).where(ProvisioningFile.mac == mac))
    return {row.name: row for row in rows}


def _shown(file: File, text: str, kept: ProvisioningFile | None, phone: Provisioned) -> Shown:
    sha256 = hashlib.sha256(file.text.encode()).hexdigest()
    is_config = phone.writer not in WRITERS or (
        files.meant(phone.writer, phone.mac, file.name) is Meant.CONFIG
    )
    if kept is None:
        return Shown(file.name, file.content_type, text, sha256, is_config)
    diff = _diff(kept.text_masked, text, file.name)
    is_loaded = kept.sha256 == sha256
    return Shown(file.name, file.content_type, text, sha256, is_config, kept.served_at, is_loaded, diff)


def _diff(before: str, after: str, name: str) -> str:
    lines = unified_diff(
        before.splitlines(), after.splitlines(), f"{name} (loaded)", f"{name} (now)", lineterm="", n=1
    )
    return "\n".join([line for line, _ in zip(lines, range(MAX_DIFF), strict=False)])
