"""The budget of wrong passwords that one source may try, for digests and for logins.

A source is an address (for IPv6 a network, as one client has many addresses). An account is a login name.
Each wrong password is one entry in two logs: the log of its source and the log of (source, account). An entry
expires after `WINDOW_SECONDS`. If a log reaches its limit, its source or account is held for `HOLD_SECONDS`
after the newest entry. During a hold no password is checked, so no entry is added. After the hold one try at
a time is allowed, until old entries have left the window.

An account that has proved its password from a source is good there for `GOOD_SECONDS`. The hold of the source
does not apply to a good account; the hold of its own log does.

Many sources may try one account, each a few times. So an account also has a log of its own, for wrong
passwords from sources where it is not good. If that is full, it is held there until an entry is
`SPRAY_SECONDS` old. It is never held for this where it is good. This log is in memory alone: nodes tell each
other of its entries, so that names that do not exist have one like all others, and the store does not grow.
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
PER_MINUTE: Final = 50
"""Wrong passwords for one account within SPRAY_SECONDS, from all sources where it is not good.

Nodes tell each other of each one. Those that cross on the way are more by one for each node, so this number
stays below 60.
"""
SPRAY_SECONDS: Final = 60
GOOD_SECONDS: Final = 30 * 86_400
MAX_GOOD: Final = 10_000
"""Maximum number of good accounts per source; those unseen for longest are forgotten first."""
MAX_LOGS: Final = 20_000
"""Maximum number of logs of both kinds in the memory of one process; the oldest are forgotten first."""
KEPT: Final = 10
"""A log has room for this many times its limit: entries that good accounts add and remove displace none."""
MARK_BYTES: Final = 9

FREE: Final = Epoch(0.0)
"""No hold: zero, in epoch seconds."""

Log = deque[float]
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Guesser:
    """A source and the account that it tries."""

    source: str
    mark: str
    """Hash of the account name: names may be long and are confidential."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The reply of the shared budget to a request to check one password."""

    account_held_until: Epoch = FREE
    source_held_until: Epoch = FREE
    """If both are 0, the password may be checked and counts as wrong until the entry is given back."""
    entry: str = ""
    """Name of the entry that was added; empty if none was added."""
    at: float = 0.0
    """Epoch seconds at which this process counted the try; 0: not counted."""
    good: bool = False
    """Whether the account has proved its password from this source before."""

    def is_held(self, now: Epoch) -> bool:
        """Return whether a hold forbids the check at `now`."""
        return max(self.account_held_until, self.source_held_until) > now


def guesser(address: str, account: str, ipv6_prefix: int) -> Guesser:
    """Return the Guesser for `account` and the source of `address`."""
    mark = blake2b(account.encode("utf-8", "surrogatepass"), digest_size=MARK_BYTES).hexdigest()
    return Guesser(one_source(address, ipv6_prefix), mark)


class Ledger:
    """The budget as one process knows it: logs of wrong passwords and holds that other processes began."""

    def __init__(self) -> None:
        self._logs: dict[str | Guesser, Log] = {}
        self.sprayed: dict[str, Log] = {}
        """Mark of an account -> its newest wrong passwords from sources where it is not good.

        It is public only for `handlers.digest_check`: most accounts are not in it, and a call costs more.
        """
        self._told: dict[str | Guesser, Epoch] = {}
        """Holds that other processes have begun, and their ends."""
        self._watched: dict[str, Epoch] = {}
        """The sources of these holds, and the end of the last one."""

    def is_watched(self, source: str, now: Epoch) -> bool:
        """Return whether this source has a recent wrong password or a hold that another process began."""
        return bool(self._log(source, now)) or self._watched.get(source, FREE) > now

    def is_suspect(self, who: Guesser, now: Epoch) -> bool:
        """Return whether there is a recent wrong password for this account from this source."""
        return bool(self._log(who, now))

    def held_until(self, who: Guesser, now: Epoch, *, good: bool) -> Epoch:
        """Return the end of the hold of this account from this source; 0 if a password may be checked."""
        until = self._hold(who, PER_ACCOUNT, now)
        return until if good else max(until, self.source_held_until(who.source, now))

    def source_held_until(self, source: str, now: Epoch) -> Epoch:
        """Return the end of this source's hold, which applies to accounts that are not good; 0 if none."""
        return self._hold(source, PER_SOURCE, now)

    def add(self, who: Guesser, now: Epoch) -> None:
        """Count a wrong password, or a password that is about to be checked."""
        self._append(who.source, PER_SOURCE, now)
        self._append(who, PER_ACCOUNT, now)

    def remove(self, who: Guesser, at: float) -> None:
        """Remove the entry that `add` made at `at`, as the password was right."""
        for key in (who.source, who):
            log = self._logs.get(key)
            if log is not None and at in log:
                log.remove(at)

    def spray(self, mark: str, now: Epoch) -> None:
        """Count a wrong password for an account where it is not good, here or at another node."""
        log = self.sprayed.pop(mark, None) or deque(maxlen=PER_MINUTE)
        log.append(now)
        _keep(self.sprayed, mark, log)

    def sprays(self, mark: str, now: Epoch) -> int:
        """Return how many wrong passwords for an account came in the last SPRAY_SECONDS."""
        log = self.sprayed.get(mark)
        while log and log[0] <= now - SPRAY_SECONDS:
            log.popleft()
        return len(log) if log else 0

    def sprayed_until(self, mark: str, now: Epoch) -> Epoch:
        """Return until when an account is held where it is not good; 0 if it is not."""
        if self.sprays(mark, now) < PER_MINUTE:
            return FREE
        return Epoch(self.sprayed[mark][0] + SPRAY_SECONDS)

    def free(self, key: str | Guesser) -> None:
        """Forget the wrong passwords and the hold of a source, or of an account from a source."""
        self._logs.pop(key, None)
        self._told.pop(key, None)
        if isinstance(key, str):
            self._watched.pop(key, None)

    def tell(self, key: str | Guesser, until: Epoch) -> None:
        """Note a hold that another process has begun, of a source or of an account from a source."""
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
