"""How many wrong passwords one source may try: the budget of digests and of logins.

A source is an address (of IPv6 a network, as one client has many addresses), an account is a login name.
Each wrong password is one entry in two logs: the log of its source and the log of (source, account). An entry
lives `WINDOW_SECONDS`. A log that has reached its limit holds what it is about for `HOLD_SECONDS` after its
newest entry: nothing is checked, so nothing is added. After the hold one more try is allowed at a time, until
old entries have left the window.

An account that has proved its password from a source is good there for `GOOD_SECONDS`: the hold of the source
does not touch it, only the hold of its own log does.
"""

from collections import deque
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeVar

from registrar.model import Epoch
from registrar.rules.proxies import one_source

PER_ACCOUNT: Final = 10
PER_SOURCE: Final = 60
WINDOW_SECONDS: Final = 600
HOLD_SECONDS: Final = 300
GOOD_SECONDS: Final = 30 * 86_400
MAX_GOOD: Final = 10_000
"""Accounts that are remembered as good from one source; the ones unseen for longest are forgotten first."""
MAX_LOGS: Final = 20_000
"""Logs of each kind that one process keeps in memory; the oldest are forgotten first."""
KEPT: Final = 10
"""So many times its limit a log holds: what good accounts add, and take back, must displace nothing."""
MARK_BYTES: Final = 9

FREE: Final = Epoch(0.0)
"""No hold."""

Log = deque[float]
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Guesser:
    """Who tries which account."""

    source: str
    mark: str
    """Stands for the account: names may be long, and belong to nobody but their owner."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer of the shared budget to a wish to check one password."""

    account_held_until: Epoch = FREE
    source_held_until: Epoch = FREE
    """Both 0: it may be checked, and counts as wrong until it is given back."""
    entry: str = ""
    """Names the entry that was added; empty: none was."""
    at: float = 0.0
    """Epoch seconds at which this process has counted it; 0: it has not."""
    good: bool = False
    """Whether the account has proved its password from there before."""

    def is_held(self, now: Epoch) -> bool:
        """Return whether it may not be checked."""
        return max(self.account_held_until, self.source_held_until) > now


def guesser(address: str, account: str, ipv6_prefix: int) -> Guesser:
    """Return who tries `account` from `address`."""
    mark = blake2b(account.encode("utf-8", "surrogatepass"), digest_size=MARK_BYTES).hexdigest()
    return Guesser(one_source(address, ipv6_prefix), mark)


class Ledger:
    """The budget as one process sees it: logs of wrong passwords, and the holds it was told of."""

    def __init__(self) -> None:
        self._logs: dict[str | Guesser, Log] = {}
        self._told: dict[str | Guesser, Epoch] = {}
        """Holds that other processes have begun."""
        self._watched: dict[str, Epoch] = {}
        """Their sources."""

    def is_watched(self, source: str, now: Epoch) -> bool:
        """Return whether there was a wrong password from this source lately, here or as others told."""
        return bool(self._log(source, now)) or self._watched.get(source, FREE) > now

    def is_suspect(self, who: Guesser, now: Epoch) -> bool:
        """Return whether there was a wrong password for this account from there lately."""
        return bool(self._log(who, now))

    def held_until(self, who: Guesser, now: Epoch, *, good: bool) -> Epoch:
        """Return until when no password of this account is checked from there; 0: it may be checked."""
        until = self._hold(who, PER_ACCOUNT, now)
        return until if good else max(until, self.source_held_until(who.source, now))

    def source_held_until(self, source: str, now: Epoch) -> Epoch:
        """Return until when accounts that are not good from this source are not checked; 0: they are."""
        return self._hold(source, PER_SOURCE, now)

    def add(self, who: Guesser, now: Epoch) -> None:
        """Count a wrong password, or one that is about to be checked."""
        self._append(who.source, PER_SOURCE, now)
        self._append(who, PER_ACCOUNT, now)

    def remove(self, who: Guesser, at: float) -> None:
        """Take back an entry of `add`: the password was right."""
        for key in (who.source, who):
            log = self._logs.get(key)
            if log is not None and at in log:
                log.remove(at)

    def tell(self, key: str | Guesser, until: Epoch) -> None:
        """Note a hold of a source, or of an account from a source, that another process has begun."""
        _keep(self._told, key, until)
        source = key.source if isinstance(key, Guesser) else key
        _keep(self._watched, source, max(until, self._watched.get(source, FREE)))

    def _hold(self, key: str | Guesser, limit: int, now: Epoch) -> Epoch:
        until = self._told.get(key, FREE)
        log = self._log(key, now)
        if log is not None and len(log) >= limit:
            until = max(until, Epoch(log[-1] + HOLD_SECONDS))
        return until if until > now else FREE

    def _log(self, key: str | Guesser, now: Epoch) -> Log | None:
        log = self._logs.get(key)
        if log is None:
            return None
        while log and log[0] <= now - WINDOW_SECONDS:
            log.popleft()
        if not log:
            del self._logs[key]
            return None
        return log

    def _append(self, key: str | Guesser, limit: int, now: float) -> None:
        log = self._logs.pop(key, None) or deque(maxlen=KEPT * limit)
        log.append(now)
        _keep(self._logs, key, log)


def _keep(kept: dict[_K, _V], key: _K, value: _V) -> None:
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > MAX_LOGS:
        del kept[next(iter(kept))]
