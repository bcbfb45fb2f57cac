"""How many messages a source may send: decided before a message is parsed, from its address and port alone.

A *source* is an IPv4 address or an IPv6 network of 64 bits, a *place* is an address and a port (or the port
of a connection).

- A *stranger* is a source behind which no phone has proved its password within 30 days. It has one bucket,
  and all strangers together have another one.
- A source with phones has a bucket that grows with their number. Each of its places has a small bucket of
  its own until a digest was right there: one scanner in an office cannot use up the bucket of the office.
- A place where a digest was right has a bucket of its own for `PROVEN_SECONDS`, and takes nothing from that
  of its source.

The number of phones behind a source is in the store. It is read before the first message is dropped, and
again if it was read long ago: the verdict is then ASK, and the caller holds the message until `learn`.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from registrar.model import IpNetwork, Mono

from .buckets import Bucket, Size
from .proxies import one_source

STRANGER: Final = Size(rate=20, burst=60)
ALL_STRANGERS: Final = Size(rate=2_000, burst=500)
"""One core answers about twice as many challenges: known sources keep at least half of it.

What comes at once waits in front of everything else: a burst of 500 is an eighth of a second.
"""
READS: Final = Size(rate=500, burst=500)
"""Reads of the number of phones; datagrams may carry any number of forged sources."""
LEAST_RATE: Final = 200.0
LEAST_BURST: Final = 600.0
PHONES_A_SECOND: Final = 10
"""One request a second for this number of phones; each sends one about every half an hour."""
BURST_OF_A_PHONE: Final = 4
"""After a restart of everything a phone sends a REGISTER, another with a digest, and perhaps a SUBSCRIBE."""
SMALL_OFFICE: Final = int(LEAST_BURST) // BURST_OF_A_PHONE
"""Up to so many phones, all sources have buckets of the same size."""
PROVEN_SECONDS: Final = 600.0
READ_SECONDS: Final = 10.0
MAX_SOURCES: Final = 50_000
MAX_PLACES: Final = 50_000
MAX_PROVEN: Final = 250_000
TELL_LEAST: Final = 5
"""A source that has sent fewer messages since the last report is not told to other nodes."""
TELL_MOST: Final = 500


class Verdict(StrEnum):
    """What is to be done with a message; a label of `registrar_limited_total` if it is not served."""

    PASS = "pass"  # noqa: S105  # a word, no secret
    ASK = "ask"
    PLACE = "place"
    SOURCE = "source"
    STRANGERS = "strangers"
    LATER = "later"
    """A known source has sent too much: it is told to come later."""


PASS: Final = Verdict.PASS


def size_for(phones: int) -> Size:
    """Return the size of the bucket of a source behind which there are so many phones."""
    if phones <= 0:
        return STRANGER
    return Size(max(LEAST_RATE, phones / PHONES_A_SECOND), max(LEAST_BURST, float(BURST_OF_A_PHONE * phones)))


class _Source:
    """What is known of a source."""

    __slots__ = ("asked", "bucket", "phones", "proven_until", "read_at", "size")

    def __init__(self, now: Mono) -> None:
        self.bucket = Bucket(STRANGER, now)
        self.size = STRANGER
        self.phones = 0
        self.proven_until = now
        self.read_at = Mono(now - 2 * READ_SECONDS)
        self.asked = False
        """Whether a read of the number of phones is under way."""

    def resize(self, phones: int) -> None:
        size = size_for(phones)
        self.bucket.grow(size.burst - self.size.burst)
        self.phones, self.size = phones, size


class _Place(Bucket):
    """A place behind a source with phones: a bucket of a stranger, and of the source's size once proven."""

    __slots__ = ("source", "until")

    def __init__(self, source: _Source, now: Mono) -> None:
        """Create the place of a message that is being judged; its token is taken already."""
        self.tokens = STRANGER.burst - 1.0
        self.at = now
        self.source = source
        self.until = now
        """Until when the place is proven."""


class Inflow:
    """The buckets of all sources and places of one process."""

    def __init__(
        self, *, exempt: Sequence[IpNetwork] = (), is_node: Callable[[str, int], bool] | None = None
    ) -> None:
        """Create the buckets, all full.

        Networks in `exempt` have no limit, nor has a place of another node of this service (`is_node`).
        """
        self._exempt = tuple(exempt)
        self._is_node = is_node
        self._sources: dict[str, _Source] = {}
        self._places: dict[tuple[str, int], _Place] = {}
        self.proven: dict[tuple[str, int], _Place] = {}
        """Places where a digest was right; public only for `handlers.limits`: a call would cost more."""
        self._spent: dict[str, int] = {}
        """Messages of each source since the last report to other nodes."""
        self._strangers = Bucket(ALL_STRANGERS, Mono(0.0))
        self._reads = Bucket(READS, Mono(0.0))

    def __len__(self) -> int:
        return len(self._sources)

    def judge(self, ip: str, port: int, now: Mono) -> Verdict:
        """Return what is to be done with a message from there, and count it."""
        proven = self.proven.get((ip, port))
        if proven is not None and proven.until > now:
            if proven.take(proven.source.size, now):
                return PASS
            return self._over(self._source_of(proven, ip, now), Verdict.LATER, now)
        return self.judge_unproven(ip, port, now)

    def proved(self, ip: str, port: int, now: Mono) -> None:
        """Note that a digest was right at a place."""
        proven = self.proven.get((ip, port))
        if proven is None:
            name = one_source_of(ip)
            source = self._sources.get(name) or self._new_source(name, now)
            if not source.phones:
                source.resize(1)
            if len(self.proven) >= MAX_PROVEN:
                del self.proven[next(iter(self.proven))]
            proven = self._places.pop((ip, port), None) or _Place(source, now)
            proven.source, proven.tokens, proven.at = source, source.size.burst, now
            self.proven[ip, port] = proven
        proven.until = proven.source.proven_until = Mono(now + PROVEN_SECONDS)

    def gained(self, ip: str, port: int, now: Mono) -> None:
        """Note that a phone has proved its password at a place that this process had not seen before.

        So the buckets of a new office keep up with its phones, also if all of them come by one port.
        """
        name = one_source_of(ip)
        source = self._sources.get(name) or self._new_source(name, now)
        if 0 < source.phones < SMALL_OFFICE:
            source.phones += 1
            return
        before = source.size.burst
        source.resize(source.phones + 1)
        proven = self.proven.get((ip, port))
        if proven is not None:
            proven.grow(source.size.burst - before)

    def learn(self, ip: str, phones: int | None, now: Mono) -> None:
        """Note how many phones there are behind the source of an address; None: that could not be read."""
        name = one_source_of(ip)
        source = self._sources.get(name) or self._new_source(name, now)
        source.asked, source.read_at = False, now
        known = 1 if phones is None or source.proven_until > now else 0
        source.resize(max(phones or 0, known))

    def is_asked(self, ip: str) -> bool:
        """Return whether a read is under way, and note that one is if there was none."""
        source = self._sources.get(one_source_of(ip))
        if source is None or source.asked:
            return True
        source.asked = True
        return False

    def forget(self, network: IpNetwork) -> None:
        """Forget that digests were right at the places of a network, because it is banned."""
        for place in [place for place in self.proven if _is_within(place[0], network)]:
            del self.proven[place]

    def spent(self) -> dict[str, int]:
        """Return how many messages each busy source has sent since the last call."""
        spent, self._spent = self._spent, {}
        return busiest(spent)

    def heard(self, spent: dict[str, int], now: Mono) -> None:
        """Take from the buckets what sources have sent to another node."""
        for name, count in spent.items():
            source = self._sources.get(name) or self._new_source(name, now)
            source.bucket.grow(-float(count))

    def judge_unproven(self, ip: str, port: int, now: Mono) -> Verdict:
        """Return what is to be done with a message from a place where no digest was right lately."""
        if self._exempt and is_within_any(ip, self._exempt):
            return PASS
        name = one_source_of(ip)
        source = self._sources.get(name) or self._new_source(name, now)
        place = self._places.get((ip, port))
        if not source.phones:
            verdict = self._judge_stranger(source, now)
        elif place is not None and not place.take(STRANGER, now):
            verdict = Verdict.PLACE
        else:
            if place is None:
                self._enter(ip, port, source, now)
            verdict = PASS if source.bucket.take(source.size, now) else Verdict.LATER
        if verdict is PASS:
            self._spent[name] = self._spent.get(name, 0) + 1
            return PASS
        if self._is_node is not None and self._is_node(ip, port):
            return PASS
        return self._over(source, verdict, now)

    def _judge_stranger(self, source: _Source, now: Mono) -> Verdict:
        if not source.bucket.take(STRANGER, now):
            return Verdict.SOURCE
        return PASS if self._strangers.take(ALL_STRANGERS, now) else Verdict.STRANGERS

    def _enter(self, ip: str, port: int, source: _Source, now: Mono) -> None:
        if len(self._places) >= MAX_PLACES:
            del self._places[next(iter(self._places))]
        self._places[ip, port] = _Place(source, now)

    def _source_of(self, place: _Place, ip: str, now: Mono) -> _Source:
        """Return the source of a proven place. Many others may have displaced it from the table meanwhile."""
        name = one_source_of(ip)
        source = self._sources.get(name) or self._new_source(name, now)
        if source is not place.source:
            source.proven_until = max(source.proven_until, place.source.proven_until)
            source.resize(max(source.phones, place.source.phones))
            place.source = source
        return source

    def _over(self, source: _Source, verdict: Verdict, now: Mono) -> Verdict:
        """Return the verdict on a message beyond a limit: first the number of phones must be known."""
        if verdict is Verdict.PLACE or now - source.read_at < READ_SECONDS:
            return verdict
        return Verdict.ASK if source.asked or self._reads.take(READS, now) else verdict

    def _new_source(self, name: str, now: Mono) -> _Source:
        if len(self._sources) >= MAX_SOURCES:
            self._make_room(now)
        source = self._sources[name] = _Source(now)
        return source

    def _make_room(self, now: Mono) -> None:
        """Forget the sources whose bucket is full. If they are few, forget the oldest quarter as well."""
        full = [name for name, one in self._sources.items() if one.bucket.is_full(one.size, now)]
        for name in full or list(self._sources)[: MAX_SOURCES // 4]:
            del self._sources[name]


def busiest(spent: dict[str, int]) -> dict[str, int]:
    """Return those that have spent so much that other nodes must know it."""
    busy = [(name, count) for name, count in spent.items() if count >= TELL_LEAST]
    busy.sort(key=lambda one: -one[1])
    return dict(busy[:TELL_MOST])


@lru_cache(20_000)
def one_source_of(ip: str) -> str:
    """Return the source of an address."""
    return one_source(ip)


@lru_cache(20_000)
def is_within_any(ip: str, networks: tuple[IpNetwork, ...]) -> bool:
    """Return whether an address is in one of the networks."""
    return any(_is_within(ip, network) for network in networks)


def _is_within(ip: str, network: IpNetwork) -> bool:
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return False
    return address.version == network.version and address in network
