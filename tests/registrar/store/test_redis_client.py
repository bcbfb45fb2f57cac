"""registrar/store/redis_client.py: the client of the API measures its commands, and not its waiting."""

import pytest
from redis.exceptions import ConnectionError as NoConnection

from registrar.errors import ConfigurationError
from registrar.store import event_stream
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
