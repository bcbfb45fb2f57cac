"""How each brand names a time zone and a language; those of Europe that public sources confirm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone in the words of the brands; an empty word is not written."""

    hours: int
    """Offset from UTC in winter."""
    snom: str
    mitel: str
    yealink: str = ""
    tones: str = ""
    """Tone scheme of Snom."""
    country: str = ""
    """Country of the tones, in English, as Yealink and Mitel name it."""
    summer: bool = True
    """Whether the European summer time applies."""

    @property
    def posix(self) -> str:
        """Return the rule of the zone as POSIX writes it, the offsets with the opposite sign."""
        if not self.summer:
            return f"UTC{-self.hours}"
        start, end = 2 + self.hours - 1, 3 + self.hours - 1
        rule = f"M3.5.0/{start:02}:00:00,M10.5.0/{end:02}:00:00"
        return f"STD{-self.hours}DST{-self.hours - 1},{rule}"


ZONES: Final[Mapping[str, Zone]] = {
    "Europe/Copenhagen": Zone(1, "DNK+1", "DK-Copenhagen", "Denmark(Kopenhagen)", "DNK", "Denmark"),
    "Europe/Berlin": Zone(1, "GER+1", "DE-Berlin", "Germany(Berlin)", "GER", "Germany"),
    "Europe/Paris": Zone(1, "FRA+1", "FR-Paris", "France(Paris)", "FRA", "France"),
    "Europe/Amsterdam": Zone(1, "NLD+1", "NL-Amsterdam", "", "", "Netherlands"),
    "Europe/Stockholm": Zone(1, "SWE+1", "SE-Stockholm", "", "SWE", "Sweden"),
    "Europe/Oslo": Zone(1, "NOR+1", "NO-Oslo", "", "", "Norway"),
    "Europe/Helsinki": Zone(2, "FIN+2", "FI-Helsinki", "", "", "Finland"),
    "Europe/London": Zone(0, "GBR-0", "GB-London", "United Kingdom(London)", "GBR", "Great Britain"),
    "UTC": Zone(0, "", "", summer=False),
}

SNOM_LANGUAGES: Final[Mapping[str, str]] = {
    "da": "Dansk",
    "de": "Deutsch",
    "en": "English",
    "es": "Español",
    "fi": "Suomi",
    "fr": "Français",
    "it": "Italiano",
    "nl": "Nederlands",
    "no": "Norsk",
    "sv": "Svenska",
}
YEALINK_LANGUAGES: Final[Mapping[str, str]] = {
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "no": "Norwegian",
    "sv": "Swedish",
}
GRANDSTREAM_LANGUAGES: Final = frozenset({"de", "en", "es", "fr", "it", "nl"})
MAXWELL_LANGUAGES: Final[Mapping[str, str]] = {"en": "en-us", "it": "it-it"}
