"""sipp 3.6.1 registers phones in bulk, over UDP or TCP: scenarios, users as CSV, and what came of it."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.patience import limit
from tests.peers.phone import Account
from tests.peers.ports import free_port
from tests.peers.process import PeerFailed, Process

UNLIMITED_RATE: Final = 100_000
"""More calls a second than any server takes: the limit in flight then closes the loop."""
SOME_FAILED, ALL_GOOD, TIMED_OUT_GLOBALLY = 1, 0, 97
STOP_SECONDS: Final = limit(20.0)


class Sockets(StrEnum):
    """What sipp sends by, in the words of its option `-t`."""

    UDP = "u1"
    ONE_TCP = "t1"
    """One connection for all calls, until sipp ends."""
    TCP_PER_CALL = "tn"
    """A connection for each call, closed when the call ends."""


class Kind(StrEnum):
    """What one call of sipp is."""

    REGISTER = "register"
    """REGISTER, 401, REGISTER with digest, final answer."""
    REFRESH = "refresh"
    """The same, then a REGISTER that uses the nonce a second time; the latency is of this one alone."""
    UNREGISTER = "unregister"
    """As REGISTER, with Expires: 0."""


@dataclass(frozen=True)
class Scenario:
    """What every call says and which final answer is right."""

    kind: Kind = Kind.REGISTER
    expect: int = 200
    expires: int = 3600
    user_agent: str = "sipp"
    challenged: bool = True
    """False: the first REGISTER already gets the final answer."""
    hold: float = 0.0
    """Seconds that a call goes on after its last answer, and with it a connection of its own."""


@dataclass(frozen=True)
class SippResult:
    """What a run of sipp came to."""

    started: int
    succeeded: int
    failed: int
    seconds: float
    """From the first request to the last answer."""
    p50_ms: float
    p99_ms: float
    codes: dict[int, int]
    """How often each status came, challenges included."""
    retransmitted: int
    pid: int
    """Its Call-IDs are `<number>-<pid>@<ip>`."""

    @property
    def per_second(self) -> float:
        return self.succeeded / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Pace:
    """How many calls, how fast, from where."""

    calls: int
    in_flight: int = 50
    """Closed loop: this many calls at once, a new one for each that ended."""
    rate: float | None = None
    """Calls a second; then `in_flight` is only the limit at which sipp stops starting new ones."""
    local_ip: str = "127.0.0.1"
    local_port: int | None = None
    timeout: float = 120.0
    cores: str = ""
    sockets: Sockets = Sockets.UDP


def run_sipp(
    tmp: Path,
    server: tuple[str, int],
    accounts: Sequence[Account],
    pace: Pace,
    scenario: Scenario = Scenario(),
) -> SippResult:
    """Run sipp against `server`: the accounts in their order, and again from the first.

    Failed calls are in the result; PeerFailed is for a sipp that did not work at all.
    """
    with Sipp(tmp, server, accounts, pace, scenario) as sipp:
        return sipp.result()


class Sipp:
    """One run of sipp, for tests that look at its phones while it runs."""

    def __init__(
        self,
        tmp: Path,
        server: tuple[str, int],
        accounts: Sequence[Account],
        pace: Pace,
        scenario: Scenario = Scenario(),
    ) -> None:
        port = pace.local_port or free_port(pace.local_ip)
        self._folder = tmp / f"sipp-{port}-{len(list(tmp.glob('sipp-*')))}"
        self._folder.mkdir(parents=True)
        (self._folder / "scenario.xml").write_text(scenario_xml(scenario))
        (self._folder / "users.csv").write_text(users_csv(accounts))
        self._process = Process("sipp", _arguments(server, pace, port), self._folder, cores=pace.cores)
        self._pace = pace
        self._scenario = scenario

    @property
    def pid(self) -> int:
        return self._process.pid

    def result(self) -> SippResult:
        """Wait until all calls have ended, and count them."""
        code = self._process.wait(self._pace.timeout + STOP_SECONDS)
        if code not in (ALL_GOOD, SOME_FAILED, TIMED_OUT_GLOBALLY) or not self._statistics.exists():
            raise PeerFailed(f"sipp ended with {code}\n{self._process.last_lines()}")
        return _result(self._folder, self._scenario, self.pid)

    @property
    def _statistics(self) -> Path:
        return self._folder / "stat.csv"

    def kill9(self) -> None:
        """End it in the middle of its calls; the kernel closes its sockets."""
        self._process.kill9()

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()


def _arguments(server: tuple[str, int], pace: Pace, port: int) -> list[str]:
    closed = pace.rate is None
    rate = UNLIMITED_RATE if pace.rate is None else pace.rate
    # A fraction of a call a second does not exist: so many calls every ten seconds.
    speed = ["-r", str(rate)] if float(rate).is_integer() else ["-r", str(round(rate * 10)), "-rp", "10s"]
    return [
        *("sipp", f"{server[0]}:{server[1]}", "-sf", "scenario.xml", "-inf", "users.csv"),
        *("-t", pace.sockets, "-i", pace.local_ip, "-p", str(port), "-cp", str(free_port())),
        *(
            "-m",
            str(pace.calls),
            *speed,
            "-l",
            str(pace.in_flight if closed else max(pace.in_flight, 10_000)),
        ),
        # What comes unexpected fails the call, and sipp must not send a BYE for it.
        *("-default_behaviors", "abortunexp", "-buff_size", "4194304", "-max_socket", "100"),
        *("-nostdin", "-timeout", f"{math.ceil(pace.timeout)}s"),
        *("-trace_stat", "-stf", "stat.csv", "-fd", "1"),
        # With times in microseconds, where sipp's own response times (-trace_rtt) are whole milliseconds.
        *("-trace_shortmsg", "-shortmessage_file", "messages.tsv"),
        *("-trace_err", "-error_file", "errors.log"),
    ]


def users_csv(accounts: Sequence[Account]) -> str:
    """Fields: username, domain, and the whole keyword, for sipp knows no keyword inside another one."""
    rows = (
        f"{account.username};{account.domain};"
        f"[authentication username={account.username} password={account.password}]"
        for account in accounts
    )
    return "\n".join(["SEQUENTIAL", *rows]) + "\n"


def scenario_xml(scenario: Scenario) -> str:
    """The scenario as sipp reads it; each request has a CSeq one higher than the last."""
    steps = []
    if scenario.challenged:
        steps += [_send(scenario, 1, authorized=False), _receive(401, challenge=True)]
    kept = 200 if scenario.kind is Kind.REFRESH else scenario.expect
    steps += [_send(scenario, 2, authorized=scenario.challenged), _receive(kept)]
    if scenario.kind is Kind.REFRESH:
        steps += [_send(scenario, 3, authorized=True), _receive(scenario.expect)]
    if scenario.hold:
        steps.append(f'<pause milliseconds="{round(scenario.hold * 1000)}"/>')
    body = "\n".join(steps)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{scenario.kind}">\n{body}\n</scenario>\n'


def _receive(status: int, *, challenge: bool = False) -> str:
    keep = ' auth="true"' if challenge else ""
    return f'<recv response="{status}"{keep}/>'


def _send(scenario: Scenario, cseq: int, *, authorized: bool) -> str:
    expires = 0 if scenario.kind is Kind.UNREGISTER else scenario.expires
    lines = [
        "REGISTER sip:[field1] SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport",
        "Max-Forwards: 70",
        "From: <sip:[field0]@[field1]>;tag=[pid]t[call_number]",
        "To: <sip:[field0]@[field1]>",
        "Call-ID: [call_id]",
        f"CSeq: {cseq} REGISTER",
        "Contact: <sip:[field0]@[local_ip]:[local_port]>",
        *(["[field2]"] if authorized else []),
        f"Expires: {expires}",
        f"User-Agent: {scenario.user_agent}",
        "Content-Length: 0",
    ]
    return '<send retrans="500"><![CDATA[\n' + "\n".join(lines) + "\n\n]]></send>"


def _result(folder: Path, scenario: Scenario, pid: int) -> SippResult:
    with (folder / "stat.csv").open() as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    started, succeeded = int(last["TotalCallCreated"]), int(last["SuccessfulCall(C)"])
    rows = [_row(line) for line in (folder / "messages.tsv").read_text().splitlines()]
    times = _durations(rows, from_cseq=3 if scenario.kind is Kind.REFRESH else 1)
    sent = [(row.call_id, row.cseq) for row in rows if row.sent]
    return SippResult(
        started=started,
        succeeded=succeeded,
        failed=started - succeeded,
        seconds=rows[-1].at - rows[0].at if rows else 0.0,
        p50_ms=percentile(times, 50) * 1000,
        p99_ms=percentile(times, 99) * 1000,
        codes=dict(Counter(row.status for row in rows if not row.sent)),
        retransmitted=len(sent) - len(set(sent)),
        pid=pid,
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of sipp's short message log."""

    at: float
    sent: bool
    call_id: str
    cseq: int
    status: int


def _row(line: str) -> _Row:
    _clock, epoch, direction, call_id, cseq, first = line.rsplit("\t", 5)
    words = first.split()
    status = int(words[1]) if words[0] == "SIP/2.0" else 0
    return _Row(float(epoch), direction == "S", call_id, int(cseq.partition(":")[2].split()[0]), status)


def _durations(rows: Sequence[_Row], from_cseq: int) -> list[float]:
    """For each call the time from the first sending of its request `from_cseq` to its last answer."""
    begins: dict[str, float] = {}
    ends: dict[str, float] = {}
    for row in rows:
        if row.sent and row.cseq >= from_cseq:
            begins.setdefault(row.call_id, row.at)
        elif row.call_id in begins:
            ends[row.call_id] = row.at
    return sorted(end - begins[call] for call, end in ends.items())


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the ordered values lie (nearest rank); 0 when there is none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
