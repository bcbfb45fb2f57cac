"""registrar/store/redis_wire.py: only so many commands wait, also of those whose answer is dropped."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import hiredis
import pytest

from registrar.errors import StoreUnavailable
from registrar.model import Binding, Call, CallState, Epoch, Party, Process, Snapshot
from registrar.store import redis_wire
from registrar.store.calls_redis import RedisCalls
from registrar.store.flow_set import FlowSet
from registrar.store.outbox import Outbox
from registrar.store.redis_wire import Wire
from registrar.store.script_runner import WireRunner
from registrar.store.scripts import GOOD
from tests.patience import limit

MOST = 5
HERE = Process("a", "g1")
PARTY = Party("p1", "200")
BOUND_HERE = Snapshot(
    1, (Binding("sip:a@b", 2_000, "c", 1, transport="tcp", node=HERE.node, generation=HERE.generation),)
)


def now() -> Epoch:
    return Epoch(1_000.0)


class Yes:
    """A server that says yes to each command, and knows how many came."""

    def __init__(self) -> None:
        self.commands: list[list[bytes]] = []
        self.left = asyncio.Event()
        self.answer = b"+OK"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands = hiredis.Reader()
        with contextlib.suppress(ConnectionError):  # the wire may close while it is answered
            while data := await reader.read(65_536):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    self.commands.append(command)
                    writer.write(self.answer + b"\r\n")
            writer.close()
            await writer.wait_closed()
        self.left.set()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Yes]:
    yes = Yes()
    async with await asyncio.start_unix_server(yes.serve, tmp_path / "s"):
        yield yes


@pytest.fixture
async def wire(server: Yes, tmp_path: Path) -> AsyncIterator[Wire]:
    wire = Wire(f"unix://{tmp_path / 's'}")
    running = asyncio.create_task(wire.run())
    async with asyncio.timeout(limit(5)):
        await wire.opened.wait()
    server.commands.clear()
    yield wire
    wire.close()
    running.cancel()
    async with asyncio.timeout(limit(5)):
        await server.left.wait()


@pytest.mark.parametrize("command", ["send", "tell"])
@pytest.mark.parametrize("waiting", ["send", "tell"])
async def test_only_so_many_commands_wait(
    wire: Wire, server: Yes, monkeypatch: pytest.MonkeyPatch, waiting: str, command: str
) -> None:
    monkeypatch.setattr(redis_wire, "MAX_WAITING", MOST)
    for number in range(MOST):
        getattr(wire, waiting)("ECHO", number)
    with pytest.raises(StoreUnavailable, match=f"{MOST} commands wait"):
        getattr(wire, command)("ECHO", "one more")
    await wire.drain()
    assert len(server.commands) == MOST, "the one that was refused was not sent"
    getattr(wire, command)("ECHO", "later")
    await wire.drain()
    assert server.commands[-1] == [b"ECHO", b"later"]


@pytest.mark.parametrize("is_full", [False, True])
async def test_what_is_only_told_is_dropped_without_a_word(
    wire: Wire, server: Yes, monkeypatch: pytest.MonkeyPatch, is_full: bool
) -> None:
    """A call goes on, a commit that is written has succeeded, and nothing is raised into a callback."""
    calls, flows = RedisCalls(wire, now, HERE), FlowSet(wire, HERE)
    if is_full:
        monkeypatch.setattr(redis_wire, "MAX_WAITING", 0)
    calls.started(Call("c1", "x", "acme", "acme.test", PARTY, PARTY, CallState.RINGING, now()))
    WireRunner(wire).tell(GOOD, ("k",), 1)
    flows.leave("p1", Snapshot(), before=BOUND_HERE)
    Outbox(wire, now).publish("p1", '[{"time":1}]')
    await wire.drain()
    assert bool(server.commands) is not is_full


async def test_events_that_were_published_stay_when_the_note_of_it_cannot_be_sent(
    wire: Wire, server: Yes, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: faults.append(told))
    Outbox(wire, now).publish("p1", '[{"time":1}]')
    monkeypatch.setattr(redis_wire, "MAX_WAITING", 0)
    await wire.drain()
    await asyncio.sleep(0.01)
    assert [command[0] for command in server.commands] == [b"XADD"]
    assert faults == []


@pytest.mark.parametrize("code", ["READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS"])
@pytest.mark.parametrize("command", ["send", "tell"])
async def test_a_server_that_takes_no_writes_is_left(
    wire: Wire, server: Yes, code: str, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Another one may take them by now, and a host name may lead there."""
    server.answer = f"-{code} not here".encode()
    waiting = [getattr(wire, command)("SET", "a", number) for number in range(2)]
    if command == "send":
        for answer in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(answer, StoreUnavailable)
            assert str(answer) == f"{code} not here"
    async with asyncio.timeout(limit(5)):
        await server.left.wait()
    assert (wire.up, wire.why) == (False, f"{code} not here")
    with pytest.raises(StoreUnavailable, match=code):
        wire.send("SET", "a", 3)
    server.answer = b"+OK"
    async with asyncio.timeout(limit(5)):
        while not wire.up:
            await asyncio.sleep(0.01)
    assert await wire.send("SET", "a", 4) == b"OK"
    assert [line.getMessage() for line in caplog.records][-1] == "Redis is back"
    server.left.clear()


async def test_another_error_keeps_the_connection(wire: Wire, server: Yes) -> None:
    server.answer = b"-OOM command not allowed"
    with pytest.raises(StoreUnavailable, match="OOM"):
        await wire.send("SET", "a", 1)
    assert wire.up
