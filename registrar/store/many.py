"""Many small commands to Redis in one write, their answers read as they come.

A pipeline of redis-py arms a timer for each of its answers and packs each command by itself; for the status
of 1,000 phones that is most of the time. Here the caller's one timeout does, and the bytes are made at once.
"""

import math
from collections.abc import Iterable, Sequence

from redis.asyncio import Redis
from redis.exceptions import ResponseError


def command(*words: str | int) -> bytes:
    """One command as Redis reads it (RESP)."""
    texts = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(texts) + b"".join([b"$%d\r\n%b\r\n" % (len(text), text) for text in texts])


async def ask(redis: Redis, commands: Iterable[bytes]) -> list[object]:
    """The answer to each command, in order; an error answer is the exception itself, not raised.

    Whoever calls sets the timeout. Raises RedisError or OSError when Redis is away.
    """
    sent: Sequence[bytes] = list(commands)
    pool = redis.connection_pool
    connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py
    answers: list[object] = []
    try:
        await connection.send_packed_command([b"".join(sent)])
        for _ in sent:
            try:
                answers.append(await connection.read_response(timeout=math.inf))
            except ResponseError as error:
                answers.append(error)
    finally:
        if len(answers) < len(sent):  # what is still on its way must not be taken for another's answer
            await connection.disconnect(nowait=True)
        await pool.release(connection)
    return answers
