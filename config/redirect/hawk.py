"""The header of a request that is signed by Hawk, with SHA-256 and the hash of its body."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import urlsplit

DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Key:
    """The id and the key of an account."""

    id: str
    key: str = field(repr=False)


def header(
    key: Key, method: str, url: str, body: bytes, content_type: str, at_seconds: int, nonce: str
) -> str:
    """Return the value of the Authorization header. `nonce` must be new for each request."""
    hashed = payload_hash(body, content_type)
    place = urlsplit(url)
    target = (place.path or "/") + (f"?{place.query}" if place.query else "")
    port = place.port or DEFAULT_PORTS.get(place.scheme, 0)
    lines = ("hawk.1.header", at_seconds, nonce, method.upper(), target, place.hostname or "", port, hashed)
    normalized = "".join(f"{line}\n" for line in (*lines, ""))
    mac = _base64(hmac.digest(key.key.encode(), normalized.encode(), hashlib.sha256))
    return f'Hawk id="{key.id}", ts="{at_seconds}", nonce="{nonce}", hash="{hashed}", mac="{mac}"'


def payload_hash(body: bytes, content_type: str) -> str:
    """Return the hash of a body. `content_type` has no parameters; it is empty if there is no body."""
    return _base64(
        hashlib.sha256(b"hawk.1.payload\n" + content_type.encode() + b"\n" + body + b"\n").digest()
    )


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
