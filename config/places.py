"""The places of HTTP connections: how many in all, and how many of one source with and without a good token.

A connection takes a place before it is read. It counts under the address of its peer: as a stranger until a
good token comes over it, then as a known caller. The connection of a trusted proxy counts only while it
carries a request, under the address that the proxy forwards.

If no place is left, or if a source has its full number of strangers, the stranger that has waited longest is
closed: one without a whole request, or one whose request is answered. So a silent client cannot lock other
callers out.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from registrar.model import IpNetwork, Mono
from registrar.rules.proxies import one_source
from registrar.rules.proxy_header import Ends

PLACE: Final = "place"
"""The key of a connection's place in the state of its requests."""
SETTLED_SECONDS: Final = 1.0
"""A stranger that is newer than this is not closed for another one of the same source, because its request
may be on its way. A caller with a good token may open many connections at once."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The limits of an HTTP connection, in seconds, octets and connections."""

    handshake_seconds: float = 5.0
    header_seconds: float = 10.0
    """From accept, or from the first octet of a further request, to the end of its headers."""
    body_seconds: float = 10.0
    """From the end of the headers to the end of the body. The peer has the same time to read a response."""
    octets_a_second: int = 64 * 1024
    """A body or a response gets one more second for each of these."""
    idle_seconds: int = 65
    """From a response to the next request. Load balancers keep connections for 60 s."""
    trial_seconds: float = 2.0
    """How long a stranger stays that came when its source had its full number, unless a good token comes."""
    strangers_per_source: int = 64
    known_per_source: int = 2_048
    total: int = 4_096


class Place:
    """The place of one connection."""

    __slots__ = (
        "_end",
        "_table",
        "ends",
        "known",
        "proxied",
        "since",
        "source",
        "stands",
        "trial_ends",
        "waits",
    )

    def __init__(self, table: "Places", source: str, now: Mono, *, proxied: bool) -> None:
        self._table = table
        self._end: Callable[[], object] = lambda: None
        self.source = source
        """The source that it counts under; empty while a proxy's connection carries no request."""
        self.proxied = proxied
        self.ends: Ends | None = None
        """The ends of the connection that its PROXY header names."""
        self.known = False
        """Whether a good token came over the connection."""
        self.stands = False
        """Whether the connection is established and its TLS handshake is done."""
        self.waits = True
        """Whether no request is being answered."""
        self.since = now
        """When it began to wait."""
        self.trial_ends: Mono | None = None
        """When it is closed unless a good token comes; None if it is not on trial."""

    def on_end(self, end: Callable[[], object]) -> None:
        """Use `end` to close the connection from now on."""
        self._end = end

    def end(self) -> None:
        """Close the connection."""
        self._end()

    def announced(self, ends: Ends) -> None:
        """Count under the address of a PROXY header from now on."""
        table, self.ends = self._table, ends
        self.proxied = table.is_trusted(ends.remote_ip)
        if self in table.taken and not self.proxied:
            self.source = one_source(ends.remote_ip)
            table.join(self)

    def release(self) -> None:
        """Return the place to the table after its connection was closed."""
        self._table.release(self)

    def asks(self, source: str, *, claims: bool) -> bool:
        """Record a request from `source`, with credentials if `claims`. Return False to refuse it."""
        table = self._table
        if self not in table.taken:
            return True
        self.waits = False
        if self.proxied:
            table.leave(self)
            if not table.is_trusted(source):
                self.source = one_source(source)
                table.join(self)
        if self.trial_ends is None or claims:
            return True
        strangers = table.strangers[self.source]
        if len(strangers) > table.limits.strangers_per_source and not table.end_first(strangers):
            return False  # the full number of them is being answered
        self.trial_ends = None
        return True

    def is_known(self) -> bool:
        """Record a good token. Return False if its source has too many connections even with one."""
        table = self._table
        self.trial_ends = None
        if self.known or not self.source:
            return True
        if len(table.known.get(self.source, ())) >= table.limits.known_per_source:
            return False
        _remove(table.strangers, self)
        self.known = True
        table.known.setdefault(self.source, {})[self] = None
        return True

    def answered(self) -> None:
        """Record that the request was answered."""
        table = self._table
        self.waits = True
        self.since = table.now()
        if self.proxied:
            table.leave(self)
        elif self in table.taken:
            row = (table.known if self.known else table.strangers)[self.source]
            del row[self]
            row[self] = None  # it is now the last one that began to wait


Rows = dict[str, dict[Place, None]]
"""Places by source. The place that has waited longest comes first."""


def _remove(rows: Rows, place: Place) -> None:
    row = rows[place.source]
    del row[place]
    if not row:
        del rows[place.source]


class Places:
    """The table of all places."""

    def __init__(
        self, clock: Callable[[], Mono], limits: HttpLimits | None = None, trusted: Sequence[IpNetwork] = ()
    ) -> None:
        """`trusted` are the proxies whose forwarded address is used as the source."""
        self.now = clock
        self.limits = limits or HttpLimits()
        self._trusted = tuple(trusted)
        self.taken: dict[Place, None] = {}
        self.strangers: Rows = {}
        self.known: Rows = {}

    def __len__(self) -> int:
        return len(self.taken)

    def admit(self, ip: str) -> Place | None:
        """Return a place for one more connection from `ip`, or None if no other can make room for it."""
        if len(self.taken) >= self.limits.total and not self._make_room(one_source(ip)):
            return None
        now = self.now()
        if self.is_trusted(ip):
            place = Place(self, "", now, proxied=True)
        else:
            place = Place(self, one_source(ip), now, proxied=False)
            self.join(place)
        self.taken[place] = None
        return place

    def release(self, place: Place) -> None:
        """Remove the place after its connection was closed."""
        if place in self.taken:
            del self.taken[place]
            self.leave(place)

    def join(self, place: Place) -> None:
        """Count the place as a stranger, on trial if its source has its full number of strangers."""
        strangers = self.strangers.setdefault(place.source, {})
        settled = (one for one in strangers if one.since <= self.now() - SETTLED_SECONDS)
        if len(strangers) >= self.limits.strangers_per_source and not self.end_first(settled):
            place.trial_ends = Mono(self.now() + self.limits.trial_seconds)
        strangers[place] = None

    def leave(self, place: Place) -> None:
        """Count the place under no source."""
        if place.source:
            _remove(self.known if place.known else self.strangers, place)
        place.source, place.known, place.trial_ends = "", False, None

    def _make_room(self, source: str) -> bool:
        """Close one connection of a source with its full number, else of the source with the most.

        A known caller is closed only if there is no stranger to close: an HTTP client can connect again.
        """
        strangers = self.strangers.get(source, {})
        if len(strangers) < self.limits.strangers_per_source:
            strangers = max(self.strangers.values(), key=len, default=strangers)
        known = max(self.known.values(), key=len, default=strangers)
        return self.end_first(strangers) or self.end_first(known)

    def end_first(self, places: Iterable[Place]) -> bool:
        """Close the first place that waits. Return False if all of them are being answered."""
        victim = next((place for place in places if place.waits), None)
        if victim is None:
            return False
        self.release(victim)
        victim.end()
        return True

    def is_trusted(self, ip: str) -> bool:
        """Return True if this is the address of a proxy whose forwarded address is used."""
        address = ip_address(ip)
        return any(address in network for network in self._trusted if network.version == address.version)
