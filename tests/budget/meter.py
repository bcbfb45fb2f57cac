"""Count what a running `registrar serve` does for one request, from outside the process."""

import asyncio
import mmap
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

from redis import Redis

from tests.budget.program import CALLS, SIZE, STATEMENTS
from tests.peers.phone import UdpPhone
from tests.peers.process import Process
from tests.wire.callers import Callers, talk
from tests.wire.office import Office, rung
from tests.wire.site import Site

WARM_UP: Final = 20
ROUNDS: Final = 31
REST_SECONDS: Final = 0.03
"""What a request leaves to do after its answer, such as events, takes less than this, or is seen to go on."""
IDLE_CALLS: Final = 30
"""Timers make fewer calls than this in `REST_SECONDS`."""
REFRESH: Final = "refresh"
FIRST: Final = "first registration"
CALL: Final = "call"
GROUP: Final = "group of 20, per branch"
MEMBERS: Final = 20


@dataclass(frozen=True)
class Cost:
    """What one request of a kind costs: the least of many."""

    calls: int
    """Python function calls."""
    commands: int
    """Redis commands; those inside a script are not counted."""
    statements: int
    """SQL statements."""


class CountedSite(Site):
    """A server in whose process calls and statements are counted."""

    def __init__(self, tmp: Path) -> None:
        super().__init__(tmp)
        file = tmp / "counters"
        file.write_bytes(bytes(SIZE))
        command = [sys.executable, "-m", "tests.budget.program", str(file), "serve"]
        self._process = Process("registrar", command, tmp / "counted", environment=self.counted_environment())
        with file.open("r+b") as opened:
            self._cells = memoryview(mmap.mmap(opened.fileno(), SIZE)).cast("Q")

    def counted_environment(self) -> dict[str, str]:
        """The settings, and where `tests` is found."""
        return {**self.environment, "PYTHONPATH": str(Path(__file__).parents[2])}

    def counts(self) -> tuple[int, int]:
        """Calls and statements so far."""
        return self._cells[CALLS], self._cells[STATEMENTS]


class Meter:
    """Takes the counts of one request at a time."""

    def __init__(self, site: CountedSite, redis: Redis) -> None:
        self._site = site
        self._redis = redis
        self._monitor = redis.monitor()  # type: ignore[no-untyped-call]  # redis-py leaves it out
        self._monitor.__enter__()
        self._marks = 0
        self._kinds: dict[str, list[tuple[int, ...]]] = {}

    @contextmanager
    def one(self, kind: str, parts: int = 1) -> Iterator[None]:
        """Count what happens in the block, and in the short time after it; of `parts` equal parts, one."""
        self._commands()
        calls, statements = self._site.counts()
        yield
        calls_after, statements_after = self._settled()
        both = (calls_after - calls, self._commands(), statements_after - statements)
        counted = tuple(round(count / parts) for count in both)
        self._kinds.setdefault(kind, []).append(counted)

    def _settled(self) -> tuple[int, int]:
        """Return the counts as soon as only timers still count."""
        before = self._site.counts()
        while True:
            time.sleep(REST_SECONDS)
            after = self._site.counts()
            if after[0] - before[0] < IDLE_CALLS:
                return after
            before = after

    def _commands(self) -> int:
        """Return how many commands Redis was given since the last time."""
        self._marks += 1
        mark = f"ECHO budget-{self._marks}"
        self._redis.echo(f"budget-{self._marks}")
        count = 0
        while (seen := self._monitor.next_command())["command"] != mark:
            count += seen["client_type"] != "lua"
        return count

    def costs(self) -> dict[str, Cost]:
        """Return the least of each kind: timers, retransmissions and other such work only ever add."""
        return {
            kind: Cost(*map(min, zip(*rounds[WARM_UP:], strict=True))) for kind, rounds in self._kinds.items()
        }

    def close(self) -> None:
        """Stop listening."""
        self._monitor.__exit__(None, None, None)


def measure(tmp: Path) -> dict[str, Cost]:
    """Start a server in `tmp` and return what each kind of request costs it."""
    with (
        CountedSite(tmp) as site,
        Redis(unix_socket_path=str(Path(site.settings["data_dir"]) / "valkey.sock")) as redis,
    ):
        meter = Meter(site, redis)
        try:
            _register(site, meter)
            with redirect_stdout(StringIO()):  # what its phones said is no figure
                asyncio.run(_call(site, meter))
                asyncio.run(_group(site, meter))
        finally:
            meter.close()
        return meter.costs()


def _register(site: CountedSite, meter: Meter) -> None:
    """First registrations, each after its own un-registration, and refreshes, with a nonce known already."""
    with UdpPhone(site.new_phone().account, site.sip) as phone:
        phone.register()
        for _ in range(WARM_UP + ROUNDS):
            with meter.one(REFRESH):
                assert phone.register(reuse=True).status == 200
    handsets = [site.new_phone() for _ in range(WARM_UP + ROUNDS)]
    for handset in handsets:
        with UdpPhone(handset.account, site.sip) as phone, meter.one(FIRST):
            assert phone.register().status == 200


async def _call(site: CountedSite, meter: Meter) -> None:
    """Calls with a challenge, ringing, an answer, and a BYE, between two phones over UDP."""
    callers = Callers(site)
    async with callers:
        a, b, _, bert = await callers.pair()
        for _ in range(WARM_UP + ROUNDS):
            with meter.one(CALL):
                outgoing, _ = await talk(a, b, bert.number)
                assert (await outgoing.bye()).status == 200


async def _group(site: CountedSite, meter: Meter) -> None:
    """Calls to a group whose members all ring: one answers, the others are cancelled, the caller hangs up."""
    async with Callers(site) as callers:
        office = Office(callers)
        people = await office.people(MEMBERS)
        group = office.group(people)
        caller = await callers.phone(callers.extension().handset)
        for nth in range(WARM_UP + ROUNDS):
            with meter.one(GROUP, MEMBERS):
                outgoing = await caller.call(group.number)
                calls = await rung(people, nth)
                for one in calls:
                    one.ring()
                await outgoing.provisional(180)
                calls[0].answer()
                await outgoing.answered()
                for one in calls:
                    await one.acknowledged()
                assert (await outgoing.bye()).status == 200
