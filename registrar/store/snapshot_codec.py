"""Format of a phone's bindings, nonces and refusals in Redis: JSON arrays in the order of the fields.

b   [[contact, expiresAt, callId, cseq, q, instance, regId, userAgent, localIp, publicIp, publicPort,
      transport, node, generation, registeredAt, refreshedAt, secretVersion, flow, silentSince, path], ...]
n   [[issued at (microseconds), mark, highest nonce count], ...]
r   [[ip, reason, since, count], ...]
"""

import json
from operator import attrgetter
from typing import NamedTuple

from registrar.model import AcceptedNonce, Binding, Refusal, Snapshot

BINDING_FIELDS = len(Binding.__dataclass_fields__)
"""A newer version may append fields; an older process reads the fields that it knows."""

_BINDING = attrgetter(*Binding.__dataclass_fields__)
_NONCE = attrgetter(*AcceptedNonce.__dataclass_fields__)
_REFUSAL = attrgetter(*Refusal.__dataclass_fields__)
_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


class Stored(NamedTuple):
    """The four fields of `registrar:loc:{id}` as bytes."""

    v: bytes = b""
    b: bytes = b""
    n: bytes = b""
    r: bytes = b""


EMPTY = Stored()


def encode(snapshot: Snapshot) -> Stored:
    """Return the fields to store; an empty list is an empty field."""
    bindings, nonces, refusals = snapshot.bindings, snapshot.nonces, snapshot.refusals
    return Stored(
        b"%d" % snapshot.version,
        _dump([_BINDING(binding) for binding in bindings]).encode() if bindings else b"",
        _dump([_NONCE(nonce) for nonce in nonces]).encode() if nonces else b"",
        _dump([_REFUSAL(refusal) for refusal in refusals]).encode() if refusals else b"",
    )


def decode(stored: Stored) -> Snapshot:
    """Return the stored snapshot. Raises ValueError or TypeError if we did not write it."""
    if stored is EMPTY:
        return Snapshot()
    return Snapshot(
        int(stored.v or b"0"),
        tuple(Binding(*row[:BINDING_FIELDS]) for row in json.loads(stored.b)) if stored.b else (),
        tuple(AcceptedNonce(*row) for row in json.loads(stored.n)) if stored.n else (),
        tuple(Refusal(*row) for row in json.loads(stored.r)) if stored.r else (),
    )
