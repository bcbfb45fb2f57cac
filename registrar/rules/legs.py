"""What both parties of a call speak and may use, small enough to travel in a token."""

from dataclasses import dataclass
from typing import Final

from registrar.model import LegKind, Phone

from .register import WEBSOCKETS

_LETTERS: Final = {LegKind.WEBRTC: "w", LegKind.PLAIN: "p", LegKind.SRTP: "s", LegKind.DTLS: "d"}
_KINDS: Final = {letter: kind for kind, letter in _LETTERS.items()}
_HD_AUDIO, _VIDEO, _LATE = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Legs:
    """The two sides, as one of them sees them. `str(legs)` is what travels: three characters."""

    mine: LegKind
    other: LegKind
    hd_audio: bool
    video: bool
    mine_v6: bool = False
    other_v6: bool = False
    late: bool = False
    """Whether the INVITE had no offer: whoever answers it makes one."""

    def __str__(self) -> str:
        mine, other = _LETTERS[self.mine], _LETTERS[self.other]
        marks = self.hd_audio * _HD_AUDIO | self.video * _VIDEO | self.late * _LATE
        return f"{mine.upper() if self.mine_v6 else mine}{other.upper() if self.other_v6 else other}{marks}"

    @property
    def family(self) -> str:
        """The address family that the relay must be told for the other side; empty: there is one."""
        if self.mine_v6 is self.other_v6 or self.other is LegKind.WEBRTC:
            return ""
        return "IP6" if self.other_v6 else "IP4"


def turned(legs: Legs) -> Legs:
    """As the other side sees them."""
    return Legs(legs.other, legs.mine, legs.hd_audio, legs.video, legs.other_v6, legs.mine_v6, legs.late)


def parse_legs(text: str) -> Legs:
    """What `str(legs)` gave. Raises KeyError, ValueError for anything else."""
    if len(text) != 3 or text[2] not in "01234567":
        raise ValueError(f"bad legs: {text!r}")
    mine, other, marks = text[0], text[1], int(text[2])
    return Legs(
        _KINDS[mine.lower()],
        _KINDS[other.lower()],
        bool(marks & _HD_AUDIO),
        bool(marks & _VIDEO),
        mine.isupper(),
        other.isupper(),
        bool(marks & _LATE),
    )


def legs(caller: Phone, mine: LegKind, callee: Phone, other: LegKind) -> Legs:
    """What two phones may use together: what both are allowed (`codec.hdAudio`, `codec.video`)."""
    return Legs(mine, other, caller.hd_audio and callee.hd_audio, caller.video and callee.video)


def kind_of(transport: str) -> LegKind:
    """What a phone on that transport speaks: a browser is on a WebSocket, and nobody else."""
    return LegKind.WEBRTC if transport in WEBSOCKETS else LegKind.PLAIN


def is_browser(transport: str) -> bool:
    """Whether a browser is at the other end."""
    return transport in WEBSOCKETS


def offerers_kind(transport: str, described: LegKind | None) -> LegKind:
    """What the sender of an offer speaks, by what it says of itself.

    What has keys by DTLS on a WebSocket is a browser, also when it has not gathered anything for ICE yet.
    """
    if described is None or (described is LegKind.DTLS and transport in WEBSOCKETS):
        return kind_of(transport)
    return described


def answerers_kind(transport: str, offerer: LegKind, known: LegKind | None) -> LegKind:
    """What to offer to a phone on that transport; `known` is what it took before.

    A desk phone of which nothing is known gets SRTP as it was offered, else RTP.
    """
    kind = kind_of(transport)
    if kind is LegKind.WEBRTC:
        return kind
    if known is not None:
        return known
    return offerer if offerer is LegKind.SRTP else kind


def other_profile(refused: LegKind) -> LegKind | None:
    """What to offer to a desk phone that has refused an offer of one kind (488, 415); None: nothing else."""
    return {LegKind.PLAIN: LegKind.SRTP, LegKind.SRTP: LegKind.PLAIN}.get(refused)
