"""STUN and TURN servers for browsers: `iceServers`, with credentials that expire by themselves.

The credentials are those of draft-uberti-behave-turn-rest-00, as coturn's `use-auth-secret` checks them.
"""

import base64
import hashlib
import hmac

from registrar.model import Epoch

from .settings import ApiSettings

Json = dict[str, object]


def ice_servers(settings: ApiSettings, phone: str, now: Epoch) -> list[Json]:
    """Return the servers for one phone, as `RTCPeerConnection` expects them; empty if none is configured."""
    plain = [url for url in settings.turn_urls if not is_relay(url)]
    relays = [url for url in settings.turn_urls if is_relay(url)]
    servers: list[Json] = [{"urls": plain}] if plain else []
    if relays:
        username = f"{int(now) + settings.turn_ttl_seconds}:{phone}"
        servers.append(
            {"urls": relays, "username": username, "credential": _credential(settings.turn_secret, username)}
        )
    return servers


def is_relay(url: str) -> bool:
    """Return whether `url` is a TURN server, which needs credentials; STUN does not (RFC 7064, RFC 7065)."""
    return url.startswith(("turn:", "turns:"))


def _credential(secret: str, username: str) -> str:
    # The draft and every TURN server use SHA-1. As a keyed hash it is not broken.
    return base64.b64encode(hmac.digest(secret.encode(), username.encode(), hashlib.sha1)).decode()
