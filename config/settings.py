"""The settings of the HTTP side. The command line reads them and passes them on."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from registrar.errors import ConfigurationError
from registrar.rules.features import ReservedWords, reserved_words

from .access import AccessLevel

JWT_SECRET_BYTES: Final = 32
"""HS256 is as strong as its key (RFC 7518 section 3.2)."""


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
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    turn_urls: tuple[str, ...] = ()
    """STUN and TURN servers that are sent to browsers."""
    turn_secret: str = field(default="", repr=False)
    """The secret with which the TURN servers check credentials."""
    turn_ttl_seconds: int = 3_600
    password_length: int = 10
    """Least number of characters in a new password of a SIP user or a person."""
    reserved: ReservedWords = field(default_factory=reserved_words)
    """Words that extensions, groups and queues may not have as numbers."""

    def __post_init__(self) -> None:
        if len(self.jwt_secret.encode()) < JWT_SECRET_BYTES:
            raise ConfigurationError(f"REGISTRAR_JWT_SECRET must have at least {JWT_SECRET_BYTES} bytes")
