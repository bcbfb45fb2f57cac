"""The decision whether media goes through the relay, and the relay's flags for a leg (docs/media.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from registrar.model import LegKind, MediaPolicy


@dataclass(frozen=True)
class Direct:
    """The plan that the parties send media directly to each other."""


@dataclass(frozen=True)
class Relayed:
    """The plan that the parties send media to the relay, which converts between their kinds."""


@dataclass(frozen=True)
class Impossible:
    """The plan to refuse the call with 488; its Warning (RFC 3261 section 20.43) has this text."""

    text: str


UNLIKE: Final = "one side of the call is WebRTC and the other is not"
UNLIKE_KEYS: Final = "one side of the call has its keys by DTLS and the other has not"
Plan = Direct | Relayed | Impossible


@dataclass(frozen=True, slots=True)
class Side:
    """The media properties of one party of a call."""

    kind: LegKind
    public: str = ""
    """The source address of its SIP messages."""
    media: str = ""
    """The address at which it wants to receive media; empty if unknown."""

    @property
    def is_v6(self) -> bool:
        """Return whether its media uses IPv6."""
        return ":" in (self.media or self.public)

    @property
    def is_hidden(self) -> bool:
        """Return whether only its own network reaches its media address, as it is not the public one."""
        return bool(self.media) and self.media != self.public


def plan(policy: MediaPolicy, offerer: Side, answerer: Side, configured: bool) -> Plan:
    """Return the plan for the media of a call; `configured` is true if there is a relay."""
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
    """Return why two kinds are incompatible; empty if they are compatible or can negotiate by themselves."""
    if (one is LegKind.WEBRTC) is not (other is LegKind.WEBRTC):
        return UNLIKE
    return UNLIKE_KEYS if (one is LegKind.DTLS) is not (other is LegKind.DTLS) else ""


def _needs_relay(one: Side, other: Side) -> bool:
    """Return whether two sides need the relay to reach each other. Browsers find a path by ICE."""
    if one.kind is LegKind.WEBRTC:
        return False
    if one.kind is not other.kind or one.is_v6 is not other.is_v6:
        return True
    return (one.is_hidden or other.is_hidden) and one.public != other.public


Flags = Mapping[str, str | tuple[str, ...]]
"""Flags of the ng protocol of rtpengine."""

WITH_DTLS: Final = frozenset({LegKind.WEBRTC, LegKind.DTLS})

ALWAYS: Final[Flags] = {
    "replace": ("origin", "session-connection"),  # hides the network of each party from the other
    "flags": ("strict-source",),  # after a party's first packet, other sources are dropped (CVE-2025-53399)
}
"""Flags for every offer and every answer."""

TO_PLAIN: Final[Flags] = {
    "ICE": "remove",
    "DTLS": "off",
    "SDES": ("off",),
    "transport-protocol": "RTP/AVP",
    "rtcp-mux": ("demux",),  # else the answer to the browser lacks rtcp-mux, which it requires
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
FROM_WEBRTC: Final[Flags] = {"DTLS-reverse": "passive"}
"""Flags for an offer of a browser. The relay waits for its handshake.

If a call rings at several phones, each has a session at the relay, and each session has the browser's offer.
As DTLS client, the relay sends a ClientHello in each session before an answer. The browser keeps the first
one, so the handshake fails if another session gets the answer ("bad signature").

A desk phone with DTLS has no rtcp-mux, and so two handshakes. As DTLS server, rtpengine 10.5 cannot decrypt
its RTP if that of RTCP is over first. There the relay stays the client.
"""
_TO: Final[Mapping[LegKind, Flags]] = {
    LegKind.WEBRTC: TO_WEBRTC,
    LegKind.DTLS: TO_DTLS,
    LegKind.SRTP: TO_SRTP,
    LegKind.PLAIN: TO_PLAIN,
}


def offer_flags(offerer: LegKind, to: LegKind, family: str = "") -> Flags:
    """Return the flags that convert an offer from one kind to another; the relay then converts the answer.

    Between two desk phones of the same kind only addresses are changed, so that SRTP with SDES stays as it
    was. `family` is IP4 or IP6 if the other side has another address family than the offerer.
    """
    like = offerer is to and to is not LegKind.WEBRTC
    flags = ALWAYS if like else {**ALWAYS, **_TO[to]}
    if offerer is LegKind.WEBRTC and not like:
        flags = {**flags, **FROM_WEBRTC}
    return {**flags, "address-family": family} if family else flags
