"""What the public keys in Redis say of phones, looked at each 20 ms while something happens to them."""

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from redis import Redis

from tests.wire.site import Handset, Site

POLL_SECONDS: Final = 0.02


@dataclass(frozen=True)
class Look:
    """What was found about one phone at one moment."""

    asked: float
    """Monotonic seconds, before the question was asked."""
    at: float
    """After the answer came."""
    online: bool
    """As the contract tells readers: bound, not run out, and the process of its connection lives."""
    state: str
    reason: str
    transport: str
    port: int


class Timeline:
    """Looks at phones again and again, in a thread of its own, for the length of a block."""

    def __init__(self, site: Site, handsets: Iterable[Handset] = ()) -> None:
        self._redis = _client(site)
        self._watched = [handset.id for handset in handsets]
        self._seen: dict[str, list[Look]] = {}
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self.polls = 0

    def of(self, handset: Handset, since: float = 0.0) -> list[Look]:
        """What was found of it when it was asked for after `since`."""
        return [look for look in self._seen[handset.id] if look.asked >= since]

    def offline(self, handset: Handset, since: float = 0.0) -> Look | None:
        """The first time after `since` that it was offline."""
        return next((look for look in self.of(handset, since) if not look.online), None)

    def back(self, handset: Handset, since: float) -> Look | None:
        """The first time that it was online again after it had been offline after `since`."""
        gone = self.offline(handset, since)
        return gone and next((look for look in self.of(handset, gone.at) if look.online), None)

    def _run(self) -> None:
        try:
            while not self._stop.wait(POLL_SECONDS):
                self._look()
        except BaseException as error:  # told to the test in its own thread
            self._failure = error
        finally:
            self._redis.close()

    def _look(self) -> None:
        asked = time.monotonic()
        pipeline = self._redis.pipeline(transaction=False)
        for phone in self._watched:
            pipeline.hgetall(f"registrar:status:{{{phone}}}")
        found: list[dict[str, str]] = pipeline.execute()
        leases = self._leases({fields["node"] for fields in found if fields.get("node")})
        at = time.monotonic()
        for phone, fields in zip(self._watched, found, strict=True):
            self._seen.setdefault(phone, []).append(_look(asked, at, fields, leases))
        self.polls += 1

    def _leases(self, nodes: set[str]) -> dict[str, str]:
        names = sorted(nodes)
        pipeline = self._redis.pipeline(transaction=False)
        for name in names:
            pipeline.get(f"registrar:node:{name}")
        leases = zip(names, pipeline.execute(), strict=True)
        return {name: json.loads(lease)["generation"] for name, lease in leases if lease}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure


def _look(asked: float, at: float, fields: dict[str, str], leases: dict[str, str]) -> Look:
    transport = fields.get("transport", "")
    alive = transport == "udp" or leases.get(fields.get("node", "")) == fields.get("generation")
    online = fields.get("online") == "1" and int(fields["expiresAt"]) > time.time() and alive
    state, reason = fields.get("state", ""), fields.get("reason", "")
    return Look(asked, at, online, state, reason, transport, int(fields.get("publicPort", 0)))


def _client(site: Site) -> Redis:
    url = site.settings.get("redis_url")
    if url:
        return Redis.from_url(url, decode_responses=True)
    return Redis(unix_socket_path=str(Path(site.settings["data_dir"]) / "valkey.sock"), decode_responses=True)
