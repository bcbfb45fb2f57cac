"""The words that mean the same for all customers of an installation: emergency numbers and feature codes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from registrar.model import Emergency, Feature, FeatureKind

EMERGENCY_NUMBERS: Final = frozenset({"112", "911", "999"})
"""Emergency numbers in every installation: people dial the one that they know."""
_SOS: Final = re.compile(r"urn:service:sos(?:\.[a-z0-9-]+)*", re.IGNORECASE)
"""The service URN of an emergency, or of a kind of emergency (RFC 5031 section 4.2)."""
_ARGUMENT: Final = re.compile(r"\+?[0-9*#]{1,32}")
"""A number of a dial plan, or a phone number."""
END: Final = "#"
"""The sign that a phone may send after the last digit of an argument; `%23` is the same in a URI."""


class Family(StrEnum):
    """The feature codes that are enabled or disabled together (REGISTRAR_FEATURES)."""

    DND = "dnd"
    FORWARD = "forward"
    QUEUE = "queue"
    PICKUP = "pickup"


class Takes(Enum):
    """Whether a number is dialled after a feature code."""

    NOTHING = 0
    NUMBER_OR_NOTHING = 1
    NUMBER = 2


@dataclass(frozen=True, slots=True)
class FeatureCode:
    """A code that phones dial, and what it does."""

    text: str
    kind: FeatureKind
    family: Family
    takes: Takes = Takes.NOTHING


CODES: Final = (
    FeatureCode("*8", FeatureKind.PICKUP_GROUP, Family.PICKUP, Takes.NUMBER_OR_NOTHING),
    FeatureCode("**", FeatureKind.PICKUP, Family.PICKUP, Takes.NUMBER),
    FeatureCode("*76", FeatureKind.DND_TOGGLE, Family.DND),
    FeatureCode("*78", FeatureKind.DND_ON, Family.DND),
    FeatureCode("*79", FeatureKind.DND_OFF, Family.DND),
    FeatureCode("*72", FeatureKind.CFU_ON, Family.FORWARD, Takes.NUMBER),
    FeatureCode("*73", FeatureKind.CFU_OFF, Family.FORWARD),
    FeatureCode("*90", FeatureKind.CFB_ON, Family.FORWARD, Takes.NUMBER),
    FeatureCode("*91", FeatureKind.CFB_OFF, Family.FORWARD),
    FeatureCode("*92", FeatureKind.CFNR_ON, Family.FORWARD, Takes.NUMBER),
    FeatureCode("*93", FeatureKind.CFNR_OFF, Family.FORWARD),
    FeatureCode("*45", FeatureKind.QUEUE, Family.QUEUE, Takes.NUMBER),
)
LENGTHS: Final = tuple(sorted({len(code.text) for code in CODES}, reverse=True))


@dataclass(frozen=True, slots=True)
class ReservedWords:
    """The emergency numbers and the enabled feature codes of an installation."""

    codes: Mapping[str, FeatureCode]
    emergency_numbers: frozenset[str]

    def destination(self, word: str) -> Emergency | Feature | None:
        """Return what a dialled word means for all customers, or None if their dial plans decide."""
        if word in self.emergency_numbers or _SOS.fullmatch(word):
            return Emergency(word)
        code = self._code(word)
        if code is None:
            return None
        argument = word[len(code.text) :].removesuffix(END)
        if not argument:
            return None if code.takes is Takes.NUMBER else Feature(code.kind, code.text)
        if code.takes is Takes.NOTHING or not _ARGUMENT.fullmatch(argument):
            return None
        return Feature(code.kind, code.text, argument)

    def refusal(self, number: str) -> str:
        """Return why no extension, group or queue may have a number; empty if it may."""
        if number in self.emergency_numbers:
            return f"The number {number} is an emergency number"
        code = self._code(number)
        return "" if code is None else f"The number {number} begins like the feature code {code.text}"

    def _code(self, word: str) -> FeatureCode | None:
        """Return the longest enabled code with which a word begins, or None."""
        for length in LENGTHS:
            code = self.codes.get(word[:length])
            if code is not None:
                return code
        return None


def reserved_words(
    families: Iterable[str] = tuple(Family), emergency_numbers: Iterable[str] = ()
) -> ReservedWords:
    """Return the words of an installation with these families of codes and additional emergency numbers."""
    enabled = frozenset(families)
    codes = {code.text: code for code in CODES if code.family in enabled}
    return ReservedWords(codes, EMERGENCY_NUMBERS.union(emergency_numbers))
