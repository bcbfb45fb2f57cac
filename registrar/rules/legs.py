"""What both parties of a call speak and may use, small enough to travel in a token."""

from dataclasses import dataclass
from typing import Final

from registrar.model import LegKind, Phone

from .register import WEBSOCKETS

_LETTERS: Final = {LegKind.WEBRTC: "w", LegKind.PLAIN: "p"}
_KINDS: Final = {letter: kind for kind, letter in _LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Legs:
    """The two sides, as one of them sees them. `str(legs)` is what travels."""

    mine: LegKind
    other: LegKind
    hd_audio: bool
    video: bool

    def __str__(self) -> str:
        return f"{_LETTERS[self.mine]}{_LETTERS[self.other]}{int(self.hd_audio)}{int(self.video)}"


def turned(legs: Legs) -> Legs:
    """As the other side sees them."""
    return Legs(legs.other, legs.mine, legs.hd_audio, legs.video)


def parse_legs(text: str) -> Legs:
    """What `str(legs)` gave. Raises KeyError, ValueError for anything else."""
    if len(text) != 4:
        raise ValueError(f"bad legs: {text!r}")
    return Legs(_KINDS[text[0]], _KINDS[text[1]], text[2] == "1", text[3] == "1")


def legs(caller: Phone, mine: LegKind, callee: Phone, other: LegKind) -> Legs:
    """What two phones may use together: what both are allowed (`codec.hdAudio`, `codec.video`)."""
    return Legs(mine, other, caller.hd_audio and callee.hd_audio, caller.video and callee.video)


def kind_of(transport: str) -> LegKind:
    """What a phone on that transport speaks: a browser is on a WebSocket, and nobody else."""
    return LegKind.WEBRTC if transport in WEBSOCKETS else LegKind.PLAIN
