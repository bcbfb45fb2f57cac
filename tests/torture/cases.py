"""Every torture case: what the language says of it, and what a server answers over UDP."""

from typing import Final

from .build import PARSED, RESPONSE, SILENCE, Case
from .hostile import HOSTILE
from .rfc4475 import RFC4475
from .rfc5118 import RFC5118

__all__ = ["CASES", "PARSED", "RESPONSE", "RFC4475", "RFC5118", "SILENCE", "Case"]

CASES: Final[tuple[Case, ...]] = (*RFC4475, *RFC5118, *HOSTILE)
