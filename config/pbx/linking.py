"""The action `link` of a phone's provisioning: a one-time link for a softphone, as text and as a QR code."""

from collections.abc import Mapping
from typing import Final

from ..auth import Caller
from ..deps import Parts
from ..errors import level_too_low
from ..operations.audit import Actor
from ..operations.draft import Document
from ..preconditions import Target
from ..provisioning.linking import LINK, Link, make_link, read_client
from ..provisioning.qr import svg
from ..provisioning.softphones import CLIENTS
from .schema import Schema, array, moment, of, sure
from .shown import Json

ASKED: Final[Mapping[str, Schema]] = {
    LINK: sure(
        "string",
        "Make a link that opens the account of this phone for a softphone, once and for ten minutes; former "
        "links of the phone end",
        enum=list(CLIENTS),
        example="linphone",
    )
}
"""The property of the request."""
ANSWERED: Final[Mapping[str, Schema]] = {
    "expires": moment("With `link`: when the link ends if it was not opened"),
    "hint": sure("string", "With `link`: what a person does with it"),
    "warnings": array(
        sure("string"), "With `link`: what the softphone is not told, and what opening it does"
    ),
    "qr": of(
        "string", "With `link`: an SVG for the camera; null: the softphone takes no picture with a link"
    ),
}
"""The properties of the answer beside `url`."""


async def linked(id: str, target: Target, actor: Actor, document: Document, parts: Parts) -> tuple[str, Json]:
    """Make a link; return the id of the phone and the answer's properties. Raise Refused.

    The file has the password, so who may not see that may not make a link.
    """
    client = read_client(document)
    refuse_without_secrets(actor.caller, parts)
    settings = parts.settings.provisioning
    made = await parts.change(actor, target, lambda work: make_link(work, id, client, settings))
    return made.phone.oid, _json(made, f"{settings.base}/o/{made.secret}")


def refuse_without_secrets(caller: Caller, parts: Parts) -> None:
    """Raise Refused (403) for a caller who may not see passwords: the URL opens a file that has one."""
    if caller.level < parts.settings.secrets_level:
        raise level_too_low(parts.settings.secrets_level.name)


def _json(made: Link, url: str) -> Json:
    scanned = made.client.scanned(url)
    return {
        "url": url,
        "expires": made.expires,
        "hint": made.client.hint,
        "warnings": list(made.warnings),
        "qr": None if scanned is None else svg(scanned),
    }
