"""registrar/store/notified_redis.py: a result and the end of its list are written by one command."""

import asyncio
from pathlib import Path

from registrar.rules.notify import KEPT_SECONDS, Outcome, Result, parse_result
from registrar.store import keys
from registrar.store.notified_redis import RedisNotified
from registrar.store.redis_client import connect
from registrar.store.redis_wire import Argument
from registrar.store.script_runner import ClientRunner
from tests.peers.redis import RedisServer
from tests.wire.need import need

HEARD = Result(Outcome.ANSWERED, 200, "OK")


class Counted(ClientRunner):
    """Counts its commands."""

    commands = 0

    def command(self, *words: Argument) -> None:
        self.commands += 1
        super().command(*words)


async def test_a_result_has_an_end_from_the_start(tmp_path: Path) -> None:
    need("redis-server", "redis-cli")
    with RedisServer(tmp_path) as server:
        redis = connect(server.url)
        try:
            runner = Counted(redis)
            RedisNotified(runner).add("a1", HEARD)
            while not (found := await redis.lrange(keys.notified("a1"), 0, -1)):
                await asyncio.sleep(0.01)
            seconds = await redis.ttl(keys.notified("a1"))
        finally:
            await redis.aclose()
    assert [parse_result(str(text)) for text in found] == [HEARD]
    assert runner.commands == 1
    assert 0 < seconds <= KEPT_SECONDS
