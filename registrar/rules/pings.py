"""Pings of phones over UDP: their times, content and evaluation (RFC 3261 section 11)."""

from dataclasses import replace
from hashlib import blake2b
from typing import Final

from registrar.model import Binding, Epoch, Flow
from registrar.sip import parse_uri

PREFIX: Final = "z9hG4bKping"
"""Prefix of the branch of every ping; it identifies a response before anything else is parsed."""
WAITS: Final = (2.0, 4.0, 8.0, 2.0)
"""Seconds to wait for a response after each transmission: 16 s in total."""
LEAST_PAUSE: Final = 4.0
MOST_PAUSE: Final = 60.0
"""Limits of the pause between pings of a silent phone; it doubles each time, as most stay silent."""
JITTER: Final = 0.1
FRESH_SECONDS: Final = 60
"""A sign of life is not written again within this time, unless the round-trip time changed."""
SAME_RTT: Final = 0.2
SAME_MILLISECONDS: Final = 5.0
"""A smaller change of the round-trip time than either limit is ignored: on a local network it is jitter."""
TAIL_BYTES: Final = 8


def first_wait(seconds: float, roll: float) -> float:
    """Return the wait before the first ping, a random part of the interval; `roll` is in [0, 1)."""
    return seconds * roll


def pause(seconds: float, roll: float) -> float:
    """Return the pause between two pings: the interval, plus or minus up to a tenth."""
    return seconds * (1 - JITTER + 2 * JITTER * roll)


def longer(wait: float) -> float:
    """Return the next pause for a silent phone after a pause of `wait`."""
    return min(MOST_PAUSE, 2 * wait)


def branch(number: int, salt: bytes) -> str:
    """Return the branch of a ping. It is known only with `salt`, or to a peer that sees the ping."""
    tail = blake2b(b"%d" % number, digest_size=TAIL_BYTES, key=salt).hexdigest()
    return f"{PREFIX}{number:x}.{tail}"


def options(binding: Binding, flow: Flow, branch: str) -> bytes:
    """Return the OPTIONS request of a ping. It names only the phone, by its own Contact URI."""
    host = f"[{flow.local_ip}]" if ":" in flow.local_ip else flow.local_ip
    target = without_headers(binding.contact)
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


def without_headers(contact: str) -> str:
    """Return a Contact URI without its headers: a Request-URI has none (RFC 3261 section 19.1.1).

    Only a URI with a question mark is parsed, as a user part may contain one.
    """
    if "?" not in contact:
        return contact
    uri = parse_uri(contact)
    return str(replace(uri, headers=None)) if uri.is_sip else contact


def essence(binding: Binding) -> Binding:
    """Return the fields of a binding that pings need; only a REGISTER for the binding changes them."""
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
    """Return whether `flow` has the remote address and port from which the binding was made."""
    return (binding.public_ip, binding.public_port) == (flow.remote_ip, flow.remote_port)


def worth_writing(rtt_ms: float | None, written_ms: float | None, seen: Epoch, written_seen: Epoch) -> bool:
    """Return whether a response at `seen` changes the status enough to be written.

    A round-trip time of None is unknown.
    """
    if seen - written_seen >= FRESH_SECONDS:
        return True
    if rtt_ms is None or written_ms is None:
        return rtt_ms is not None
    moved = abs(rtt_ms - written_ms)
    return moved >= SAME_MILLISECONDS and moved >= SAME_RTT * written_ms
