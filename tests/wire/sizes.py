"""How large the messages of a call are when they come and when they leave: `python -m tests.wire.sizes`.

Over UDP whatever is larger than 1,300 octets may be cut in two on its way, and home routers drop the pieces
(RFC 3261 section 18.1.1). An INVITE of at most 1,000 octets before its credentials must leave as small.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.peers.calling import CallingPhone
from tests.peers.calling_message import Message, uri_of
from tests.peers.calling_session import Session
from tests.wire.callers import Callers
from tests.wire.site import Site

MOST: Final = 1_300
SMALL: Final = 1_000
"""Of an INVITE before its credentials."""
LONGEST_URI: Final = 254
"""pjsip has room for so many octets of a URI."""
DESK: Final = (
    "User-Agent: Desk phone 108.86.0.70",
    "Supported: replaces,timer",
    "Allow-Events: talk,hold,conference,refer,check-sync",
)
CRYPTO: Final = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
CODECS: Final = {
    "9": ["a=rtpmap:9 G722/8000"],
    "0": ["a=rtpmap:0 PCMU/8000"],
    "8": ["a=rtpmap:8 PCMA/8000"],
    "18": ["a=rtpmap:18 G729/8000", "a=fmtp:18 annexb=no"],
    "101": ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15"],
}


@dataclass(frozen=True)
class Kind:
    """What a desk phone says when it calls."""

    name: str
    codecs: Sequence[str]
    srtp: bool = False
    instance: str = ""
    contact: int = 0
    """So long is the URI by which it is registered; 0: as short as most."""

    def sdp(self, port: int, version: int = 1, direction: str = "sendrecv") -> bytes:
        """What it says of its sound, as a desk phone in an office does."""
        profile = "RTP/SAVP" if self.srtp else "RTP/AVP"
        lines = [
            "v=0", f"o=- 20055 {version} IN IP4 192.168.10.55", "s=SDP data", "c=IN IP4 192.168.10.55",
            "t=0 0",
            f"m=audio {port} {profile} {' '.join(self.codecs)}",
        ]  # fmt: skip
        if self.srtp:
            lines.append(CRYPTO)
        lines += [line for codec in self.codecs for line in CODECS[codec]]
        return "".join(f"{line}\r\n" for line in [*lines, "a=ptime:20", f"a={direction}"]).encode()


KINDS: Final = (
    Kind("three codecs", ("0", "8", "101")),
    Kind("five codecs", ("9", "0", "8", "18", "101")),
    Kind("SRTP", ("0", "8", "101"), srtp=True),
    Kind("+sip.instance", ("9", "0", "8", "18", "101"), instance="f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
    Kind("a Contact of 1,000 octets", ("9", "0", "8", "18", "101"), contact=1_000),
)


@dataclass(frozen=True)
class Size:
    """One message: octets as it came, and as it left."""

    kind: str
    message: str
    came: int
    left: int


@dataclass(frozen=True)
class Sizes:
    """Those of one call, and the URIs that its phones were shown."""

    kind: Kind
    sizes: tuple[Size, ...]
    shown: tuple[str, ...]

    @property
    def invite(self) -> Size:
        """Without its credentials."""
        return self.sizes[0]


async def measure(callers: Callers, kind: Kind) -> Sizes:
    """A call of that kind, over UDP: set up, held by either side, ended by the callee."""
    own, other = callers.extension(), callers.extension()
    a = await callers.connect(own.handset, instance=kind.instance)
    b = await callers.connect(other.handset, instance=kind.instance)
    if kind.contact:
        rest = kind.contact - len(a.caller.contact) - len(";x=")
        a.caller.contact += f";x={'y' * rest}"
    for phone in (a, b):
        assert (await phone.register()).status == 200
    outgoing = await a.call(other.number, kind.sdp(a.media_port), DESK)
    incoming = await b.incoming()
    incoming.answer(kind.sdp(b.media_port), DESK)
    ok = await outgoing.answered()
    await incoming.acknowledged()
    bare, proven = (len(raw) for raw in sent(a, "INVITE "))
    sizes = [
        Size(kind.name, "INVITE", bare, len(incoming.invite.raw)),
        Size(kind.name, "the same with credentials", proven, len(incoming.invite.raw)),
        Size(kind.name, "200", len(sent(b, "SIP/2.0 200")[-1]), len(ok.raw)),
    ]
    for session, of, to, what in ((outgoing, a, b, "caller"), (incoming, b, a, "callee")):
        sizes += await _hold(session, of, to, kind, what)
    assert (await incoming.bye()).status == 200
    there = (await outgoing.asked("BYE")).request
    sizes.append(Size(kind.name, "BYE", len(sent(b, "BYE ")[-1]), len(there.raw)))
    shown = (incoming.invite.contact, ok.contact)
    return Sizes(kind, tuple(sizes), shown)


async def _hold(session: Session, of: CallingPhone, to: CallingPhone, kind: Kind, what: str) -> list[Size]:
    to.requests.clear()
    answer = await session.reinvite(kind.sdp(of.media_port, 2, "sendonly"), DESK)
    assert answer.status == 200, answer
    there = (await to.asked("INVITE")).request
    assert isinstance(there, Message) and b"a=sendonly" in there.body
    return [Size(kind.name, f"re-INVITE of the {what}", len(sent(of, "INVITE ")[-1]), len(there.raw))]


def sent(phone: CallingPhone, start: str) -> list[bytes]:
    """What a phone has sent that begins so."""
    return [raw for _, raw in phone.sent if raw.startswith(start.encode())]


def longest(sizes: Sizes) -> int:
    """Octets of the longest URI that one of both was shown of the other."""
    return max(len(uri_of(f"<{uri}>")) for uri in sizes.shown)


async def _main() -> None:
    table = Table("", "message", "came", "left", title="Octets of the messages of a call over UDP")
    with tempfile.TemporaryDirectory(prefix="sizes-") as folder, Site(Path(folder)) as site:
        site.demo()
        async with Callers(site) as callers:
            for kind in KINDS:
                found = await measure(callers, kind)
                for one in found.sizes:
                    table.add_row(one.kind, one.message, str(one.came), str(one.left))
                table.add_row(kind.name, "the Contact that is shown", "", str(longest(found)))
    console = Console()
    console.print(table)


if __name__ == "__main__":
    asyncio.run(_main())
