"""sipp calls in bulk over UDP: phones that call from one port, phones that answer on another.

The scenarios are those of deploy/sipp. A server takes the requests of a call only from where the phone
registered, so `Phones` registers all of them from the port that sipp then has.
"""

import asyncio
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.peers.endpoint import Endpoint, Phone
from tests.peers.phone import Account, Address
from tests.peers.ports import free_port
from tests.peers.process import PeerFailed, Process
from tests.peers.sipp import (
    ALL_GOOD,
    SOME_FAILED,
    STOP_SECONDS,
    TIMED_OUT_GLOBALLY,
    UNLIMITED_RATE,
    percentile,
)

SCENARIOS: Final = Path(__file__).parents[2] / "deploy" / "sipp"
AT_ONCE: Final = 20
"""Registrations on their way from one port."""
SOCKET_BYTES: Final = 4_194_304
SHOWN: Final = 3
"""Failed calls of which each message is shown."""
ERRORS_LENGTH: Final = 6_000


class Credentials(StrEnum):
    """How an INVITE is authenticated, by the scenario that does it."""

    CHALLENGED = "uac_call"
    """INVITE, 407, ACK, INVITE with digest."""
    KNOWN = "uac_call_known"
    """The first INVITE has a digest already, made with the nonce of the registration."""


@dataclass(frozen=True)
class Extension:
    """A phone and the number it is called by."""

    account: Account
    number: str


class Phones:
    """Phones that share one UDP port of loopback, as sipp does it."""

    def __init__(self, extensions: Sequence[Extension], server: Address, port: int) -> None:
        self.extensions = extensions
        self.server = server
        self.port = port
        self._phones: list[Phone] = []

    def register(self) -> None:
        """Register all of them, and keep the nonce that each was given. Raises PeerFailed."""
        asyncio.run(self._register())

    async def _register(self) -> None:
        turn = asyncio.Semaphore(AT_ONCE)
        async with await Endpoint.open(self.server, ("127.0.0.1", self.port)) as endpoint:
            self._phones = [Phone(extension.account, endpoint) for extension in self.extensions]

            async def one(phone: Phone) -> int:
                async with turn:
                    return (await phone.register()).status

            statuses = Counter(await asyncio.gather(*map(one, self._phones)))
        if set(statuses) != {200}:
            raise PeerFailed(f"not every phone registered: {dict(statuses)}")

    def rows(self, called: Sequence[Extension], calls: int, credentials: Credentials) -> Iterator[str]:
        """One line of the file of callers for each call; all phones take turns on both sides."""
        pairs = islice(zip(cycle(range(len(self.extensions))), cycle(called), strict=False), calls)
        for index, callee in pairs:
            account = self.extensions[index].account
            if credentials is Credentials.KNOWN:
                header = self._phones[index].caller.credentials(
                    "INVITE", f"sip:{callee.number}@{account.domain}"
                )
                last = f"Proxy-{header}"
            else:
                last = f"[authentication username={account.username} password={account.password}]"
            yield f"{account.username};{account.domain};{callee.number};{last}"


@dataclass(frozen=True)
class CallPace:
    """How many calls, how fast, how long."""

    calls: int
    in_flight: int = 50
    """Closed loop: this many calls at once, a new one for each that ended."""
    rate: float | None = None
    """Calls a second; then `in_flight` is the limit at which sipp stops starting new ones."""
    talk: float = 0.0
    """Seconds between ACK and BYE."""
    timeout: float = 300.0
    credentials: Credentials = Credentials.CHALLENGED


@dataclass(frozen=True)
class CallResult:
    """What a run of calls came to."""

    started: int
    succeeded: int
    failed: int
    seconds: float
    """From the first request to the last answer."""
    p50_ms: float
    p99_ms: float
    """From the INVITE with credentials to its 200."""
    codes: dict[int, int]
    """How often each status came, challenges included."""
    retransmitted: int
    errors: str
    """Each message of the first calls that failed, and sipp's own account of them."""

    @property
    def per_second(self) -> float:
        return self.succeeded / self.seconds if self.seconds else 0.0


class Callees:
    """sipp that takes every call for its phones, and answers OPTIONS."""

    def __init__(self, tmp: Path, phones: Phones, *, cores: str = "") -> None:
        folder = tmp / f"sipp-uas-{phones.port}-{len(list(tmp.glob('sipp-*')))}"
        folder.mkdir(parents=True)
        argv = [*_command(phones, SCENARIOS / "uas_call.xml"), "-nostdin"]
        self._process = Process("sipp", [*argv, *_errors()], folder, cores=cores)

    @property
    def running(self) -> bool:
        return self._process.running

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # It would wait for the last calls it knows of; there are none that anybody still wants.
        self._process.kill9()


class Callers:
    """sipp that makes calls, for tests that look at the server meanwhile."""

    def __init__(
        self, tmp: Path, phones: Phones, called: Sequence[Extension], pace: CallPace, *, cores: str = ""
    ) -> None:
        self._folder = tmp / f"sipp-uac-{phones.port}-{len(list(tmp.glob('sipp-*')))}"
        self._folder.mkdir(parents=True)
        rows = phones.rows(called, pace.calls, pace.credentials)
        (self._folder / "callers.csv").write_text("\n".join(["SEQUENTIAL", *rows]) + "\n")
        self._process = Process("sipp", _calling(phones, pace), self._folder, cores=cores)
        self._pace = pace

    def result(self) -> CallResult:
        """Wait until all calls have ended, and count them. Raises PeerFailed when sipp did not work."""
        code = self._process.wait(self._pace.timeout + STOP_SECONDS)
        if code not in (ALL_GOOD, SOME_FAILED, TIMED_OUT_GLOBALLY) or not self._messages.exists():
            raise PeerFailed(f"sipp ended with {code}\n{self._process.last_lines()}")
        return _result(self._folder, self._pace)

    @property
    def _messages(self) -> Path:
        return self._folder / "messages.tsv"

    def kill9(self) -> None:
        """End it in the middle of its calls."""
        self._process.kill9()

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()


def run_calls(
    tmp: Path, phones: Phones, called: Sequence[Extension], pace: CallPace, *, cores: str = ""
) -> CallResult:
    """Make the calls; those that failed are in the result."""
    with Callers(tmp, phones, called, pace, cores=cores) as callers:
        return callers.result()


def _calling(phones: Phones, pace: CallPace) -> list[str]:
    closed = pace.rate is None
    rate = UNLIMITED_RATE if pace.rate is None else pace.rate
    speed = ["-r", str(round(rate))] if rate == round(rate) else ["-r", str(round(rate * 10)), "-rp", "10s"]
    return [
        *_command(phones, SCENARIOS / f"{pace.credentials}.xml"),
        *("-inf", "callers.csv", "-oocsf", str(SCENARIOS / "uac_call_ping.xml")),
        *(
            "-m",
            str(pace.calls),
            *speed,
            "-l",
            str(pace.in_flight if closed else max(pace.in_flight, 10_000)),
        ),
        *("-d", str(round(pace.talk * 1_000)), "-nostdin", "-timeout", f"{math.ceil(pace.timeout)}s"),
        *("-trace_stat", "-stf", "stat.csv", "-fd", "1"),
        # With times in microseconds, where sipp's own response times (-trace_rtt) are whole milliseconds.
        *("-trace_shortmsg", "-shortmessage_file", "messages.tsv"),
        *_errors(),
    ]


def _command(phones: Phones, scenario: Path) -> list[str]:
    host, port = phones.server
    return [
        *("sipp", f"{host}:{port}", "-sf", str(scenario), "-t", "u1"),
        *("-i", "127.0.0.1", "-p", str(phones.port), "-cp", str(free_port())),
        # What comes unexpected fails the call, and sipp must not send a BYE for it.
        *("-default_behaviors", "abortunexp", "-buff_size", str(SOCKET_BYTES), "-max_socket", "100"),
    ]


def _errors() -> list[str]:
    return ["-trace_err", "-error_file", "errors.log"]


@dataclass
class _Seen:
    """One call in sipp's short message log."""

    cseq: str = ""
    """Of the last INVITE, the one with credentials that were taken."""
    invited: float = 0.0
    """When that one was sent for the first time."""
    answered: float = 0.0
    ended: bool = False
    """The BYE was answered by 200."""


def _result(folder: Path, pace: CallPace) -> CallResult:
    calls: dict[str, _Seen] = {}
    codes: Counter[int] = Counter()
    sent: Counter[tuple[str, str]] = Counter()
    first = last = 0.0
    for line in (folder / "messages.tsv").read_text(errors="replace").splitlines():
        _clock, epoch, direction, call_id, cseq, text = line.rsplit("\t", 5)
        first, last = first or float(epoch), float(epoch)
        words = text.split()
        number = cseq.partition(":")[2]
        if direction == "S":
            if words[0] == "INVITE":
                _invite(calls.setdefault(call_id, _Seen()), number, float(epoch))
            sent[call_id, f"{number} {words[0]}"] += 1
        elif words[0] == "SIP/2.0" and call_id in calls:  # not what still comes to the run before this one
            codes[int(words[1])] += 1
            _note(calls[call_id], int(words[1]), number, float(epoch))
    setups = sorted(call.answered - call.invited for call in calls.values() if call.answered)
    succeeded = sum(call.ended for call in calls.values())
    return CallResult(
        started=len(calls),
        succeeded=succeeded,
        failed=pace.calls - succeeded,
        seconds=last - first,
        p50_ms=percentile(setups, 50) * 1000,
        p99_ms=percentile(setups, 99) * 1000,
        codes=dict(codes),
        retransmitted=sum(sent.values()) - len(sent),
        errors=_of_failed(folder, [call_id for call_id, call in calls.items() if not call.ended]),
    )


def _invite(call: _Seen, cseq: str, at: float) -> None:
    if call.cseq != cseq:
        call.cseq, call.invited = cseq, at


def _note(call: _Seen, status: int, cseq: str, at: float) -> None:
    if status != 200:
        return
    if cseq.endswith("BYE"):
        call.ended = True
    elif cseq.endswith("INVITE") and not call.answered:
        call.answered = at


def _of_failed(folder: Path, failed: list[str]) -> str:
    lines = (folder / "messages.tsv").read_text(errors="replace").splitlines()
    messages = [line for line in lines if any(call_id in line for call_id in failed[:SHOWN])]
    return "\n".join([*messages, _errors_of_sipp(folder)])[:ERRORS_LENGTH]


def _errors_of_sipp(folder: Path) -> str:
    """What sipp wrote, without what came late to calls that had succeeded."""
    file = folder / "errors.log"
    entries = (
        re.split(r"^(?=\d{4}-\d\d-\d\d\t)", file.read_text(errors="replace"), flags=re.M)
        if file.exists()
        else []
    )
    return "".join(entry for entry in entries if "(successful)" not in entry.partition("\n")[0])
