"""What the workers of one machine tell the process for HTTP: whether they can work, and their metrics."""

import asyncio
import json
import os
import re
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from config.health import Readiness

STATE: Final = b"state\n"
METRICS: Final = b"metrics\n"
ASK_SECONDS: Final = 1.0
PART_OCTETS: Final = 65_536
_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group of a peer (unix(7), SO_PEERCRED)."""
_SAMPLE: Final = re.compile(rb"^([A-Za-z_:][\w:]*)(\{)?", re.MULTILINE)

State = tuple[dict[str, str], tuple[str, ...]]
"""The parts of a worker, each `up` or `down: why`, and what is missing without stopping the work."""


class Told:
    """The answers of one worker."""

    def __init__(self, state: Callable[[], State], exposition: Callable[[], bytes]) -> None:
        self._answers: dict[bytes, Callable[[], bytes]] = {
            STATE: lambda: json.dumps(state()).encode(),
            METRICS: exposition,
        }

    async def run(self, listening: socket.socket, stop: asyncio.Event) -> None:
        """Answer until `stop` is set."""
        server = await asyncio.start_unix_server(self._answer, sock=listening)
        async with server:
            await stop.wait()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not _is_own(writer):  # others must not take the time and the places of our own
            writer.close()
            return
        with suppress(OSError, TimeoutError, ValueError):
            async with asyncio.timeout(ASK_SECONDS):
                asked = await reader.readline()
                if asked in self._answers:
                    writer.write(self._answers[asked]())
                    await writer.drain()
        writer.close()


def _is_own(writer: asyncio.StreamWriter) -> bool:
    """Return whether the peer runs as our user: a name in the abstract namespace has no permissions."""
    peer = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
    )
    return bool(_CREDENTIALS.unpack(peer)[1] in (os.geteuid(), 0))


async def ask(place: str, what: bytes) -> bytes | None:
    """Return the answer of the worker at a place, or None if it does not answer."""
    loop, answer = asyncio.get_running_loop(), bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await loop.sock_connect(asking, f"\0{place}")
                await loop.sock_sendall(asking, what)
                while part := await loop.sock_recv(asking, PART_OCTETS):
                    answer += part
        except (OSError, TimeoutError):
            return None
    return bytes(answer) or None


async def readiness(places: Sequence[str], own: Readiness) -> Readiness:
    """Return whether this process and all workers can work."""
    answers = await asyncio.gather(*(ask(place, STATE) for place in places))
    parts, degraded = dict(own.parts), dict.fromkeys(own.degraded)
    for number, answer in enumerate(answers, 1):
        if answer is None:
            parts["sip"] = f"down: worker {number} does not answer"
            continue
        told, concerns = json.loads(answer)
        degraded |= dict.fromkeys(concerns)
        for part, state in told.items():
            if state == "up":
                parts.setdefault(part, state)
            else:
                parts[part] = f"down: worker {number}: {state.removeprefix('down: ')}"
    return Readiness(all(state == "up" for state in parts.values()), parts, tuple(degraded))


async def exposition(places: Sequence[str], own: bytes) -> bytes:
    """Return the metrics of this process and of all workers; the label `worker` tells them apart."""
    answers = await asyncio.gather(*(ask(place, METRICS) for place in places))
    told = [(str(number), answer) for number, answer in enumerate(answers, 1) if answer]
    return merged([("api", own), *told])


def merged(texts: Iterable[tuple[str, bytes]]) -> bytes:
    """Return one text of Prometheus: each metric once, with the samples of all processes."""
    heads: dict[bytes, bytes] = {}
    samples: dict[bytes, list[bytes]] = {}
    for worker, text in texts:
        for block in text.split(b"# HELP ")[1:]:
            name = block.split(b" ", 1)[0]
            help, _, rest = block.partition(b"\n")
            kind, _, lines = rest.partition(b"\n")
            heads.setdefault(name, b"# HELP " + help + b"\n" + kind + b"\n")
            samples.setdefault(name, []).append(_labelled(lines, worker.encode()))
    return b"".join(heads[name] + b"".join(samples[name]) for name in heads)


def _labelled(lines: bytes, worker: bytes) -> bytes:
    def label(found: re.Match[bytes]) -> bytes:
        head = found[1] + b'{worker="' + worker + b'"'
        return head + (b"," if found[2] else b"}")

    return _SAMPLE.sub(label, lines)
