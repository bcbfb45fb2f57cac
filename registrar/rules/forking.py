"""Forking of one request: the choice of the response and the branches to cancel (RFC 3261 section 16.7).

A fork may be open: more branches may come, so it does not end when all have answered, and no answer of one
ends it for the others but a 2xx. `give_up` ends an open fork.

This module handles no messages. Branches are numbers, responses are status codes, and the methods return the
steps that the caller must perform.
"""

from dataclasses import dataclass, field
from typing import Final

TIMEOUT: Final = 408
CANCELLED: Final = 487
_PREFERENCE: Final = {
    486: 0,
    600: 0,
    603: 0,
    415: 1,
    488: 1,
    420: 2,
    484: 2,
    433: 3,
    403: 4,
    480: 6,
    408: 7,
    404: 8,
}
"""Rank among responses of one class: the most informative comes first; any other status has rank 5."""
_LAST: Final = {430: 20, 481: 19, 487: 9}
_REWRITTEN: Final = {401: 502, 407: 502, 503: 500, 430: 480}
"""A phone's challenge would ask for the caller's digest; a 503 would make the caller avoid this service
(section 16.7 step 6)."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """A step: send a CANCEL on this branch."""

    branch: int
    elsewhere: bool = False
    """True if the reason is that another branch has taken the call."""


@dataclass(frozen=True, slots=True)
class Relay:
    """A step: relay the 2xx of this branch to the caller."""

    branch: int


@dataclass(frozen=True, slots=True)
class Best:
    """A step: send this status to the caller, as all branches have answered and none with a 2xx."""

    status: int
    branch: int | None
    """The branch whose response it is; None: we make the response."""


@dataclass(frozen=True, slots=True)
class Unwanted:
    """A step: end the dialog of this branch's 2xx, as another final response was sent before."""

    branch: int


Step = Cancel | Relay | Best | Unwanted


@dataclass(slots=True)
class _Branch:
    heard: bool = False
    """A provisional response has arrived; only then may the branch be cancelled (section 9.1)."""
    status: int = 0
    """The final response; 0 while there is none."""
    relayed: bool = False
    """Its 2xx was relayed."""
    unwanted: bool = False
    elsewhere: bool = False
    cancelled: bool = False
    abandoned: bool = False
    """It counts as finished although it has not answered; a dialog that it makes later is ended."""


@dataclass(slots=True)
class Fork:
    """The response context of one request (RFC 3261 section 16.7)."""

    is_invite: bool = True
    is_open: bool = False
    """Whether further branches may come: it rings by a plan (rules.plan)."""
    rewrites: bool = True
    """False between nodes: the node that sent the request rewrites the statuses for its own caller."""
    _branches: list[_Branch] = field(default_factory=list)
    _over: bool = False
    """A final response was sent back."""
    _override: int = 0
    """The status to send regardless of the branches: the caller or timer C cancelled them; 0: none."""

    @property
    def over(self) -> bool:
        """Return whether a final response was sent back."""
        return self._over

    @property
    def pending(self) -> bool:
        """Return whether a branch has no final response yet."""
        return any(not branch.status for branch in self._branches)

    @property
    def is_settled(self) -> bool:
        """Return whether every branch has answered and there is no 2xx except the relayed one."""
        if not self._over:
            return False
        return all(
            not branch.abandoned and (branch.relayed or branch.status >= 300) for branch in self._branches
        )

    def is_pending(self, number: int) -> bool:
        """Return whether a branch has no final response yet."""
        return not self._branches[number].status

    def close(self) -> list[Step]:
        """Note that no further branches come; return the best answer, if all have answered."""
        self.is_open = False
        if self._over or self.pending:
            return []
        self._over = True
        return [self._best()]

    def has_heard(self, number: int) -> bool:
        """Return whether a response has arrived on a branch."""
        branch = self._branches[number]
        return branch.heard or bool(branch.status)

    def is_wanted(self, number: int) -> bool:
        """Return whether a response of this branch can still become the response of the request."""
        return not self._over and not self._branches[number].unwanted

    def add(self) -> int:
        """Add a branch and return its number."""
        self._branches.append(_Branch())
        return len(self._branches) - 1

    def provisional(self, number: int) -> list[Step]:
        """Note a provisional response; return the CANCEL that had to wait for it, if any."""
        branch = self._branches[number]
        branch.heard = True
        return self._cancel(number, branch)

    def final(self, number: int, status: int) -> list[Step]:
        """Note the final response of a branch and return the steps.

        `status` may be one of our own for a failed branch (408, 430, 5xx).
        """
        branch = self._branches[number]
        if branch.status and not 200 <= status < 300:
            branch.abandoned = False
            return []
        again, branch.status = bool(branch.status), status
        if 200 <= status < 300:
            return self._accepted(number, again=again)
        steps: list[Step] = []
        if self.is_open:
            return steps
        if status >= 600 and not self._over:
            steps = self._cancel_all(elsewhere=False)
        if not self._over and not self.pending:
            self._over = True
            steps.append(self._best())
        return steps

    def give_up(self, status: int, *, at_once: bool = False) -> list[Step]:
        """Give up because the caller cancelled (487) or has waited too long (408); return the steps.

        If `at_once` is true, the final response does not wait for the branches that are still ringing.
        """
        if self._over:
            return []
        self._override = status
        self.is_open = False
        steps = self._cancel_all(elsewhere=False)
        if at_once or status == TIMEOUT:  # section 16.8
            for branch in self._branches:
                if not branch.status and (at_once or not branch.heard):
                    branch.status, branch.abandoned = status, True
        if not self.pending:
            self._over = True
            steps.append(self._best())
        return steps

    def withdraw(self, number: int) -> list[Step]:
        """Let a branch stop ringing while the fork goes on; return its CANCEL, if it may be sent now.

        If its 2xx crosses the CANCEL, it is accepted: the caller still waits.
        """
        branch = self._branches[number]
        if branch.status or self._over:
            return []
        branch.unwanted = True
        return self._cancel(number, branch)

    def disown(self, number: int) -> None:
        """Note that the 2xx of this branch was not relayed; its retransmissions are not relayed either."""
        self._branches[number].relayed = False

    def _accepted(self, number: int, *, again: bool) -> list[Step]:
        if not self.is_invite and (again or self._over):
            return []  # one response is enough, and another 2xx makes no dialog that must be ended
        branch = self._branches[number]
        if branch.relayed:
            return [Relay(number)]  # a retransmission of the 2xx: the peer repeats it until the ACK arrives
        if self._over:
            return [Unwanted(number)]
        self._over = branch.relayed = True
        branch.unwanted = self.is_open = False
        steps: list[Step] = [Relay(number)]
        return steps + self._cancel_all(elsewhere=True)

    def _cancel_all(self, *, elsewhere: bool) -> list[Step]:
        steps: list[Step] = []
        if not self.is_invite:
            return steps
        for number, branch in enumerate(self._branches):
            if not branch.status:
                branch.unwanted, branch.elsewhere = True, elsewhere
                steps += self._cancel(number, branch)
        return steps

    def _cancel(self, number: int, branch: _Branch) -> list[Step]:
        if not branch.unwanted or not branch.heard or branch.cancelled:
            return []
        if branch.status and not branch.abandoned:
            return []
        branch.cancelled = True
        return [Cancel(number, branch.elsewhere)]

    def _best(self) -> Best:
        if self._override:
            return Best(self._override, None)
        if not self._branches:
            return Best(480, None)
        number = min(range(len(self._branches)), key=self._rank)
        status = self._branches[number].status
        rewritten = _REWRITTEN.get(status, status) if self.rewrites else status
        return Best(rewritten, number if rewritten == status else None)

    def _rank(self, number: int) -> tuple[int, int]:
        status = self._branches[number].status
        if status >= 600:
            return 0, 0
        return status // 100, _LAST.get(status, _PREFERENCE.get(status, 5))
