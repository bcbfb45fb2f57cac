"""Which country an address is in, from a GeoIP2, GeoLite2 or DB-IP file; reloaded when the file changes."""

import logging
from collections.abc import Callable
from pathlib import Path

import geoip2.database
import geoip2.errors
import maxminddb

from registrar.errors import StoreUnavailable

log = logging.getLogger(__name__)

Look = Callable[[str], str | None]


class CountryFile:
    """Implements ports.Countries. A new file is opened whole before it replaces the old one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._reader: geoip2.database.Reader | None = None
        self.problem = "not read yet"
        """Why ROAMING phones are refused now; empty when they are not."""

    def country(self, address: str) -> str | None:
        """See ports.Countries."""
        if self._reader is None:
            raise StoreUnavailable(f"country file: {self.problem}")
        try:
            if "City" in self._reader.metadata().database_type:
                return self._reader.city(address).country.iso_code
            return self._reader.country(address).country.iso_code
        except (geoip2.errors.AddressNotFoundError, ValueError):
            return None
        except maxminddb.InvalidDatabaseError as error:
            raise StoreUnavailable(f"country file: {error}") from error

    def refresh(self) -> None:
        """Look whether the file has changed; a bad new one leaves the old one in use."""
        try:
            stat = self._path.stat()
        except OSError:
            self._note("there is no country file", keep=self._reader is not None)
            self._seen = None
            return
        seen = (stat.st_mtime_ns, stat.st_size)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            reader = geoip2.database.Reader(self._path, mode=maxminddb.MODE_MEMORY)
            kind = reader.metadata().database_type
        except (maxminddb.InvalidDatabaseError, OSError, ValueError) as error:
            self._note(f"unreadable ({type(error).__name__})", keep=self._reader is not None)
            return
        if "Country" not in kind and "City" not in kind:
            self._note(f"it is a {kind} file, not a Country or City one", keep=self._reader is not None)
            return
        self._reader, self.problem = reader, ""
        log.info("country file %s: %s", self._path, kind)

    def _note(self, problem: str, *, keep: bool) -> None:
        if problem != self.problem:
            consequence = "the one read before stays in use" if keep else "ROAMING phones are refused"
            log.warning("country file %s: %s; %s", self._path, problem, consequence)
        self.problem = problem
