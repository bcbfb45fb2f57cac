"""What a browser is told of STUN and TURN: `iceServers`, with credentials that run out by themselves.

They are those of draft-uberti-behave-turn-rest-00, as coturn's `use-auth-secret` checks them.
"""

import base64
import hashlib
import hmac

from registrar.model import Epoch

from .settings import ApiSettings

Json = dict[str, object]


def ice_servers(settings: ApiSettings, phone: str, now: Epoch) -> list[Json]:
    """The servers for one phone, as `RTCPeerConnection` takes them; none when none is configured."""
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
    """Whether it is a TURN server, which wants credentials; STUN does not (RFC 7064, RFC 7065)."""
    return url.startswith(("turn:", "turns:"))


def _credential(secret: str, username: str) -> str:
    # SHA-1 is what the draft and every TURN server say; as a keyed hash it has not been broken.
    return base64.b64encode(hmac.digest(secret.encode(), username.encode(), hashlib.sha1)).decode()
