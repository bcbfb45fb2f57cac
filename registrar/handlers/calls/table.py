"""The calls of this process: recorded in the background, monitored, and ended on request."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import (
    Call,
    CallState,
    Cause,
    Devices,
    Ending,
    Epoch,
    Flow,
    Notice,
    Party,
    Process,
    Snapshot,
)
from registrar.ports import Calls, Clock, Location, People
from registrar.rules import forward
from registrar.rules.comeback import UNKNOWN, has_fallen_silent
from registrar.rules.history import cause_of
from registrar.rules.hold import Direction, holds
from registrar.rules.routing import is_on, named_of, reroute
from registrar.rules.tokens import DialogHandle, RouteToken, Target, dump_handle, read_handle

from ..network import Network, SilentPhones
from .absent import GRACE_SECONDS, Absent
from .bridging import Bridge
from .counting import CallCounts
from .history import CallHistory
from .lifetimes import Lifetimes
from .owed import Owed
from .reach import Reach, Way
from .rewriter import RingingCall
from .speech import Speech, to_callee, to_caller

PUT_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 1.0
PARTIES_SECONDS: Final = 5.0
"""Interval of the check whether the parties of each call are still there."""
SESSION_GRACE_SECONDS: Final = 5.0
CHUNK: Final = 200
DIRECTIONS: Final = frozenset(Direction)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class News:
    """A message to the node that has a call, because a request of the call came through another node."""

    call: str
    ended: str = ""
    """The side that ended the call; empty: the call goes on."""
    expires_at: float = 0.0
    tag: str = ""
    """The callee's tag in the dialog that the message is about."""
    left: str = ""
    """Set if it is about no call: a connection of a phone is gone, `<node> <generation> <flow>`."""
    registration: str = ""
    """How the phone was registered over that connection: see rules.comeback.returned."""
    offerer: str = ""
    """The side that has described its media again; empty: neither."""
    direction: str = ""
    """The direction of its media."""


@dataclass(slots=True)
class _Entry:
    call: Call
    """The call as it is stored, except for the lines."""
    caller: DialogHandle
    callee: DialogHandle | None
    """None: the call is not answered."""
    ringing: RingingCall | None
    put_at: float
    looked_at: float
    is_watched: bool = True
    """Whether the loss of the caller can be noticed: not if it is on UDP and not registered."""
    missed_at: float = 0.0
    """Since when a party is missing; 0 while both are there."""
    cause: Cause | None = None
    """Why the call is being ended, if that is known before the answer."""
    by: str = ""
    caller_cseq: int = 0
    callee_cseq: int = 0
    """The highest CSeq numbers that caller and callee have sent since."""
    media: str = ""
    """The media of both sides, as the caller sees them: see rules.legs."""
    shift: str = ""
    """The shift of the CSeq at the callee."""
    rung: tuple[str, ...] = ()
    """The people at whom it rang until it was answered, besides its callee."""


class CallTable:
    """Table of the calls whose INVITE this process has routed."""

    def __init__(
        self,
        store: Calls,
        bridge: Bridge,
        reach: Reach,
        network: Network,
        location: Location,
        clock: Clock,
        metrics: Metrics,
        tell: Callable[[News], None],
        silent: SilentPhones,
        new_id: Callable[[], str],
        people: People,
        history: CallHistory,
        counts: CallCounts,
        *,
        process: Process,
    ) -> None:
        """Create an empty table; `tell` sends news to all nodes, and `new_id` returns the id of a call."""
        self._counts = counts
        self._history = history
        self._people = people
        self._silent = silent
        self.new_id = new_id
        self._store = store
        self._bridge = bridge
        self._reach = reach
        self._network = network
        self._location = location
        self.clock = clock
        self._metrics = metrics
        self._tell = tell
        self.process = process
        self._entries: dict[str, _Entry] = {}
        self.lifetimes = Lifetimes(store, clock, self._entries.__contains__)
        self._left: dict[str, str] = {}
        """Connections that have closed since the last look -> how a phone was registered over each."""
        self._absent = Absent(self, location, reach, network)
        self._owed = Owed(location, reach, network, clock)
        metrics.calls_open.set_function(lambda: len(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    # Events of a call

    def begin(
        self, call: Call, caller: DialogHandle, ringing: RingingCall, *, is_watched: bool = True
    ) -> None:
        """Add a call whose INVITE goes out."""
        now = self.clock()
        self._entries[call.id] = _Entry(call, caller, None, ringing, now, now, is_watched)
        self._counts.put(call)
        self._store.started(call)
        self._take_part(call)

    def _take_part(self, call: Call) -> None:
        """Note that the call is on the line of its people, for 90 s."""
        for person in (call.caller.person, call.callee.person):
            if person:
                self._people.take_part(person, call.id)

    def note_answer(
        self,
        id: str,
        callee: Party,
        handle: DialogHandle,
        media: str,
        relay: str,
        seconds: int,
        shift: str = "",
        rung: tuple[str, ...] = (),
    ) -> None:
        """Note that the call was answered; its session expires after `seconds`, or never if that is 0.

        `shift` is that of the CSeq of the phone that has answered (rules.tokens.RouteToken). `rung` are the
        people at whom it rang.
        """
        entry = self._entries.get(id)
        if entry is None:
            return
        now = self.clock()
        self._note_person(id, entry.call.callee.person, callee.person)
        entry.ringing, entry.callee, entry.media, entry.shift = None, handle, media, shift
        entry.rung = rung
        if entry.call.callee.person not in ("", callee.person):
            entry.rung += (entry.call.callee.person,)
        entry.put_at = now
        entry.call = replace(
            entry.call,
            callee=callee,
            state=CallState.ANSWERED,
            answered_at=now,
            relay=relay,
            expires_at=now + seconds if seconds else 0.0,
        )
        self._counts.put(entry.call)
        self._metrics.call_setup_seconds.observe(now - entry.call.started_at)
        self._store.answered(_whole(entry))

    def _note_person(self, id: str, called: str, answered: str) -> None:
        """Note which person has the call now, if it is not the one that was called."""
        if answered == called:
            return
        if answered:
            self._people.answered(answered, id)
        if called:
            self._people.ended(called, id, talked=False)

    def leg_of_answer(self, route: RouteToken, tag: str) -> RouteToken:
        """Return the caller's leg to the phone that answered with that tag.

        baresip keeps the route of the phone that rang first, also if another phone has answered.
        """
        entry = self._entries.get(route.call)
        if entry is None or entry.callee is None or not route.is_caller:
            return route
        callee, relay = entry.call.callee, entry.call.relay
        is_it = (route.receiver, route.relay, route.shift) == (callee.phone, relay, entry.shift)
        if callee.tag != tag or is_it:
            return route
        return replace(route, receiver=callee.phone, media=entry.media, relay=relay, shift=entry.shift)

    def refused(self, id: str, status: int, why: str = "", rung: tuple[str, ...] = ()) -> None:
        """Note that the call was not answered; status 0: the caller has gone.

        `why` says what was wrong, and `rung` are the people at whom it rang.
        """
        entry = self._entries.get(id)
        if entry is not None:
            entry.rung = rung
            self._end(entry, Ending(entry.cause or cause_of(status), self.clock(), status, entry.by, why))

    def hung_up(self, route: RouteToken, tag: str) -> None:
        """Note a BYE in the dialog where the callee has this tag: the call may have other dialogs."""
        side = "caller" if route.is_caller else "callee"
        entry = self._entries.get(route.call)
        if entry is None:
            self._bridge.delete(route.relay)
            self.lifetimes.over(route.call)
            self._tell(News(route.call, ended=side, tag=tag))
        elif _is_about(entry, tag):
            self._ended_by(entry, side)

    def seen(self, route: RouteToken, tag: str, cseq: int, target: Target | None) -> None:
        """Note the CSeq number and the current target of a party that has sent a request."""
        entry = self._entries.get(route.call)
        if entry is None or not _is_about(entry, tag):
            return
        if target is not None and route.is_caller:
            entry.caller = replace(entry.caller, target=target)
        elif target is not None and entry.callee is not None:
            entry.callee = replace(entry.callee, target=target)
        if route.is_caller:
            entry.caller_cseq = max(entry.caller_cseq, cseq)
        else:
            entry.callee_cseq = max(entry.callee_cseq, cseq)

    def moved(self, route: RouteToken, tag: str, target: Target) -> None:
        """Note the new target of the party that has answered a request of `route`."""
        entry = self._entries.get(route.call)
        if entry is None or not _is_about(entry, tag):
            return
        if route.is_caller and entry.callee is not None:
            entry.callee = replace(entry.callee, target=target)
        elif not route.is_caller:
            entry.caller = replace(entry.caller, target=target)

    def other_party(self, route: RouteToken) -> Target | None:
        """Return the target of the other party, or None if it is not known here."""
        entry = self._entries.get(route.call)
        handle = (entry.callee if route.is_caller else entry.caller) if entry is not None else None
        return handle.target if handle is not None and handle.target.phone == route.receiver else None

    async def other_party_elsewhere(self, route: RouteToken) -> Target | None:
        """Return the target of the other party of a call that another node has, or None if it is unknown."""
        if not route.call or route.call in self._entries:
            return None
        try:
            (call,) = await self._store.load([route.call])
        except StoreUnavailable:
            return None
        handle = (
            read_handle((call.callee if route.is_caller else call.caller).target)
            if call is not None
            else None
        )
        return handle.target if handle is not None and handle.target.phone == route.receiver else None

    def relayed_by(self, route: RouteToken, tag: str, relay: str) -> None:
        """Note a new relay session: the engine that had the media is dead."""
        entry = self._entries.get(route.call)
        if entry is not None and _is_about(entry, tag):
            entry.call = replace(entry.call, relay=relay)

    def refreshed(
        self, route: RouteToken, tag: str, seconds: int, direction: Direction | None = None
    ) -> None:
        """Extend the session to `seconds` from now; 0: it expires no more (RFC 4028 section 7.2).

        `direction` is that of the media of the sender, if it has described them.
        """
        entry = self._entries.get(route.call)
        expires_at = self.clock() + seconds if seconds else 0.0
        side = "caller" if route.is_caller else "callee"
        if entry is None:
            offerer = side if direction is not None else ""
            news = News(
                route.call, expires_at=expires_at, tag=tag, offerer=offerer, direction=direction or ""
            )
            self._tell(news)
        elif _is_about(entry, tag):
            entry.call = replace(entry.call, expires_at=expires_at)
            if direction is not None:
                self._note_direction(entry, side, direction)

    def described(self, route: RouteToken, tag: str, direction: Direction) -> None:
        """Note the direction of the media of a party that has sent its answer in an ACK."""
        entry = self._entries.get(route.call)
        if entry is not None and _is_about(entry, tag):
            self._note_direction(entry, "caller" if route.is_caller else "callee", direction)

    def _note_direction(self, entry: _Entry, side: str, direction: Direction) -> None:
        """Write the call again if a party has put it on hold, or has resumed it."""
        call = entry.call
        party, other = (call.caller, call.callee) if side == "caller" else (call.callee, call.caller)
        is_held = holds(direction, before=party.holds, other=other.holds)
        if is_held == party.holds:
            return
        party = replace(party, holds=is_held)
        entry.call = replace(call, caller=party) if side == "caller" else replace(call, callee=party)
        self._store.changed(_whole(entry), party)

    def undelivered(self, speech: Speech, reason: str) -> None:
        """Note a BYE that did not reach the other party: it is sent again when that party is back."""
        self._owed.owe(speech, speech.cseq, reason)

    def left(self, flow: Flow, phone: str, *, replaced: bool = False, tell: bool = False) -> None:
        """Note that a connection of a phone is gone, or was replaced by another one; `tell` other nodes."""
        registration = UNKNOWN if replaced else ""
        for binding in self._location.known(phone).bindings:
            if is_on(binding, flow, self.process):
                registration = binding.call_id
        place = f"{self.process} {flow.id}"
        self._left[place] = registration
        if tell:
            self._tell(News("", left=place, registration=registration))

    def heard(self, news: News) -> None:
        """Apply news from another node; most are about calls of other processes."""
        if news.left:
            self._left.setdefault(news.left, news.registration)
        entry = self._entries.get(news.call)
        if entry is None or not _is_about(entry, news.tag):
            return
        if news.ended:
            self._ended_by(entry, news.ended)
        else:
            entry.call = replace(entry.call, expires_at=news.expires_at)
            if news.offerer and news.direction in DIRECTIONS:
                self._note_direction(entry, news.offerer, Direction(news.direction))

    def note(self, notice: Notice) -> None:
        """Write an event that belongs to no call of the table."""
        self._store.note(notice)

    # Picking up a call

    def has(self, id: str) -> bool:
        """Return whether this process has a call."""
        return id in self._entries

    def pick_up(self, id: str, person: Devices, target: Target) -> bool:
        """Let a device of another person ring for a call; return False if the call rings no more."""
        entry = self._entries.get(id)
        return entry is not None and entry.ringing is not None and entry.ringing.pick_up(person, target)

    # Ending a call

    async def end_by_request(self, id: str, by: str) -> None:
        """End a call on the request of `by`."""
        entry = self._entries.get(id)
        if entry is not None:
            await self._terminate(entry, Cause.API, by)

    async def take_over_calls(self, process: Process) -> int:
        """Take over the calls of a process that died, and return how many were taken.

        They go on as long as their parties are there. A call that was not answered ends with that process.
        Raises StoreUnavailable.
        """
        taken = 0
        for call in await self._store.of_process(process):
            if await self._store.claim(call):
                taken += 1
                self._take_over(call)
        return taken

    def _take_over(self, call: Call) -> None:
        now = self.clock()
        ours = replace(call, process=self.process)
        caller, callee = read_handle(call.caller.target), read_handle(call.callee.target)
        if caller is None or callee is None:
            self._bridge.delete(call.relay)
            self._metrics.calls(Cause.LOST)
            ending = Ending(Cause.LOST, now, by=self.process.node)
            self._store.ended(ours, ending)
            self._history.ended(call, ending)
            self._free(ours)
            return
        entry = self._entries[call.id] = _Entry(ours, caller, callee, None, now, 0.0)
        self._counts.put(ours)
        if call.process.node != self.process.node:
            # Finding out that the other node is dead took longer than a party may be absent.
            entry.missed_at = now - GRACE_SECONDS
        self._store.put(ours)
        self._take_part(ours)

    async def run(self) -> None:
        """Refresh the stored calls and check every call, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except StoreUnavailable as error:
                log.debug("the parties of calls cannot be looked at: %s", error)
            except Exception:  # a bug in here must not end the calls that are checked
                self._metrics.unhandled.inc()
                log.exception("the calls could not be looked after")

    async def look(self) -> None:
        """Do one round of checks. Raises StoreUnavailable."""
        now = self.clock()
        if self._left:
            self._note_left(now)
        for id, entry in list(self._entries.items()):
            if id in self._entries:  # it may have ended while another one was checked
                await self._look_at(entry, now)
        due = [entry for entry in self._entries.values() if now - entry.looked_at >= PARTIES_SECONDS]
        for start in range(0, len(due), CHUNK):
            await self._look_at_parties(due[start : start + CHUNK], now)
        for id in await self._absent.look(now):
            if id in self._entries:
                await self._terminate(self._entries[id], Cause.LOST, "")
        await self._owed.look(now)

    async def _look_at(self, entry: _Entry, now: Epoch) -> None:
        """Check one call: write it again when that is due, end it if its caller or session is gone."""
        if now - entry.put_at >= PUT_SECONDS:
            entry.put_at = now
            self._store.put(_whole(entry))
            self._take_part(entry.call)
        expires_at = entry.call.expires_at
        if entry.ringing is not None and entry.caller.target.transport == "udp":
            await self._look_at_caller(entry)
        if expires_at and now > expires_at + SESSION_GRACE_SECONDS:
            await self._terminate(entry, Cause.LOST, "session timer")

    def _note_left(self, now: Epoch) -> None:
        """Note the parties whose connection is gone: they have a grace period to come back."""
        left, self._left = self._left, {}
        for entry in self._entries.values():
            if entry.callee is None:
                continue  # while it rings, its transactions notice the loss
            for handle in (entry.caller, entry.callee):
                target = handle.target
                registration = left.get(f"{target.node} {target.generation} {target.flow}")
                if registration is not None and target.transport != "udp":
                    is_caller = handle is entry.caller
                    self._absent.left(entry.call.id, target, registration, now, is_caller=is_caller)

    async def _look_at_caller(self, entry: _Entry) -> None:
        """End a ringing call if its caller over UDP answers no pings.

        Only pings tell that such a caller is gone, and phones ring for it meanwhile.
        """
        target = entry.caller.target
        if entry.is_watched and self._silent.hurry(target.phone, target.ip, target.port):
            await self._terminate(entry, Cause.LOST, "")

    # absent.Parties

    def speech(self, id: str, *, is_caller: bool) -> Speech | None:
        """See absent.Parties."""
        entry = self._entries.get(id)
        if entry is None:
            return None
        return to_caller(_whole(entry)) if is_caller else to_callee(_whole(entry))

    def is_now_at(self, id: str, target: Target, *, is_caller: bool) -> None:
        """See absent.Parties. The dialog still knows the party by the Contact that it gave."""
        entry = self._entries.get(id)
        handle = (entry.caller if is_caller else entry.callee) if entry is not None else None
        if entry is None or handle is None:
            return  # the call ended while the store was read
        moved = replace(handle, target=replace(target, contact=handle.target.contact or target.contact))
        if is_caller:
            entry.caller = moved
        else:
            entry.callee = moved

    async def _look_at_parties(self, entries: list[_Entry], now: Epoch) -> None:
        """End the calls with a party that has had neither a flow nor a registration for `GRACE_SECONDS`."""
        asked: dict[str, None] = {}
        doubtful: list[_Entry] = []
        for entry in entries:
            entry.looked_at = now
            missing = [handle.target.phone for handle in self._lines(entry) if not self._is_connected(handle)]
            if missing:
                doubtful.append(entry)
                asked |= dict.fromkeys(missing)
            else:
                entry.missed_at = 0.0
        if not doubtful:
            return
        phones = list(asked)
        found = dict(zip(phones, await self._location.load(phones), strict=True))
        for entry in doubtful:
            lines = self._lines(entry)
            if all(self._is_there(handle, found, now, rings=entry.callee is None) for handle in lines):
                entry.missed_at = 0.0
            elif not entry.missed_at:
                entry.missed_at = now
            if entry.missed_at and now - entry.missed_at >= GRACE_SECONDS and entry.call.id in self._entries:
                await self._terminate(entry, Cause.LOST, "")

    def _lines(self, entry: _Entry) -> tuple[DialogHandle, ...]:
        """Return the lines to the parties that must be there.

        While a call rings, its transactions notice a loss, except that of a caller on UDP.
        """
        if entry.callee is None:
            is_udp = entry.is_watched and entry.caller.target.transport == "udp"
            return (entry.caller,) if is_udp else ()
        return (entry.caller, entry.callee) if entry.is_watched else (entry.callee,)

    def _is_connected(self, handle: DialogHandle) -> bool:
        """Return whether the connection of the party is open; over UDP there is no connection."""
        return handle.target.transport != "udp" and self._reach.way(handle.target) is not None

    def _is_there(self, handle: DialogHandle, found: dict[str, Snapshot], now: Epoch, *, rings: bool) -> bool:
        snapshot = found.get(handle.target.phone)
        if snapshot is None or self._is_connected(handle):
            return True
        if handle.target.transport == "udp" and has_fallen_silent(snapshot.live(now), handle.target):
            return False
        return rings or bool(snapshot.heard(now))

    def _ended_by(self, entry: _Entry, side: str) -> None:
        party = entry.call.caller if side == "caller" else entry.call.callee
        self._end(entry, Ending(Cause.HUNG_UP, self.clock(), by=party.number or side))

    async def _terminate(self, entry: _Entry, cause: Cause, by: str) -> None:
        if entry.ringing is not None:
            entry.cause, entry.by = cause, by
            entry.ringing.end(480 if cause is Cause.LOST else 487)
            return
        if not self._end(entry, Ending(cause, self.clock(), by=by)):
            return  # it ended while other calls were checked
        text = "Lost" if cause is Cause.LOST else "Ended by the operator"
        reason = f'SIP;cause=480;text="{text}"'
        await self._say_bye(_whole(entry), reason)

    def _end(self, entry: _Entry, ending: Ending) -> bool:
        """Forget the call and record its end; return whether it was still there."""
        if self._entries.pop(entry.call.id, None) is None:
            return False
        self._counts.remove(entry.call.id)
        self.lifetimes.over(entry.call.id)
        self._bridge.delete(entry.call.relay)
        self._metrics.calls(ending.cause)
        self._store.ended(entry.call, ending)
        self._history.ended(entry.call, ending, entry.rung)
        self._free(entry.call)
        return True

    def _free(self, call: Call) -> None:
        """Note that the call is over for its people."""
        talked = call.state is CallState.ANSWERED
        for person in (call.caller.person, call.callee.person):
            if person:
                self._people.ended(person, call.id, talked=talked)

    async def _say_bye(self, call: Call, reason: str) -> None:
        """Send a BYE to both parties, each in the name of the other.

        A party that cannot be reached now gets its BYE when it is back.
        """
        for speech in (to_caller(call), to_callee(call)):
            if speech is not None:
                number = forward.newer(speech.cseq)
                self._owed.owe(speech, number, reason, await self._way_to(speech))

    async def _way_to(self, speech: Speech) -> Way | None:
        lost = speech.target
        way = self._reach.way(lost)
        if way is not None:
            return way
        try:
            (snapshot,) = await self._location.load([lost.phone])
        except StoreUnavailable:
            return None
        targets = reroute(snapshot.live(self.clock()), named_of(lost))
        return next(iter(speech.ways(self._reach, targets)), None)


def _is_about(entry: _Entry, tag: str) -> bool:
    """Return whether the dialog with this callee tag is that of the call.

    Dialogs with phones that only rang do not count.
    """
    return entry.callee is not None and entry.call.callee.tag == tag


def _whole(entry: _Entry) -> Call:
    """Return the call with everything that another node needs to end it."""
    call = entry.call
    caller = replace(
        call.caller, target=dump_handle(entry.caller), cseq=max(call.caller.cseq, entry.caller_cseq)
    )
    callee = call.callee
    if entry.callee is not None:
        callee = replace(callee, target=dump_handle(entry.callee), cseq=max(callee.cseq, entry.callee_cseq))
    return replace(call, caller=caller, callee=callee)
