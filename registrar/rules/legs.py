"""The media kinds and permissions of both parties of a call, in a form short enough for a token."""

from dataclasses import dataclass
from typing import Final

from registrar.model import LegKind, Phone

from .register import WEBSOCKETS

_LETTERS: Final = {LegKind.WEBRTC: "w", LegKind.PLAIN: "p", LegKind.SRTP: "s", LegKind.DTLS: "d"}
_KINDS: Final = {letter: kind for kind, letter in _LETTERS.items()}
_HD_AUDIO, _VIDEO, _LATE = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Legs:
    """Both sides of a call from the view of one. `str(legs)` is the form in a token: three characters."""

    mine: LegKind
    other: LegKind
    hd_audio: bool
    video: bool
    mine_v6: bool = False
    other_v6: bool = False
    late: bool = False
    """Whether the INVITE had no offer: the response then contains the offer."""

    def __str__(self) -> str:
        mine, other = _LETTERS[self.mine], _LETTERS[self.other]
        marks = self.hd_audio * _HD_AUDIO | self.video * _VIDEO | self.late * _LATE
        return f"{mine.upper() if self.mine_v6 else mine}{other.upper() if self.other_v6 else other}{marks}"

    @property
    def family(self) -> str:
        """Return the address family to request from the relay for the other side; empty if none is needed."""
        if self.mine_v6 is self.other_v6 or self.other is LegKind.WEBRTC:
            return ""
        return "IP6" if self.other_v6 else "IP4"


def turned(legs: Legs) -> Legs:
    """Return the legs from the view of the other side."""
    return Legs(legs.other, legs.mine, legs.hd_audio, legs.video, legs.other_v6, legs.mine_v6, legs.late)


def parse_legs(text: str) -> Legs:
    """Return the legs for a text from `str(legs)`. Raise KeyError or ValueError for any other text."""
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
    """Return the legs of two phones, with what both may use (`codec.hdAudio`, `codec.video`)."""
    return Legs(mine, other, caller.hd_audio and callee.hd_audio, caller.video and callee.video)


def kind_of(transport: str) -> LegKind:
    """Return the default media kind for a transport: WEBRTC on a WebSocket, which only browsers use."""
    return LegKind.WEBRTC if transport in WEBSOCKETS else LegKind.PLAIN


def is_browser(transport: str) -> bool:
    """Return whether the peer on this transport is a browser."""
    return transport in WEBSOCKETS


def offerers_kind(transport: str, described: LegKind | None) -> LegKind:
    """Return the media kind of the sender of an offer; `described` is the kind that its SDP describes.

    A sender with DTLS keys on a WebSocket is a browser, even if it has not gathered ICE candidates yet.
    """
    if described is None or (described is LegKind.DTLS and transport in WEBSOCKETS):
        return kind_of(transport)
    return described


def answerers_kind(transport: str, offerer: LegKind, known: LegKind | None) -> LegKind:
    """Return the media kind to offer to a phone on this transport; `known` is the kind it accepted before.

    A desk phone without a known kind gets SRTP if the offerer uses SRTP, else RTP.
    """
    kind = kind_of(transport)
    if kind is LegKind.WEBRTC:
        return kind
    if known is not None:
        return known
    return offerer if offerer is LegKind.SRTP else kind


def other_profile(refused: LegKind) -> LegKind | None:
    """Return the kind to offer after a desk phone refused one (488, 415), or None if there is no other."""
    return {LegKind.PLAIN: LegKind.SRTP, LegKind.SRTP: LegKind.PLAIN}.get(refused)
