"""The history of calls: each call that ended, and each INVITE that was refused before there was a call."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from registrar.metrics import Metrics
from registrar.model import (
    Call,
    Called,
    CallState,
    Devices,
    Ending,
    Mono,
    Party,
    PastCall,
    Phone,
    Process,
)
from registrar.ports import Clock, History
from registrar.rules.destination import dialled_word
from registrar.rules.history import cause_of
from registrar.rules.identity import identity_of
from registrar.rules.privacy import is_anonymous

from ..network import ServerRequest

CHALLENGES: Final = (401, 407)
REFUSALS: Final = 10
"""Refused INVITEs of one phone that each get a row, if they come at once."""
REFUSALS_A_SECOND: Final = 1.0
"""Further ones of it that get a row: a phone that dials in a loop must not fill the disk."""
MAX_PHONES: Final = 10_000
"""Phones whose refused INVITEs are counted at a time; INVITEs of more phones get no row."""


@dataclass(slots=True)
class _Room:
    """How many more refused INVITEs of a phone get a row."""

    left: float
    at: Mono


class CallHistory:
    """The recorder of past calls. Nothing waits for it."""

    def __init__(
        self,
        store: History,
        clock: Clock,
        mono: Callable[[], Mono],
        new_id: Callable[[], str],
        metrics: Metrics,
        *,
        process: Process,
    ) -> None:
        self._store = store
        self._clock = clock
        self._mono = mono
        self._new_id = new_id
        self._metrics = metrics
        self._process = process
        self._rooms: dict[str, _Room] = {}

    def ended(self, call: Call, ending: Ending, rung: tuple[str, ...] = ()) -> None:
        """Note a call that is over, and the people at whom it rang besides its callee."""
        self._store.add(PastCall(call, ending, rung))

    def refused(self, incoming: ServerRequest, status: int, why: str, seconds: float) -> None:
        """Note an INVITE of a known phone that was refused before there was a call; that took `seconds`."""
        phone = incoming.phone
        if phone is None or status in CHALLENGES:
            return
        if not self._has_room(phone.id):
            self._metrics.history("limited")
            return
        word = dialled_word(incoming.request.uri)
        now = self._clock()
        call = self._call(incoming, phone, word, now - seconds)
        ending = Ending(cause_of(status), now, status, why=why)
        self._store.add(PastCall(call, ending, result=incoming.result))

    def _call(self, incoming: ServerRequest, phone: Phone, word: str, started_at: float) -> Call:
        request, called = incoming.request, incoming.called
        return Call(
            id=self._new_id(),
            call_id=request.call_id,
            customer=phone.customer,
            domain=phone.domain,
            caller=Party(
                phone.id,
                phone.extension or identity_of(phone).user,
                phone.name,
                incoming.flow.transport,
                person=phone.person,
            ),
            callee=_callee(called),
            state=CallState.RINGING,
            started_at=started_at,
            process=self._process,
            via="" if called is None or isinstance(called, Devices) else called.number,
            via_name="" if called is None or isinstance(called, Devices) else called.name,
            is_private=is_anonymous(request),
            dialled=word,
        )

    def _has_room(self, phone: str) -> bool:
        """Return whether one more refused INVITE of a phone gets a row."""
        now = self._mono()
        room = self._rooms.get(phone)
        if room is None:
            if len(self._rooms) >= MAX_PHONES and not self._forget(now):
                return False
            room = self._rooms[phone] = _Room(REFUSALS, now)
        room.left = min(REFUSALS, room.left + (now - room.at) * REFUSALS_A_SECOND)
        room.at = now
        if room.left < 1:
            return False
        room.left -= 1
        return True

    def _forget(self, now: Mono) -> bool:
        """Forget the phones that have all of their room again, and return whether there was one."""
        before = len(self._rooms)
        full = REFUSALS / REFUSALS_A_SECOND
        self._rooms = {phone: room for phone, room in self._rooms.items() if now - room.at < full}
        return len(self._rooms) < before


def _callee(called: Called | None) -> Party:
    """Return the callee that was found before the refusal, if any was."""
    if called is None:
        return Party("", "")
    person = called.person if isinstance(called, Devices) else ""
    return Party("", called.number, called.name, person=person)
