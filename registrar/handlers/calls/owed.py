"""BYEs that did not reach their phone: they are sent again if the phone is back within a minute."""

import logging
from dataclasses import dataclass, field
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Epoch, Snapshot
from registrar.ports import Clock, Location
from registrar.rules.tokens import Target, target_of
from registrar.sip import Response
from registrar.transaction import Key, TableFull

from ..network import Network
from .reach import Reach, Way
from .speech import Speech

OWED_SECONDS: Final = 60.0
MOST: Final = 10_000
"""Maximum number of undelivered BYEs; beyond it, the oldest is dropped."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Debt:
    """One undelivered BYE; implements network.ClientTransactionUser."""

    speech: Speech
    number: int
    reason: str
    until: float
    key: Key | None = None
    """Key of the client transaction of a BYE that is under way."""
    is_paid: bool = False
    tried: set[tuple[Target, int]] = field(default_factory=set)
    """Targets that were tried, each with the time of its registration."""

    def receive_response(self, key: Key, response: Response) -> None:
        """See network.ClientTransactionUser.

        A phone that does not know the call is another device, or has lost the call.
        """
        if response.status >= 200:
            self.key = None
            self.is_paid = response.status < 300

    def request_failed(self, key: Key, *, timed_out: bool) -> None:
        """See network.ClientTransactionUser."""
        self.key = None


class Owed:
    """The undelivered BYEs, and the attempts to send them again."""

    def __init__(self, location: Location, reach: Reach, network: Network, clock: Clock) -> None:
        self._location = location
        self._reach = reach
        self._network = network
        self._clock = clock
        self._debts: dict[tuple[str, str], _Debt] = {}
        """Undelivered BYEs by the Call-ID and the tag of the party that must receive them."""

    def __len__(self) -> int:
        return len(self._debts)

    def owe(self, speech: Speech, number: int, reason: str = "", way: Way | None = None) -> None:
        """Note a BYE that a party must receive; if `way` is given, send it that way now."""
        debt = _Debt(speech, number, reason, self._clock() + OWED_SECONDS)
        self._debts[speech.call_id, speech.tag] = debt
        if len(self._debts) > MOST:
            del self._debts[next(iter(self._debts))]
        if way is not None:
            self._say(debt, way)

    async def look(self, now: Epoch) -> None:
        """Send each BYE again if its phone has registered since. Raises StoreUnavailable."""
        for key, debt in list(self._debts.items()):
            if debt.is_paid or debt.until <= now:
                del self._debts[key]
        open_ = [debt for debt in self._debts.values() if debt.key is None]
        if not open_:
            return
        phones = list({debt.speech.target.phone for debt in open_})
        found = dict(zip(phones, await self._location.load(phones), strict=True))
        for debt in open_:
            self._try(debt, found[debt.speech.target.phone], now)

    def _try(self, debt: _Debt, stands: Snapshot, now: Epoch) -> None:
        phone = debt.speech.target.phone
        moments = {target_of(phone, binding): binding.refreshed_at for binding in stands.heard(now)}
        for way in debt.speech.ways(self._reach, moments):
            step = way.target, moments[way.target]
            if step not in debt.tried:
                debt.tried.add(step)
                self._say(debt, way)
                return

    def _say(self, debt: _Debt, way: Way) -> None:
        try:
            request = debt.speech.request(self._reach, way, "BYE", debt.number, debt.reason)
            debt.key = self._network.request(request, way.flow, debt)
        except (MalformedMessage, TableFull) as error:
            log.warning("a party of a call could not be told that it is over: %s", error)
