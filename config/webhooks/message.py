"""A message to a webhook: its body, its signed headers, and when it is tried again."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Final

import orjson
from standardwebhooks import Webhook as Signer

from registrar.model import Epoch
from registrar.store.event_stream import Entry

from .. import clock
from ..feed.told import values_of

SECRET_BYTES: Final = 32
PREFIX: Final = "whsec_"
USER_AGENT: Final = "sip-registrar-webhooks"
RETRIES: Final = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400)
"""Seconds from a failure to the next try; the last one repeats."""
GIVE_UP_SECONDS: Final = 86_400
ID_LENGTH: Final = 32
TEST: Final = "test"


def new_secret() -> str:
    """Return a new secret as Standard Webhooks writes it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def retry_seconds(attempts: int) -> int:
    """Return after how many seconds a message is tried again that has failed so often, from 1."""
    return RETRIES[min(attempts, len(RETRIES)) - 1]


def message_id(key: str) -> str:
    """Return the id of the message about an event; the same event always has the same one."""
    return "msg_" + hashlib.sha256(key.encode(errors="replace")).hexdigest()[:ID_LENGTH]


def lane_of(entry: Entry) -> str:
    """Return what messages of one order have in common: the call, else the phone, else the person."""
    for name in ("call", "phone", "person"):
        if entry.fields.get(name):
            return f"{name}:{clean(entry.fields[name], 128)}"
    return ""


def event_of(entry: Entry) -> str:
    """Return the name of an event as it is stored."""
    return clean(entry.fields.get("event", ""), 64)


def clean(text: str, length: int) -> str:
    """Return a text of another program without what a database refuses."""
    return "".join(filter(str.isprintable, text))[:length]


def body_of(entry: Entry, customer: str) -> str:
    """Return the body of the message about an entry of the stream of all events."""
    milliseconds = int(entry.id.partition("-")[0])
    values = values_of(entry, customer)
    return written(str(values.get("event", "")), Epoch(milliseconds / 1000), values)


def written(event: str, at: Epoch, data: Mapping[str, object]) -> str:
    """Return a body as Standard Webhooks recommends it."""
    body = {"type": event, "timestamp": clock.iso(clock.utc(at)), "data": data}
    return orjson.dumps(body).decode()


def headers_of(id: str, at: Epoch, body: str, secret: str) -> dict[str, str]:
    """Return the headers of a message that is sent at this time."""
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": Signer(secret).sign(id, clock.utc(at), body),
    }
