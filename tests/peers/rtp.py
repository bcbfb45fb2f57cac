"""A party that speaks and hears G.711 over RTP by itself: a tone out, and how much of a tone came in.

Give each party another tone: an echo, or a stream that went to the wrong one, then cannot pass for sound.
"""

import math
import random
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

RATE: Final = 8000
FRAME: Final = 160
"""Samples of a packet: 20 ms."""
FRAME_SECONDS: Final = FRAME / RATE
PCMU, PCMA = 0, 8
AMPLITUDE: Final = 12_000
RTCP: Final = range(192, 224)
"""The second octet of RTCP; of RTP it is never one of these (RFC 5761 section 4)."""
TRIES: Final = 50

PACKETS_A_SECOND: Final = 25
"""Half of what is sent: sound comes, however busy the machine is."""


def _ulaw(sample: int) -> int:
    """ITU-T G.711, table 2a."""
    sign = 0x80 if sample < 0 else 0
    biased = min(abs(sample), 32_635) + 0x84
    exponent = biased.bit_length() - 8
    return ~(sign | exponent << 4 | (biased >> (exponent + 3)) & 0x0F) & 0xFF


def _from_ulaw(code: int) -> int:
    code = ~code & 0xFF
    biased = ((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)
    return 0x84 - biased if code & 0x80 else biased - 0x84


def _from_alaw(code: int) -> int:
    """ITU-T G.711, table 1a."""
    code ^= 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
    value = mantissa + 8 if exponent == 0 else mantissa + 0x108 << exponent - 1
    return value if code & 0x80 else -value


FROM_ULAW: Final = tuple(map(_from_ulaw, range(256)))
FROM_ALAW: Final = tuple(map(_from_alaw, range(256)))


def goertzel(samples: list[int], tone: float) -> float:
    """How much of the energy is in one tone: 1 for it alone, 0 for silence and for others."""
    energy = math.fsum(sample * sample for sample in samples)
    if energy == 0:
        return 0.0
    factor = 2 * math.cos(2 * math.pi * tone / RATE)
    last = before = 0.0
    for sample in samples:
        last, before = sample + factor * last - before, last
    power = last * last + before * before - factor * last * before
    return 2 * power / (len(samples) * energy)


def level(samples: list[int]) -> float:
    """The root mean square: 0 for silence, 8,485 for our own tone."""
    return math.sqrt(math.fsum(sample * sample for sample in samples) / len(samples)) if samples else 0.0


@dataclass
class Heard:
    """What has come in."""

    samples: list[int] = field(default_factory=list)
    payloads: set[int] = field(default_factory=set)
    sources: set[tuple[str, int]] = field(default_factory=set)
    ssrcs: set[int] = field(default_factory=set)
    packets: int = 0


class RtpParty:
    """One audio stream on a socket of its own; it sends to `remote` as soon as that is set.

    It is where the thread that makes it is, so in a `Namespace` make it inside.
    """

    def __init__(self, address: str, tone: float) -> None:
        self.tone = tone
        self.remote: tuple[str, int] | None = None
        self._socket = _even(address)
        self._frames = _tone(tone)
        self._heard = Heard()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]

    @property
    def address(self) -> tuple[str, int]:
        host, port, *_ = self._socket.getsockname()
        return host, port

    def sdp(self, direction: str = "sendrecv") -> bytes:
        """An offer or answer of PCMU and PCMA at our address."""
        host, port = self.address
        family = "IP6" if ":" in host else "IP4"
        return (
            f"v=0\r\no=- {port} 1 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0 8\r\na={direction}\r\n"
        ).encode()

    def follow(self, sdp: bytes) -> None:
        """Send to where the other side's description says."""
        self.remote = audio_address(sdp)

    def hear(self, seconds: float = 1.0) -> Heard:
        """What comes in from now on for so long."""
        with self._lock:
            self._heard = Heard()
        time.sleep(seconds)
        with self._lock:
            return self._heard

    def wait_heard(self, within: float = 4.0) -> None:
        """Return when sound has come in; raises AssertionError when that takes too long."""
        with self._lock:
            self._heard = Heard()
        deadline = time.monotonic() + within
        while level(self._heard.samples) < 100:
            assert time.monotonic() < deadline, f"{self.address} heard nothing within {within:g} s"
            time.sleep(0.02)

    def _send(self) -> None:
        sequence, stamp = random.getrandbits(15), random.getrandbits(31)
        ssrc, marker = random.getrandbits(32), 0x80
        due = time.monotonic()
        for number in range(10**9):
            due += FRAME_SECONDS
            if self._ending.wait(max(0.0, due - time.monotonic())):
                return
            if self.remote is None:
                continue
            head = struct.pack("!BBHII", 0x80, marker | PCMU, sequence & 0xFFFF, stamp & 0xFFFFFFFF, ssrc)
            try:
                self._socket.sendto(head + self._frames[number % len(self._frames)], self.remote)
            except ConnectionError:
                continue  # nobody there yet
            sequence, stamp, marker = sequence + 1, stamp + FRAME, 0

    def _receive(self) -> None:
        while not self._ending.is_set():
            if not select.select([self._socket], [], [], 0.1)[0]:
                continue
            try:
                packet, (host, port, *_) = self._socket.recvfrom(2048)
            except ConnectionError:
                continue
            if len(packet) >= 12 and packet[0] >> 6 == 2 and packet[1] not in RTCP:
                with self._lock:
                    _add(self._heard, packet, (host, port))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()


def audio_address(sdp: bytes) -> tuple[str, int]:
    """Where a description wants its audio: the first m=audio line, with the c= line that holds for it."""
    head, _, stream = sdp.decode().partition("m=audio ")
    port = int(stream.split()[0])
    own = stream.partition("\nm=")[0]
    where = own if "c=IN IP" in own else head
    return where.partition("c=IN IP")[2].split()[1], port


def assert_talk(one: RtpParty, other: RtpParty, seconds: float = 1.0) -> None:
    """Each hears the other's tone, loud and nothing else, at 50 packets a second of one stream."""
    one.wait_heard()
    other.wait_heard()
    heard = _both(one, other, seconds)
    for party, peer, sound in ((one, other, heard[0]), (other, one, heard[1])):
        assert sound.packets > seconds * PACKETS_A_SECOND, (
            f"{party.address} got {sound.packets} packets in {seconds:g} s"
        )
        assert len(sound.ssrcs) == 1, sound.ssrcs
        assert sound.sources == {party.remote}, f"{sound.sources}, not from {party.remote}"
        assert level(sound.samples) > 1000, level(sound.samples)
        assert goertzel(sound.samples, peer.tone) > 0.9, f"{party.address} does not hear {peer.tone} Hz"
        assert goertzel(sound.samples, party.tone) < 0.05, f"{party.address} hears itself"


def _both(one: RtpParty, other: RtpParty, seconds: float) -> tuple[Heard, Heard]:
    found: list[Heard] = []
    beside = threading.Thread(target=lambda: found.append(other.hear(seconds)))
    beside.start()
    first = one.hear(seconds)
    beside.join()
    return first, found[0]


def _add(heard: Heard, packet: bytes, source: tuple[str, int]) -> None:
    start = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:  # a header extension (RFC 3550 section 5.3.1)
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    end = len(packet) - (packet[-1] if packet[0] & 0x20 else 0)
    payload = packet[1] & 0x7F
    heard.packets += 1
    heard.payloads.add(payload)
    heard.sources.add(source)
    heard.ssrcs.add(int.from_bytes(packet[8:12], "big"))
    if payload in (PCMU, PCMA):
        table = FROM_ULAW if payload == PCMU else FROM_ALAW
        heard.samples.extend(table[code] for code in packet[start:end])


def _tone(tone: float) -> list[bytes]:
    """One second of it, which then begins anew; a whole number of hertz has no click there."""
    wave = (AMPLITUDE * math.sin(2 * math.pi * tone * number / RATE) for number in range(RATE))
    coded = bytes(_ulaw(round(sample)) for sample in wave)
    return [coded[start : start + FRAME] for start in range(0, RATE, FRAME)]


def _even(address: str) -> socket.socket:
    """On an even port, as RTP wants it (RFC 3550 section 11)."""
    for _ in range(TRIES):
        trial = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        trial.bind((address, 0))
        if trial.getsockname()[1] % 2 == 0:
            return trial
        trial.close()
    raise OSError(f"no even port on {address}")
