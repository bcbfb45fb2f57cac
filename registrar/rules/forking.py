"""One request on several ways: which answer goes back, and who is cancelled (RFC 3261 section 16.7).

Knows no messages: branches are numbers, answers are status codes; what to do comes back as steps.
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
"""Among answers of one class: what tells the caller most comes first; 5 is whatever is not named."""
_LAST: Final = {430: 20, 481: 19, 487: 9}
_REWRITTEN: Final = {401: 502, 407: 502, 503: 500, 430: 480}
"""A phone's challenge would ask for the caller's digest; 503 would keep the caller away from us (section 16.7
step 6)."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Send a CANCEL on that branch."""

    branch: int
    elsewhere: bool = False
    """Because another branch has taken the call."""


@dataclass(frozen=True, slots=True)
class Relay:
    """Pass this branch's 2xx back."""

    branch: int


@dataclass(frozen=True, slots=True)
class Best:
    """All have answered, none with a 2xx: this status goes back."""

    status: int
    branch: int | None
    """Whose answer it is; None: nobody's, we make it."""


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Another branch was faster: this one's 2xx must be ended."""

    branch: int


Step = Cancel | Relay | Best | Unwanted


@dataclass(slots=True)
class _Branch:
    heard: bool = False
    """A provisional answer came: only then may it be cancelled (section 9.1)."""
    status: int = 0
    """Its final answer, 0 while there is none."""
    relayed: bool = False
    """Its 2xx has gone back."""
    unwanted: bool = False
    elsewhere: bool = False
    cancelled: bool = False
    abandoned: bool = False
    """It counts as over although it has not answered: whatever it says yet is ended."""


@dataclass(slots=True)
class Fork:
    """The response context of one request."""

    is_invite: bool = True
    rewrites: bool = True
    """False between nodes: whoever asked makes of the answers what its own caller may see."""
    _branches: list[_Branch] = field(default_factory=list)
    _over: bool = False
    """A final answer has gone back."""
    _override: int = 0
    """What goes back whatever the branches say: they were cancelled by the caller, or by timer C."""

    @property
    def over(self) -> bool:
        """Whether a final answer has gone back."""
        return self._over

    @property
    def pending(self) -> bool:
        """Whether a branch has not answered yet."""
        return any(not branch.status for branch in self._branches)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is open: every branch has answered, and no 2xx but the one that went back."""
        if not self._over:
            return False
        return all(
            not branch.abandoned and (branch.relayed or branch.status >= 300) for branch in self._branches
        )

    def has_heard(self, number: int) -> bool:
        """Whether a branch has said anything."""
        branch = self._branches[number]
        return branch.heard or bool(branch.status)

    def is_wanted(self, number: int) -> bool:
        """Whether an answer of that branch can still be the call's."""
        return not self._over and not self._branches[number].unwanted

    def add(self) -> int:
        """One more way; its number."""
        self._branches.append(_Branch())
        return len(self._branches) - 1

    def provisional(self, number: int) -> list[Step]:
        """A provisional answer came: a CANCEL that had to wait for it can go now."""
        branch = self._branches[number]
        branch.heard = True
        return self._cancel(number, branch)

    def final(self, number: int, status: int) -> list[Step]:
        """A branch has answered, or has come to nothing (408, 430, 5xx of our own making)."""
        branch = self._branches[number]
        if branch.status and not 200 <= status < 300:
            branch.abandoned = False
            return []
        again, branch.status = bool(branch.status), status
        if 200 <= status < 300:
            return self._accepted(number, again=again)
        steps: list[Step] = []
        if status >= 600 and not self._over:
            steps = self._cancel_all(elsewhere=False)
        if not self._over and not self.pending:
            self._over = True
            steps.append(self._best())
        return steps

    def give_up(self, status: int, *, at_once: bool = False) -> list[Step]:
        """The caller wants no answer any more (487), or has waited too long (408).

        `at_once`: nobody waits until those that ring have said so.
        """
        if self._over:
            return []
        self._override = status
        steps = self._cancel_all(elsewhere=False)
        if at_once or status == TIMEOUT:  # section 16.8
            for branch in self._branches:
                if not branch.status and (at_once or not branch.heard):
                    branch.status, branch.abandoned = status, True
        if not self.pending:
            self._over = True
            steps.append(self._best())
        return steps

    def disown(self, number: int) -> None:
        """Its 2xx was not passed on, and shall not be when it comes again."""
        self._branches[number].relayed = False

    def _accepted(self, number: int, *, again: bool) -> list[Step]:
        if not self.is_invite and (again or self._over):
            return []  # one answer is enough, and makes nothing that must be ended
        branch = self._branches[number]
        if branch.relayed:
            return [Relay(number)]  # the 2xx, sent again until its ACK comes
        if self._over:
            return [Unwanted(number)]
        self._over = branch.relayed = True
        branch.unwanted = False
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
