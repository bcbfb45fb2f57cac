"""Lookup of an address's country in a GeoIP2, GeoLite2 or DB-IP file; reloaded when the file changes."""

import logging
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import geoip2.database
import geoip2.errors
import maxminddb

from registrar.errors import StoreUnavailable

log = logging.getLogger(__name__)

FAULTS: Final = (maxminddb.InvalidDatabaseError, OSError, ValueError, TypeError, AttributeError)
"""The errors that a damaged file, or one of another format, raises at some point of a lookup."""
SAMPLES: Final = tuple(f"{first}.0.113.9" for first in range(1, 224))
"""Addresses that are looked up in a new file before it replaces a working one."""


class CountryFile:
    """Country lookup in a file. A new file is opened completely before it replaces the old one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._reader: geoip2.database.Reader | None = None
        self.problem = "not read yet"
        """Why the current file cannot be used; empty if it can. Without any usable file ROAMING phones are
        refused."""

    def country(self, address: str) -> str | None:
        """Return the ISO 3166-1 alpha-2 code, or None if unknown. Raises StoreUnavailable without a file."""
        if self._reader is None:
            raise StoreUnavailable(f"country file: {self.problem}")
        try:
            return _country(self._reader, address)
        except FAULTS as error:
            raise StoreUnavailable(f"country file: {error}") from error

    def refresh(self) -> None:
        """Check whether the file has changed, and load it if so. A bad new file leaves the old one in use."""
        try:
            stat = self._path.stat()
        except OSError:
            self._note("there is none; `registrar geoip update` fetches one", keep=self._reader is not None)
            self._seen = None
            return
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            reader = geoip2.database.Reader(self._path, mode=maxminddb.MODE_MEMORY)
            kind = reader.metadata().database_type
            if "Country" not in kind and "City" not in kind:
                self._note(f"it is a {kind} file, not a Country or City one", keep=self._reader is not None)
                return
            for address in SAMPLES:
                _country(reader, address)
        except FAULTS as error:
            self._note(f"unreadable ({type(error).__name__})", keep=self._reader is not None)
            return
        self._reader, self.problem = reader, ""
        log.info("country file %s: %s", self._path, kind)

    def _note(self, problem: str, *, keep: bool) -> None:
        if problem != self.problem:
            consequence = "the one read before stays in use" if keep else "ROAMING phones are refused"
            log.warning("country file %s: %s; %s", self._path, problem, consequence)
        self.problem = problem


def _country(reader: geoip2.database.Reader, address: str) -> str | None:
    try:
        place = ip_address(address)
    except ValueError:
        return None
    look = reader.city if "City" in reader.metadata().database_type else reader.country
    try:
        return look(place).country.iso_code
    except geoip2.errors.AddressNotFoundError:
        return None
