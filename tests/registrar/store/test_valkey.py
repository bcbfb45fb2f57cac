"""registrar/store/valkey.py: one server for each data directory, that dies with whoever started it."""

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from registrar.errors import ConfigurationError
from registrar.store.redis_client import connect
from registrar.store.valkey import EmbeddedValkey, socket_url
from tests.patience import limit
from tests.peers import procfs

pytestmark = pytest.mark.wire

PARENT = """
import asyncio, pathlib, sys, uvloop
from registrar.store.valkey import EmbeddedValkey

async def main():
    server = EmbeddedValkey(pathlib.Path(sys.argv[1]))
    print(await server.start(), flush=True)
    await server.run()

uvloop.run(main())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="embedded-") as name:
        yield Path(name)


@contextlib.asynccontextmanager
async def client(folder: Path) -> AsyncIterator[Redis]:
    redis = connect(socket_url(folder))
    try:
        yield redis
    finally:
        await redis.aclose()


async def answers(redis: Redis, within: float) -> int:
    """The server's process id, when it answers in time."""
    deadline = time.monotonic() + within
    while True:
        try:
            return int((await redis.info("server"))["process_id"])
        except Exception:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[EmbeddedValkey]:
    server = EmbeddedValkey(folder)
    assert await server.start()
    watch = asyncio.create_task(server.run())
    try:
        yield server
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        await server.stop()


async def test_it_serves_on_a_private_socket_and_ends_when_it_is_stopped(folder: Path) -> None:
    async with running(folder), client(folder) as redis:
        pid = await answers(redis, 5)
        assert (folder / "valkey.sock").stat().st_mode & 0o777 == 0o700
        settings = await redis.config_get("*")
        assert settings["port"] == "0"
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["save"] == ""
    assert not procfs.alive(pid)


async def test_what_it_acknowledged_is_there_at_the_next_start(folder: Path) -> None:
    async with running(folder), client(folder) as redis:
        await answers(redis, 5)
        await redis.set("key", "value")
    async with running(folder), client(folder) as redis:
        await answers(redis, 5)
        assert await redis.get("key") == "value"


async def test_the_second_start_uses_the_server_of_the_first(folder: Path) -> None:
    async with running(folder), client(folder) as redis:
        pid = await answers(redis, 5)
        second = EmbeddedValkey(folder)
        assert not await second.start()
        await second.stop()
        assert await answers(redis, 1) == pid
    async with running(folder):
        pass


async def test_when_its_owner_stops_another_process_takes_it_over(folder: Path) -> None:
    second = EmbeddedValkey(folder)
    async with client(folder) as redis:
        async with running(folder):
            pid = await answers(redis, 5)
            assert not await second.start()
            watch = asyncio.create_task(second.run())
        try:
            assert await answers(redis, 3) != pid
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
            await second.stop()


async def test_a_dead_server_is_started_again_within_a_second(folder: Path) -> None:
    async with running(folder), client(folder) as redis:
        pid = await answers(redis, 5)
        for _ in range(3):
            started = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            while (again := await answers(redis, 2)) == pid:
                await asyncio.sleep(0.01)
            assert time.monotonic() - started < limit(1)
            pid = again


@pytest.mark.parametrize("turns", range(8))
async def test_a_start_that_is_called_off_leaves_no_server_behind(folder: Path, turns: int) -> None:
    server = EmbeddedValkey(folder)
    start = asyncio.create_task(server.start())
    for _ in range(turns):
        await asyncio.sleep(0)
    start.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await start
    await server.stop()
    with (folder / "valkey.alive").open("a") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a server that lives holds it


async def test_a_server_that_cannot_live_does_not_keep_us_busy(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "appendonlydir").write_text("a file where the server wants a folder")
    async with running(folder):
        await asyncio.sleep(1)
        assert 1 <= len(caplog.records) <= 6


def test_it_does_not_outlive_a_parent_that_was_killed(folder: Path) -> None:
    for _ in range(3):
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "True\n", "a new start waits until the old server is gone"
            deadline = time.monotonic() + 5
            while len(procfs.tree(parent.pid)) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            (child,) = [pid for pid in procfs.tree(parent.pid) if pid != parent.pid]
            assert procfs.session(child) != procfs.session(parent.pid), "Ctrl-C must not reach it"
        finally:
            parent.kill()
            parent.wait()
            parent.stdout.close() if parent.stdout else None
        deadline = time.monotonic() + 1
        while procfs.alive(child):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_folder_too_deep_for_a_socket_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="REGISTRAR_DATA_DIR is too deep") as caught:
        socket_url(tmp_path / ("x" * 100))
    assert "\n" not in str(caught.value)
