"""The settings of the HTTP side, and what follows from them: the STUN and TURN servers for browsers.

The command line reads the settings and passes them on. The credentials of `iceServers` expire by themselves:
they are those of draft-uberti-behave-turn-rest-00, as coturn's `use-auth-secret` checks them.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from registrar.errors import ConfigurationError
from registrar.model import Epoch
from registrar.rules.features import ReservedWords, reserved_words
from registrar.store.keyring import Keyring

from .access import AccessLevel

JWT_SECRET_BYTES: Final = 32
"""HS256 is as strong as its key (RFC 7518 section 3.2)."""
RELAYS: Final = ("turn:", "turns:")
"""URLs of TURN servers, which need credentials; STUN does not (RFC 7064, RFC 7065)."""

Json = dict[str, object]
NO_LISTENER: Final = "https://no-listener.invalid"
"""The URL in a preview while no listener for phones is configured."""


SERVICES: Final = ("voicemail", "pickup", "queue", "switch", "presence", "record", "dndother")
"""The functions of softkeys for which a setting names a service beside this server (REGISTRAR_SERVICE_*)."""


@dataclass(frozen=True, slots=True)
class ProvisioningSettings:
    """What phones are told, and how their listener treats them (docs/provisioning.md)."""

    url: str = ""
    """URL of the listener for phones, as they are told it; empty: there is no listener."""
    legacy_url: str = ""
    """URL of the listener for phones that know only TLS 1.0 or 1.1; empty: there is none."""
    is_legacy: bool = False
    """Whether these are the settings of that listener, which serves such phones alone."""
    sip_host: str = ""
    sip_port: int = 5060
    sip_transport: str = "udp"
    """udp, tcp or tls."""
    expires: int = 3_600
    ntp: str = ""
    timezone: str = ""
    language: str = ""
    features: frozenset[str] = frozenset()
    """Families of feature codes that are enabled."""
    services: Mapping[str, str] = field(default_factory=dict)
    """Function of a softkey in lower case -> the number of a service beside this server, or an empty text."""
    plain: bool = False
    """Whether configurations are served without TLS, too."""
    open_days: int = 14
    """How long a first secret waits for its phone."""
    misses: int = 20
    """Guesses of one source in ten minutes; further ones are not looked at."""
    window_seconds: int = 600
    """How long the source that has used a first secret may use it again."""
    assets: Path | None = None
    """The folder of pictures, ringtones and other files for phones; it may not exist."""
    authority: Path | None = None
    """Our own certificate authority; None: phones know the authority of our certificate."""
    lock_ipv6_prefix: int = 64
    pbx_cluster: int | None = None

    def told(self, *, legacy_tls: bool) -> "ProvisioningSettings":
        """Return the settings for a phone of a model that needs old TLS, or of another one."""
        return replace(self, url=self.legacy_url) if legacy_tls and self.legacy_url else self

    def for_old_phones(self) -> "ProvisioningSettings":
        """Return the settings of the listener for phones that know only TLS 1.0 or 1.1."""
        return replace(self, url=self.legacy_url, is_legacy=True)

    @property
    def is_on(self) -> bool:
        """Return whether there is a listener for phones."""
        return bool(self.url)

    @property
    def base(self) -> str:
        """Return the URL of the listener without a slash at its end."""
        return self.url.rstrip("/") or NO_LISTENER

    def prefix(self, secret: str) -> str:
        """Return the URL below which the files of a secret are."""
        return f"{self.base}/p/{secret}/"


@dataclass(frozen=True, slots=True)
class RedirectAccount:
    """The account of this installation at a redirect service of a vendor."""

    service: str
    """snom, sraps, yealink, ymcs, gaps or gigaset."""
    url: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiQuotas:
    """How much of the API one customer may take; a customer may have other numbers."""

    phones: int = 100_000
    logins: int = 10_000
    webhooks: int = 20
    streams: int = 200
    browsers: int = 10
    """WebRTC phones of one person."""


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
    spared: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that are neither limited nor banned."""
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
    audit_days: int = 365
    """How long rows of the audit log are kept; 0: for ever."""
    """How long the history of calls is kept; 0: there is none."""
    webhook_private: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that webhooks may be sent to although they are not public; then also without TLS."""
    redirects: tuple[RedirectAccount, ...] = ()
    """The redirect services that are told of new phones; none without an account."""
    provisioning: ProvisioningSettings = ProvisioningSettings()
    reserved: ReservedWords = field(default_factory=reserved_words)
    """Words that extensions, groups and queues may not have as numbers."""
    jwt_keys: Keyring = field(default_factory=Keyring, repr=False)
    """The keys of tokens; by default `jwt_secret` alone."""
    quotas: ApiQuotas = ApiQuotas()
    token_days: int = 365
    """How long a new token of a machine is good."""

    def __post_init__(self) -> None:
        if not self.jwt_keys.names:
            self.jwt_keys.use((self.jwt_secret,))
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
