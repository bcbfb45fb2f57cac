"""Parties that lost their connection during a call: the call ends unless its party comes back with it.

A page that was reloaded registers again and does not know the call. So a party that comes back with a new
registration is asked inside the dialog (OPTIONS). If it does not know the dialog, or does not answer, it has
left (RFC 3261 section 11).
"""

import logging
from dataclasses import dataclass, field
from typing import Final, Protocol

from registrar.errors import MalformedMessage
from registrar.model import Epoch, Snapshot
from registrar.ports import Location
from registrar.rules.comeback import Return, knows_dialog, returned
from registrar.rules.routing import is_same_flow
from registrar.rules.tokens import Target, target_of
from registrar.sip import Response
from registrar.transaction import Key, TableFull

from ..network import Network
from .reach import Reach, Way
from .speech import Speech

GRACE_SECONDS: Final = 9.0
"""How long a party may be absent before its call is ended."""
LAST_ASKED_SECONDS: Final = 8.0
"""No phone is asked after this time: the bindings of the closed connection have ended by then, too."""
ASK_SECONDS: Final = 4.0
"""How long to wait for the answer to an OPTIONS."""
NO_ANSWER: Final = 408

log = logging.getLogger(__name__)


class Parties(Protocol):
    """The part of the call table that is used here."""

    def speech(self, id: str, *, is_caller: bool) -> Speech | None:
        """Return how to send a request to a party, or None if the call is over."""

    def is_now_at(self, id: str, target: Target, *, is_caller: bool) -> None:
        """Note that a party has come back over another flow."""


@dataclass(slots=True)
class _Question:
    """An OPTIONS to a party, with its result until the next look; implements ClientTransactionUser."""

    place: Target
    asked_at: float
    key: Key | None = None
    status: int = 0

    def receive_response(self, key: Key, response: Response) -> None:
        """See network.ClientTransactionUser."""
        if response.status >= 200:
            self.status = response.status

    def request_failed(self, key: Key, *, timed_out: bool) -> None:
        """See network.ClientTransactionUser."""
        self.status = NO_ANSWER


@dataclass(slots=True)
class _Absence:
    lost: Target
    registration: str
    """See rules.comeback.returned."""
    left_at: float
    since: float = 0.0
    """When the party was first looked for; 0: not yet, because only the store says who is there."""
    question: _Question | None = None
    strangers: list[Target] = field(default_factory=list)
    """Targets that were asked and do not know the dialog."""


class Absent:
    """The absent parties, and the search for them."""

    def __init__(self, parties: Parties, location: Location, reach: Reach, network: Network) -> None:
        self._parties = parties
        self._location = location
        self._reach = reach
        self._network = network
        self._absences: dict[tuple[str, bool], _Absence] = {}

    def left(self, id: str, lost: Target, registration: str, now: Epoch, *, is_caller: bool) -> None:
        """Note that the flow of a party is gone; `registration` is as in rules.comeback.returned."""
        known = self._absences.get((id, is_caller))
        if known is None or known.lost != lost:
            self._absences[id, is_caller] = _Absence(lost, registration, now)

    async def look(self, now: Epoch) -> list[str]:
        """Return the ids of the calls whose party does not come back. Raises StoreUnavailable."""
        absent: list[tuple[tuple[str, bool], _Absence, Speech]] = []
        for key, absence in list(self._absences.items()):
            speech = self._parties.speech(key[0], is_caller=key[1])
            if speech is None or self._is_elsewhere(speech, absence):
                self._forget(key)
            else:
                absent.append((key, absence, speech))
        if not absent:
            return []
        phones = list({absence.lost.phone for _, absence, _ in absent})
        found = dict(zip(phones, await self._location.load(phones), strict=True))
        return [
            key[0]
            for key, absence, speech in absent
            if self._is_lost(key, absence, speech, found[absence.lost.phone], now)
        ]

    def _is_elsewhere(self, speech: Speech, absence: _Absence) -> bool:
        """Return whether a request of the party has shown another flow to it that is open."""
        return speech.target != absence.lost and self._reach.way(speech.target) is not None

    def _is_lost(
        self, key: tuple[str, bool], absence: _Absence, speech: Speech, stands: Snapshot, now: Epoch
    ) -> bool:
        absence.since = absence.since or now
        phone = absence.lost.phone
        doubtful: list[Way] = []
        others = {target_of(phone, binding): binding for binding in stands.heard(now)}
        away = (target for target in others if not is_same_flow(target, absence.lost))
        for way in speech.ways(self._reach, away):
            what = returned(others[way.target], absence.lost, absence.registration, absence.left_at)
            if what is Return.HERE or self._has_said_so(absence, way.target):
                self._is_back(key, absence, way.target)
                return False
            if what is Return.ASK:
                doubtful.append(way)
        if self._waits(absence, now):
            return False
        new = [way for way in doubtful if way.target not in absence.strangers]
        if new and now - absence.since < LAST_ASKED_SECONDS:
            self._ask(absence, speech, new[0], now)
            return False
        is_replaced = not any(
            is_same_flow(target_of(phone, binding), absence.lost) for binding in stands.live(now)
        )
        over = now - absence.since >= GRACE_SECONDS or bool(absence.strangers and is_replaced)
        if over:
            self._forget(key)
        return over

    def _has_said_so(self, absence: _Absence, place: Target) -> bool:
        question = absence.question
        if question is None or question.place != place or not question.status:
            return False
        return knows_dialog(question.status)

    def _waits(self, absence: _Absence, now: Epoch) -> bool:
        """Return whether an answer is still awaited; note a phone that does not know the call."""
        question = absence.question
        if question is None:
            return False
        if not question.status and now - question.asked_at < ASK_SECONDS:
            return True
        absence.strangers.append(question.place)
        self._withdraw(absence)
        return False

    def _ask(self, absence: _Absence, speech: Speech, way: Way, now: Epoch) -> None:
        """Send an OPTIONS with the highest CSeq number that the other party has used.

        The next number of that party must be higher than ours.
        """
        question = absence.question = _Question(way.target, now)
        try:
            request = speech.request(self._reach, way, "OPTIONS", speech.cseq)
            question.key = self._network.request(request, way.flow, question)
        except (MalformedMessage, TableFull) as error:
            log.warning("a party of a call that came back could not be asked: %s", error)
            question.status = NO_ANSWER

    def _is_back(self, key: tuple[str, bool], absence: _Absence, target: Target) -> None:
        self._forget(key)
        self._parties.is_now_at(key[0], target, is_caller=key[1])

    def _forget(self, key: tuple[str, bool]) -> None:
        absence = self._absences.pop(key, None)
        if absence is not None:
            self._withdraw(absence)

    def _withdraw(self, absence: _Absence) -> None:
        """End the OPTIONS of an absence: its result is not needed any more."""
        question, absence.question = absence.question, None
        if question is not None and question.key is not None and not question.status:
            self._network.forget(question.key)
