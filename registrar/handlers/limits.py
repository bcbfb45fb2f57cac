"""The limits of sources and phones at work: messages are let in, held for a moment, or turned away.

The verdict is that of rules/inflow. A message is held for the time of one read from Redis at most, and only
if it would otherwise be dropped.
"""

from collections.abc import Callable, Coroutine
from typing import Final

from registrar.errors import SipError, StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Flow, Mono
from registrar.ports import Clock, SourcePhones
from registrar.rules.bans import Barred
from registrar.rules.buckets import WHOLE, Bucket, Size
from registrar.rules.inflow import PASS, PROVEN_SECONDS, Inflow, Verdict, busiest, one_source_of

ACCOUNT: Final = Size(rate=200, burst=600)
"""The requests of one phone, on all of its flows: more than a gateway with a hundred calls sends."""
ANSWERS: Final = Size(rate=200, burst=200)
"""503s of a process to sources that send too much: an answer costs as much as what it refuses."""
MAX_ACCOUNTS: Final = 100_000
MAX_HELD_OCTETS: Final = 4 * 1024 * 1024
BANNED: Final = "ban"
OF_ACCOUNT: Final = "account"

PHONE: Final = "@"
"""Begins the name of a phone in a report to other nodes; no source begins with it."""

Message = tuple[bytes, Flow, SipError | None]


class Limiter:
    """The limits of one process."""

    def __init__(
        self,
        inflow: Inflow | None,
        barred: Barred,
        sources: SourcePhones,
        hang_up: Callable[[int], None],
        start_task: Callable[[Coroutine[None, None, None]], object],
        clock: Clock,
        mono: Callable[[], Mono],
        metrics: Metrics,
        is_node: Callable[[str, int], bool] = lambda _ip, _port: False,
    ) -> None:
        """Create the limits. Without `inflow` there are none, but bans are enforced, except of other nodes.

        `hang_up` closes a connection that may send nothing. Call `serve_with` before the first message.
        """
        self._inflow = inflow
        self._barred = barred
        self._sources = sources
        self._hang_up = hang_up
        self._start_task = start_task
        self._clock = clock
        self._mono = mono
        self._metrics = metrics
        self._is_node = is_node
        self._accounts: dict[str, Bucket] = {}
        self._spent: dict[str, int] = {}
        """Requests of each phone since the last report to other nodes."""
        self._answers = Bucket(ANSWERS, mono())
        self._held: dict[str, list[Message]] = {}
        self._held_octets = 0
        self._receive: Callable[[bytes, Flow, SipError | None], None]
        self._turn_away: Callable[[bytes, Flow], None]

    def serve_with(
        self,
        receive: Callable[[bytes, Flow, SipError | None], None],
        turn_away: Callable[[bytes, Flow], None],
    ) -> None:
        """Set what receives a message that was held, and what answers one that comes too early."""
        self._receive = receive
        self._turn_away = turn_away

    def lets_in(self, data: bytes, flow: Flow, fault: SipError | None) -> bool:
        """Return whether a message may be read now. If not, everything was done for it, or will be."""
        inflow = self._inflow
        if inflow is not None:
            now, verdict = self._mono(), PASS
            place = inflow.proven.get((flow.remote_ip, flow.remote_port))
            if place is None:
                verdict = inflow.judge_unproven(flow.remote_ip, flow.remote_port, now)
            else:  # as Inflow.judge does; this is the path of nearly all messages, and calls cost the most
                size = place.source.size
                tokens = place.tokens + (now - place.at) * size.rate
                if place.until > now and tokens >= WHOLE:
                    place.tokens = (tokens if tokens < size.burst else size.burst) - 1.0
                    place.at = now
                else:
                    verdict = inflow.judge(flow.remote_ip, flow.remote_port, now)
            if verdict is not PASS:
                self._stop(verdict, data, flow, fault)
                return False
        if self._barred.any_address and self._is_shut_out(flow):
            self._metrics.limited(BANNED)
            self._drop(flow)
            return False
        return True

    def is_banned(self, ip: str) -> bool:
        """Return whether an address may not even connect."""
        return self._barred.any_address and self._is_banned(ip)

    def authenticated(self, flow: Flow, phone: str) -> bool:
        """Note that a digest was right, and return whether the phone may have its request served."""
        inflow = self._inflow
        if inflow is None:
            return True
        now = self._mono()
        place = inflow.proven.get((flow.remote_ip, flow.remote_port))
        if place is None:
            inflow.proved(flow.remote_ip, flow.remote_port, now)
        else:
            place.until = place.source.proven_until = Mono(now + PROVEN_SECONDS)
        bucket = self._accounts.get(phone)
        if bucket is None:
            bucket = self._new_account(phone, now)
            inflow.gained(flow.remote_ip, flow.remote_port, now)
        if bucket.take(ACCOUNT, now):
            self._spent[phone] = self._spent.get(phone, 0) + 1
            return True
        self._metrics.limited(OF_ACCOUNT)
        return False

    def spent(self) -> dict[str, int]:
        """Return what busy sources and phones have sent since the last call, for other nodes."""
        if self._inflow is None:
            return {}
        spent, self._spent = self._spent, {}
        return self._inflow.spent() | {PHONE + phone: count for phone, count in busiest(spent).items()}

    def heard(self, spent: dict[str, int]) -> None:
        """Take from the buckets what another node has seen."""
        if self._inflow is None:
            return
        now = self._mono()
        self._inflow.heard({name: count for name, count in spent.items() if name[:1] != PHONE}, now)
        for name, count in spent.items():
            if name[:1] == PHONE:
                (self._accounts.get(name[1:]) or self._new_account(name[1:], now)).grow(-float(count))

    def _is_shut_out(self, flow: Flow) -> bool:
        """Return whether a message comes from a banned address, and not from another node there."""
        return self._is_banned(flow.remote_ip) and not self._is_node(flow.remote_ip, flow.remote_port)

    def _is_banned(self, ip: str) -> bool:
        return self._barred.has_address(ip, self._clock())

    def _new_account(self, phone: str, now: Mono) -> Bucket:
        if len(self._accounts) >= MAX_ACCOUNTS:
            full = [name for name, one in self._accounts.items() if one.is_full(ACCOUNT, now)]
            for name in full or list(self._accounts)[: MAX_ACCOUNTS // 4]:
                del self._accounts[name]
        bucket = self._accounts[phone] = Bucket(ACCOUNT, now)
        return bucket

    def _stop(self, verdict: Verdict, data: bytes, flow: Flow, fault: SipError | None) -> None:
        if verdict is Verdict.ASK:
            self._hold(data, flow, fault)
            return
        self._metrics.limited(verdict)
        is_ours_to_tell = verdict is Verdict.LATER or (
            verdict is Verdict.STRANGERS and flow.transport != "udp"
        )
        if not is_ours_to_tell:
            self._drop(flow)
        elif self._answers.take(ANSWERS, self._mono()):
            self._turn_away(data, flow)

    def _drop(self, flow: Flow) -> None:
        """Close a connection whose message is not read; of a datagram there is nothing to do."""
        self._metrics.dropped("limit")
        if flow.transport != "udp":
            self._hang_up(flow.id)

    def _hold(self, data: bytes, flow: Flow, fault: SipError | None) -> None:
        """Keep a message until the number of phones behind its source is read."""
        if self._inflow is None or self._held_octets + len(data) > MAX_HELD_OCTETS:
            self._metrics.limited("held")
            return
        self._held_octets += len(data)
        self._held.setdefault(one_source_of(flow.remote_ip), []).append((data, flow, fault))
        if not self._inflow.is_asked(flow.remote_ip):
            self._start_task(self._ask(self._inflow, flow.remote_ip))

    async def _ask(self, inflow: Inflow, ip: str) -> None:
        """Read the number of phones behind a source, then judge its messages again."""
        phones: int | None = None
        try:
            phones = await self._sources.phones(ip)
        except StoreUnavailable:  # better too many messages than none of an office
            self._metrics.limited("unknown")
        finally:
            inflow.learn(ip, phones, self._mono())
            held = self._held.pop(one_source_of(ip), [])
            self._held_octets -= sum([len(data) for data, _, _ in held])
        for data, flow, fault in held:
            self._receive(data, flow, fault)
