"""Callers and agents who act by themselves, and what their phones have seen: who was offered what, and when.

Nothing is read from the server. The times are those at which messages left the phones, or came to them.
"""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.patience import limit
from tests.peers.calling import CallingPhone
from tests.peers.calling_message import read
from tests.wire.office import Person

NEVER: Final = float("inf")
LATE_SECONDS: Final = 0.05
"""Two moments that are closer than this may have come in either order."""
HEARS_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Offer:
    """One INVITE that came to the phone of an agent."""

    call_id: str
    agent: str
    begin: float
    end: float
    """When the phone sent its final response."""
    status: int
    """The final response, 0 if there is none."""
    free: float
    """When the agent was free again: the end of the offer, or of the call."""


@dataclass(frozen=True)
class Wait:
    """One call of a caller."""

    call_id: str
    begin: float
    """When the INVITE left: it waits at the earliest from then on."""
    heard: float
    """When the first provisional response came: it waits since then at the latest."""
    end: float
    """When the final response came."""
    status: int


@dataclass
class Ledger:
    """All offers and all waits of a test."""

    offers: list[Offer] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)

    def doubled(self) -> list[tuple[Offer, Offer]]:
        """Return the offers that came while the agent had another INVITE or a call, each with that one.

        The BYE of a call and the next INVITE may come from two nodes, and so in either order.
        """
        return [
            (former, later)
            for later in self.offers
            for former in self.offers
            if former.agent == later.agent
            and former.begin < later.begin < former.free - (LATE_SECONDS if former.status == 200 else 0)
        ]

    def inversions(self, *, spares: bool) -> list[tuple[Wait, Offer]]:
        """Return the offers that went past an older call, each with the oldest such call.

        `spares`: the call that waits second may ring at the agent that is second, while the first call is on
        its way to the first. So an offer is wrong only if it leaves fewer free agents than there are older
        calls.
        """
        waits = {wait.call_id: wait for wait in self.waits}
        found = []
        for offer in self.offers:
            older = [
                wait
                for wait in self.waits
                if wait.heard + LATE_SECONDS < waits[offer.call_id].begin and self._is_idle(wait, offer)
            ]
            free = len({one.agent for one in self.offers}) - self._busy(offer) if spares else 0
            if len(older) > max(free - 1, 0):
                found.append((min(older, key=lambda one: one.heard), offer))
        return found

    def _is_idle(self, wait: Wait, offer: Offer) -> bool:
        """Return whether a call waits, rings at no one, and could ring at the agent of an offer."""
        if not wait.heard < offer.begin < wait.end - LATE_SECONDS:
            return False
        own = [one for one in self.offers if one.call_id == wait.call_id]
        rings = any(
            one.begin - LATE_SECONDS < offer.begin < max(one.end, one.begin) + LATE_SECONDS for one in own
        )
        refused = any(one.agent == offer.agent and one.begin < offer.begin for one in own)
        return not rings and not refused

    def _busy(self, offer: Offer) -> int:
        """Return how many other agents had an INVITE or a call when an offer came."""
        return len(
            {
                one.agent
                for one in self.offers
                if one.agent != offer.agent and one.begin - LATE_SECONDS < offer.begin < one.free
            }
        )


@dataclass
class Agent:
    """A person who takes each call after a moment, and now and then declines."""

    person: Person
    dice: random.Random
    declines: float = 0.1
    handled: int = 0

    async def work(self) -> None:
        """Handle one call after the other, until cancelled."""
        while True:
            incoming = await self.person.phone.incoming(HEARS_SECONDS, nth=self.handled)
            self.handled += 1
            if incoming.server.cancel is None:
                incoming.ring()
                await asyncio.sleep(self.dice.uniform(0, 0.1))
            if incoming.server.cancel is not None:
                continue
            if self.dice.random() < self.declines:
                incoming.refuse(486)
            else:
                incoming.answer()

    def offers(self) -> Iterable[Offer]:
        """Return what came to the phone."""
        phone = self.person.phone
        came = {id(message): at for at, message in phone.received}
        finals = _finals(phone)
        hung_up = {message.call_id: at for at, message in phone.received if message.first.startswith("BYE ")}
        for one in phone.calls:
            end, status = finals.get(one.invite.branch, (NEVER, 0))
            begin, call = came[id(one.invite)], one.invite.call_id
            free = hung_up.get(call, NEVER) if 200 <= status < 300 else end
            yield Offer(call, self.person.id, begin, end, status, free)


@dataclass
class Caller:
    """A phone that calls a number again and again, talks for a moment, and now and then gives up."""

    phone: CallingPhone
    number: str
    dice: random.Random
    gives_up: float = 0.1
    talk_seconds: tuple[float, float] = (0.1, 0.5)
    acknowledged: int = 0
    cancelled: int = 0

    async def call(self, times: int) -> None:
        """Call so often."""
        for _ in range(times):
            await asyncio.sleep(self.dice.uniform(0, 0.3))
            outgoing = await self.phone.call(self.number)
            if self.dice.random() < self.gives_up:
                await outgoing.invite.find(lambda one: one.status > 100, HEARS_SECONDS, "response")
                await asyncio.sleep(self.dice.uniform(0, 0.1))
                if not outgoing.invite.has_final:
                    outgoing.cancel()
            final = await outgoing.final(HEARS_SECONDS)
            if final.status == 487:
                self.cancelled += 1
                continue
            assert final.status == 200, final
            self.acknowledged += 1
            await asyncio.sleep(self.dice.uniform(*self.talk_seconds))
            assert (await outgoing.bye(HEARS_SECONDS)).status == 200

    def waits(self) -> Iterable[Wait]:
        """Return what became of the calls."""
        phone = self.phone
        for at, raw in phone.sent:
            if not raw.startswith(b"INVITE ") or b"\r\nProxy-Authorization:" not in raw:
                continue
            invite = read(raw)
            answers = [
                (when, one)
                for when, one in phone.received
                if one.status > 100 and one.method == "INVITE" and one.branch == invite.branch
            ]
            finals = [(when, one.status) for when, one in answers if one.status >= 200]
            end, status = finals[0] if finals else (NEVER, 0)
            heard = answers[0][0] if answers else NEVER
            yield Wait(invite.call_id, at, heard, end, status)


def ledger(callers: Sequence[Caller], agents: Sequence[Agent]) -> Ledger:
    """Return all that the phones have seen."""
    return Ledger(
        [offer for agent in agents for offer in agent.offers()],
        [wait for caller in callers for wait in caller.waits()],
    )


def _finals(phone: CallingPhone) -> dict[str, tuple[float, int]]:
    """Return when each INVITE that came was answered for good, and how, by its branch."""
    found: dict[str, tuple[float, int]] = {}
    for at, raw in phone.sent:
        if raw.startswith(b"SIP/2.0 ") and not raw.startswith(b"SIP/2.0 1"):
            message = read(raw)
            if message.method == "INVITE":
                found.setdefault(message.branch, (at, message.status))
    return found


async def working(agents: Sequence[Agent], callers: Sequence[Caller], times: int) -> None:
    """Let all callers call so often each, and the agents work until they have done so."""
    shifts = [asyncio.create_task(agent.work()) for agent in agents]
    try:
        async with asyncio.timeout(limit(HEARS_SECONDS) + times):
            await asyncio.gather(*[caller.call(times) for caller in callers])
    finally:
        for shift in shifts:
            shift.cancel()
        await asyncio.gather(*shifts, return_exceptions=True)
