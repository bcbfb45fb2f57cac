"""Where Redis is: the value of REGISTRAR_REDIS_URL, read."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from registrar.errors import ConfigurationError

NAME: Final = "REGISTRAR_REDIS_URL"
PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SENTINEL_SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")
"""With the second one, the sentinels and the servers are reached over TLS."""
CA: Final = "ssl_ca_certs"
"""Spelled as redis-py spells it, which reads this part of a `rediss://` URL by itself."""
SENTINEL_OPTIONS: Final = frozenset({"sentinel_username", "sentinel_password", CA})

Place = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True)
class Address:
    """Address of Redis, or of the sentinels that know it."""

    host: str = ""
    port: int = PORT
    path: str = ""
    tls: bool = False
    username: str = ""
    password: str = ""
    database: int = 0
    authority: str = ""
    """File with certificates that may sign that of Redis, beside those of this machine."""
    sentinels: tuple[Place, ...] = ()
    """If there are any, they name the host and the port."""
    master: str = ""
    """What the sentinels call the server that takes writes."""
    sentinel_username: str = ""
    sentinel_password: str = ""

    @property
    def some_host(self) -> str:
        """Return a host there; empty for a socket of this machine."""
        return self.sentinels[0][0] if self.sentinels else self.host

    def tls_context(self) -> ssl.SSLContext | None:
        """Return what TLS needs, or None without TLS. Raises ConfigurationError if the authority is wrong."""
        if not self.tls:
            return None
        context = ssl.create_default_context()
        if self.authority:
            try:
                context.load_verify_locations(self.authority)
            except ssl.SSLError:
                raise ConfigurationError(f"{NAME}: {CA}: {self.authority} holds no certificate") from None
            except OSError as error:
                raise ConfigurationError(f"{NAME}: {CA}: {self.authority}: {error.strerror}") from None
        return context


def parse_url(url: str) -> Address:
    """Return the address in a URL; docs/settings.md has its forms. Raises ConfigurationError."""
    scheme, _, rest = url.partition("://")
    if scheme.lower() in SENTINEL_SCHEMES:
        return _sentinels(rest, tls=scheme.lower().startswith("rediss"))
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
        database = int(parts.path.strip("/") or 0) if parts.scheme != "unix" else 0
    except ValueError:
        raise ConfigurationError(f"{NAME} has a port or database that is not a number") from None
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    authority = _authority(parts.query, tls=parts.scheme == "rediss")
    if parts.scheme == "unix":
        return Address(path=unquote(parts.path), username=username, password=password)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ConfigurationError(
            f"{NAME} must be redis://host:port/db, rediss://host:port/db, unix:///path or "
            "redis+sentinel://host:port,host:port/master/db"
        )
    tls = parts.scheme == "rediss"
    return Address(parts.hostname, port, "", tls, username, password, database, authority)


def _authority(query: str, *, tls: bool) -> str:
    """Return the authority in the query of a URL that names a server; nothing else may be there."""
    options = dict(parse_qsl(query, keep_blank_values=True))
    if query and (not tls or options.keys() != {CA}):
        raise ConfigurationError(
            f"{NAME}: the database goes into the path, redis://host:port/2; nothing after a ? but "
            f"{CA}=FILE of a rediss:// URL"
        )
    return options.get(CA, "")


def _sentinels(rest: str, *, tls: bool) -> Address:
    """Return the address in `[user:password@]host[:port][,host[:port]...]/master[/db][?options]`."""
    place, _, query = rest.partition("?")
    hosts, _, path = place.partition("/")
    credentials, _, hosts = hosts.rpartition("@")
    username, _, password = credentials.partition(":")
    master, _, database = path.rstrip("/").partition("/")
    if not master:
        raise ConfigurationError(
            f"{NAME}: the name of the master is missing: redis+sentinel://host:port/name"
        )
    if database and not database.isdecimal():
        raise ConfigurationError(f"{NAME} has a database that is not a number")
    options = _options(query, tls=tls)
    return Address(
        tls=tls,
        username=unquote(username),
        password=unquote(password),
        database=int(database or 0),
        authority=options.get(CA, ""),
        sentinels=tuple(map(_place, hosts.split(","))),
        master=unquote(master),
        sentinel_username=options.get("sentinel_username", ""),
        sentinel_password=options.get("sentinel_password", ""),
    )


def _options(query: str, *, tls: bool) -> Mapping[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in SENTINEL_OPTIONS or (name == CA and not tls):
            raise ConfigurationError(
                f"{NAME}: {name[:40]} is no option: sentinel_username, sentinel_password, and with "
                f"rediss+sentinel:// {CA}"
            )
    return options


def _place(text: str) -> Place:
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port or SENTINEL_PORT
    except ValueError:
        raise ConfigurationError(f"{NAME} has a port of a sentinel that is not a number") from None
    if not parts.hostname or parts.netloc != text:
        raise ConfigurationError(f"{NAME}: a sentinel is host:port, more of them are separated by commas")
    return parts.hostname, port
