"""The settings of the HTTP side, and what follows from them: the STUN and TURN servers for browsers.

The command line reads the settings and passes them on. The credentials of `iceServers` expire by themselves:
they are those of draft-uberti-behave-turn-rest-00, as coturn's `use-auth-secret` checks them.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from registrar.errors import ConfigurationError
from registrar.model import Epoch
from registrar.rules.features import ReservedWords, reserved_words

from .access import AccessLevel

JWT_SECRET_BYTES: Final = 32
"""HS256 is as strong as its key (RFC 7518 section 3.2)."""
RELAYS: Final = ("turn:", "turns:")
"""URLs of TURN servers, which need credentials; STUN does not (RFC 7064, RFC 7065)."""

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class RedirectAccount:
    """The account of this installation at a redirect service of a vendor."""

    service: str
    """snom, sraps, yealink, ymcs, gaps or gigaset."""
    url: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The settings of the API. Creating them raises ConfigurationError if a value cannot be used."""

    domain: str
    """SIP domain of the demo tenant."""
    public_host: str
    """Name that phones can resolve. If empty, the host of the API request is used."""
    wss_port: int | None
    """Port of SIP over secure WebSocket, or None if there is no listener."""
    sip_udp: str
    """`host:port` of SIP over UDP, to show to people."""
    jwt_secret: str = field(repr=False)
    secrets_level: AccessLevel = AccessLevel.VIEWER
    """From this level on a token may read the passwords of phones."""
    wss_listener: tuple[str, int] | None = None
    """Address of the listener of SIP over secure WebSocket in this process, or None without one."""
    ws_origins: tuple[str, ...] = ()
    """Pages that browsers may connect from; any if it is empty."""
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    turn_urls: tuple[str, ...] = ()
    """STUN and TURN servers that are sent to browsers."""
    turn_secret: str = field(default="", repr=False)
    """The secret with which the TURN servers check credentials."""
    turn_ttl_seconds: int = 3_600
    country_file: Path | None = None
    """The file that knows the countries of addresses; it may not exist."""
    password_length: int = 10
    """Least number of characters in a new password of a SIP user or a person."""
    call_history_days: int = 90
    """How long the history of calls is kept; 0: there is none."""
    webhook_private: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that webhooks may be sent to although they are not public; then also without TLS."""
    redirects: tuple[RedirectAccount, ...] = ()
    """The redirect services that are told of new phones; none without an account."""
    prov_url: str = ""
    """The URL below which phones load their configuration; empty: they cannot."""
    reserved: ReservedWords = field(default_factory=reserved_words)
    """Words that extensions, groups and queues may not have as numbers."""

    def __post_init__(self) -> None:
        if len(self.jwt_secret.encode()) < JWT_SECRET_BYTES:
            raise ConfigurationError(f"REGISTRAR_JWT_SECRET must have at least {JWT_SECRET_BYTES} bytes")


def ice_servers(settings: ApiSettings, phone: str, now: Epoch) -> list[Json]:
    """Return the servers for one phone, as `RTCPeerConnection` expects them; empty if none is configured."""
    relays = [url for url in settings.turn_urls if url.startswith(RELAYS)]
    plain = [url for url in settings.turn_urls if not url.startswith(RELAYS)]
    servers: list[Json] = [{"urls": plain}] if plain else []
    if relays:
        username = f"{int(now) + settings.turn_ttl_seconds}:{phone}"
        # The draft and every TURN server use SHA-1. As a keyed hash it is not broken.
        digest = hmac.digest(settings.turn_secret.encode(), username.encode(), hashlib.sha1)
        credential = base64.b64encode(digest).decode()
        servers.append({"urls": relays, "username": username, "credential": credential})
    return servers
