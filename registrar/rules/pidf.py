"""What is shown of a person's presence, and the document that says so (RFC 3856, RFC 3863, RFC 4480)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from registrar.model import Published

from .dialog_info import xml

CONTENT_TYPE: Final = "application/pidf+xml"


class Activity(StrEnum):
    """What a person is doing, as far as this service knows."""

    FREE = ""
    ON_THE_PHONE = "on-the-phone"
    DO_NOT_DISTURB = "busy"
    AWAY = "away"
    """All calls go elsewhere."""
    OFFLINE = "offline"


NOTES: Final = {
    Activity.FREE: "",
    Activity.ON_THE_PHONE: "On the phone",
    Activity.DO_NOT_DISTURB: "Do not disturb",
    Activity.AWAY: "Away",
    Activity.OFFLINE: "Offline",
}


@dataclass(frozen=True, slots=True)
class Presence:
    """The presence of a person."""

    activity: Activity
    reason: str = ""
    """Why it is offline: the `reason` of the status of its phones (docs/redis.md)."""
    published: str = ""
    """The note that the person has published; it replaces our own."""
    is_closed: bool = False
    """Whether the person has published that it does not want to be reached."""

    @property
    def note(self) -> str:
        """Return the text for people."""
        if self.published:
            return self.published
        note = NOTES[self.activity]
        return f"{note}: {self.reason}" if note and self.reason else note


def presence(
    *,
    is_online: bool,
    reason: str,
    is_talking: bool,
    dnd: bool,
    is_away: bool,
    published: Published | None = None,
) -> Presence:
    """Return the presence of a person; `reason` says why it is offline, if it is.

    What this service knows of the phones, the wishes and the calls wins over what the person has published.
    """
    if not is_online:
        return Presence(Activity.OFFLINE, reason)
    if dnd:
        return Presence(Activity.DO_NOT_DISTURB)
    if is_talking:
        return Presence(Activity.ON_THE_PHONE)
    activity = Activity.AWAY if is_away else Activity.FREE
    if published is None:
        return Presence(activity)
    return Presence(activity, published=published.note, is_closed=not published.is_open)


def document(shown: Presence, *, entity: str) -> bytes:
    """Return the document for a subscriber; `entity` is the URI as it was subscribed to."""
    basic = "closed" if shown.is_closed or shown.activity is Activity.OFFLINE else "open"
    note = f"<note>{xml(shown.note)}</note>" if shown.note else ""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" '
        f'xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="{xml(entity)}">',
        f' <tuple id="t1"><status><basic>{basic}</basic></status>'
        f"<contact>{xml(entity)}</contact>{note}</tuple>",
    ]
    if shown.activity not in (Activity.FREE, Activity.OFFLINE):
        activity = f"<rpid:activities><rpid:{shown.activity}/></rpid:activities>"
        lines.append(f' <dm:person id="p1">{activity}</dm:person>')
    return "\n".join([*lines, "</presence>", ""]).encode()
