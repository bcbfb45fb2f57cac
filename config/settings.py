"""What the HTTP side needs to know; the command line reads it and hands it over."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from registrar.errors import ConfigurationError

from .access import AccessLevel

JWT_SECRET_BYTES: Final = 32
"""HS256 is as strong as its key (RFC 7518 section 3.2)."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Raises ConfigurationError when a value cannot be used."""

    domain: str
    """SIP domain of the demo tenant."""
    public_host: str
    """Name that phones can resolve; empty: the host of the API request."""
    wss_port: int | None
    """Where SIP over secure WebSocket listens; None: nowhere."""
    sip_udp: str
    """`host:port` of SIP over UDP, to tell people."""
    jwt_secret: str = field(repr=False)
    secrets_level: AccessLevel = AccessLevel.VIEWER
    """From this level on a token reads the passwords of phones."""
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    turn_urls: tuple[str, ...] = ()
    """STUN and TURN servers that browsers are told of."""
    turn_secret: str = field(default="", repr=False)
    """What the TURN servers check credentials with."""
    turn_ttl_seconds: int = 3_600
    password_length: int = 10
    """How many characters a new password of a SIP user or a person needs."""

    def __post_init__(self) -> None:
        if len(self.jwt_secret.encode()) < JWT_SECRET_BYTES:
            raise ConfigurationError(f"REGISTRAR_JWT_SECRET must have at least {JWT_SECRET_BYTES} bytes")
