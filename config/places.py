"""Who may have an HTTP connection: how many in all, how many of one source with and without a good token.

A connection takes a place before anything of it is read. It counts under the address of its peer, as one of a
stranger until a good token comes over it, then as one of a known caller. A trusted proxy's connection counts
only while it carries a request, under the address that the proxy forwards.

When no place is left, or a source has all the strangers that it may have, the stranger that waits for the
longest time makes room: one without a whole request, or with its answer. Silence locks no other caller out.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from registrar.model import Mono, Network
from registrar.rules.proxies import one_source

PLACE: Final = "place"
"""The name of a connection's place in the state of its requests."""
SETTLED_SECONDS: Final = 1.0
"""A stranger that came less than this ago is not sent away for another one of the same source: what it asks
for may be on its way. A caller with a good token may open many connections at once."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What an HTTP connection may take; seconds, octets, connections."""

    handshake_seconds: float = 5.0
    header_seconds: float = 10.0
    """From accept, or from the first octet of a further request, to the end of its headers."""
    body_seconds: float = 10.0
    """From the end of the headers to the end of the body; the peer has as long to read an answer."""
    octets_a_second: int = 64 * 1024
    """A body, and an answer, get one second more for each of these."""
    idle_seconds: int = 65
    """From an answer to the next request. Load balancers keep connections for 60 s."""
    trial_seconds: float = 2.0
    """How long a stranger stays that came when its source had its full number, unless a good token comes."""
    strangers_per_source: int = 64
    known_per_source: int = 2_048
    total: int = 4_096


class Place:
    """The place of one connection."""

    __slots__ = ("_end", "_table", "known", "proxied", "since", "source", "stands", "trial_ends", "waits")

    def __init__(self, table: "Places", source: str, now: Mono, *, proxied: bool) -> None:
        self._table = table
        self._end: Callable[[], None] = _nothing
        self.source = source
        """What it counts under; empty while a proxy's connection carries no request."""
        self.proxied = proxied
        self.known = False
        """Whether a good token came over it."""
        self.stands = False
        """Whether it has become a connection: its TLS handshake is done."""
        self.waits = True
        """Whether no request is being answered."""
        self.since = now
        """Since when it waits."""
        self.trial_ends: Mono | None = None
        """When it is closed unless a good token comes."""

    def on_end(self, end: Callable[[], None]) -> None:
        """Call `end` to close the connection from now on."""
        self._end = end

    def end(self) -> None:
        """Close the connection."""
        self._end()

    def release(self) -> None:
        """Give the place back: its connection is gone."""
        self._table.release(self)

    def asks(self, source: str, *, claims: bool) -> bool:
        """Note that a request from `source` came; False: refuse it. `claims`: it carries credentials."""
        return self._table.asks(self, source, claims=claims)

    def is_known(self) -> bool:
        """Note that a good token came; False: its source has too many connections even with one."""
        return self._table.known(self)

    def answered(self) -> None:
        """Note that the request has its answer."""
        self._table.answered(self)


def _nothing() -> None:
    """Close nothing: the connection does not exist yet."""


Rows = dict[str, dict[Place, None]]
"""Places by source; the one that waits for the longest time stands first."""


def _remove(rows: Rows, place: Place) -> None:
    row = rows[place.source]
    del row[place]
    if not row:
        del rows[place.source]


class Places:
    """The table of all places."""

    def __init__(
        self, clock: Callable[[], Mono], limits: HttpLimits | None = None, trusted: Sequence[Network] = ()
    ) -> None:
        """`trusted` are the proxies whose word counts for where a request comes from."""
        self.now = clock
        self.limits = limits or HttpLimits()
        self._trusted = tuple(trusted)
        self._taken: dict[Place, None] = {}
        self._strangers: Rows = {}
        self._known: Rows = {}

    def __len__(self) -> int:
        return len(self._taken)

    def admit(self, ip: str) -> Place | None:
        """Give a place to one more connection from `ip`, or None: nobody can make room for it."""
        if len(self._taken) >= self.limits.total and not self._make_room(one_source(ip)):
            return None
        now = self.now()
        if self._is_trusted(ip):
            place = Place(self, "", now, proxied=True)
        else:
            place = Place(self, one_source(ip), now, proxied=False)
            self._join(place)
        self._taken[place] = None
        return place

    def release(self, place: Place) -> None:
        """Take the place back: its connection is gone."""
        if place in self._taken:
            del self._taken[place]
            self._leave(place)

    def asks(self, place: Place, source: str, *, claims: bool) -> bool:
        """See Place.asks."""
        if place not in self._taken:
            return True
        place.waits = False
        if place.proxied:
            self._leave(place)
            if not self._is_trusted(source):
                place.source = one_source(source)
                self._join(place)
        if place.trial_ends is None or claims:
            return True
        strangers = self._strangers[place.source]
        if len(strangers) > self.limits.strangers_per_source and not self._end_first(strangers):
            return False  # as many are being answered
        place.trial_ends = None
        return True

    def known(self, place: Place) -> bool:
        """See Place.is_known."""
        place.trial_ends = None
        if place.known or not place.source:
            return True
        if len(self._known.get(place.source, ())) >= self.limits.known_per_source:
            return False
        _remove(self._strangers, place)
        place.known = True
        self._known.setdefault(place.source, {})[place] = None
        return True

    def answered(self, place: Place) -> None:
        """See Place.answered."""
        place.waits = True
        place.since = self.now()
        if place.proxied:
            self._leave(place)
        elif place in self._taken:
            row = (self._known if place.known else self._strangers)[place.source]
            del row[place]
            row[place] = None  # the last one to have begun to wait

    def _join(self, place: Place) -> None:
        """Count it as a stranger; on trial when its source has as many as it may have."""
        strangers = self._strangers.setdefault(place.source, {})
        if len(strangers) >= self.limits.strangers_per_source and not self._end_settled(strangers):
            place.trial_ends = Mono(self.now() + self.limits.trial_seconds)
        strangers[place] = None

    def _leave(self, place: Place) -> None:
        if place.source:
            _remove(self._known if place.known else self._strangers, place)
        place.source, place.known, place.trial_ends = "", False, None

    def _end_settled(self, strangers: Iterable[Place]) -> bool:
        """Make room among the strangers of one source; False: all of them are new or being answered."""
        settled = self.now() - SETTLED_SECONDS
        return self._end_first(place for place in strangers if place.since <= settled)

    def _make_room(self, source: str) -> bool:
        """Make room in all: at the expense of a source with its full number, else of that with the most.

        A known caller makes room when no stranger does: HTTP lets it come again.
        """
        strangers = self._strangers.get(source, {})
        if len(strangers) < self.limits.strangers_per_source:
            strangers = max(self._strangers.values(), key=len, default=strangers)
        known = max(self._known.values(), key=len, default=strangers)
        return self._end_first(strangers) or self._end_first(known)

    def _end_first(self, places: Iterable[Place]) -> bool:
        """End the first that waits; False: all of them are being answered."""
        victim = next((place for place in places if place.waits), None)
        if victim is None:
            return False
        self.release(victim)
        victim.end()
        return True

    def _is_trusted(self, ip: str) -> bool:
        address = ip_address(ip)
        return any(address in network for network in self._trusted if network.version == address.version)
