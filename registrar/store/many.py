"""Many small commands to Redis in one write; the answers are read as they arrive.

A pipeline of redis-py starts a timer for each answer and packs each command by itself. For the status of
1,000 phones that takes most of the time. Here the caller sets one timeout, and the bytes are joined once.
"""

import asyncio
import math
from collections.abc import Iterable, Sequence

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from .redis_client import MeasuredRedis, takes_no_writes


def command(*words: str | int) -> bytes:
    """Return one command in the format of Redis (RESP)."""
    texts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(texts) + b"".join([b"$%d\r\n%b\r\n" % (len(text), text) for text in texts])


async def ask(redis: Redis, commands: Iterable[bytes]) -> list[object]:
    """Return the answer to each command, in order. An error answer is returned as its exception, not raised.

    The caller sets the timeout. A measured client counts all of them as one command. Raises RedisError or
    OSError if Redis is away.
    """
    sent: Sequence[bytes] = list(commands)
    pool = redis.connection_pool
    connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py
    answers: list[object] = []
    is_replica = False
    now = asyncio.get_running_loop().time
    begun = now()
    try:
        await connection.send_packed_command([b"".join(sent)])
        for _ in sent:
            try:
                answers.append(await connection.read_response(timeout=math.inf))
            except ResponseError as error:
                answers.append(error)
                is_replica = is_replica or takes_no_writes(error)
    finally:
        # A late answer must not reach the next user of the connection, and a replica is left.
        if len(answers) < len(sent) or is_replica:
            await connection.disconnect(nowait=True)
        await pool.release(connection)
        if isinstance(redis, MeasuredRedis):
            redis.took.add(now() - begun)
    return answers
