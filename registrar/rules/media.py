"""Whether a call's media goes through the relay, and what the relay is told of a leg (docs/media.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from registrar.model import LegKind, MediaPolicy


@dataclass(frozen=True)
class Direct:
    """The parties send to each other."""


@dataclass(frozen=True)
class Relayed:
    """They send to the relay, which makes each understood by the other."""


@dataclass(frozen=True)
class Impossible:
    """They cannot speak to each other: 488, whose Warning (RFC 3261 section 20.43) has this text."""

    text: str


UNLIKE: Final = "one side of the call is WebRTC and the other is not"
UNLIKE_KEYS: Final = "one side of the call has its keys by DTLS and the other has not"
Plan = Direct | Relayed | Impossible


@dataclass(frozen=True, slots=True)
class Side:
    """One party of a call, as far as its media is concerned."""

    kind: LegKind
    public: str = ""
    """The address that its SIP comes from."""
    media: str = ""
    """The address at which it wants its media; empty while that is not known."""

    @property
    def is_v6(self) -> bool:
        """Whether its media is on IPv6."""
        return ":" in (self.media or self.public)

    @property
    def is_hidden(self) -> bool:
        """Whether nobody outside its own network reaches its media address."""
        return bool(self.media) and self.media != self.public


def plan(policy: MediaPolicy, offerer: Side, answerer: Side, configured: bool) -> Plan:
    """How the media of a call goes; `configured`: there is a relay."""
    text = _unlike(offerer.kind, answerer.kind)
    if policy is MediaPolicy.NEVER:
        return Impossible(f"{text}, and the media relay is turned off") if text else Direct()
    if policy is MediaPolicy.AUTO and not text and not (configured and _needs_relay(offerer, answerer)):
        return Direct()
    if configured:
        return Relayed()
    if text:
        return Impossible(f"{text}, and no media relay is configured")
    return Impossible("all media goes through a relay here, and none is configured")


def _unlike(one: LegKind, other: LegKind) -> str:
    """Why two kinds cannot understand each other; empty when they can, or may find it out by themselves."""
    if (one is LegKind.WEBRTC) is not (other is LegKind.WEBRTC):
        return UNLIKE
    return UNLIKE_KEYS if (one is LegKind.DTLS) is not (other is LegKind.DTLS) else ""


def _needs_relay(one: Side, other: Side) -> bool:
    """Whether two of like kind do not reach each other. Browsers find a way by themselves (ICE)."""
    if one.kind is LegKind.WEBRTC:
        return False
    if one.kind is not other.kind or one.is_v6 is not other.is_v6:
        return True
    return (one.is_hidden or other.is_hidden) and one.public != other.public


Flags = Mapping[str, str | tuple[str, ...]]
"""Of the ng protocol of rtpengine."""

ALWAYS: Final[Flags] = {
    "replace": ("origin", "session-connection"),  # nobody learns in which network the other one sits
    "flags": ("strict-source",),  # once a party is heard, packets of strangers are dropped (CVE-2025-53399)
}
"""For every offer and every answer."""

TO_PLAIN: Final[Flags] = {
    "ICE": "remove",
    "DTLS": "off",
    "SDES": ("off",),
    "transport-protocol": "RTP/AVP",
    "rtcp-mux": ("demux",),  # else the browser's answer lacks rtcp-mux, which it requires
}
TO_SRTP: Final[Flags] = {
    "ICE": "remove",
    "DTLS": "off",
    "transport-protocol": "RTP/SAVP",
    "rtcp-mux": ("demux",),
}
TO_DTLS: Final[Flags] = {
    "ICE": "remove",
    "DTLS": "passive",
    "SDES": ("off",),
    "transport-protocol": "UDP/TLS/RTP/SAVP",
    "rtcp-mux": ("demux",),
}
TO_WEBRTC: Final[Flags] = {
    "ICE": "force",
    "DTLS": "passive",
    "SDES": ("off",),
    "transport-protocol": "UDP/TLS/RTP/SAVPF",
    "rtcp-mux": ("offer", "require"),
}
_TO: Final[Mapping[LegKind, Flags]] = {
    LegKind.WEBRTC: TO_WEBRTC,
    LegKind.DTLS: TO_DTLS,
    LegKind.SRTP: TO_SRTP,
    LegKind.PLAIN: TO_PLAIN,
}


def offer_flags(offerer: LegKind, to: LegKind, family: str = "") -> Flags:
    """What turns an offer of one kind into one for the other. The answer needs none: the relay remembers.

    Between two desk phones of one kind nothing is changed but addresses, so that SRTP by SDES stays what it
    was. `family` is IP4 or IP6 where the other side is of another family than the offerer.
    """
    like = offerer is to and to is not LegKind.WEBRTC
    flags = ALWAYS if like else {**ALWAYS, **_TO[to]}
    return {**flags, "address-family": family} if family else flags
