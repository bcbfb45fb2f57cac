"""Stateless nonces: issue, parsing and the check for reuse (docs/architecture.md)."""

import base64
import binascii
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from registrar.model import AcceptedNonce, Epoch

LIFETIME_SECONDS: Final = 300
FUTURE_SECONDS: Final = 5
"""A nonce from further in the future comes from a node with a wrong clock: the phone must get a new one."""
MAX_KEPT: Final = 8
SALT_BYTES: Final = 8

_TIME, _SEAL, _PLACE = 7, 10, 6
_LENGTH: Final = 1 + _TIME + SALT_BYTES + _SEAL + _PLACE
_TEXT_LENGTH: Final = 43
KEY_BYTES: Final = 33
"""One byte with the id of the key and 32 bytes of the key."""


@dataclass(frozen=True, slots=True)
class Nonce:
    """One of our nonces that a phone has sent back."""

    issued_us: int
    mark: str
    here: bool
    """Whether it was issued to the address that it came from."""

    def usable(self, now: Epoch) -> bool:
        """Return whether the nonce is still valid for a request."""
        age = now - self.issued_us / 1e6
        return self.here and -FUTURE_SECONDS <= age < LIFETIME_SECONDS


def issue(key: bytes, now: Epoch, salt: bytes, address: str, realm: str) -> str:
    """Return a new nonce: key id (first byte of `key`), microseconds, `salt` (8 random bytes) and two MACs.

    One MAC covers the realm, the other the source address. So a nonce that was issued to another address is
    still recognized as ours, and the phone gets `stale` instead of a wrong password.
    """
    head = key[:1] + int(now * 1e6).to_bytes(_TIME, "big") + salt
    text = base64.urlsafe_b64encode(head + _mac(key, head, realm, _SEAL) + _mac(key, head, address, _PLACE))
    return text.rstrip(b"=").decode()


def read(key: bytes, text: str, address: str, realm: str) -> Nonce | None:
    """Return the parsed nonce, or None if we did not issue it for this realm."""
    if len(text) != _TEXT_LENGTH:
        return None
    try:
        data = base64.urlsafe_b64decode(text + "=")
    except (binascii.Error, ValueError):
        return None
    if len(data) != _LENGTH:
        return None
    head, seal, place = data[: -_SEAL - _PLACE], data[-_SEAL - _PLACE : -_PLACE], data[-_PLACE:]
    if not compare_digest(seal, _mac(key, head, realm, _SEAL)):
        return None
    here = compare_digest(place, _mac(key, head, address, _PLACE))
    return Nonce(int.from_bytes(head[1 : 1 + _TIME], "big"), head[1 + _TIME :].hex(), here)


def use(
    kept: tuple[AcceptedNonce, ...], nonce: Nonce, count: int, now: Epoch
) -> tuple[AcceptedNonce, ...] | None:
    """Return the accepted nonces after the use of this one with `count`, or None if it may not be used.

    See RFC 7616 section 3.4. If `MAX_KEPT` nonces are kept, an unknown nonce that is not younger than the
    oldest of them may have been used and dropped, so it may not be used. Neither may one that has expired
    since `usable` was called. Used nonces are kept `FUTURE_SECONDS` longer than their lifetime, for a node
    whose clock is behind.
    """
    if nonce.issued_us / 1e6 + LIFETIME_SECONDS <= now:
        return None
    alive = [old for old in kept if old.issued_us / 1e6 + LIFETIME_SECONDS + FUTURE_SECONDS > now]
    for position, old in enumerate(alive):
        if old.issued_us == nonce.issued_us and old.mark == nonce.mark:
            if count <= old.count:
                return None
            alive[position] = AcceptedNonce(old.issued_us, old.mark, count)
            return tuple(alive)
    if len(alive) >= MAX_KEPT:
        alive.sort(key=lambda old: old.issued_us)
        if nonce.issued_us <= alive[0].issued_us:
            return None
        del alive[0]
    return (*alive, AcceptedNonce(nonce.issued_us, nonce.mark, count))


def _mac(key: bytes, head: bytes, text: str, size: int) -> bytes:
    return blake2b(head + text.encode(), digest_size=size, key=key[1:]).digest()
