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
Plan = Direct | Relayed | Impossible


def plan(policy: MediaPolicy, offerer: LegKind, answerer: LegKind, configured: bool) -> Plan:
    """How the media of a call goes; `configured`: there is a relay."""
    unlike = offerer is not answerer
    if policy is MediaPolicy.NEVER:
        return Impossible(f"{UNLIKE}, and the media relay is turned off") if unlike else Direct()
    if not unlike and policy is MediaPolicy.AUTO:
        return Direct()
    if configured:
        return Relayed()
    if unlike:
        return Impossible(f"{UNLIKE}, and no media relay is configured")
    return Impossible("all media goes through a relay here, and none is configured")


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
TO_WEBRTC: Final[Flags] = {
    "ICE": "force",
    "DTLS": "passive",
    "SDES": ("off",),
    "transport-protocol": "UDP/TLS/RTP/SAVPF",
    "rtcp-mux": ("offer", "require"),
}


def offer_flags(offerer: LegKind, to: LegKind) -> Flags:
    """What turns an offer of one kind into one for the other. The answer needs none: the relay remembers.

    Between two plain phones nothing is changed but addresses, so that SRTP by SDES stays what it was.
    """
    if to is LegKind.WEBRTC:
        return {**ALWAYS, **TO_WEBRTC}
    if offerer is LegKind.WEBRTC:
        return {**ALWAYS, **TO_PLAIN}
    return ALWAYS
