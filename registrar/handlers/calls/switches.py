"""Feature codes that switch a wish of the caller: DND, forwards, and the queues that it has left.

No media is needed for them. The call ends with 480, and its reason phrase, which phones show, says what is
on now. `Reason: SIP;cause=200` says that nothing went wrong. A lamp that watches the code follows.
"""

from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import Devices, Feature, FeatureKind, Group, Phone, Queue, Switched
from registrar.ports import Clock, Deeds, DialPlan, People

from ..answers import BUSY, Answer
from ..network import ServerRequest

DONE: Final = ("Reason", "SIP;cause=200")
NO_PERSON: Final = Answer(403, why="From: this phone has no extension, so it has nothing to switch")
NO_NUMBER: Final = Answer(404, why="Request-URI: there is no such number to forward calls to")
NO_QUEUE: Final = Answer(404, why="Request-URI: there is no such queue")
NO_MEMBER: Final = Answer(403, why="Request-URI: this person is not a member of the queue")
PERMANENT: Final = Answer(403, why="Request-URI: a permanent member cannot leave the queue")
DND: Final = {FeatureKind.DND_TOGGLE: None, FeatureKind.DND_ON: True, FeatureKind.DND_OFF: False}
FORWARDS: Final = {
    FeatureKind.CFU_ON: ("cfu", "Forwarding To {}"),
    FeatureKind.CFU_OFF: ("cfu", "Forwarding Off"),
    FeatureKind.CFB_ON: ("cfb", "Forwarding To {} When Busy"),
    FeatureKind.CFB_OFF: ("cfb", "Forwarding When Busy Off"),
    FeatureKind.CFNR_ON: ("cfnr", "Forwarding To {} Without Answer"),
    FeatureKind.CFNR_OFF: ("cfnr", "Forwarding Without Answer Off"),
}
OFF: Final = frozenset({FeatureKind.CFU_OFF, FeatureKind.CFB_OFF, FeatureKind.CFNR_OFF})


class Switches:
    """Serves the feature codes that switch something."""

    def __init__(self, dial_plan: DialPlan, people: People, deeds: Deeds, clock: Clock) -> None:
        self._dial_plan = dial_plan
        self._people = people
        self._deeds = deeds
        self._clock = clock

    async def serve(self, incoming: ServerRequest, caller: Phone, feature: Feature) -> None:
        """Switch what a feature code is about, and answer with the result."""
        if not caller.person:
            incoming.reply(NO_PERSON)
            return
        try:
            incoming.reply(await self._switch(caller, feature, incoming.flow.remote_ip))
        except StoreUnavailable:
            incoming.reply(BUSY)

    async def _switch(self, caller: Phone, feature: Feature, address: str) -> Answer:
        if feature.kind in DND:
            return await self._dnd(caller, DND[feature.kind], address)
        if feature.kind in FORWARDS:
            return await self._forward(caller, feature, address)
        return await self._queue(caller, feature.argument, address)

    async def _set(self, caller: Phone, address: str, wish: str, value: str, *, via: str = "") -> None:
        """Set a wish, and tell the audit log if it was another one."""
        before = await self._people.change(caller.person, wish, value, customer=caller.customer, via=via)
        if before != value:
            known = caller.person, caller.customer, caller.id
            self._deeds.switched(Switched(self._clock(), *known, address, wish, before, value))

    async def _dnd(self, caller: Phone, wanted: bool | None, address: str) -> Answer:
        if wanted is None:
            (state,) = await self._people.states([caller.person])
            wanted = not state.dnd
        await self._set(caller, address, "dnd", "1" if wanted else "")
        return _done(f"Do Not Disturb {'On' if wanted else 'Off'}")

    async def _forward(self, caller: Phone, feature: Feature, address: str) -> Answer:
        field, said = FORWARDS[feature.kind]
        number = "" if feature.kind in OFF else feature.argument
        if number:
            destination = await self._dial_plan.called(caller.customer, number)
            if not isinstance(destination, Devices | Group | Queue):
                return NO_NUMBER
        await self._set(caller, address, field, number)
        return _done(said.format(number))

    async def _queue(self, caller: Phone, number: str, address: str) -> Answer:
        """Leave a queue, or join it again."""
        queue = await self._dial_plan.called(caller.customer, number)
        if not isinstance(queue, Queue):
            return NO_QUEUE
        mine = [member for member in queue.members if caller.person in {one.person for one in member.people}]
        if not mine:
            return NO_MEMBER
        (state,) = await self._people.states([caller.person])
        has_left = queue.id in state.left
        if not has_left and any(caller.person in member.permanent for member in mine):
            return PERMANENT
        wish, value = f"left:{queue.id}", "" if has_left else "1"
        await self._set(caller, address, wish, value, via=queue.number)
        return _done(f"{'Joined' if has_left else 'Left'} {queue.name}")


def _done(text: str) -> Answer:
    return Answer(480, _phrase(text), (DONE,))


def _phrase(text: str) -> str:
    """Return a text as a reason phrase: without control characters, at most 60 characters."""
    return "".join(sign for sign in text if sign.isprintable())[:60]
