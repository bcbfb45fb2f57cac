"""The driver: turns bytes into messages, and answers into bytes; has the one timer and the two clocks."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from hashlib import blake2b
from typing import Final, Protocol

from registrar.errors import MessageTooLarge, SipError
from registrar.handlers.answers import CROWDED, Answer
from registrar.handlers.checks import Silence, StatelessChecks, Verdict
from registrar.handlers.dispatch import Dispatch
from registrar.handlers.limits import BANNED
from registrar.handlers.method import UNKNOWN
from registrar.handlers.methods import ENDING
from registrar.handlers.network import ClientTransactionUser, ServerRequest, ServerTransactionUser
from registrar.handlers.registration.pings import PREFIX
from registrar.logs import redacted
from registrar.metrics import Metrics, method_label
from registrar.model import Called, CallResult, Epoch, Flow, IpNetwork, Mono, Phone
from registrar.rules.amplification import FACTOR, Amplification
from registrar.rules.edges import behind, recorded
from registrar.rules.quotas import NEAR, TRANSACTIONS, Quota
from registrar.sip import MAX_MESSAGE, Request, Response, answer, check, parse, warning
from registrar.store.wall_clock import wall_clock
from registrar.transaction import (
    NO_SHARE,
    Action,
    Answered,
    Deliver,
    Ended,
    Failed,
    Key,
    Layer,
    Send,
    Share,
    ShareFull,
    TableFull,
    TimedOut,
    cancelled_key,
    server_key,
)

MAX_TASKS: Final = 5_000
"""Maximum number of requests served at once; beyond it, 503 without a task."""
TAG_BYTES: Final = 8
COME_BACK_SECONDS: Final = (5, 30)
TOO_MUCH: Final = "this address sends more than its phones need"

log = logging.getLogger(__name__)
trace = logging.getLogger("registrar.trace")


epoch: Final = wall_clock
"""Return the seconds since 1970."""


def mono() -> Mono:
    """Return the seconds of the monotonic clock, which cannot be set."""
    return Mono(time.monotonic())


class SignsOfLife(Protocol):
    """The pings of phones over UDP."""

    @property
    def silent_places(self) -> Collection[tuple[str, int]]:
        """Return the addresses and ports of phones that do not answer, now and later: it is asked once."""

    def stirred(self, ip: str, port: int) -> None:
        """Handle a request that came over UDP from one of `silent_places`."""

    def ping_answered(self, branch: str, flow: Flow) -> bool:
        """Handle a response to a ping, and return whether a ping with this branch waits for it."""


class Limits(Protocol):
    """The limits of sources (handlers/limits.py)."""

    def lets_in(self, data: bytes, flow: Flow, fault: SipError | None) -> bool:
        """Return whether a message may be read now. If not, it needs no further care."""

    def is_banned(self, ip: str) -> bool:
        """Return whether an address is banned."""


class Driver:
    """The one part that joins clocks, bytes and rules."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        layer: Layer,
        metrics: Metrics,
        tag_key: bytes,
        send: Callable[[bytes, Flow], bool],
        finished: Callable[[Request, Flow, Phone, int, Epoch, float, str], None],
        public_host: str = "",
        limits: Limits | None = None,
        transactions: int = TRANSACTIONS,
        edges: Sequence[IpNetwork] = (),
    ) -> None:
        """Create the driver; `tag_key` makes the To-tags of stateless answers (section 8.2.7).

        `send` is the transport; it returns False if the flow is gone.

        `finished` is called for every request of a phone, with the status of the answer, its time, the
        seconds that it took, and the reason of a refusal. `public_host` is our name in Warning headers; if it
        is empty, the local address of the flow is used. `limits` decide which messages are read; None: all
        are. `transactions` are the most that a customer may have. `edges` are the edge proxies. Call
        `serve_with` before the first message.
        """
        self._edges = tuple(edges)
        self._limits = limits
        self._most = transactions
        self.crowded: Callable[[str, int, int], None] = lambda _customer, _count, _most: None
        """Called with a customer that has used most of its transactions, their number and their limit."""
        self._public_host = public_host
        self._tasks = tasks
        self._layer = layer
        self._checks: StatelessChecks
        self._dispatch: Dispatch
        self._signs: SignsOfLife
        self._silent_places: Collection[tuple[str, int]]
        self._refused_call: Callable[[ServerRequest, int, str, float], None]
        self._users: dict[Key, ClientTransactionUser] = {}
        """The senders that are told about the responses, by client transaction."""
        self._received: dict[Key, ReceivedRequest | AnsweredRequest] = {}
        """The INVITEs that are served or answered, by their server transaction."""
        self._amplification = Amplification()
        self._metrics = metrics
        self.tag_key = tag_key
        """Set again when the secret key is replaced; a retransmission at that moment gets another To-tag."""
        self._send = send
        self._finished = finished
        metrics.transactions.set_function(lambda: len(layer))
        metrics.tasks.set_function(lambda: self._open)
        self._told_strange = False
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")
        self.draining = False
        """True while the service stops: new requests get 503, those under way are finished."""

    def serve_with(
        self,
        checks: StatelessChecks,
        dispatch: Dispatch,
        signs: SignsOfLife,
        refused: Callable[[ServerRequest, int, str, float], None],
    ) -> None:
        """Set what serves requests. It is made after the driver, because it may send requests with it.

        `refused` is called for each INVITE of a known phone that was refused before there was a call, with
        the status, the reason, and the seconds that it took.
        """
        self._refused_call = refused
        self._checks = checks
        self._dispatch = dispatch
        self._signs = signs
        self._silent_places = signs.silent_places

    def receive(self, data: bytes, flow: Flow, fault: SipError | None = None) -> None:
        """Handle one datagram, or one message of a connection. Never raise an exception.

        `fault` is the error after which a stream cannot be read any further. `data` is then the part before
        it, which is answered if possible.
        """
        try:
            if self._limits is None or self._limits.lets_in(data, flow, fault):
                self._receive(data, flow, fault)
        except Exception:  # a bug in our code must not stop the listener
            self._metrics.unhandled.inc()
            log.exception("a message could not be handled")

    def lets_in(self, data: bytes, flow: Flow) -> bool:
        """Return whether the limits let a datagram in that another worker will handle."""
        return self._limits is None or self._limits.lets_in(data, flow, None)

    def receive_from_node(self, data: bytes, flow: Flow, fault: SipError | None = None) -> None:
        """Handle a message of another node as `receive` does, but without a limit.

        The node has proven itself, by its certificate or as a worker of this machine, and what it sends was
        limited where it came in.
        """
        try:
            self._receive(data, flow, fault)
        except Exception:  # as above
            self._metrics.unhandled.inc()
            log.exception("a message of another node could not be handled")

    def turn_away(self, data: bytes, flow: Flow) -> None:
        """Answer a request 503, with a Retry-After that spreads many senders; drop any other message."""
        try:
            message = parse(data, exact=flow.transport != "udp")
            if not isinstance(message, Request) or message.method == "ACK":
                return
            check(message)
        except SipError:
            return
        message.via = message.via.stamped(flow.remote_ip, flow.remote_port)
        self._metrics.received(flow.transport, method_label(message.method))
        seconds = str(random.randint(*COME_BACK_SECONDS))
        self._reply(message, flow, Answer(503, headers=(("Retry-After", seconds),), why=TOO_MUCH))

    def _receive(self, data: bytes, flow: Flow, fault: SipError | None) -> None:
        if trace.isEnabledFor(logging.DEBUG):
            _trace("received", data, flow)
        try:
            try:
                message = parse(data, exact=flow.transport != "udp")
            except MessageTooLarge as large:  # another name than below: in compiled code a name has one type
                fault = large
                message = parse(data[:MAX_MESSAGE])
                if isinstance(message, Request):
                    message.size = len(data)
        except SipError as error:
            self._metrics.parse_errors(error.label)
            self.drop("unreadable", flow, error)
            return
        if isinstance(message, Request):
            self._request(message, flow, fault)
        elif isinstance(message, Response) and fault is None:
            self._response(message, flow)

    def _response(self, response: Response, flow: Flow) -> None:
        """Pass a response to the sender of its request.

        If there is no such request, drop the response (RFC 6026 section 7.3).
        """
        layer = self._layer
        unmatched, strayed, strange = layer.unmatched, layer.strayed, layer.strange
        try:
            branch = response.via.branch
            if branch.startswith(PREFIX):
                if not self._signs.ping_answered(branch, flow):
                    self.drop("response", flow, "no ping waits for it")
                return
            self._perform(self._layer.receive(response, flow, mono()))
        except SipError as error:
            self._metrics.parse_errors(error.label)
            self.drop("response", flow, error)
            return
        if layer.unmatched != unmatched:
            self.drop("response", flow, "no request waits for it")
        elif layer.strayed != strayed:
            self.drop("response_elsewhere", flow, "its request went another way")
        elif layer.strange != strange:
            self._note_strange(flow)

    def _note_strange(self, flow: Flow) -> None:
        """Count a response from another address than its request went to; log the first one."""
        self._metrics.strange_responses.inc()
        if not self._told_strange:
            self._told_strange = True
            log.warning(
                "a response over UDP came from %s:%d, where its request did not go; more are only counted",
                flow.remote_ip,
                flow.remote_port,
            )

    def _request(self, message: Request, flow: Flow, fault: SipError | None) -> None:
        self._metrics.received(flow.transport, method_label(message.method))
        silent = self._silent_places
        if silent and flow.transport == "udp" and (flow.remote_ip, flow.remote_port) in silent:
            self._signs.stirred(flow.remote_ip, flow.remote_port)
        try:
            if fault is not None:
                raise fault
            check(message)
            if self._edges and flow.transport == "udp":
                flow = behind(message, flow, self._edges)
                if flow.hop_ip and self._limits is not None and self._limits.is_banned(flow.remote_ip):
                    self._metrics.limited(BANNED)
                    return
            key = server_key(message)
            known = self._layer.absorb(message, flow, mono(), key)
        except SipError as error:
            self._refuse(message, flow, error)
            return
        if known is not None:
            self._perform(known)
            return
        self._serve(message, flow, key)

    def _serve(self, request: Request, flow: Flow, key: Key) -> None:
        request.via = request.via.stamped(flow.hop_ip or flow.remote_ip, flow.hop_port or flow.remote_port)
        if self.draining and request.method not in ENDING:
            self._reply(request, flow, Answer(503, headers=(("Retry-After", "2"),)))
            return
        if request.method == "CANCEL" and self._cancel(request, flow):
            return
        verdict = self._checks.sort(request, flow, epoch())
        if isinstance(verdict, Answer):
            if verdict.status in (401, 407):
                self._metrics.auth("challenge")
            self._reply(request, flow, verdict)
        elif isinstance(verdict, Silence):
            self.drop("ack", flow, "no call of this service is named in its Route", request)
        elif self._open >= MAX_TASKS:
            self._reply(request, flow, Answer(503, headers=(("Retry-After", "5"),)))
        else:
            work = ReceivedRequest(self, request, flow, key)
            if request.method == "INVITE" and not self._arrives(work):
                return
            self._open += 1
            self._idle.clear()
            self._tasks.create_task(self._work(work, verdict))

    def _arrives(self, work: "ReceivedRequest") -> bool:
        """Note an INVITE, so that a CANCEL finds it from now on; return False if it is a duplicate."""
        twin = self._received.get(work.key)
        if twin is None:
            self._received[work.key] = work
        elif twin.came_by(work.flow):
            self.drop("twin", work.flow, "the same INVITE is being worked on", work.request)
            return False
        return True

    def _cancel(self, request: Request, flow: Flow) -> bool:
        """Handle a CANCEL that came by the flow of its INVITE: answer 200, never a challenge (section 9.2).

        Return False if there is no such INVITE.
        """
        work = self._received.get(cancelled_key(request))
        if work is None or not work.came_by(flow):
            return False
        self._reply(request, flow, Answer(200))
        work.cancel(", ".join(request.headers.all("reason")))
        return True

    async def _work(self, work: "ReceivedRequest", verdict: Verdict) -> None:
        try:
            await self._dispatch.serve(work, verdict)
        except ShareFull:
            self._metrics.quotas(Quota.TRANSACTIONS)
            work.reply(CROWDED)
        except TableFull:
            work.reply(Answer(503, headers=(("Retry-After", "5"),)))
        except Exception:  # a bug in our code causes a 500 and a log line; the listener goes on
            self._metrics.unhandled.inc()
            log.exception("a %s could not be served", method_label(work.request.method))
            with contextlib.suppress(Exception):  # no message may end the process
                work.reply(Answer(500))
        finally:
            if not work.accepted and self._received.get(work.key) is work:
                del self._received[work.key]  # it was refused without a transaction
            self._open -= 1
            if not self._open:
                self._idle.set()

    def start(self, job: Coroutine[None, None, None]) -> None:
        """Run a part of a handler in a separate task; a bug in it does not stop other tasks."""
        self._tasks.create_task(self._guarded(job))

    async def _guarded(self, job: Coroutine[None, None, None]) -> None:
        try:
            await job
        except Exception:  # it would end the task group, and with it the process
            self._metrics.unhandled.inc()
            log.exception("a handler could not go on")

    def finished(self, work: "ReceivedRequest") -> None:
        """Note that the final answer to a request was sent; keep of an INVITE only what a CANCEL needs."""
        if work.accepted and work.key in self._received:
            self._received[work.key] = AnsweredRequest(work.flow)
        if work.phone is not None:
            seconds = mono() - work.started
            if work.request.method == "REGISTER":
                self._metrics.register_seconds.observe(seconds)
            elif work.status >= 300 and work.method.is_invite and not (work.method.inside or work.call):
                self._refused_call(work, work.status, work.why, seconds)
            self._finished(work.request, work.flow, work.phone, work.status, epoch(), seconds, work.why)

    def closed(self, flow: Flow) -> None:
        """Handle that the connection `flow` is gone: end all transactions on it."""
        self._perform(self._layer.closed(flow, mono()))

    def accept(self, work: "ReceivedRequest", phone: Phone | None) -> bool:
        """Make the server transaction; return False if a duplicate has one already. Raises TableFull."""
        share = NO_SHARE if phone is None else self._share(phone)
        accepted = self._layer.accept(work.request, work.flow, mono(), work.key, share) is not None
        if not accepted:
            self.drop("twin", work.flow, "the same request is being served", work.request)
        elif work.request.method == "INVITE":
            self._received[work.key] = work
        self._arm()
        return accepted

    def charge(self, work: "ReceivedRequest", phone: Phone) -> None:
        """Let the transaction of a request count for the customer of its sender. Raises TableFull."""
        self._layer.charge(work.key, self._share(phone))

    def _share(self, phone: Phone) -> Share:
        own = phone.terms.transactions
        share = self._layer.share(phone.customer, self._most if own is None else own)
        if share.open >= share.most * NEAR:
            self.crowded(share.customer, share.open, share.most)
        return share

    # handlers.network.Network

    def request(
        self, request: Request, flow: Flow, user: ClientTransactionUser | None, customer: str = ""
    ) -> Key:
        """See Network."""
        key, actions = self._layer.request(request, flow, mono(), customer)
        if user is not None:
            self._users[key] = user
        self._metrics.requested(method_label(request.method))
        self._send_first(actions)
        return key

    def send(self, message: Request | Response, flow: Flow) -> None:
        """See Network."""
        self._transmit(bytes(message), flow)

    def forget(self, key: Key) -> None:
        """See Network."""
        self._users.pop(key, None)
        self._layer.forget(key)

    def entrust(self, key: Key, user: ClientTransactionUser | None) -> None:
        """See Network."""
        if user is None:
            self._users.pop(key, None)
        elif key in self._users:
            self._users[key] = user

    def original(self, key: Key) -> Request | None:
        """See Network."""
        data = self._layer.sent(key)
        try:
            message = parse(data) if data else None
        except SipError:  # our version is longer than the messages that we accept
            return None
        return message if isinstance(message, Request) else None

    def repeat(self, key: Key) -> None:
        """Send the 2xx of an INVITE once more."""
        self._perform(self._layer.repeat(key))

    def respond(self, response: Response, key: Key) -> None:
        """Send the response of another party."""
        self._metrics.answered(method_label(response.cseq[1]), str(response.status))
        self._perform(self._layer.respond(key, response, mono()))

    def _send_first(self, actions: list[Action]) -> None:
        """Send at once; report a failure in the next turn of the loop, when the sender knows its key."""
        failed = [action.key for action in actions if isinstance(action, Send) and not self._sent(action)]
        if failed:
            loop = asyncio.get_running_loop()
            for key in failed:
                loop.call_soon(self._has_failed, key)
        self._arm()

    def reply(self, request: Request, flow: Flow, given: Answer, key: Key | None) -> None:
        """Send an answer in its server transaction, or statelessly if `key` is None."""
        if key is None:
            self._reply(request, flow, given)
            return
        self._metrics.answered(method_label(request.method), str(given.status))
        headers = (*given.headers, self._warning(flow, given)) if given.why else given.headers
        if flow.hop_ip and given.status < 300:
            headers = (*headers, *recorded(request, flow))
        response = answer(request, given.status, given.reason, headers, to_tag=self._tag(request))
        self._perform(self._layer.respond(key, response, mono()))

    def _reply(self, request: Request, flow: Flow, given: Answer) -> None:
        if given.why and log.isEnabledFor(logging.DEBUG):
            _log_refusal(request, flow, given)
        headers = (*given.headers, self._warning(flow, given)) if given.why else given.headers
        data = bytes(answer(request, given.status, given.reason, headers, to_tag=self._tag(request)))
        if flow.transport == "udp" and len(data) > FACTOR * request.size:
            data = self._within_bounds(data, request, flow, given)
        if data:
            self._metrics.answered(method_label(request.method), str(given.status))
            self._transmit(data, flow)

    def _within_bounds(self, data: bytes, request: Request, flow: Flow, given: Answer) -> bytes:
        """Return what may be sent to an unproven address: the answer, the answer without Warning, or nothing.

        Answers to requests whose sender is known have a transaction and do not come here.
        """
        due, now = FACTOR * request.size, mono()
        if self._amplification.spend(flow.remote_ip, len(data) - due, now):
            return data
        if given.why:
            bare = answer(request, given.status, given.reason, given.headers, to_tag=self._tag(request))
            data = bytes(bare)
            if len(data) <= due or self._amplification.spend(flow.remote_ip, len(data) - due, now):
                return data
        self.drop("amplification", flow, f"{len(data)} octets would answer {request.size}", request)
        return b""

    def _warning(self, flow: Flow, given: Answer) -> tuple[str, str]:
        return warning(self._public_host or flow.local_ip, given.why)

    def _refuse(self, request: Request, flow: Flow, error: SipError) -> None:
        """Answer a malformed request, with 400 for instance, if it has a Via to copy, readable or not.

        Without a Via, and for an ACK, there is no answer.
        """
        self._metrics.parse_errors(error.label)
        if request.method == "ACK" or "via" not in request.headers:
            self.drop("ack" if request.method == "ACK" else "malformed", flow, error, request)
            return
        with contextlib.suppress(SipError):  # else the Via goes back unchanged, to the source of the request
            request.via = request.via.stamped(
                flow.hop_ip or flow.remote_ip, flow.hop_port or flow.remote_port
            )
        self._reply(request, flow, Answer(error.status, why=str(error)))

    def drop(self, reason: str, flow: Flow, why: str | SipError, request: Request | None = None) -> None:
        """Count a message that gets no answer, and log at DEBUG what it was and why."""
        self._metrics.dropped(reason)
        if log.isEnabledFor(logging.DEBUG):
            extra = {"source": f"{flow.remote_ip}:{flow.remote_port}", "transport": flow.transport}
            if request is not None:
                extra["callId"] = (request.headers.get("call-id") or "")[:128]
            what = request.method if request is not None else "message"
            log.debug("dropped: %s", what, extra={**extra, "drop": reason, "reason": str(why)})

    def _has_failed(self, key: Key) -> None:
        self._perform(self._layer.failed(key, mono()))

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                if not self._sent(action):
                    self._has_failed(action.key)
            else:
                self._tell(action)
        self._arm()

    def _sent(self, action: Send) -> bool:
        return self._transmit(action.data, action.flow)

    def _tell(self, action: Answered | Deliver | TimedOut | Failed | Ended) -> None:
        """Report an action to the part that it concerns; a bug in that part must not stop other actions."""
        try:
            self._tell_whom_it_concerns(action)
        except Exception:  # the caller is a timer or a listener, which must go on
            self._metrics.unhandled.inc()
            log.exception("what became of a request could not be dealt with")

    def _tell_whom_it_concerns(self, action: Answered | Deliver | TimedOut | Failed | Ended) -> None:
        key = action.key
        if isinstance(action, Answered):
            user = self._users.get(key)
            if user is None:
                return
            if action.response.status >= 200 and action.response.cseq[1] != "INVITE":
                del self._users[key]
            user.receive_response(key, action.response)
        elif isinstance(action, Deliver):  # an ACK with the branch of its INVITE goes where its Route leads
            self._serve(action.request, action.flow, key)
        else:
            user, work = self._users.pop(key, None), self._received.pop(key, None)
            if user is not None and not isinstance(action, Ended):
                user.request_failed(key, timed_out=isinstance(action, TimedOut))
            if work is not None and isinstance(action, Failed):
                work.gone()

    def _transmit(self, data: bytes, flow: Flow) -> bool:
        if trace.isEnabledFor(logging.DEBUG):
            _trace("sent", data, flow)
        return self._send(data, flow)

    def _arm(self) -> None:
        """Set the one timer of all transactions to the earliest deadline."""
        deadline = self._layer.deadline()
        if deadline is None or deadline >= self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = deadline
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, deadline - mono()), self._tick)

    def _tick(self) -> None:
        self._timer, self._due = None, float("inf")
        self._perform(self._layer.tick(mono()))

    async def idle(self) -> None:
        """Wait until no request is being served."""
        await self._idle.wait()

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _tag(self, request: Request) -> str:
        """Return the To-tag of every answer to this request and to its retransmissions."""
        headers = request.headers
        try:
            branch = request.via.branch
        except SipError:
            branch = headers.get("via") or ""
        return to_tag(self.tag_key, branch, headers.get("call-id") or "", headers.get("cseq") or "")


def to_tag(key: bytes, branch: str, call_id: str, cseq: str) -> str:
    """Return the To-tag of all stateless answers to one request; it cannot be predicted without the key."""
    data = f"{branch} {call_id} {cseq}".encode("utf-8", "surrogateescape")
    return blake2b(data, digest_size=TAG_BYTES, key=key).hexdigest()


class ReceivedRequest:
    """One request while it is served; implements handlers.network.ServerRequest."""

    __slots__ = (
        "_cancelled",
        "_driver",
        "_gone",
        "_user",
        "accepted",
        "call",
        "called",
        "flow",
        "key",
        "method",
        "phone",
        "request",
        "result",
        "started",
        "status",
        "why",
    )

    def __init__(self, driver: Driver, request: Request, flow: Flow, key: Key) -> None:
        self._driver = driver
        self._user: ServerTransactionUser | None = None
        self._cancelled: str | None = None
        """Reason of the CANCEL, for a handler that begins to serve later; None: there was no CANCEL."""
        self._gone = False
        self.key = key
        """Key of its server transaction, once that is made."""
        self.accepted = False
        """Whether the server transaction is made."""
        self.request = request
        self.flow = flow
        self.method = UNKNOWN
        self.phone: Phone | None = None
        self.called: Called | None = None
        self.call = ""
        self.result: CallResult | None = None
        self.started = mono()
        self.status = 0
        self.why = ""
        """What is wrong with the request, if it was refused."""

    def accept(self, phone: Phone | None = None) -> bool:
        """See ServerRequest."""
        if not self.accepted:
            self.accepted = self._driver.accept(self, phone)
        elif phone is not None:
            self._driver.charge(self, phone)
        return self.accepted

    def attach(self, user: ServerTransactionUser) -> None:
        """See ServerRequest."""
        if self.request.method != "INVITE":
            return  # no CANCEL comes, and without an answer (RFC 4320) a reference cycle would stay
        if self._gone:
            user.caller_gone()
            return
        self._user = user
        if self._cancelled is not None:
            user.cancel(self._cancelled)

    def drop(self, reason: str, why: str) -> None:
        """See ServerRequest."""
        self._driver.drop(reason, self.flow, why, self.request)

    def reply(self, answer: Answer) -> None:
        """See ServerRequest."""
        if answer.status >= 300:
            self.why = answer.text
        self._driver.reply(self.request, self.flow, answer, self.key if self.accepted else None)
        self._note(answer.status)

    def respond(self, response: Response) -> None:
        """See ServerRequest."""
        if response.status >= 300:
            self.why = response.reason
        if self.accepted:
            self._driver.respond(response, self.key)
        self._note(response.status)

    def repeater(self) -> Callable[[], None]:
        """See ServerRequest."""
        return partial(self._driver.repeat, self.key) if self.accepted else _nothing

    def came_by(self, flow: Flow) -> bool:
        """Return whether another request came by the same flow as this one."""
        return _is_same_way(self.flow, flow)

    def cancel(self, reason: str) -> None:
        """Handle a CANCEL of the caller."""
        self._cancelled = reason
        if self._user is not None:
            self._user.cancel(reason)

    def gone(self) -> None:
        """Handle that the caller's connection is closed."""
        self._gone = True
        user, self._user = self._user, None  # nothing more comes: break the reference cycle
        if user is not None:
            user.caller_gone()

    def _note(self, status: int) -> None:
        if status >= 200 and not self.status:
            self.status = status
            self._user = None  # the caller's actions no longer matter: break the reference cycle
            self._driver.finished(self)


class AnsweredRequest:
    """A record of an answered INVITE: a CANCEL finds it, and has no effect any more."""

    __slots__ = ("_flow",)

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def came_by(self, flow: Flow) -> bool:
        """See ReceivedRequest."""
        return _is_same_way(self._flow, flow)

    def cancel(self, reason: str) -> None:
        """See ReceivedRequest."""

    def gone(self) -> None:
        """See ReceivedRequest."""


def _is_same_way(ours: Flow, theirs: Flow) -> bool:
    if ours.hop_ip:  # a CANCEL is made by the edge, and does not say whose it is
        place = (theirs.hop_ip, theirs.hop_port) if theirs.hop_ip else (theirs.remote_ip, theirs.remote_port)
        return (ours.transport, ours.hop_ip, ours.hop_port) == (theirs.transport, *place)
    return (ours.transport, ours.id, ours.remote_ip, ours.remote_port) == (
        theirs.transport,
        theirs.id,
        theirs.remote_ip,
        theirs.remote_port,
    )


def _nothing() -> None:
    """Do nothing, because there is nothing to repeat."""


def _log_refusal(request: Request, flow: Flow, given: Answer) -> None:
    """Log a refusal of an unknown sender at DEBUG, because refusals may come at any rate."""
    log.debug(
        "%s %d",
        request.method,
        given.status,
        extra={
            "source": f"{flow.remote_ip}:{flow.remote_port}",
            "transport": flow.transport,
            "reason": given.why,
        },
    )


def _trace(direction: str, data: bytes, flow: Flow) -> None:
    """Log a whole message to the trace logger, without its secrets."""
    shown = redacted(data[:MAX_MESSAGE])
    trace.debug("%s %s:%s\n%s", direction, flow.remote_ip, flow.remote_port, shown)
