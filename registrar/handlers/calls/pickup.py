"""Picking up a call that rings at another person: by feature code, or by INVITE with Replaces (RFC 3891).

The device of the person who picks up becomes one more branch of the call that rings, with headers that let it
answer by itself. Its own INVITE ends with 480 "Picked Up". So no media is needed, and the call keeps its
dialog with the caller. The process that has the call decides: it is asked by a message, and its answer comes
back the same way. Two people may pick up at once: the first 2xx wins, as among all branches.

A Replaces names the call by the opaque id that a lamp shows (rules.dialog_info). A Replaces with any other id
is that of a transfer, and goes on to the phone that it names.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import Call, CallState, Devices, Feature, FeatureKind, Group, Phone, Process
from registrar.ports import Calls, DialPlan, People
from registrar.rules.dialog_info import ID_BYTES, opaque_id
from registrar.rules.tokens import DialogHandle, Target, dump_handle, read_handle
from registrar.sip import Request

from ..answers import BUSY, Answer
from ..network import ServerRequest
from .table import CallTable

REPLY_SECONDS: Final = 1.0
"""How long another process may take to answer."""
PICKED_UP: Final = Answer(480, "Picked Up", (("Reason", "SIP;cause=200"),))
NOTHING: Final = Answer(404, "Nothing To Pick Up", why="Request-URI: no call rings there")
NOT_ALLOWED: Final = Answer(403, why="Request-URI: this person may not pick up calls there")


@dataclass(frozen=True, slots=True)
class PickupNews:
    """A message between processes about one pickup."""

    id: str
    """Names the question; the answer has the same."""
    call: str = ""
    phone: str = ""
    """The phone that picks up."""
    handle: str = ""
    """How to reach its device (rules.tokens.dump_handle)."""
    done: bool | None = None
    """The answer; None: this is the question."""


class Pickup:
    """Serves the feature codes that pick up calls."""

    def __init__(
        self,
        dial_plan: DialPlan,
        people: People,
        store: Calls,
        table: CallTable,
        tell: Callable[[PickupNews], None],
        new_id: Callable[[], str],
        *,
        key: bytes,
        process: Process,
    ) -> None:
        """`tell` sends a message to all processes; `key` makes the opaque ids of calls."""
        self._dial_plan = dial_plan
        self._people = people
        self._store = store
        self._table = table
        self._tell = tell
        self._new_id = new_id
        self._key = key
        self._process = process
        self._asked: dict[str, asyncio.Future[bool]] = {}

    async def serve(self, incoming: ServerRequest, caller: Phone, feature: Feature, here: Target) -> None:
        """Pick up the call that has rung for the longest time where a feature code says."""
        try:
            answer = await self._serve(caller, feature, here)
        except StoreUnavailable:
            answer = BUSY
        incoming.reply(answer)

    async def replaces(self, incoming: ServerRequest, caller: Phone, here: Target) -> bool:
        """Pick up the call that a Replaces names by an opaque id.

        Return False if the header names no such call: then it is that of a transfer.
        """
        name = _replaced(incoming.request)
        if not name or not caller.person:
            return False
        try:
            call = await self._named(name, caller)
            if call is None:
                return False
            incoming.reply(PICKED_UP if await self._take(call, caller, here) else NOTHING)
        except StoreUnavailable:
            incoming.reply(BUSY)
        return True

    async def heard(self, news: PickupNews) -> None:
        """Handle a message: a question about a call of this process, or the answer to ours."""
        if news.done is not None:
            asked = self._asked.get(news.id)
            if asked is not None and not asked.done():
                asked.set_result(news.done)
            return
        if not self._table.has(news.call):
            return
        try:
            phone = await self._dial_plan.phone(news.phone)
        except StoreUnavailable:
            phone = None
        handle = read_handle(news.handle)
        done = phone is not None and handle is not None and self._add(news.call, phone, handle.target)
        self._tell(PickupNews(news.id, done=done))

    async def _serve(self, caller: Phone, feature: Feature, here: Target) -> Answer:
        if not caller.person:
            return NOT_ALLOWED
        allowed = await self._dial_plan.pickable(caller.person)
        people = allowed
        if feature.argument:
            people = await self._people_at(caller, feature) & allowed
        if not people:
            return NOT_ALLOWED if feature.argument else NOTHING
        for call in await self._ringing_at(people, caller):
            if await self._take(call, caller, here):
                return PICKED_UP
        return NOTHING

    async def _people_at(self, caller: Phone, feature: Feature) -> frozenset[str]:
        """Return the people at the number that was dialled after the code."""
        found = await self._dial_plan.called(caller.customer, feature.argument)
        if feature.kind is FeatureKind.PICKUP_GROUP:
            return frozenset(one.person for one in found.people) if isinstance(found, Group) else frozenset()
        return frozenset({found.person} if isinstance(found, Devices) else ())

    async def _ringing_at(self, people: Iterable[str], caller: Phone) -> list[Call]:
        """Return the calls that ring at these people, the oldest first."""
        asked = sorted(people)
        states = await self._people.states(asked)
        at: dict[str, set[str]] = {}
        for person, state in zip(asked, states, strict=True):
            for call in (*state.calls, state.claimed_by):
                if call:
                    at.setdefault(call, set()).add(person)
        found = await self._store.load(list(at)) if at else []
        ringing = [
            call
            for call in found
            if call is not None
            and call.state is CallState.RINGING
            and call.customer == caller.customer
            and call.caller.person != caller.person
            and at[call.id] - {call.caller.person}
        ]
        return sorted(ringing, key=lambda call: call.started_at)

    async def _named(self, name: str, caller: Phone) -> Call | None:
        """Return the call with that opaque id, among those that ring where the caller may pick up."""
        allowed = await self._dial_plan.pickable(caller.person)
        for call in await self._ringing_at(allowed, caller) if allowed else ():
            if any(opaque_id(self._key, call.id, person) == name for person in allowed):
                return call
        return None

    async def _take(self, call: Call, caller: Phone, here: Target) -> bool:
        """Let the device of the caller ring for a call; return whether the process that has it agrees."""
        if self._process == call.process:
            return self._add(call.id, caller, here)
        id = self._new_id()
        asked: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked[id] = asked
        self._tell(PickupNews(id, call.id, caller.id, dump_handle(DialogHandle(here, "", ""))))
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                return await asked
        except TimeoutError:
            return False
        finally:
            del self._asked[id]

    def _add(self, call: str, phone: Phone, target: Target) -> bool:
        return self._table.pick_up(call, Devices(phone.extension, phone.name, (phone,), phone.person), target)


def _replaced(request: Request) -> str:
    """Return the opaque id in the Replaces of a request; empty if it has none (RFC 3891 section 6.1)."""
    value = request.headers.get("replaces") or ""
    name = value.partition(";")[0].strip().lower()
    is_ours = len(name) == 2 * ID_BYTES and all(sign in "0123456789abcdef" for sign in name)
    return name if is_ours else ""
