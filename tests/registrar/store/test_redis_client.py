"""registrar/store/redis_client.py: the client of the API measures its commands, and not its waiting."""

import asyncio
from typing import Any

import pytest
import uvloop
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import ReadOnlyError

from registrar.errors import ConfigurationError
from registrar.store import event_stream, many
from registrar.store.redis_client import connect, connect_measured
from tests.contract.servers import running

pytestmark = pytest.mark.wire


async def test_commands_are_measured_and_those_that_wait_are_not() -> None:
    with running("valkey") as server:
        redis = connect_measured(server.url)
        await redis.set("a", "1")
        assert await redis.get("a") == "1"
        await redis.xread({"stream": "0"}, block=20)
        assert await event_stream.read_after(redis, event_stream.FIRST) == []
        assert sum(redis.took.counts) == 2
        assert 0 < redis.took.total < 1
        await redis.aclose()


async def test_a_command_that_failed_took_its_time() -> None:
    redis = connect_measured("unix:///nowhere/at/all")
    with pytest.raises(NoConnection):
        await redis.get("a")
    assert sum(redis.took.counts) == 1


def test_a_wrong_url_is_refused_before_it_is_used() -> None:
    for made in (connect, connect_measured):
        with pytest.raises(ConfigurationError):
            made("http://localhost")


def test_a_connection_that_the_server_closed_is_a_fault_of_the_store() -> None:
    """With uvloop a late write is a RuntimeError, which would end the process: a node died of it."""

    async def write_after_the_end() -> None:
        closed = asyncio.Event()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await closed.wait()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = connect(f"redis://127.0.0.1:{port}/0")
        pool: Any = client.connection_pool
        connection = pool.make_connection()
        connection.lib_name = connection.lib_version = connection.driver_info = None  # no greeting
        await connection.connect()
        closed.set()
        transport = connection._writer.transport
        transport.abort()
        await asyncio.sleep(0.05)
        with pytest.raises(RuntimeError, match="closed"):
            transport.writelines([b"PING"])
        with pytest.raises(NoConnection):
            await connection.send_command("PING")
        server.close()
        await client.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(write_after_the_end())


async def test_a_server_that_became_a_replica_is_left() -> None:
    """A command, a pipeline and many at once: the next one has a new connection, which may lead elsewhere."""
    with running("redis") as server:
        redis = connect(server.url)
        await redis.set("a", "1")
        await redis.replicaof("127.0.0.1", 9)

        async def a_command() -> object:
            return await redis.set("a", "2")

        async def a_pipeline() -> object:
            pipeline = redis.pipeline(transaction=False)
            pipeline.set("a", "2")
            return await pipeline.execute()

        async def many_at_once() -> object:
            (answer,) = await many.ask(redis, [many.command("SET", "a", "2")])
            assert isinstance(answer, Exception)
            raise answer

        for write in (a_command, a_pipeline, many_at_once):
            first = await redis.client_id()
            assert await redis.client_id() == first
            with pytest.raises(ReadOnlyError):
                await write()
            assert await redis.client_id() != first
        await redis.aclose()
