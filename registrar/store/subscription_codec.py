"""Format of a subscription in Redis (docs/redis.md)."""

import json
from collections.abc import Mapping
from typing import Final

from registrar.model import Process
from registrar.rules.subscriptions import Subscription, Watcher
from registrar.rules.tokens import dump_handle, read_handle

TEXTS: Final = {
    "id": "id",
    "phone": "phone",
    "customer": "customer",
    "person": "person",
    "package": "package",
    "event_id": "eventId",
    "entity": "entity",
    "word": "word",
    "target": "target",
    "device": "device",
    "call_id": "callId",
    "local_tag": "localTag",
    "remote_tag": "remoteTag",
    "origin": "origin",
}
"""Attributes that are stored as they are, and the names of their fields."""
UNREADABLE: Final = (ValueError, TypeError, KeyError)
"""The errors of `decode` for a hash that another program wrote."""

_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


def encode(subscription: Subscription) -> dict[str, str]:
    """Return the fields to store, without `cseq` and `version`, which the scripts write."""
    texts = {field: str(getattr(subscription, name)) for name, field in TEXTS.items()}
    return {
        **texts,
        "node": subscription.process.node,
        "generation": subscription.process.generation,
        "dialog": dump_handle(subscription.handle),
        "expiresAt": f"{subscription.expires_at:.3f}",
        "remoteCseq": str(subscription.remote_cseq),
    }


def decode(fields: Mapping[str, str]) -> Subscription:
    """Return the stored subscription. Raises one of UNREADABLE if we did not write it."""
    handle = read_handle(fields["dialog"])
    if handle is None:
        raise ValueError("dialog")
    texts = {name: fields[field] for name, field in TEXTS.items()}
    return Subscription(
        **texts,
        handle=handle,
        expires_at=float(fields["expiresAt"]),
        remote_cseq=int(fields["remoteCseq"]),
        cseq=int(fields["cseq"]),
        version=int(fields["version"]),
        process=Process(fields["node"], fields["generation"]),
    )


def watcher_of(subscription: Subscription) -> Watcher:
    """Return the row of a subscription in the list of its target."""
    about = subscription
    return Watcher(about.id, about.phone, about.package, about.device, about.expires_at)


def encode_watcher(watcher: Watcher) -> str:
    """Return a row of the list of a target as text."""
    return _dump([watcher.phone, watcher.package, watcher.device, round(watcher.expires_at, 3)])


def decode_watcher(id: str, text: str) -> Watcher:
    """Return a row of the list of a target. Raises one of UNREADABLE if we did not write it."""
    phone, package, device, expires_at, *_ = json.loads(text)
    return Watcher(id, str(phone), str(package), str(device), float(expires_at))
