"""Forwarding of one request to one or several devices, from its server transaction to the final answer.

What is kept: one *branch* for each device (RFC 3261 sections 16.6 to 16.10). A branch has the flows still to
be tried, best first, and the one client transaction that is under way. Three collaborators have the rest:
`rules.forking.Fork` chooses the answer and says which branches to cancel, a rewriter makes the messages, and
`Backlog` holds the responses for which the media relay or the database must be asked.

All of it runs in one event loop, so no two methods run at once. But something may happen in each `await`, and
between a decision and the message that follows from it. These races exist:

- The caller sends CANCEL, or its connection closes, while a request is made (`_try`): the branch is asked
  again after each `await` whether it is still wanted, and nothing is sent if not.
- The CANCEL came before the forwarding existed: `ServerRequest` keeps it, and passes it on in `attach`. So
  the fork may be over before `start`.
- A 200 crosses our CANCEL: the fork returns `Unwanted`, and the dialog that the phone has made is ended by an
  ACK and a BYE. So no phone stays in a call that nobody else is in.
- Two phones answer at once: the first 2xx in the order of arrival is relayed, and each later one is ended.
- A branch gets its CANCEL only after a provisional response (section 9.1); a phone that never answers the
  CANCEL is over after 64*T1.
- Responses of one request keep their order. If one must wait for a body, all later ones wait behind it, also
  those that need none. What the fork must know of a provisional response it is told at once.
- The connection of the caller closes while its 2xx is sent: the dialog is ended as if it came too late.

After the relayed 2xx the phone repeats it until the ACK arrives, and others may answer late. The client
transaction lives for 32 s for that. It then belongs to a small `LateAnswers`, so that an answered call keeps
nothing of this module in memory (`_let_go`).

A forwarding by a plan (`Plans`: groups and queues) is open: branches are added and withdrawn while it rings.
Its provisional responses are made by the plan, timer C does not run, and the plan ends it by `end`.

A branch goes on after a failure in two cases. Its flow is gone (430, a connection that closed, a node or a
silent phone that says nothing): then the next flow of the same device is tried. Or the phone refused the
session description and another one can be offered: then the same flow is tried again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final

from registrar.errors import MalformedMessage, MediaRefused, StoreUnavailable
from registrar.rules import forward
from registrar.rules.forking import TIMEOUT, Best, Cancel, Fork, Relay, Step
from registrar.rules.identity import identity_of, secret_of
from registrar.rules.tokens import Target
from registrar.sip import Request, Response
from registrar.transaction import Key, TableFull

from ..answers import BUSY, Answer
from ..network import Network, ServerRequest
from .backlog import UNREADABLE, Backlog, Body, BodyRefused, refusal
from .late_answers import LateAnswers, end_dialog, readable_tag
from .reach import Reach, Way
from .rewriter import MessageRewriter, Plans

CANCEL_SECONDS: Final = 32.0
"""64*T1: a cancelled branch that is silent for this time is over (section 9.1)."""
NODE_SECONDS: Final = 2.0
"""How long another node may take to say that it has an INVITE."""
SILENT_SECONDS: Final = 6.0
"""How long a phone that answers no pings is tried: the request is sent four times by then."""
PICKUP_SECONDS: Final = 0.2
"""The phone that picks up must end its own INVITE before it gets ours."""
UNREADABLE_ANSWER: Final = Answer(UNREADABLE, why="the answer of the phone that was called cannot be read")
UNREACHED: Final = 430
"""Flow Failed (RFC 5626 section 11.5): the next flow of that phone is tried."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Branch:
    left: deque[Target]
    way: Way | None = None
    sent: Request | None = None
    key: Key | None = None
    final: Response | None = None
    late_answers: LateAnswers | None = None
    """The handler of each further 2xx, set when the first one has gone back."""
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    """Timers for the case that the branch does not answer."""
    refused: BodyRefused | None = None
    """Why the branch has failed, if the cause is on our side."""
    ended: Callable[[], None] | None = None
    """Called once, when the branch has its final response or has failed."""

    def stop_waiting(self) -> None:
        """Cancel the timers: the branch has answered, or has failed."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()


@dataclass(frozen=True, slots=True)
class Forwarder:
    """Starter of forwardings, with what each of them needs."""

    network: Network
    reach: Reach
    silent_places: Collection[tuple[str, int]]
    """Addresses and ports of phones over UDP that do not answer pings."""
    start_task: Callable[[Coroutine[None, None, None]], object]
    ring_seconds: float

    async def forward(
        self,
        incoming: ServerRequest,
        rewriter: MessageRewriter,
        caller: str,
        devices: Sequence[Sequence[Target]],
        *,
        between_nodes: bool = False,
        redirected: "Redirected | None" = None,
    ) -> None:
        """Forward a request of phone `caller` to all devices at once, to each over its best flow first.

        `between_nodes`: another node sent the request, and gets every answer unchanged. `redirected` follows
        a 3xx of a phone.
        """
        forwarding = Forwarding(self, incoming, rewriter, caller, between_nodes, redirected=redirected)
        forwarding.begin()
        await forwarding.start(devices)

    def open(
        self, incoming: ServerRequest, rewriter: MessageRewriter, caller: str, plans: Plans
    ) -> "Forwarding":
        """Return a forwarding to which `plans` adds devices, and which it ends.

        `plans` is told at once if it is over before it has begun: the CANCEL may have come first.
        """
        forwarding = Forwarding(self, incoming, rewriter, caller, plans=plans)
        forwarding.begin()
        return forwarding


Redirected = Callable[["Forwarding", int, Response], str]
"""What follows a 3xx of a branch: it returns why that is impossible, or an empty text."""


@dataclass(slots=True)
class Forwarding:
    """The forwarding of one request; implements the transaction users of `network`."""

    forwarder: Forwarder
    incoming: ServerRequest
    rewriter: MessageRewriter
    caller: str
    """Id of the phone that sent the request."""
    between_nodes: bool = False
    """Whether another node sent the request: it gets every answer unchanged."""
    plans: Plans | None = None
    """The owner that adds devices; None: all devices are known at the start."""
    redirected: "Redirected | None" = None
    """Follows a 3xx of a phone; None: it goes back to the caller as it is."""
    hides_ringing: bool = False
    """Whether the owner makes the provisional responses."""
    fork: Fork = field(init=False)
    _branches: list[_Branch] = field(default_factory=list)
    _numbers: dict[Key, int] = field(default_factory=dict)
    _backlog: Backlog | None = None
    """The responses that wait for a body; None while none waits."""
    _timer: asyncio.TimerHandle | None = None
    _gone: bool = False
    _reason: str = ""
    """The Reason that the caller gave for its CANCEL."""
    _last_word: Answer | None = None
    """The answer with which the plan has ended it."""

    def __post_init__(self) -> None:
        self.fork = Fork(
            is_invite=self._is_invite, is_open=self.plans is not None, rewrites=not self.between_nodes
        )

    def begin(self) -> None:
        """Let the rewriter and the server transaction know of this forwarding."""
        self.hides_ringing = self.plans is not None and self.plans.hides_ringing
        self.rewriter.begin(self)
        self.incoming.attach(self)  # this may end it at once: the CANCEL may have come first

    @property
    def _is_invite(self) -> bool:
        return self.incoming.method.is_invite

    async def start(self, devices: Sequence[Sequence[Target]]) -> None:
        """Send the request to all devices at once, to each over its best flow first."""
        if self.fork.over:  # cancelled before the callee was known
            return
        if self._is_invite:
            self._ring()
        for number in [self.add(targets) for targets in devices]:
            await self._try(number)

    def add(self, targets: Sequence[Target], ended: Callable[[], None] | None = None) -> int:
        """Add a branch for a device, and return its number. `ring` sends the request.

        `ended` is called once, when the branch has its final response or has failed, even if all of the
        forwarding is over by then: until that moment the INVITE is open at the phone.
        """
        self._branches.append(_Branch(deque(targets), ended=ended))
        return self.fork.add()

    def add_later(self, target: Target) -> int | None:
        """See rewriter.Ringing."""
        if self.fork.over or self._gone:
            return None
        number = self.add([target])
        loop = asyncio.get_running_loop()
        self._branches[number].timers.append(
            loop.call_later(PICKUP_SECONDS, lambda: self.forwarder.start_task(self._try(number)))
        )
        return number

    async def ring(self, number: int) -> None:
        """Send the request to the device of a branch that was added."""
        await self._try(number)

    @property
    def pending(self) -> list[int]:
        """Return the branches that have no final response yet."""
        return [number for number in range(len(self._branches)) if self.fork.is_pending(number)]

    def hand_over(self, plans: Plans) -> None:
        """Let `plans` add devices from now on, and end the request."""
        self.plans, self.redirected, self.hides_ringing = plans, None, plans.hides_ringing
        self.fork.is_open = not self.fork.over
        if self.hides_ringing:
            self._stop_ringing()

    def close(self) -> None:
        """Add no more devices: the best answer goes back as soon as all have answered."""
        self._leave_plans(None)
        self._perform(self.fork.close())

    def withdraw(self, number: int) -> None:
        """Let a branch stop ringing; the others and the caller notice nothing."""
        self._perform(self.fork.withdraw(number))

    # The caller's side

    def cancel(self, reason: str) -> None:
        """See network.ServerTransactionUser."""
        phone = self.incoming.phone
        secret = secret_of(phone)
        self._reason = (
            reason.replace(secret, identity_of(phone).user) if phone is not None and secret else reason
        )
        self._give_up(487)

    def caller_gone(self) -> None:
        """See network.ServerTransactionUser."""
        self._gone = True
        self._give_up(487)

    def end(self, status: int, answer: Answer | None = None) -> None:
        """Give up an unanswered request for a reason of our own; no phone can answer it afterwards.

        The caller gets `answer`, else one that is made of the status.
        """
        self._last_word = answer
        self._give_up(status, at_once=True)

    def _give_up(self, status: int, *, at_once: bool = False) -> None:
        self._leave_plans(None)
        self._perform(self.fork.give_up(status, at_once=at_once))

    # The callees' side

    def receive_response(self, key: Key, response: Response) -> None:
        """See network.ClientTransactionUser."""
        number = self._numbers.get(key)
        if number is None:  # it has failed, and was forgotten
            return
        if self._backlog is not None or self._takes_time(number, response):
            if response.status < 200:
                self._perform(self.fork.provisional(number))  # no delay: this shows that the branch responds
            self._wait_for_body(number, response)
            return
        self._hear(number, response, None)

    def request_failed(self, key: Key, *, timed_out: bool) -> None:
        """See network.ClientTransactionUser."""
        number = self._numbers.get(key)
        if number is None:
            return
        if timed_out:
            self._finish(number, 408)
        elif not self._branches[number].final:
            self._again(number, UNREACHED)

    def _wait_for_body(self, number: int, response: Response) -> None:
        backlog = self._backlog
        if backlog is None:
            backlog = self._backlog = Backlog(self.rewriter, self._takes_time, self._hear)
        if backlog.add(number, response):
            self.forwarder.start_task(self._work_off(backlog))

    async def _work_off(self, backlog: Backlog) -> None:
        await backlog.work_off()
        self._backlog = None  # none waits: break the reference cycle
        self._let_go()

    def _hear(self, number: int, response: Response, body: Body) -> None:
        branch = self._branches[number]
        status = response.status
        if branch.late_answers is not None and branch.key is not None and 200 <= status < 300:
            branch.late_answers.receive_response(branch.key, response)
            return
        if status < 200:
            self._hear_provisional(number, response, body)
            return
        if status >= 300 and self._goes_on(number, response):
            return
        if self.redirected is not None and 300 <= status < 400 and not self.fork.over:
            self._follow(number, response, self.redirected)
            return
        if status >= 300 and isinstance(body, BodyRefused):
            branch.refused = body
            self._finish(number, body.status)
            return
        branch.final = response
        branch.stop_waiting()
        if status >= 300 and self.fork.over:
            self.rewriter.unwanted(number)  # it releases the relay session requested meanwhile
        for step in self.fork.final(number, status):
            if isinstance(step, Relay):
                self._accept(number, response, body)
            else:
                self._perform([step])
        self._let_go()
        self._tell_end(branch)
        if status >= 300:
            self._tell_failure(number, status)

    def _follow(self, number: int, response: Response, redirected: "Redirected") -> None:
        """Follow a 3xx instead of sending it back; what follows is better than any 3xx."""
        branch = self._branches[number]
        why = redirected(self, number, response)
        if why:
            branch.refused = BodyRefused(480, why)
            self._finish(number, 480)
        else:
            branch.stop_waiting()
            self._perform(self.fork.final(number, UNREACHED))

    def _leave_plans(self, number: int | None) -> None:
        """Tell the owner of an open fork that it is over; keep no reference to it, for it has one to us."""
        plans, self.plans, self.redirected = self.plans, None, None
        if plans is not None:
            plans.over(number)

    def _tell_end(self, branch: _Branch) -> None:
        """Tell that the INVITE of a branch is no longer open."""
        ended, branch.ended = branch.ended, None
        if ended is not None:
            ended()

    def _tell_failure(self, number: int, status: int) -> None:
        """Tell the plan that a branch of an open fork has failed."""
        if self.plans is not None and self.fork.is_open:
            self.rewriter.unwanted(number)
            self.plans.failed(number, status)
            if self.hides_ringing:
                self._forget(number)

    def _forget(self, number: int) -> None:
        """Drop the messages of a failed branch: a call that rings again and again has many of them."""
        branch = self._branches[number]
        if branch.key is not None:
            self._numbers.pop(branch.key, None)
        branch.sent = branch.final = branch.way = None

    def _goes_on(self, number: int, response: Response) -> bool:
        """Try a branch again after a refusal; return False if that is not possible.

        It is tried over its next flow, or with another body.
        """
        branch, status = self._branches[number], response.status
        if self.fork.over or branch.way is None:
            return False
        if status == UNREACHED:
            self._again(number, status)
            return True
        seconds = self.rewriter.offers_again(number, response)
        if seconds is None:
            return False
        branch.left.appendleft(branch.way.target)
        branch.stop_waiting()
        if seconds:
            loop = asyncio.get_running_loop()
            branch.timers.append(loop.call_later(seconds, self._again, number, status))
        else:
            self._again(number, status)
        return True

    def _hear_provisional(self, number: int, response: Response, body: Body) -> None:
        self._perform(self.fork.provisional(number))
        if response.status == 100 or self.fork.over:
            return
        if self.plans is not None:
            self.plans.rings(number)
        if self.hides_ringing:
            return
        if self._is_invite:
            self._ring()
        if not isinstance(body, BodyRefused):
            self._pass(number, response, body)

    def _accept(self, number: int, response: Response, body: Body) -> None:
        """Relay a 2xx, or end its dialog at once if it cannot be relayed."""
        self._stop_ringing()
        self._leave_plans(number)
        if isinstance(body, BodyRefused):
            self._reject(number, Answer(body.status, why=body.warning))
        elif not self._is_heard():
            self._reject(number, None)
        elif not self._pass(number, response, body):
            self._reject(number, UNREADABLE_ANSWER)
        elif not self._is_heard():  # its connection closed while this was sent
            self._reject(number, None)
        elif self._is_invite:
            self._branches[number].late_answers = self._late_answers(number, response)

    def _is_heard(self) -> bool:
        """Return whether the caller is still there.

        A method, not an attribute: mypy (and mypyc) would assume that a flag checked before cannot change.
        """
        return not self._gone

    def _reject(self, number: int, answer: Answer | None) -> None:
        """End the dialog of a 2xx, now and at each retransmission.

        If `answer` is None, the caller is gone and gets no answer.
        """
        self.fork.disown(number)
        self._end_dialog(number)
        if answer is None:
            self.rewriter.refused(0)
            return
        self._reply(answer)
        self.rewriter.refused(answer.status, answer.text)

    def _pass(self, number: int, response: Response, body: bytes | None) -> bool:
        """Relay a response; return False if it cannot be parsed."""
        try:
            shown = self.rewriter.response(number, response, body)
        except MalformedMessage as error:
            log.debug("a response that cannot be read: %s", error)
            return False
        self.incoming.respond(shown)
        self.rewriter.relayed(number, response)
        return True

    # Steps

    def _perform(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, Cancel):
                self._cancel(step)
            elif isinstance(step, Best):
                self._best(step)
            elif isinstance(step, Relay):
                raise AssertionError("a 2xx is relayed where it came in")
            else:
                self._end_dialog(step.branch)

    def _best(self, step: Best) -> None:
        self._stop_ringing()
        if step.status == TIMEOUT and not self._is_invite:
            self.rewriter.refused(
                step.status
            )  # RFC 4320 section 4.2: it would come too late, and be sent again
            return
        if step.branch is not None:
            response = self._branches[step.branch].final
            if response is not None:
                if not self._pass(step.branch, response, None):
                    self._reply(UNREADABLE_ANSWER)
                self.rewriter.refused(step.status, response.reason)
                return
        answer = self._last_word or self._own_answer(step.status)
        self._reply(answer)
        self.rewriter.refused(0 if self._gone else answer.status, answer.text)

    def _own_answer(self, status: int) -> Answer:
        """Return an answer that no phone gave, with the warning of a failure on our side."""
        refused = [branch.refused for branch in self._branches if branch.refused is not None]
        if status == 500 and any(one.status == BUSY.status for one in refused):
            return BUSY
        warnings = [one.warning for one in refused if one.warning and one.status == status]
        return Answer(status, why=warnings[0] if warnings else "")

    @property
    def _customer(self) -> str:
        """Return whose transactions the branches are; empty for requests that end a call, which must pass."""
        phone, ends = self.incoming.phone, self.incoming.method.ends
        return "" if phone is None or ends else phone.customer

    def _reply(self, answer: Answer) -> None:
        if not self._gone:
            self.incoming.reply(answer)

    def _cancel(self, step: Cancel) -> None:
        branch = self._branches[step.branch]
        if branch.sent is None or branch.way is None:
            return
        own = (self._reason,) if self._reason else ()
        request = forward.cancel(branch.sent, forward.TAKEN_ELSEWHERE if step.elsewhere else own)
        try:
            self.forwarder.network.request(request, branch.way.flow, None)
        except TableFull:
            log.warning("a CANCEL could not be sent: too many transactions")
        loop = asyncio.get_running_loop()
        branch.timers.append(loop.call_later(CANCEL_SECONDS, self._cancelled_in_vain, step.branch))

    def _cancelled_in_vain(self, number: int) -> None:
        branch = self._branches[number]
        if branch.final is None and branch.key is not None:
            self.forwarder.network.forget(branch.key)
            self._finish(number, 487)

    def _end_dialog(self, number: int) -> None:
        """End the dialog that a 2xx has made; only an INVITE makes one."""
        branch = self._branches[number]
        response, sent, way = branch.final, branch.sent, branch.way
        self.rewriter.unwanted(number)
        if response is None or sent is None or way is None or readable_tag(response) is None:
            return
        if self._is_invite:
            end_dialog(
                self.forwarder.network,
                self.forwarder.reach,
                self.caller,
                way,
                sent,
                response,
                is_new_dialog=self._is_new_dialog,
            )

    @property
    def _is_new_dialog(self) -> bool:
        return self.incoming.request.to.tag is None

    def _let_go(self) -> None:
        """Release an answered INVITE, except for the state that late responses need."""
        if not self._is_invite or not self.fork.is_settled or self._backlog is not None:
            return
        for key, number in self._numbers.items():
            branch = self._branches[number]
            self.forwarder.network.entrust(key, branch.late_answers if branch.key == key else None)

    def _takes_time(self, number: int, response: Response) -> bool:
        """Return whether another service must be asked: not about a 2xx after the relayed one.

        Of the answers to a group or queue only a 2xx goes back, and a 3xx that is followed never does.
        """
        if self.hides_ringing and not 200 <= response.status < 300:
            return False
        if self.redirected is not None and 300 <= response.status < 400:
            return False
        return self._branches[number].late_answers is None and self.rewriter.takes_time(number, response)

    def _late_answers(self, number: int, response: Response) -> LateAnswers | None:
        way = self._branches[number].way
        if way is None:
            return None
        return LateAnswers(
            self.forwarder.network,
            self.forwarder.reach,
            self.caller,
            way,
            readable_tag(response) or "",
            self._is_new_dialog,
            self.incoming.repeater(),
        )

    # Branches

    async def _try(self, number: int) -> None:
        """Send the request over the first open flow of a device; if no flow is left, the branch is over."""
        branch = self._branches[number]
        while branch.left and self.fork.is_wanted(number):
            way = self.forwarder.reach.way(branch.left.popleft())
            if way is None:
                continue
            try:
                request = await self.rewriter.request(number, way)
            except (MediaRefused, StoreUnavailable) as error:
                branch.refused = refusal(error)
                self._finish(number, branch.refused.status)
                return
            except Exception:  # a bug of our own must not let phones ring, or the caller wait
                log.exception("a request could not be made")
                self._finish(number, 500)
                return
            if not self.fork.is_wanted(number):  # the caller gave up while the relay was asked
                self._finish(number, 487)
                return
            branch.way, branch.sent = way, request
            try:
                branch.key = self.forwarder.network.request(request, way.flow, self, self._customer)
            except TableFull:
                branch.refused = BodyRefused(BUSY.status, "")
                self._finish(number, BUSY.status)
                return
            self._numbers[branch.key] = number
            patience = NODE_SECONDS if way.node and self._is_invite else 0.0
            silent = self.forwarder.silent_places
            if silent and (way.target.ip, way.target.port) in silent:
                patience = SILENT_SECONDS
            if patience:
                loop = asyncio.get_running_loop()
                branch.timers.append(loop.call_later(patience, self._looked_for, number, branch.key))
            return
        self._finish(number, UNREACHED if self.fork.is_wanted(number) else 487)

    def _looked_for(self, number: int, key: Key) -> None:
        """Try the next flow if the node or the silent phone has not responded.

        A living node has sent 100 by now. This one is dead, even if its lease is still there. A phone that
        answers no pings, and does not respond now, is also gone.
        """
        branch = self._branches[number]
        if branch.key == key and branch.final is None and not self.fork.has_heard(number):
            self.forwarder.network.forget(key)
            self._again(number, UNREACHED)

    def _again(self, number: int, status: int) -> None:
        """Try the next flow of a device after one has failed; if no flow is left, the branch is over."""
        self._branches[number].stop_waiting()
        if self._branches[number].left and not self.fork.over and not self._gone:
            self.forwarder.start_task(self._try(number))
        else:
            self._finish(number, status)

    def _finish(self, number: int, status: int) -> None:
        """End a branch that has failed without an answer of its own."""
        branch = self._branches[number]
        self.rewriter.unwanted(number)
        branch.stop_waiting()
        self._perform(self.fork.final(number, status))
        self._let_go()
        self._tell_end(branch)
        self._tell_failure(number, status)

    def _ring(self) -> None:
        """Restart timer C (section 16.7 step 2): each provisional response except 100 does so."""
        self._stop_ringing()
        self._timer = asyncio.get_running_loop().call_later(self.forwarder.ring_seconds, self._rung_out)

    def _stop_ringing(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rung_out(self) -> None:
        self._timer = None
        self._give_up(408)
