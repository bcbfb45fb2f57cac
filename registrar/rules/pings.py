"""Pings of phones over UDP: when one is sent, what it says, what an answer is worth (RFC 3261 section 11)."""

from dataclasses import replace
from hashlib import blake2b
from typing import Final

from registrar.model import Binding, Epoch, Flow
from registrar.sip import parse_uri

PREFIX: Final = "z9hG4bKping"
"""How the branch of every ping begins: an answer is known by it before anything else is looked at."""
WAITS: Final = (2.0, 4.0, 8.0, 2.0)
"""So long an answer is waited for after each sending: 16 s in all."""
LEAST_PAUSE: Final = 4.0
MOST_PAUSE: Final = 60.0
"""From one ping of a silent phone to the next: twice as long each time, as most of them stay away."""
JITTER: Final = 0.1
FRESH_SECONDS: Final = 60
"""A sign of life that is younger is not written again, unless the round trip changed."""
SAME_RTT: Final = 0.2
SAME_MILLISECONDS: Final = 5.0
"""A round trip has not changed when it moved by less than either: in a house it is all jitter."""
TAIL_BYTES: Final = 8


def first_wait(seconds: float, roll: float) -> float:
    """When a phone is pinged first: at any moment of the interval. `roll` is in [0, 1)."""
    return seconds * roll


def pause(seconds: float, roll: float) -> float:
    """From one ping to the next: the interval, and up to a tenth more or less."""
    return seconds * (1 - JITTER + 2 * JITTER * roll)


def longer(wait: float) -> float:
    """The pause of a silent phone after one of `wait`."""
    return min(MOST_PAUSE, 2 * wait)


def branch(number: int, salt: bytes) -> str:
    """The branch of a ping. Only who has `salt`, or sees the ping, can tell it."""
    tail = blake2b(b"%d" % number, digest_size=TAIL_BYTES, key=salt).hexdigest()
    return f"{PREFIX}{number:x}.{tail}"


def options(binding: Binding, flow: Flow, branch: str) -> bytes:
    """The ping. It names nobody but the phone itself, in the words of its own contact."""
    host = f"[{flow.local_ip}]" if ":" in flow.local_ip else flow.local_ip
    target = binding.contact
    if "?" in target:
        target = _without_headers(target)
    name = branch[len(PREFIX) :]
    return (
        f"OPTIONS {target} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host}:{flow.local_port};branch={branch};rport\r\n"
        "Max-Forwards: 70\r\n"
        f"From: <sip:ping@{host}>;tag={name}\r\n"
        f"To: <{target}>\r\n"
        f"Call-ID: {name}@{host}\r\n"
        "CSeq: 1 OPTIONS\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def essence(binding: Binding) -> Binding:
    """What a ping must know of a binding; any REGISTER for it changes that, and nothing else does."""
    return Binding(
        contact=binding.contact,
        expires_at=binding.expires_at,
        call_id="",
        cseq=binding.cseq,
        public_ip=binding.public_ip,
        public_port=binding.public_port,
        transport=binding.transport,
        node=binding.node,
        refreshed_at=binding.refreshed_at,
        flow=binding.flow,
    )


def is_at(binding: Binding, flow: Flow) -> bool:
    """Whether `flow` comes from the address and port that the binding was made from."""
    return (binding.public_ip, binding.public_port) == (flow.remote_ip, flow.remote_port)


def worth_writing(rtt_ms: float | None, written_ms: float | None, seen: Epoch, written_seen: Epoch) -> bool:
    """Whether an answer at `seen` tells a reader of the status anything new; None: no round trip is known."""
    if seen - written_seen >= FRESH_SECONDS:
        return True
    if rtt_ms is None or written_ms is None:
        return rtt_ms is not None
    moved = abs(rtt_ms - written_ms)
    return moved >= SAME_MILLISECONDS and moved >= SAME_RTT * written_ms


def _without_headers(contact: str) -> str:
    """RFC 3261 section 19.1.1: a Request-URI has no headers. A user may contain a question mark."""
    uri = parse_uri(contact)
    return str(replace(uri, headers=None)) if uri.is_sip else contact
