"""A stand-in for a SIP process: it has calls in Redis, and ends those that it is told to end."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self
from uuid import uuid4

from redis import Redis
from redis.client import PubSub

from registrar.model import Call, CallState, Party
from registrar.store import keys
from registrar.store.call_codec import encode

POLL_SECONDS: Final = 0.1


class Switchboard:
    """Writes calls as `registrar serve` does; `running` gives one that listens."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @classmethod
    @contextmanager
    def running(cls, url: str) -> Iterator[Self]:
        """Listen on `registrar:hangup` for the length of the block."""
        with Redis.from_url(url, decode_responses=True) as redis, redis.pubsub() as channel:
            channel.subscribe(keys.HANGUP)
            board = cls(redis)
            stop = threading.Event()
            thread = threading.Thread(target=board._serve, args=(channel, stop))
            thread.start()
            try:
                yield board
            finally:
                stop.set()
                thread.join()

    def call(self, customer: str) -> str:
        """A call of this customer that rings; its id."""
        id = uuid4().hex
        now = time.time()
        call = Call(
            id, f"{id}@phone", customer, "", Party("", "200"), Party("", "201"), CallState.RINGING, now
        )
        for name, value in encode(call).items():
            self._redis.hset(keys.call(id), name, value)
        for listed in (keys.calls(customer), keys.CALLS):
            self._redis.zadd(listed, {id: now + keys.CALL_SECONDS})
        return id

    def _serve(self, channel: PubSub, stop: threading.Event) -> None:
        while not stop.is_set():
            message = channel.get_message(ignore_subscribe_messages=True, timeout=POLL_SECONDS)
            if message:
                self._redis.delete(keys.call(json.loads(message["data"])["call"]))
