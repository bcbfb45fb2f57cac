"""Bytes to messages, messages to handlers, answers to bytes; one timer; the two clocks (style section 3)."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from registrar.errors import MessageTooLarge, SipError
from registrar.handlers.answers import Answer
from registrar.handlers.dispatch import Dispatch
from registrar.handlers.screen import Screen, Silence
from registrar.metrics import Metrics, method_label
from registrar.model import Epoch, Flow, Mono, Phone
from registrar.rules.auth import Claim
from registrar.sip import MAX_MESSAGE, Request, Response, answer, check, parse
from registrar.transaction import Action, Key, Layer, Send, TableFull

MAX_TASKS: Final = 5_000
"""Requests worked on at once; beyond, 503 without one."""
TAG_BYTES: Final = 8

log = logging.getLogger(__name__)
trace = logging.getLogger("registrar.trace")


def epoch() -> Epoch:
    """Seconds since 1970."""
    return Epoch(time.time())


def mono() -> Mono:
    """Seconds of the clock that no one sets."""
    return Mono(time.monotonic())


class Driver:
    """The one place where time, bytes and rules meet."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        layer: Layer,
        screen: Screen,
        dispatch: Dispatch,
        metrics: Metrics,
        tag_key: bytes,
        send: Callable[[bytes, Flow], None],
        finished: Callable[[Request, Flow, Phone, int, Epoch, float], None],
    ) -> None:
        """`tag_key` makes the To-tags of stateless answers (section 8.2.7); `send` is the transport.

        `finished` is told of every request of a phone: its answer's status, when, after how many seconds.
        """
        self._tasks = tasks
        self._layer = layer
        self._screen = screen
        self._dispatch = dispatch
        self._metrics = metrics
        self._tag_key = tag_key
        self._send = send
        self._finished = finished
        metrics.transactions.set_function(lambda: len(layer))
        metrics.tasks.set_function(lambda: self._open)
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")
        self.draining = False
        """True while stopping: new requests get 503, those under way are finished."""

    def receive(self, data: bytes, flow: Flow, fault: SipError | None = None) -> None:
        """One datagram, or one message of a connection. Never raises.

        `fault`: where a stream cannot be read on; `data` is then what came before, to be answered if it can.
        """
        try:
            self._receive(data, flow, fault)
        except Exception:  # the last net under the parser: a fault of ours must not stop the listener
            self._metrics.unhandled.inc()
            log.exception("a message could not be handled")

    def _receive(self, data: bytes, flow: Flow, fault: SipError | None) -> None:
        if trace.isEnabledFor(logging.DEBUG):
            _trace("received", data, flow)
        try:
            try:
                message = parse(data, exact=flow.transport != "udp")
            except MessageTooLarge as large:  # another name than below: compiled, a name has one type
                fault = large
                message = parse(data[:MAX_MESSAGE])
        except SipError as error:
            self._metrics.parse_errors(error.label)
            return
        if isinstance(message, Request):
            self._request(message, flow, fault)
        elif isinstance(message, Response) and fault is None:
            self._response(message, flow)

    def _response(self, response: Response, flow: Flow) -> None:
        """To the request of ours that it answers; any other is dropped (RFC 4475 section 3.1.2.19)."""
        unmatched = self._layer.unmatched
        try:
            self._perform(self._layer.receive(response, flow, mono()))
        except SipError as error:
            self._metrics.parse_errors(error.label)
        self._metrics.dropped("response", by=self._layer.unmatched - unmatched)

    def _request(self, message: Request, flow: Flow, fault: SipError | None) -> None:
        self._metrics.received(flow.transport, method_label(message.method))
        try:
            if fault is not None:
                raise fault
            check(message)
            known = self._layer.absorb(message, flow, mono())
        except SipError as error:
            self._refuse(message, flow, error)
            return
        if known is not None:
            self._perform(known)
            return
        self._serve(message, flow)

    def _serve(self, request: Request, flow: Flow) -> None:
        request.via = request.via.stamped(flow.remote_ip, flow.remote_port)
        if self.draining and request.method != "ACK":
            self._reply(request, flow, Answer(503, headers=(("Retry-After", "2"),)))
            return
        verdict = self._screen.sort(request, flow, epoch())
        if isinstance(verdict, Answer):
            if verdict.status == 401:
                self._metrics.auth("challenge")
            self._reply(request, flow, verdict)
        elif isinstance(verdict, Silence):
            self._metrics.dropped("ack")
        elif self._open >= MAX_TASKS:
            self._reply(request, flow, Answer(503, headers=(("Retry-After", "5"),)))
        else:
            self._open += 1
            self._idle.clear()
            self._tasks.create_task(self._work(request, flow, verdict))

    async def _work(self, request: Request, flow: Flow, claim: Claim) -> None:
        started = mono()
        work = Work(self, request, flow)
        try:
            phone = await self._dispatch.serve(work, claim)
        except TableFull:
            work.reply(Answer(503, headers=(("Retry-After", "5"),)))
            return
        except Exception:  # a fault of ours is the caller's 500, one line, and no end of the listener
            self._metrics.unhandled.inc()
            log.exception("a %s could not be served", method_label(request.method))
            with contextlib.suppress(Exception):  # nothing that a message causes ends the process
                work.reply(Answer(500))
            return
        finally:
            self._open -= 1
            if not self._open:
                self._idle.set()
        seconds = mono() - started
        self._metrics.register_seconds.observe(seconds)
        if phone is not None:
            self._finished(request, flow, phone, work.status, epoch(), seconds)

    def closed(self, flow: Flow) -> None:
        """The connection `flow` is gone: nothing more is sent on it, and nobody waits for it."""
        self._perform(self._layer.closed(flow, mono()))

    def accept(self, request: Request, flow: Flow) -> Key | None:
        """Make the server transaction; None when a twin has one. Raises TableFull."""
        key = self._layer.accept(request, flow, mono())
        self._arm()
        return key

    def reply(self, request: Request, flow: Flow, given: Answer, key: Key | None) -> None:
        """Send an answer by its transaction, or statelessly without one."""
        if key is None:
            self._reply(request, flow, given)
            return
        self._count(request, given.status)
        response = answer(request, given.status, given.reason, given.headers, to_tag=self._tag(request))
        self._perform(self._layer.respond(key, response, mono()))

    def _reply(self, request: Request, flow: Flow, given: Answer) -> None:
        self._count(request, given.status)
        response = answer(request, given.status, given.reason, given.headers, to_tag=self._tag(request))
        self._transmit(bytes(response), flow)

    def _refuse(self, request: Request, flow: Flow, error: SipError) -> None:
        """A malformed request gets its 400 when there is a Via to copy; else, and for an ACK, silence."""
        self._metrics.parse_errors(error.label)
        log.debug("refused: %s", error)
        try:
            request.via = request.via.stamped(flow.remote_ip, flow.remote_port)
        except SipError:
            self._metrics.dropped("malformed")
            return
        if request.method == "ACK":
            self._metrics.dropped("ack")
            return
        self._reply(request, flow, Answer(error.status))

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._transmit(action.data, action.flow)
        self._arm()

    def _transmit(self, data: bytes, flow: Flow) -> None:
        if trace.isEnabledFor(logging.DEBUG):
            _trace("sent", data, flow)
        self._send(data, flow)

    def _arm(self) -> None:
        """One timer for all transactions: at the earliest deadline."""
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
        """Wait until no request is being worked on."""
        await self._idle.wait()

    def close(self) -> None:
        """No more timers."""
        if self._timer is not None:
            self._timer.cancel()

    def _tag(self, request: Request) -> str:
        """The To-tag of every answer to this request, now and when it is retransmitted."""
        headers = request.headers
        return to_tag(
            self._tag_key, request.via.branch, headers.get("call-id") or "", headers.get("cseq") or ""
        )

    def _count(self, request: Request, status: int) -> None:
        self._metrics.answered(method_label(request.method), str(status))


def to_tag(key: bytes, branch: str, call_id: str, cseq: str) -> str:
    """The To-tag of all stateless answers to one request; only who has the key can tell it beforehand."""
    data = f"{branch} {call_id} {cseq}".encode("utf-8", "surrogateescape")
    return blake2b(data, digest_size=TAG_BYTES, key=key).hexdigest()


class Work:
    """One request on its way through the handlers; implements handlers.dispatch.Exchange."""

    __slots__ = ("_driver", "_key", "flow", "request", "status")

    def __init__(self, driver: Driver, request: Request, flow: Flow) -> None:
        self._driver = driver
        self._key: Key | None = None
        self.request = request
        self.flow = flow
        self.status = 0

    def accept(self) -> bool:
        """See Exchange."""
        self._key = self._driver.accept(self.request, self.flow)
        return self._key is not None

    def reply(self, answer: Answer) -> None:
        """See Exchange."""
        self.status = answer.status
        self._driver.reply(self.request, self.flow, answer, self._key)


def _trace(direction: str, data: bytes, flow: Flow) -> None:
    """A whole message for somebody who asked for it, without what proves an identity."""
    lines = data[:MAX_MESSAGE].decode("utf-8", "replace").split("\r\n")
    shown: list[str] = []
    hidden = False
    for line in lines:
        if not line.startswith((" ", "\t")):  # a folded line belongs to the header before it
            name = line.partition(":")[0].strip().lower()
            hidden = name in ("authorization", "proxy-authorization")
            shown.append(f"{name}: <redacted>" if hidden else line)
        elif not hidden:
            shown.append(line)
    trace.debug("%s %s:%s\n%s", direction, flow.remote_ip, flow.remote_port, "\n".join(shown))
