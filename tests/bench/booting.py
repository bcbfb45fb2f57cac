"""Phones that start at once, as after a power failure: how long a file takes, and how long a REGISTER.

Each phone asks for the files of its brand in the order of its brand, over HTTPS and with a connection for
each file, as old phones do. Then it registers with the account over UDP. The phones of an office share an
address.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import uvloop

from tests.bench.sides import SERVER_CORE
from tests.bench.transports import on_the_load_core
from tests.peers.endpoint import Endpoint, Phone
from tests.peers.process import PeerFailed
from tests.peers.stream import trusting
from tests.wire.phone_files import Boxed, BoxSite, request

PHONES: Final = 1_000
SECONDS: Final = 60.0
OFFICE: Final = 25
"""Phones behind one address."""
PATIENCE: Final = 60.0
FILE_AIM_MS: Final = 300.0
REGISTER_AIM_MS: Final = 150.0
TLS: Final = trusting()
BOOTS: Final[dict[str, tuple[str, ...]]] = {
    "D785": ("{MAC}.xml",),
    "D865": ("{MAC}.xml",),
    "M400": ("{MAC}.xml",),
    "6867i": ("startup.cfg", "{MAC}.cfg", "6867i.cfg"),
    "T46U": ("{mac}.boot", "{mac}.cfg"),
    "W60B": ("{mac}.boot", "{mac}.cfg"),
    "N510 IP PRO": ("{MAC}.xml",),
    "N870 IP PRO": ("{MAC}.xml",),
    "Maxwell 3": ("{MAC}.xml",),
    "GRP2614": ("cfg{mac}", "cfg{mac}.xml"),
    "SPA504G": ("spa504G.cfg", "{mac}.xml"),
    "8841 MPP": ("8841.xml", "{mac}.xml"),
    "LIP-8002": ("sysconf_LIP-8002_sip.cfg", "{MAC}"),
}
"""Model -> the files that it asks for. The last one that has the MAC address has the account."""


@dataclass(frozen=True)
class Booting:
    """What the start of all phones came to."""

    phones: int
    seconds: float
    """From the first request to the last answer."""
    files: int
    file_p50_ms: float
    file_p99_ms: float
    """With the TCP and TLS handshakes."""
    register_p50_ms: float
    register_p99_ms: float
    """REGISTER, 401, REGISTER with digest, 200."""
    failed: int
    """Phones without their account or without a 200."""
    cpu_ms: float
    """User and system time of the server for one phone."""


@dataclass
class Times:
    """What phones have noted, in seconds."""

    files: list[float] = field(default_factory=list)
    registers: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def aims(one: Booting | None) -> list[tuple[str, float, bool]]:
    """What was promised, what came of it, and whether that is enough."""
    if one is None:
        return []
    start = f"{one.phones:,} phones start"
    file, register = one.file_p99_ms, one.register_p99_ms
    return [
        (f"{start}: a file, p99 in ms, below {FILE_AIM_MS:g}", file, file < FILE_AIM_MS),
        (f"{start}: REGISTER, p99 in ms, below {REGISTER_AIM_MS:g}", register, register < REGISTER_AIM_MS),
        (f"{start}: phones that failed, 0", one.failed, one.failed == 0),
    ]


def text(one: Booting) -> str:
    """Two lines for a human."""
    files = f"{one.files:,} files, p50 {one.file_p50_ms:.1f} ms, p99 {one.file_p99_ms:.1f} ms"
    registers = f"REGISTER p50 {one.register_p50_ms:.1f} ms, p99 {one.register_p99_ms:.1f} ms"
    return (
        f"{one.phones:,} phones started in {one.seconds:.0f} s: {files}\n"
        f"  {registers}; CPU of the server {one.cpu_ms:.1f} ms a phone; {one.failed} failed"
    )


def measure(tmp: Path, phones: int, seconds: float) -> Booting:
    """Let the phones start within these seconds, on one process with its embedded stores."""
    with BoxSite(tmp / "booting", secure=True, cores=SERVER_CORE, log_level="warning") as site:
        models = list(BOOTS)
        boxes = [site.box(models[n % len(models)], f"0004{n:08X}") for n in range(phones)]
        with on_the_load_core():
            return uvloop.run(_measure(site, boxes, seconds))


async def _measure(site: BoxSite, boxes: Sequence[Boxed], seconds: float) -> Booting:
    times, cpu, begin = Times(), site.cpu_seconds(), time.monotonic()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        for number, box in enumerate(boxes):
            if number % OFFICE == 0:
                address = f"127.88.{number // OFFICE // 250}.{1 + number // OFFICE % 250}"
                office = await stack.enter_async_context(await Endpoint.open(site.sip, (address, 0)))
            at = begin + random.uniform(0, seconds)
            tasks.create_task(_start(site, box, office, at, times))
    took, cpu = time.monotonic() - begin, site.cpu_seconds() - cpu
    if times.failures:
        print("\n".join(times.failures[:10]))
    count, failed = len(boxes), len(times.failures)
    return Booting(
        count, took, len(times.files), *_ms(times.files), *_ms(times.registers), failed, cpu / count * 1e3
    )


async def _start(site: BoxSite, box: Boxed, office: Endpoint, at: float, times: Times) -> None:
    """What one phone does after its power is back."""
    await asyncio.sleep(max(0.0, at - time.monotonic()))
    try:
        await _load(site, box, office.address[0], times)
        begin = time.monotonic()
        answer = await Phone(box.handset.account, office).register(3_600)
        times.registers.append(time.monotonic() - begin)
        if answer.status != 200:
            raise PeerFailed(f"REGISTER: {answer.status} {answer.reason}")
    except (PeerFailed, OSError, EOFError, TimeoutError) as error:
        times.failures.append(f"{box.model}: {type(error).__name__} {error}")


async def _load(site: BoxSite, box: Boxed, address: str, times: Times) -> None:
    config = box.path.rpartition("/")[2]
    for pattern in BOOTS[box.model]:
        name = pattern.replace("{MAC}", box.mac).replace("{mac}", box.mac.lower())
        is_bare = pattern.startswith(("spa", "8841"))  # from the box: the phone does not know its secret yet
        begin = time.monotonic()
        text = await _file(site, f"/{name}" if is_bare else f"/p/{box.secret}/{name}", address)
        times.files.append(time.monotonic() - begin)
        if name == config and box.handset.account.password not in text:
            raise PeerFailed(f"{name}: {text[:100]}")


async def _file(site: BoxSite, path: str, address: str) -> str:
    """The whole answer, over a connection of its own."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(*site.secure_files, ssl=TLS, local_addr=(address, 0))
        try:
            writer.write(request(path).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            return (await reader.read()).decode()
        finally:
            writer.close()


def _ms(seconds: Sequence[float]) -> tuple[float, float]:
    if len(seconds) < 2:
        raise PeerFailed("no phone has come so far")
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return cuts[49] * 1e3, cuts[98] * 1e3
