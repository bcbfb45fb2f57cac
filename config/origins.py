"""The countries of addresses, by the country file that ROAMING phones need."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import Mono
from registrar.store.geoip import CountryFile

LOOK_SECONDS: Final = 60
"""How often a change of the file is looked for."""


class Origins:
    """Looks up countries for people to read. Without a usable file, no country is known."""

    def __init__(self, path: Path | None, now: Callable[[], Mono]) -> None:
        self._path = path
        self._file = CountryFile(path) if path is not None else None
        self._now = now
        self._look_at = Mono(0)

    def country(self, address: str | None) -> str | None:
        """Return the ISO 3166-1 alpha-2 code of an address, or None if it is not known."""
        if not address:
            return None
        try:
            return self.known_country(address)
        except StoreUnavailable:
            return None

    def known_country(self, address: str) -> str | None:
        """Return the same for the access rule. Raise StoreUnavailable without a usable file."""
        if self._file is None:
            raise StoreUnavailable("there is no country file")
        self._refresh(self._file)
        return self._file.country(address)

    def _refresh(self, file: CountryFile) -> None:
        if self._now() < self._look_at:
            return
        self._look_at = Mono(self._now() + LOOK_SECONDS)
        if self._path is not None and self._path.exists():  # the SIP side warns that there is none
            file.refresh()
