"""All settings, from the environment and from the TOML file of REGISTRAR_CONFIG (docs/settings.md)."""

import difflib
import re
import socket
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from registrar.errors import ConfigurationError
from registrar.model import IpNetwork, MediaPolicy
from registrar.rules.features import Family
from registrar.rules.weak_secrets import weakness

PREFIX: Final = "REGISTRAR_"
CONFIG: Final = "REGISTRAR_CONFIG"
MIN_SECRET: Final = 32

_ICE_URL: Final = re.compile(
    r"(?:stuns?|turns?):(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:\?transport=(?:udp|tcp))?"
)
"""A STUN or TURN URI (RFC 7064 and RFC 7065)."""
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.\-]*[A-Za-z0-9])?")
_PHONE_URL: Final = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*/?"
)
_TIMEZONE: Final = re.compile(r"[A-Z][A-Za-z_]*(?:/[A-Za-z0-9_+-]+){0,2}")
_SHORT_NUMBER: Final = re.compile(r"[0-9]{2,8}")
STREAMS: Final = "sip_tcp sip_tls sip_ws sip_wss http https prov_http prov_https prov_https_legacy".split()
"""The listeners at which a proxy may send a PROXY header; the others are for this installation itself."""
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
REDIRECT_SERVICES: Final = ("snom", "sraps", "yealink", "ymcs", "gaps", "gigaset")
FILE_SUFFIX: Final = "_FILE"
"""Ends the name of a variable that names a file with the value of a secret."""
MAX_SECRET_FILE: Final = 4_096
_PLACEHOLDER_PASSWORD: Final = re.compile(r"://[^/@]*:PASSWORD@")
Listener = tuple[str, int]

AUTO: Final = "auto"
MOST_WORKERS: Final = 64
LEVELS: Final = "NO_LOGIN PERSONAL VIEWER MANAGER OWNER RESELLER RESELLER_ADMIN ADMIN".split()


def listeners(text: str) -> tuple[Listener, ...]:
    """Return the `host:port` pairs of a comma-separated list, none for an empty text. Raises ValueError."""
    return tuple(_listener(part.strip()) for part in text.split(",") if part.strip())


def _listener(text: str) -> Listener:
    host, colon, port = text.rpartition(":")
    if not colon or not _is_port(port) or not host:
        raise ValueError(f"{text!r} is not host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address needs brackets, [::]:5060")
    if not _is_address(host):
        raise ValueError(f"{text!r}: the host must be an IP address")
    return host, int(port)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65_535


def _is_address(text: str) -> bool:
    try:
        socket.getaddrinfo(text, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return True


def engines(text: str) -> tuple[Listener, ...]:
    """Return the same pairs; here a host may be a name, and `udp:` may precede it. Raises ValueError."""
    return tuple(_engine(part.strip()) for part in text.split(",") if part.strip())


def _engine(text: str) -> Listener:
    host, colon, port = text.removeprefix("udp:").rpartition(":")
    if not colon or not _is_port(port) or int(port) == 0:
        raise ValueError(f"{text!r} is not host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_address(host):
            raise ValueError(f"{text!r}: {host!r} is not an IPv6 address")
        return host, int(port)
    if not _HOST.fullmatch(host):
        raise ValueError(f"{text!r}: {host!r} is neither a host name nor an address")
    return host, int(port)


def _split(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _listening(value: object) -> object:
    if isinstance(value, str):
        return listeners(value)
    return value


def _domain(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"{value!r} is not a host name")
    return value.lower()


def _service_url(value: str) -> str:
    """Return the URL of a server that gets secrets. Raise ValueError unless TLS or loopback protects them."""
    place = urlsplit(value)
    is_near = place.scheme == "http" and place.hostname in LOOPBACK
    if value and (not value.isascii() or not place.hostname or not (place.scheme == "https" or is_near)):
        raise ValueError(f"{value!r} does not begin with https://")
    if place.username is not None or place.query or place.fragment:
        raise ValueError(f"{value!r} has a name, a query or a fragment in it")
    return value


ServiceUrl = Annotated[str, AfterValidator(_service_url)]


def _workers(value: str) -> str:
    if value != AUTO and not (value.isascii() and value.isdigit() and 1 <= int(value) <= MOST_WORKERS):
        raise ValueError(f"{value!r} is not auto or a number from 1 to {MOST_WORKERS}")
    return value


def _some_host(value: str) -> str:
    return _domain(value) if value else ""


def _prov_url(value: str) -> str:
    """Return the URL that phones are told: it has no query, no login, and no slash at its end."""
    if value and not _PHONE_URL.fullmatch(value):
        raise ValueError(f"{value!r} is not https://host, https://host:port or https://host/path")
    return value.rstrip("/")


def _timezone(value: str) -> str:
    if not _TIMEZONE.fullmatch(value):
        raise ValueError(f"{value!r} is no name of the time zone database, such as Europe/Copenhagen")
    return value


def _sip_server(value: str) -> str:
    """Return `host` or `host:port` as it was given."""
    if value:
        _engine(value if re.search(r":[0-9]+$", value) else f"{value}:5060")
    return value


Listeners = Annotated[tuple[Listener, ...], NoDecode]
Names = Annotated[tuple[str, ...], NoDecode]


Service = Annotated[str, Field(pattern=r"^[0-9*#]{0,16}$")]
"""A number or prefix that a softkey dials; empty: no service answers the function."""


KEYS: Final = ("secret_key", "secret_key_old", "jwt_secret", "jwt_secret_old")


class LimitPolicy(NamedTuple):
    """Which sources of SIP messages have limits."""

    is_on: bool = True
    exempt: tuple[IpNetwork, ...] = ()
    """Networks that are neither limited nor banned."""


class Settings(BaseSettings):
    """The contract with the operator: names, defaults, units."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data_dir: Path = Path(".registrar")
    database_url: SecretStr = SecretStr("")
    redis_url: SecretStr = SecretStr("")
    sip_udp: Listeners = (("0.0.0.0", 5060),)
    sip_tcp: Listeners = (("0.0.0.0", 5060),)
    sip_tls: Listeners = (("0.0.0.0", 5061),)
    sip_ws: Listeners = ()
    sip_wss: Listeners = (("0.0.0.0", 8443),)
    ws_origins: Names = ()
    http: Listeners = (("127.0.0.1", 8080),)
    https: Listeners = ()
    sip_http: Listeners = ()
    management: Listeners = ()
    cors_origins: Names = ()
    domain: Annotated[str, AfterValidator(_domain)] = "registrar.localhost"
    public_host: str = ""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_legacy: bool = True
    geoip_database: Path | None = None
    trusted_proxies: Annotated[tuple[IpNetwork, ...], NoDecode] = ()
    proxy_protocol: Names = ()
    edges: Annotated[tuple[IpNetwork, ...], NoDecode] = ()
    limits: Annotated[LimitPolicy, NoDecode] = LimitPolicy()
    lock_ipv6_prefix: int = Field(64, ge=1, le=128)
    digest: Literal["md5", "sha-256", "both"] = "md5"
    secret_key: SecretStr = SecretStr("")
    secret_key_old: SecretStr = SecretStr("")
    jwt_secret: SecretStr = SecretStr("")
    jwt_secret_old: SecretStr = SecretStr("")
    token_days: int = Field(365, ge=1, le=3_650)
    workers: Annotated[str, AfterValidator(_workers)] = "1"
    node: str = ""
    node_sip: str = ""
    node_tls: Listeners = ()
    node_cert: Path | None = None
    node_key: Path | None = None
    node_ca: Path | None = None
    secrets_level: Literal[*LEVELS] = "VIEWER"  # type: ignore[valid-type]  # the list above is the only one
    pbx_cluster: int | None = None
    ping_seconds: int = Field(30, ge=0, le=3_600)
    ring_seconds: int = Field(185, ge=1, le=3_600)
    group_seconds: int = Field(60, ge=1, le=3_600)
    wait_seconds: int = Field(900, ge=1, le=86_400)
    group_callers: int = Field(100, ge=0, le=10_000)
    queue_callers: int = Field(500, ge=0, le=10_000)
    group_devices: int = Field(100, ge=1, le=1_000)
    phone_subscriptions: int = Field(200, ge=0, le=10_000)
    watchers: int = Field(500, ge=0, le=100_000)
    node_subscriptions: int = Field(20_000, ge=0, le=1_000_000)
    phone_calls: int = Field(100, ge=1, le=100_000)
    phone_ringing: int = Field(20, ge=1, le=100_000)
    phone_call_rate: int = Field(10, ge=1, le=10_000)
    extension_calls: int = Field(100, ge=1, le=100_000)
    extension_call_rate: int = Field(20, ge=1, le=10_000)
    callee_calls: int = Field(1_000, ge=1, le=100_000)
    callee_call_rate: int = Field(50, ge=1, le=10_000)
    customer_calls: int = Field(2_000, ge=1, le=1_000_000)
    customer_call_rate: int = Field(100, ge=1, le=100_000)
    customer_phones: int = Field(100_000, ge=1, le=1_000_000)
    customer_logins: int = Field(10_000, ge=1, le=1_000_000)
    customer_webhooks: int = Field(20, ge=1, le=1_000)
    customer_streams: int = Field(200, ge=1, le=1_000)
    person_browsers: int = Field(10, ge=1, le=1_000)
    customer_transactions: int = Field(100_000, ge=1, le=200_000)
    alert_info: bool = False
    no_answer_seconds: int = Field(20, ge=1, le=3_600)
    wrap_up_seconds: int = Field(2, ge=0, le=3_600)
    features: Names = tuple(Family)
    emergency_numbers: Names = ()
    rtpengine: Listeners = ()
    media: MediaPolicy = MediaPolicy.AUTO
    turn_urls: Names = ()
    turn_secret: SecretStr = SecretStr("")
    turn_ttl: int = Field(3_600, ge=60)
    webhook_private: Annotated[tuple[IpNetwork, ...], NoDecode] = ()
    redirect_snom_url: ServiceUrl = "https://secure-provisioning.snom.com:8083/xmlrpc/"
    redirect_snom_user: str = ""
    redirect_snom_password: SecretStr = SecretStr("")
    redirect_sraps_url: ServiceUrl = "https://api.sraps.snom.com/api/v1/"
    redirect_sraps_user: str = ""
    redirect_sraps_password: SecretStr = SecretStr("")
    redirect_yealink_url: ServiceUrl = "https://api-dm.yealink.com:8443/xmlrpc"
    redirect_yealink_user: str = ""
    redirect_yealink_password: SecretStr = SecretStr("")
    redirect_ymcs_url: ServiceUrl = "https://eu-api.ymcs.yealink.com"
    redirect_ymcs_user: str = ""
    redirect_ymcs_password: SecretStr = SecretStr("")
    redirect_gaps_url: ServiceUrl = "https://fm.grandstream.com/api/provision"
    redirect_gaps_user: str = ""
    redirect_gaps_password: SecretStr = SecretStr("")
    redirect_gigaset_url: ServiceUrl = ""
    redirect_gigaset_user: str = ""
    redirect_gigaset_password: SecretStr = SecretStr("")
    password_length: int = Field(10, ge=10, le=128)
    call_history_days: int = Field(90, ge=0, le=3_650)
    audit_days: int = Field(365, ge=0, le=36_500)
    prov_url: Annotated[str, AfterValidator(_prov_url)] = ""
    prov_url_legacy: Annotated[str, AfterValidator(_prov_url)] = ""
    prov_http: Listeners = ()
    prov_https: Listeners = ()
    prov_https_legacy: Listeners = ()
    prov_plain: bool = False
    prov_open_days: int = Field(14, ge=1, le=3_650)
    prov_misses: int = Field(20, ge=1, le=10_000)
    prov_window_seconds: int = Field(600, ge=10, le=86_400)
    prov_ntp: Annotated[str, AfterValidator(_some_host)] = "pool.ntp.org"
    prov_timezone: Annotated[str, AfterValidator(_timezone)] = "Europe/Copenhagen"
    prov_language: str = Field("da", pattern="^[a-z]{2}$")
    prov_sip_server: Annotated[str, AfterValidator(_sip_server)] = ""
    prov_sip_transport: Literal["", "udp", "tcp", "tls"] = ""
    prov_expires: int = Field(3_600, ge=60, le=7_200)
    service_voicemail: Service = ""
    service_pickup: Service = ""
    service_queue: Service = ""
    service_switch: Service = ""
    service_presence: Service = ""
    service_record: Service = ""
    service_dndother: Service = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def serves_phones(self) -> bool:
        """Return whether there is a listener at which phones load their configuration."""
        return bool(self.prov_http or self.prov_https or self.prov_https_legacy)

    @field_validator(
        *("sip_udp", "sip_tcp", "sip_tls", "sip_ws", "sip_wss", "http", "https", "sip_http"),
        *("prov_http", "prov_https", "prov_https_legacy", "node_tls", "management"),
        mode="before",
    )
    @classmethod
    def _read_listeners(cls, value: object) -> object:
        return _listening(value)

    @field_validator("rtpengine", mode="before")
    @classmethod
    def _read_engines(cls, value: object) -> object:
        return engines(value) if isinstance(value, str) else value

    @field_validator("ws_origins", "cors_origins", "turn_urls", "emergency_numbers", mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        return _split(value)

    @field_validator("turn_urls")
    @classmethod
    def _check_turn_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not _ICE_URL.fullmatch(url) or (url.startswith("stun") and "?" in url):
                raise ValueError(f"{url!r} is not stun:host:port or turn:host:port?transport=udp")
        return value

    @field_validator("features", mode="before")
    @classmethod
    def _read_features(cls, value: object) -> object:
        """Return the names of the enabled families of feature codes: `on` is all of them, `off` is none."""
        if value == "on":
            return tuple(Family)
        return () if value == "off" else _split(value)

    @field_validator("features")
    @classmethod
    def _check_features(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in tuple(Family):
                raise ValueError(f"{name!r} is not on, off or a list of {', '.join(Family)}")
        return value

    @field_validator("proxy_protocol", mode="before")
    @classmethod
    def _read_streams(cls, value: object) -> object:
        """Return the names of listeners: `on` is all of them, `off` is none."""
        if value == "on":
            return tuple(STREAMS)
        return () if value == "off" else _split(value)

    @field_validator("proxy_protocol")
    @classmethod
    def _check_streams(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in value:
            if name not in STREAMS:
                raise ValueError(f"{name!r} is not on, off or a list of {', '.join(STREAMS)}")
        if value and info.data.get("trusted_proxies") == ():
            raise ValueError("needs REGISTRAR_TRUSTED_PROXIES: a header of anyone else is not believed")
        return value

    @field_validator("emergency_numbers")
    @classmethod
    def _check_emergency_numbers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for number in value:
            if not _SHORT_NUMBER.fullmatch(number):
                raise ValueError(f"{number!r} is not a number of 2 to 8 digits")
        return value

    @field_validator("trusted_proxies", "edges", mode="before")
    @classmethod
    def _read_networks(cls, value: object) -> object:
        parts = _split(value)
        return tuple(ip_network(part) for part in parts) if isinstance(parts, list) else parts

    @field_validator("limits", mode="before")
    @classmethod
    def _read_limits(cls, value: object) -> object:
        """Return the policy: `on`, `off`, or the networks that are exempt."""
        if not isinstance(value, str):
            return value
        if value in ("on", "off", ""):
            return LimitPolicy(value != "off")
        parts = [part.strip() for part in value.split(",") if part.strip()]
        return LimitPolicy(exempt=tuple(ip_network(part) for part in parts))

    @field_validator("webhook_private", mode="before")
    @classmethod
    def _read_private(cls, value: object) -> object:
        """Return the networks that webhooks may be sent to: `on` is all of them, `off` is none."""
        every = ["0.0.0.0/0", "::/0"]
        parts = {"on": every, "off": []}.get(value, _split(value)) if isinstance(value, str) else value
        return tuple(ip_network(part) for part in parts) if isinstance(parts, list) else parts

    @field_validator(
        "pbx_cluster",
        "geoip_database",
        "tls_cert",
        "tls_key",
        "node_cert",
        "node_key",
        "node_ca",
        mode="before",
    )
    @classmethod
    def _read_optional(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("data_dir", mode="before")
    @classmethod
    def _read_directory(cls, value: object) -> object:
        if value == "":
            raise ValueError("must name a folder")
        return value

    @field_validator(*KEYS)
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < MIN_SECRET:
            raise ValueError(f"needs at least {MIN_SECRET} characters")
        return value

    @field_validator(*KEYS, "turn_secret")
    @classmethod
    def _no_known_secret(cls, value: SecretStr) -> SecretStr:
        problem = weakness(value.get_secret_value())
        if problem:
            raise ValueError(problem)
        return value

    @field_validator("database_url", "redis_url")
    @classmethod
    def _no_known_password(cls, value: SecretStr) -> SecretStr:
        if _PLACEHOLDER_PASSWORD.search(value.get_secret_value()):
            raise ValueError("the password is the placeholder of deploy/env.example: put your own there")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return one source: the values from `read`, which prefers the environment to the file."""
        return (init_settings,)


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings in `environment` and its TOML file.

    Raises ConfigurationError with one line that names the wrong setting.
    """
    environment = _with_secrets(environment)
    known = {_variable(name) for name in Settings.model_fields} | {CONFIG}
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise ConfigurationError(f"unknown setting {unknown[0]}{_meant(unknown[0], known)}")
    given = {
        name: environment[_variable(name)] for name in Settings.model_fields if _variable(name) in environment
    }
    try:
        settings = Settings(**(_from_file(environment.get(CONFIG, "")) | given))
    except ValidationError as error:
        first = error.errors()[0]
        name = _variable(str(first["loc"][0])) if first["loc"] else "a setting"
        raise ConfigurationError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
    _refuse_turn_without_secret(settings)
    redirect_accounts(settings)
    _refuse_phones_without_url(settings)
    _refuse_old_keys_alone(settings)
    _refuse_half_a_node(settings)
    return settings


def key_files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files of keys that the environment names: they may get other content while we run."""
    variables = [_variable(name) + FILE_SUFFIX for name in KEYS]
    return tuple(Path(environment[name]) for name in variables if environment.get(name))


class RedirectAccount(NamedTuple):
    """An account at a redirect service, as it is set."""

    service: str
    url: str
    user: str
    password: SecretStr


def redirect_accounts(settings: Settings) -> tuple[RedirectAccount, ...]:
    """Return the accounts that are set. Raise ConfigurationError for one that is not complete."""
    accounts = []
    for service in REDIRECT_SERVICES:
        prefix = f"redirect_{service}"
        url, user, password = (getattr(settings, f"{prefix}_{part}") for part in ("url", "user", "password"))
        given = {"user": user, "password": password.get_secret_value()}
        missing = [part for part, value in (given | {"url": url}).items() if not value]
        if missing and any(given.values()):
            raise ConfigurationError(f"{_variable(f'{prefix}_{missing[0]}')} is missing")
        if not missing:
            accounts.append(RedirectAccount(service, url, user, password))
    return tuple(accounts)


def _with_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment; a variable that names the file of a secret is replaced by what is in it."""
    secrets = [name for name, field in Settings.model_fields.items() if field.annotation is SecretStr]
    completed = dict(environment)
    for variable in map(_variable, secrets):
        path = completed.pop(variable + FILE_SUFFIX, "")
        if path and completed.get(variable):
            raise ConfigurationError(f"{variable} and {variable}{FILE_SUFFIX} are both set")
        if path:
            completed[variable] = _secret_in(path, variable + FILE_SUFFIX)
    return completed


def _secret_in(path: str, variable: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(MAX_SECRET_FILE).strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"{variable}: {path}: {reason}") from None


def _refuse_turn_without_secret(settings: Settings) -> None:
    """Raise ConfigurationError if a TURN server is set without a secret; STUN needs no credentials."""
    relays = [url for url in settings.turn_urls if url.startswith("turn")]
    if relays and not settings.turn_secret.get_secret_value():
        raise ConfigurationError(f"REGISTRAR_TURN_URLS: {relays[0]} needs REGISTRAR_TURN_SECRET")


def _refuse_phones_without_url(settings: Settings) -> None:
    """Raise ConfigurationError if phones have no URL, no listener there, or one that gives no passwords."""
    if not settings.serves_phones:
        return
    if not (settings.prov_http or settings.prov_https):
        raise ConfigurationError(
            "REGISTRAR_PROV_HTTPS is missing beside REGISTRAR_PROV_HTTPS_LEGACY: there are only phones that "
            "know no newer TLS (behind a proxy: REGISTRAR_PROV_HTTP)"
        )
    if not settings.prov_url:
        raise ConfigurationError(
            "REGISTRAR_PROV_URL: name the URL that phones are told, such as https://prov.example.com"
        )
    if settings.prov_url.startswith("http:") and not settings.prov_plain:
        raise ConfigurationError("REGISTRAR_PROV_URL: http: needs REGISTRAR_PROV_PLAIN=1")


def _refuse_old_keys_alone(settings: Settings) -> None:
    """Raise ConfigurationError if a key of before is given without the one that replaces it."""
    for name in ("secret_key", "jwt_secret"):
        if (
            getattr(settings, name + "_old").get_secret_value()
            and not getattr(settings, name).get_secret_value()
        ):
            raise ConfigurationError(f"{_variable(name)} is missing beside {_variable(name)}_OLD")


def _refuse_half_a_node(settings: Settings) -> None:
    """Raise ConfigurationError for two addresses between nodes, or for files that are not complete."""
    if len(settings.node_tls) > 1:
        raise ConfigurationError("REGISTRAR_NODE_TLS: name one address")
    names = ("node_cert", "node_key", "node_ca")
    missing = [name for name in names if getattr(settings, name) is None]
    if 0 < len(missing) < len(names):
        raise ConfigurationError(f"{_variable(missing[0])} is missing: give all three files, or none")


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _meant(unknown: str, known: Iterable[str]) -> str:
    """Return a suggestion for an `unknown` setting; empty if no known setting is similar."""
    bare = {name.upper().removeprefix(PREFIX): name for name in known}
    close = difflib.get_close_matches(unknown.upper().removeprefix(PREFIX), bare, n=1)
    return f"; did you mean {bare[close[0]]}?" if close else ""


def _from_file(path: str) -> dict[str, Any]:
    if not path:
        return {}
    if not Path(path).is_file():
        raise ConfigurationError(f"{CONFIG}: there is no file {path}")
    try:
        values = TomlConfigSettingsSource(Settings, Path(path)).toml_data
    except ValueError as error:
        raise ConfigurationError(f"{CONFIG}: {path} is not TOML: {error}") from None
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        meant = _meant(unknown[0], Settings.model_fields)
        raise ConfigurationError(f"{CONFIG}: unknown setting {unknown[0]} in {path}{meant}")
    return {
        name: ",".join(map(str, value)) if isinstance(value, list) else value
        for name, value in values.items()
    }
