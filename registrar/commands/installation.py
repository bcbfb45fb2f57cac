"""One installation: the places of its files, and its stores, which are open for the duration of a command."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from config import clock
from config.access import AccessLevel
from config.database import check_fingerprint, migrate, schema_problem
from config.operations.keys import InUse, Kind, settle
from config.operations.resealing import any_left
from config.settings import SERVICES, ApiQuotas, ApiSettings, ProvisioningSettings, RedirectAccount
from registrar.errors import ConfigurationError
from registrar.rules.features import ReservedWords, reserved_words
from registrar.settings import Settings, redirect_accounts
from registrar.store import certificate, database, redis_client
from registrar.store.keyfile import data_directory, held
from registrar.store.keyring import Keyring
from registrar.store.redis_client import MeasuredRedis
from registrar.store.valkey import socket_url
from registrar.store.vault import Vault
from registrar.transport import local

OUTSIDE: Final = ("192.0.2.1", "2001:db8::1")
"""Addresses that only the default route reaches. Nothing is sent to them (RFC 5737, RFC 3849)."""

WILDCARDS: Final = ("0.0.0.0", "::")
SIP_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}
DEMO_LISTENER: Final = ("127.0.0.1", 8070)
"""Where `serve --demo` serves files to phones on this machine, unless the settings say more."""
_PHONE_LISTENERS: Final = frozenset({"prov_http", "prov_https", "prov_https_legacy"})

OURS_ALONE: Final = 0o077
"""Databases, keys and logs are private to the user that runs the registrar."""


@dataclass(frozen=True)
class Installation:
    """The settings, completed with everything that has a place in the data directory."""

    settings: Settings
    directory: Path
    database_url: str
    redis_url: str
    secret_keys: Keyring
    jwt_keys: Keyring

    def keys(self, kind: Kind) -> Keyring:
        """Return the keys of one kind."""
        return self.secret_keys if kind == "secret" else self.jwt_keys

    @property
    def embedded(self) -> bool:
        """Return whether Redis is our own child process."""
        return not self.settings.redis_url.get_secret_value()

    @property
    def is_sqlite(self) -> bool:
        """Return whether the schema is migrated without `registrar migrate`."""
        return self.database_url.startswith("sqlite")

    @property
    def reserved(self) -> ReservedWords:
        """Return the emergency numbers and the enabled feature codes."""
        return reserved_words(self.settings.features, self.settings.emergency_numbers)

    @property
    def country_file(self) -> Path:
        """Return the path of the country file, which may not exist."""
        return self.settings.geoip_database or self.directory / "geoip.mmdb"

    def certificate(self) -> tuple[Path, Path]:
        """Return the certificate and key for TLS: the operator's, or our own, renewed if that is due.

        Raise ConfigurationError if only one of the pair is given, or if ours cannot be made.
        """
        given = (self.settings.tls_cert, self.settings.tls_key)
        if given[0] is not None and given[1] is not None:
            return given[0], given[1]
        for path, name in zip(given, ("REGISTRAR_TLS_CERT", "REGISTRAR_TLS_KEY"), strict=True):
            if path is not None:
                raise ConfigurationError(f"{name} is given, and the other one of the pair is not")
        try:
            return certificate.ensure(self.directory, self.names(), clock.epoch_now())
        except OSError as error:
            raise ConfigurationError(f"REGISTRAR_DATA_DIR: {error.filename}: {error.strerror}") from error
        except ConfigurationError as error:
            raise ConfigurationError(f"REGISTRAR_PUBLIC_HOST: {error}") from None

    def names(self) -> tuple[str, ...]:
        """Return the names that clients may use for this machine."""
        settings = self.settings
        listeners = (*settings.sip_tls, *settings.sip_wss, *settings.https)
        addresses = [host for host, _ in listeners] + [local.towards(outside) for outside in OUTSIDE]
        return certificate.names_served(settings.domain, settings.public_host, addresses)

    def api(self) -> ApiSettings:
        """Return the settings of the HTTP side."""
        settings = self.settings
        udp = settings.sip_udp[0] if settings.sip_udp else ("", 0)
        return ApiSettings(
            domain=settings.domain,
            public_host=settings.public_host,
            wss_port=settings.sip_wss[0][1] if settings.sip_wss else None,
            sip_udp=f"{udp[0]}:{udp[1]}",
            jwt_secret=self.jwt_keys.secret,
            jwt_keys=self.jwt_keys,
            token_days=settings.token_days,
            quotas=ApiQuotas(
                phones=settings.customer_phones,
                logins=settings.customer_logins,
                webhooks=settings.customer_webhooks,
                streams=settings.customer_streams,
                browsers=settings.person_browsers,
            ),
            secrets_level=AccessLevel[settings.secrets_level],
            wss_listener=settings.sip_wss[0] if settings.sip_wss else None,
            ws_origins=settings.ws_origins,
            cors_origins=settings.cors_origins,
            trusted_proxies=settings.trusted_proxies,
            spared=settings.limits.exempt,
            turn_urls=settings.turn_urls,
            turn_secret=settings.turn_secret.get_secret_value(),
            turn_ttl_seconds=settings.turn_ttl,
            country_file=self.country_file,
            password_length=settings.password_length,
            call_history_days=settings.call_history_days,
            audit_days=settings.audit_days,
            webhook_private=settings.webhook_private,
            redirects=tuple(
                RedirectAccount(one.service, one.url, one.user, one.password.get_secret_value())
                for one in redirect_accounts(settings)
            ),
            provisioning=self.provisioning(),
            reserved=self.reserved,
        )

    def provisioning(self) -> ProvisioningSettings:
        """Return what phones are told, and how their listener treats them."""
        settings = self.settings
        host, port, transport = sip_server(settings)
        return ProvisioningSettings(
            url=settings.prov_url if settings.serves_phones else "",
            legacy_url=legacy_url(settings),
            sip_host=host,
            sip_port=port,
            sip_transport=transport,
            expires=settings.prov_expires,
            ntp=settings.prov_ntp,
            timezone=settings.prov_timezone,
            language=settings.prov_language,
            features=frozenset(settings.features),
            services={name: getattr(settings, f"service_{name}") for name in SERVICES},
            plain=settings.prov_plain,
            open_days=settings.prov_open_days,
            misses=settings.prov_misses,
            window_seconds=settings.prov_window_seconds,
            assets=self.directory / "provisioning" / "assets",
            authority=None if settings.tls_cert else self.directory / "tls.crt",
            lock_ipv6_prefix=settings.lock_ipv6_prefix,
            pbx_cluster=settings.pbx_cluster,
        )


def legacy_url(settings: Settings) -> str:
    """Return the URL that phones with old TLS are told, empty without a listener for them.

    By default it is the URL of the others with the port of that listener.
    """
    if not settings.prov_https_legacy:
        return ""
    parts = urlsplit(settings.prov_url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    own: str = settings.prov_url_legacy
    return own or f"https://{host}:{settings.prov_https_legacy[0][1]}{parts.path}"


def sip_server(settings: Settings) -> tuple[str, int, str]:
    """Return the host, port and transport that are written into the files of phones.

    By default: the public host or the address of the listener, and the first transport that listens.
    """
    listening = {"udp": settings.sip_udp, "tcp": settings.sip_tcp, "tls": settings.sip_tls}
    first: str = next((name for name, addresses in listening.items() if addresses), "udp")
    transport: str = settings.prov_sip_transport or first
    address, port = listening[transport][0] if listening[transport] else ("0.0.0.0", SIP_PORTS[transport])
    host, colon, named = settings.prov_sip_server.rpartition(":")
    if colon and named.isdigit() and not host.endswith(":"):
        return host, int(named), transport
    own = local.towards(OUTSIDE[0]) if address in WILDCARDS else address
    return settings.prov_sip_server or settings.public_host or own or "127.0.0.1", port, transport


def for_demo(settings: Settings, is_free: Callable[[str, int], bool] = local.is_free) -> Settings:
    """Return the settings with a listener for phones on loopback, unless they say where it listens or not.

    If its port is taken, the demo goes on without it. A URL that is set stays.
    """
    host, port = DEMO_LISTENER
    if settings.model_fields_set & _PHONE_LISTENERS or not is_free(host, port):
        return settings
    url = settings.prov_url or f"http://{host}:{port}"
    changed = {"prov_http": (DEMO_LISTENER,), "prov_url": url, "prov_plain": True}
    return settings.model_copy(update=changed)


def lacks_listener(settings: Settings) -> bool:
    """Return whether the settings of a demo got no listener for phones, because its port is taken."""
    return not settings.model_fields_set & _PHONE_LISTENERS and not settings.prov_http


def installed(settings: Settings) -> Installation:
    """Return the installation; make what is missing in the data directory. Raise ConfigurationError."""
    os.umask(OURS_ALONE)
    try:
        return _located(settings, data_directory(settings.data_dir))
    except OSError as error:
        raise ConfigurationError(f"REGISTRAR_DATA_DIR: {error.filename}: {error.strerror}") from error


def existing(settings: Settings) -> Installation:
    """Return the installation in the data directory; make nothing. Raise ConfigurationError."""
    os.umask(OURS_ALONE)
    directory = settings.data_dir.absolute()
    missing = [path for path in _needed(settings, directory) if not path.exists()]
    if missing:
        raise ConfigurationError(
            f"there is no installation in {directory} ({missing[0]} is missing): `registrar serve` or "
            "`registrar migrate` makes one, REGISTRAR_DATA_DIR names another folder"
        )
    try:
        return _located(settings, directory)
    except OSError as error:
        raise ConfigurationError(f"REGISTRAR_DATA_DIR: {error.filename}: {error.strerror}") from error


def _needed(settings: Settings, directory: Path) -> list[Path]:
    """Return the files that an installation with these settings has."""
    named = {"secret.key": settings.secret_key, "jwt.key": settings.jwt_secret}
    needed = [directory / name for name, given in named.items() if not given.get_secret_value()]
    return needed + _database_file(_database_url(settings, directory))


def _database_file(url: str) -> list[Path]:
    """Return the file of an SQLite database.

    Return nothing for a database server, and for a URL that `opened` will refuse.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        return []
    return [Path(parsed.database)] if parsed.drivername.startswith("sqlite") and parsed.database else []


def _database_url(settings: Settings, directory: Path) -> str:
    given = settings.database_url.get_secret_value()
    return given or f"sqlite+aiosqlite:///{directory / 'registrar.sqlite'}"


def _located(settings: Settings, directory: Path) -> Installation:
    """Return the installation in `directory`. Make secrets that are missing. Raise OSError."""
    return Installation(
        settings,
        directory,
        _database_url(settings, directory),
        settings.redis_url.get_secret_value() or socket_url(directory),
        Keyring(*held_keys(settings, directory, "secret")),
        Keyring(*held_keys(settings, directory, "jwt")),
    )


def held_keys(settings: Settings, directory: Path, kind: Kind) -> tuple[str, ...]:
    """Return the key of a kind that the settings or the data directory want, and the one that it replaces.

    Raise OSError if a file cannot be read. A key that is missing is made.
    """
    given, old = given_keys(settings, kind)
    return (given, old) if given else held(key_file(directory, kind))


def given_keys(settings: Settings, kind: Kind) -> tuple[str, str]:
    """Return the key of a kind in the settings and the one that it replaces; empty if there is none."""
    pair = (settings.secret_key, settings.secret_key_old)
    if kind == "jwt":
        pair = (settings.jwt_secret, settings.jwt_secret_old)
    return pair[0].get_secret_value(), pair[1].get_secret_value()


def key_file(directory: Path, kind: Kind) -> Path:
    """Return where a key is that the settings do not give."""
    return directory / f"{kind}.key"


@dataclass(frozen=True)
class Stores:
    """The open stores of one run."""

    writer: AsyncEngine
    reader: AsyncEngine
    redis: MeasuredRedis
    vault: Vault
    in_use: InUse


@asynccontextmanager
async def opened(installation: Installation, *, upgrade: bool) -> AsyncIterator[Stores]:
    """Open the stores, with the newest schema. Raise ConfigurationError if they cannot be used."""
    writer = database.connect(installation.database_url)
    reader = database.connect(installation.database_url, read_only=True)
    redis = redis_client.connect_measured(installation.redis_url)
    vault = Vault(installation.secret_keys)
    try:
        upgrade = upgrade or installation.is_sqlite
        in_use = await _prepare(writer, vault, installation.jwt_keys, upgrade=upgrade)
        yield Stores(writer, reader, redis, vault, in_use)
    finally:
        await redis.aclose()
        await reader.dispose()
        await writer.dispose()


async def _prepare(writer: AsyncEngine, vault: Vault, jwt: Keyring, *, upgrade: bool) -> InUse:
    try:
        if upgrade:
            await migrate(writer)
        problem = await schema_problem(writer)
        if problem is not None:
            raise ConfigurationError(f"REGISTRAR_DATABASE_URL: {problem}")
        await check_fingerprint(writer, vault)
        found = await settle(writer, vault.keys, jwt)
        if vault.keys.rotated and len(vault.keys.names) == 1 and await any_left(writer, vault):
            raise ConfigurationError(
                "REGISTRAR_SECRET_KEY_OLD: passwords are still sealed with the key of before: give it until "
                "`registrar keys status` says that it may go"
            )
        return found
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise ConfigurationError(f"REGISTRAR_DATABASE_URL: {reason}") from error
