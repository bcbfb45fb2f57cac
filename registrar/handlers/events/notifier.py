"""The subscriptions of this process: each gets a NOTIFY when its target changes, until it ends (RFC 6665)."""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Epoch, Process
from registrar.ports import Clock, Subscriptions
from registrar.rules import dialog_info, pidf
from registrar.rules.dialog_info import Line
from registrar.rules.pidf import Presence
from registrar.rules.subscriptions import (
    DIALOG,
    NEVER,
    PRESENCE,
    Fate,
    Pace,
    Subscription,
    active,
    fate,
    no_messages,
    notify,
    taken_over,
    terminated,
)
from registrar.rules.tokens import TokenCodec
from registrar.sip import Request, Response
from registrar.transaction import Key, TableFull

from .board import Entry
from .line import OwnDialogs
from .watching import Target, View, Watching

LOST_SECONDS: Final = 10.0
"""How long a subscription waits for its phone after the connection has closed."""
ADOPTED_SECONDS: Final = 60.0
"""The same after the death of a process: all of its phones come back at once."""
LOOK_SECONDS: Final = 2.0
"""How often a lost phone is looked for: the listeners of this process may not be open yet."""
RETRY_SECONDS: Final = 1.0
MAX_STALE: Final = 1_000
"""Rows in the heap that count no more, beyond one for each subscription; with more, it is made again."""
REREAD_SECONDS: Final = 60.0
"""How often the calls are read again, in case that the stream has lost an event."""
TICK_SECONDS: Final = 0.1
CHUNK: Final = 200

log = logging.getLogger(__name__)
Shown = Line | Presence | None
"""The part of a view that a package shows; None: nothing yet."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most subscriptions that there may be; docs/settings.md explains each."""

    of_phone: int = 200
    """More than the keys of any phone with its expansion modules."""
    watchers: int = 500
    """Subscriptions of one target: each change is one NOTIFY for each."""
    of_node: int = 20_000
    """Subscriptions of one process; each takes about 2 kB."""


@dataclass(slots=True)
class _Entry:
    subscription: Subscription
    target: Target
    pace: Pace = field(default_factory=Pace)
    shown: Shown = None
    """What the subscriber was told last."""
    is_sending: bool = False
    lost_until: float = 0.0
    """When the subscription ends, because its phone is gone; 0: the phone is there."""
    due: float = NEVER
    """When this subscription has its turn; it has one row in the heap for this moment."""


class Notifier:
    """Table of the subscriptions whose NOTIFYs this process sends."""

    def __init__(
        self,
        store: Subscriptions,
        watching: Watching,
        dialogs: OwnDialogs,
        codec: TokenCodec,
        clock: Clock,
        metrics: Metrics,
        *,
        process: Process,
        limits: Limits,
    ) -> None:
        self.limits = limits
        self._store = store
        self._watching = watching
        self._dialogs = dialogs
        self._codec = codec
        self._clock = clock
        self._metrics = metrics
        self.process = process
        self._entries: dict[str, _Entry] = {}
        self._of_phone: dict[str, set[str]] = {}
        self._turns: list[tuple[float, str]] = []
        """Heap of turns; a row counts only if its entry has the same `due`."""
        self._again: dict[str, Target] = {}
        """Targets to be read again."""
        self._again_at = NEVER
        self._reread_at = NEVER
        self.wanted = asyncio.Event()
        """Set while there are subscriptions: only then is the stream of events read."""
        metrics.subscriptions_open.set_function(lambda: len(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    # What a SUBSCRIBE does

    def is_full(self) -> bool:
        """Return whether this process takes no further subscription."""
        return len(self._entries) >= self.limits.of_node

    def has_too_many(self, phone: str) -> bool:
        """Return whether a phone may not subscribe to more."""
        return len(self._of_phone.get(phone, ())) >= self.limits.of_phone

    async def begin(self, subscription: Subscription, target: Target) -> Subscription:
        """Store a subscription that is new, was refreshed or was taken over; `tell` sends its NOTIFY.

        Raises StoreUnavailable.
        """
        ours = await self._store.write(taken_over(subscription, self.process))
        kept = await self._watching.keep(target)
        entry = self._entries.get(ours.id)
        if entry is None:
            entry = self._entries[ours.id] = _Entry(ours, kept)
            self._of_phone.setdefault(ours.phone, set()).add(ours.id)
        kept.watchers.add(ours.id)
        entry.subscription = ours
        entry.lost_until = 0.0
        if not self.wanted.is_set():
            self._reread_at = self._clock() + REREAD_SECONDS
            self.wanted.set()
        self._set_turn(entry)
        return ours

    async def tell(self, id: str) -> None:
        """Send the NOTIFY that follows a SUBSCRIBE."""
        entry = self._entries.get(id)
        if entry is not None:
            self._ask(entry)
            await self._say(entry)

    async def end(self, subscription: Subscription, target: Target, reason: str) -> None:
        """End a subscription of any process, with a last NOTIFY. Raises StoreUnavailable."""
        ours = await self._store.write(taken_over(subscription, self.process))
        entry = self._entries.get(subscription.id) or _Entry(ours, target)
        entry.subscription = ours
        await self._finish(entry, reason)

    def fetch(self, subscription: Subscription, target: Target) -> None:
        """Send the only NOTIFY of a subscription that lasts no time (RFC 6665 section 4.4.3)."""
        once = replace(subscription, cseq=1, version=1, process=self.process)
        self._send(_Entry(once, target), once, terminated("timeout"))

    def drop(self, id: str) -> None:
        """Forget a subscription without a NOTIFY."""
        entry = self._entries.pop(id, None)
        if entry is None:
            return
        phone = entry.subscription.phone
        mine = self._of_phone.get(phone, set())
        mine.discard(id)
        if not mine:
            self._of_phone.pop(phone, None)
        entry.target.watchers.discard(id)
        self._watching.drop(entry.target)
        if not self._entries:
            self.wanted.clear()

    # What changes

    async def heard(self, entries: Sequence[Entry]) -> None:
        """Handle entries of the stream of all events: calls of all nodes, and registrations."""
        try:
            await self._hear(entries)
        except Exception:  # the caller follows the stream for all subscriptions
            self._metrics.unhandled.inc()
            log.exception("an event could not be dealt with")

    async def _hear(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            for id in list(self._of_phone.get(entry.get("phone", ""), ())):
                if "call" not in entry and id in self._entries:
                    await self._heard_of_subscriber(self._entries[id], entry.get("event", ""))
        try:
            changed = await self._watching.heard(entries)
        except StoreUnavailable:
            self._reread_at = self._clock() + RETRY_SECONDS
            return
        await self._look_at(changed)

    async def heard_person(self, person: str) -> None:
        """Handle news of a person: it is free, or has changed a wish."""
        if self._entries:
            await self._look_at(self._watching.of_person(person))

    def heard_customer(self, customer: str) -> None:
        """Handle a change of the configuration: a number may reach others than before."""
        self._note(self._watching.of_customer(customer))

    def heard_everything(self) -> None:
        """Handle that changes of the configuration were not announced."""
        self._reread_at = self._clock()

    async def missed(self) -> None:
        """Look at everything, because events may have been missed."""
        if not self._entries:
            return
        try:
            everything = await self._watching.everything()
        except StoreUnavailable:
            self._reread_at = self._clock() + RETRY_SECONDS
            return
        self._reread_at = self._clock() + REREAD_SECONDS
        await self._look_at(everything)

    def left(self, phone: str, process: Process, flow: int) -> None:
        """Note that a connection of a phone is gone: its subscriptions wait for a while."""
        for id in self._of_phone.get(phone, ()):
            entry = self._entries[id]
            target = entry.subscription.handle.target
            place = (target.node, target.generation, target.flow)
            if target.transport != "udp" and place == (process.node, process.generation, flow):
                self._lose(entry, LOST_SECONDS)

    async def take_over(self, process: Process) -> int:
        """Take over the subscriptions of a process that died, and return how many were taken.

        Raises StoreUnavailable.
        """
        taken = 0
        for subscription in await self._store.of_process(process):
            if subscription.expires_at <= self._clock() or not await self._store.claim(subscription):
                continue
            target = await self._watching.find_again(subscription)
            if target is None:
                self._store.remove(subscription)
                continue
            await self.begin(subscription, target)
            entry = self._entries[subscription.id]
            self._ask(entry)
            if not self._dialogs.is_reachable(subscription.handle.target):
                self._lose(entry, ADOPTED_SECONDS)
            self._set_turn(entry)
            taken += 1
        return taken

    # The turns

    async def run(self) -> None:
        """Give each subscription its turn until cancelled; without subscriptions, do nothing."""
        while True:
            await self.wanted.wait()
            try:
                await self.look()
            except Exception:  # a bug in here must not end all subscriptions
                self._metrics.unhandled.inc()
                log.exception("subscriptions could not be looked after")
            await asyncio.sleep(TICK_SECONDS)

    async def look(self) -> None:
        """Do all that is due."""
        now = self._clock()
        if now >= self._reread_at:
            await self.missed()
        if now >= self._again_at:
            again, self._again, self._again_at = list(self._again.values()), {}, NEVER
            await self._look_at(again)
        if len(self._turns) > 2 * len(self._entries) + MAX_STALE:
            self._turns = [(entry.due, id) for id, entry in self._entries.items() if entry.due < NEVER]
            heapq.heapify(self._turns)
        due: list[_Entry] = []
        while self._turns and self._turns[0][0] <= now:
            at, id = heapq.heappop(self._turns)
            entry = self._entries.get(id)
            if entry is not None and entry.due == at:
                entry.due = NEVER
                due.append(entry)
        await _in_chunks([self._turn(entry, now) for entry in due])

    async def _turn(self, entry: _Entry, now: Epoch) -> None:
        """Do what is due for one subscription."""
        if now >= entry.target.view.until:
            self._note([entry.target])
        if now >= entry.subscription.expires_at:
            await self._finish(entry, "timeout")
        elif entry.lost_until:
            await self._look_for(entry, now)
        elif now >= entry.pace.due():
            await self._say(entry)
        else:
            self._set_turn(entry)

    def _set_turn(self, entry: _Entry) -> None:
        if entry.subscription.id not in self._entries:
            return
        due = min(entry.subscription.expires_at, self._next_look(entry) or entry.pace.due())
        if self._clock() < entry.target.view.until:
            due = min(due, entry.target.view.until)
        if due != entry.due:
            entry.due = due
            heapq.heappush(self._turns, (due, entry.subscription.id))

    async def _look_at(self, targets: Iterable[Target]) -> None:
        """Read targets, and tell their subscribers what has changed."""
        await _in_chunks([self._look_at_one(target) for target in targets])

    async def _look_at_one(self, target: Target) -> None:
        try:
            exists = await self._watching.look(target)
        except StoreUnavailable:
            self._note([target], RETRY_SECONDS)
            return
        watchers = [self._entries[id] for id in target.watchers if id in self._entries]
        if not exists:
            await _in_chunks([self._finish(entry, "noresource") for entry in watchers])
            return
        now = self._clock()
        ready: list[_Entry] = []
        for entry in watchers:
            is_news = _part(entry.subscription.package, target.view) != entry.shown
            entry.pace = entry.pace.changed() if is_news else entry.pace.settled()
            if is_news and not entry.lost_until and entry.pace.due() <= now:
                ready.append(entry)
            else:
                self._set_turn(entry)
        await _in_chunks([self._say(entry) for entry in ready])

    def _note(self, targets: Iterable[Target], seconds: float = 0.0) -> None:
        """Note targets to be read by the next look after some seconds."""
        for target in targets:
            self._again[target.key] = target
            self._again_at = min(self._again_at, self._clock() + seconds)

    async def _say(self, entry: _Entry) -> None:
        """Send the newest state of a subscription, with the next numbers."""
        if entry.is_sending:
            return
        entry.is_sending = True
        try:
            numbered = await self._store.number(entry.subscription)
            if entry.subscription.id not in self._entries:
                return
            if numbered is None:  # it was replaced or ended, or another process has it now
                self.drop(entry.subscription.id)
                return
            entry.subscription = replace(entry.subscription, cseq=numbered.cseq, version=numbered.version)
            self._send_or_wait(entry)
        except StoreUnavailable:
            entry.pace = entry.pace.sent(self._clock()).answered(Fate.DELIVERED, self._clock()).changed()
        finally:
            entry.is_sending = False
            self._set_turn(entry)

    def _send_or_wait(self, entry: _Entry) -> None:
        now = self._clock()
        entry.pace = entry.pace.sent(now)
        entry.shown = _part(entry.subscription.package, entry.target.view)
        if not self._send(entry, entry.subscription, active(entry.subscription, now)):
            self.answered(entry.subscription.id, Fate.UNANSWERED)
            if entry.subscription.handle.target.transport != "udp":
                self._lose(entry, LOST_SECONDS)

    async def _finish(self, entry: _Entry, reason: str) -> None:
        """End a subscription with a last NOTIFY."""
        subscription = entry.subscription
        try:
            numbered = await self._store.number(subscription)
        except StoreUnavailable:
            numbered = replace(subscription, cseq=subscription.cseq + 1, version=subscription.version + 1)
        self.drop(subscription.id)
        if numbered is not None:  # else another process has it now
            self._store.remove(subscription)
            self._send(entry, numbered, terminated(reason))

    def _send(self, entry: _Entry, subscription: Subscription, state: str) -> bool:
        """Send one NOTIFY, and return whether there is a way for it."""
        draft = partial(_draft, subscription, state, entry.target.view)
        token = self._codec.subscription(subscription.id, subscription.call_id)
        try:
            target, notice = subscription.handle.target, _Notice(self, subscription.id)
            return self._dialogs.send(target, token, draft, notice) is not None
        except TableFull as error:
            log.warning("a NOTIFY could not be sent: %s", error)
            return False

    def answered(self, id: str, outcome: Fate) -> None:
        """Handle what became of a NOTIFY."""
        self._metrics.notifies(str(outcome))
        entry = self._entries.get(id)
        if entry is None:
            return
        if outcome is Fate.ENDED:
            self._store.remove(entry.subscription)
            self.drop(id)
            return
        entry.pace = entry.pace.answered(outcome, self._clock())
        if not entry.is_sending:
            self._set_turn(entry)

    # The subscriber

    async def _heard_of_subscriber(self, entry: _Entry, event: str) -> None:
        """Handle an event of the phone that has subscribed."""
        if event == "revoked":
            await self._finish(entry, "rejected")
        elif event in ("registered", "moved") and entry.lost_until:
            await self._has_moved(entry)

    async def _look_for(self, entry: _Entry, now: Epoch) -> None:
        """Look whether a lost phone is back; end its subscription if it has been away for too long."""
        if self._dialogs.is_reachable(entry.subscription.handle.target):
            entry.lost_until = 0.0
            self._ask(entry)
            await self._say(entry)
        elif now >= entry.lost_until and not await self._has_moved(entry):
            self._metrics.notifies("lost")
            self._store.remove(entry.subscription)
            self.drop(entry.subscription.id)
        else:
            self._set_turn(entry)

    def _next_look(self, entry: _Entry) -> float:
        """Return when a lost phone is looked for; 0 if it is there."""
        if not entry.lost_until:
            return 0.0
        return max(min(entry.lost_until, self._clock() + LOOK_SECONDS), 1.0)

    async def _has_moved(self, entry: _Entry) -> bool:
        """Look for the phone of a subscription; if it is back, send it the state, and return True."""
        handle = entry.subscription.handle
        try:
            target = await self._dialogs.moved(handle.target)
        except StoreUnavailable:
            entry.lost_until = self._clock() + RETRY_SECONDS
            self._set_turn(entry)
            return True
        if target is None or entry.subscription.id not in self._entries:
            return False
        moved = replace(entry.subscription, handle=replace(handle, target=target))
        try:
            entry.subscription = await self._store.write(moved)
        except StoreUnavailable:
            entry.subscription = moved
        entry.lost_until = 0.0
        self._ask(entry)
        await self._say(entry)
        return True

    def _ask(self, entry: _Entry) -> None:
        """Note that the subscriber must be told the state, whatever it was told before."""
        entry.shown = None
        entry.pace = entry.pace.asked()

    def _lose(self, entry: _Entry, seconds: float) -> None:
        if not entry.lost_until:
            entry.lost_until = self._clock() + seconds
            self._set_turn(entry)


@dataclass(frozen=True, slots=True)
class _Notice:
    """One NOTIFY that waits for its answer; implements network.ClientTransactionUser."""

    notifier: Notifier
    id: str

    def receive_response(self, key: Key, response: Response) -> None:
        """See network.ClientTransactionUser."""
        if response.status >= 200:
            self.notifier.answered(self.id, fate(response.status))

    def request_failed(self, key: Key, *, timed_out: bool) -> None:
        """See network.ClientTransactionUser."""
        self.notifier.answered(self.id, Fate.UNANSWERED)


def _draft(subscription: Subscription, state: str, view: View, via: str, contact: str) -> Request:
    return notify(
        subscription,
        via=via,
        contact=contact,
        state=state,
        body=_body(subscription, view),
        cseq=subscription.cseq,
    )


def _part(package: str, view: View) -> Shown:
    """Return the part of a view that a package shows."""
    if package == DIALOG:
        return view.line
    return view.presence if package == PRESENCE else dialog_info.IDLE


def _body(subscription: Subscription, view: View) -> bytes:
    entity = subscription.entity
    if subscription.package == DIALOG:
        version = subscription.version
        return dialog_info.document(view.line, view.watched, entity=entity, version=version)
    if subscription.package == PRESENCE:
        return pidf.document(view.presence, entity=entity)
    return no_messages(entity)


async def _in_chunks(jobs: Sequence[Awaitable[None]]) -> None:
    """Run jobs, some at a time."""
    for start in range(0, len(jobs), CHUNK):
        await asyncio.gather(*jobs[start : start + CHUNK])
