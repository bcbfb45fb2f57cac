"""The standing of a phone: why it is online or offline, and over which transport (docs/redis.md).

The index of states keeps it for each phone that has a state. A change of standing is written to the index,
and a refresh is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from registrar.model import Reason, Snapshot, Update

from .status import newest

NO_TRANSPORT: Final = "-"
"""In an entry of the index: the transport is not known."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Why a phone is online or offline; it is online if the reason is `registered`."""

    reason: str
    transport: str = ""
    """The present or last one; empty if it is not known."""


def standing(fields: Mapping[str, str]) -> Standing | None:
    """Return the standing in the fields of a status, or None if they have no state."""
    if "online" not in fields:
        return None
    return Standing(fields.get("reason", ""), fields.get("transport", ""))


def new_standing(before: Snapshot, update: Update) -> Standing | None:
    """Return the standing that an update of `before` makes, or None if it leaves the standing as it is.

    A phone that stays online has a status without a new `since`. A phone that was refused while it was
    offline may have the same standing as before: a snapshot does not say.
    """
    after = standing(update.status)
    if after is None:
        return None
    said_online = [binding for binding in before.bindings if not binding.silent_since]
    known = said_online or before.bindings
    transport = newest(known).transport if known else ""
    was_online = after.reason == Reason.REGISTERED and "since" not in update.status
    if was_online and transport == after.transport:
        return None
    return Standing(after.reason, after.transport or transport)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the index: a standing, and the version of the snapshot that it belongs to."""

    version: int
    standing: Standing

    def __str__(self) -> str:
        return f"{self.version} {self.standing.reason} {self.standing.transport or NO_TRANSPORT}"


def parse_entry(text: str) -> Entry | None:
    """Return the entry, or None for an empty or malformed text."""
    version, _, words = text.partition(" ")
    reason, _, transport = words.partition(" ")
    if not (version.isascii() and version.isdigit() and reason and transport):
        return None
    return Entry(int(version), Standing(reason, "" if transport == NO_TRANSPORT else transport))
