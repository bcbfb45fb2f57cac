"""Check of a country file before it is used: its kind, its age, and whether it can answer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import maxminddb

from registrar.errors import StoreUnavailable
from registrar.model import Epoch

from .geoip import FAULTS, SAMPLES

KINDS: Final = ("Country", "City")


@dataclass(frozen=True, slots=True)
class CountryFacts:
    """Metadata of a country file, and the result of a trial."""

    kind: str
    built: Epoch
    known: int
    """How many of the sample addresses are in a country."""

    @property
    def sampled(self) -> int:
        """Return how many addresses were tried."""
        return len(SAMPLES)


def country_facts(path: Path) -> CountryFacts:
    """Return the facts of the file. Raises StoreUnavailable, one line, if the file cannot be used."""
    try:
        with maxminddb.open_database(path, maxminddb.MODE_FILE) as reader:
            about = reader.metadata()
            kind = "".join(letter for letter in str(about.database_type) if letter.isprintable())
            if not any(name in kind for name in KINDS):
                raise StoreUnavailable(f"it is a {kind[:64]!r} file, not a Country or City one")
            known = sum(_has_country(reader.get(address)) for address in SAMPLES)
            return CountryFacts(kind[:64], Epoch(float(about.build_epoch)), known)
    except FileNotFoundError:
        raise StoreUnavailable("there is no such file") from None
    except (*FAULTS, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is not a MaxMind DB, or a damaged one"
        raise StoreUnavailable(reason) from None


def _has_country(record: object) -> bool:
    country = record.get("country") if isinstance(record, dict) else None
    return isinstance(country, dict) and isinstance(country.get("iso_code"), str)
