"""One rtpengine: whether it is up, its answers as descriptions, and the sessions that it is to delete."""

import asyncio
import logging
import string
from typing import Final

from registrar.errors import MediaRefused, StoreUnavailable
from registrar.metrics import Metrics

from .ng import Decoded, Encodable, Ng

PING_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 1.0
MAX_REMEMBERED: Final = 20_000
"""Sessions to delete when the engine is back. The engine ends older ones by itself, because they get no
packets."""
DELETED_AT_ONCE: Final = 8
MAX_REASON: Final = 120
REFUSED: Final = "the media relay refuses the session description"
FULL: Final = "Ran out of ports"
LOST: Final = "Unknown call-id"
"""The engine was restarted after the session was made."""
PRINTABLE: Final = frozenset(string.ascii_letters + string.digits + string.punctuation + " ") - {'"', "\\"}

log = logging.getLogger(__name__)


def engine_name(host: str, port: int) -> str:
    """Return the name of the engine as in REGISTRAR_RTPENGINE, in metrics and in logs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Exhausted(StoreUnavailable):
    """Error of an engine that is up but has no room for another session."""


class Engine:
    """One engine of the configuration. It counts as up until it fails, and again when it answers a ping."""

    def __init__(self, host: str, port: int, metrics: Metrics) -> None:
        self.name = engine_name(host, port)
        self.up = True
        self._ng = Ng(host, port)
        self._metrics = metrics
        self._to_delete: dict[str, None] = {}
        """Sessions to delete, in the order of their ends."""
        self._wake = asyncio.Event()

    async def command(self, name: str, **arguments: Encodable) -> dict[bytes, Decoded]:
        """Return the answer. If the engine does not answer, mark it as down and raise StoreUnavailable."""
        begin = asyncio.get_running_loop().time()
        try:
            answer = await self._ng.command(name, **arguments)
        except StoreUnavailable as error:
            self._metrics.media_commands(name, "unanswered")
            self._is_up(False, str(error))
            raise
        self._metrics.media_seconds.observe(asyncio.get_running_loop().time() - begin)
        self._metrics.media_commands(name, "error" if answer.get(b"result") == b"error" else "ok")
        return answer

    async def described(self, name: str, **arguments: Encodable) -> bytes:
        """Return the description in the engine's answer. Raises MediaRefused, Exhausted, StoreUnavailable."""
        answer = await self.command(name, **arguments)
        result, text = answer.get(b"result"), answer.get(b"sdp")
        if result == b"ok" and isinstance(text, bytes):
            return text
        reason = _line(answer.get(b"error-reason"))
        if result != b"error" or reason == FULL:
            raise Exhausted(f"media engine {self.name}: {reason or _line(result)}")
        if reason == LOST:
            raise StoreUnavailable(f"media engine {self.name} does not know the session")
        raise MediaRefused(reason or REFUSED)

    def forget(self, session: str) -> None:
        """Delete a session, now or when the engine is back."""
        self._to_delete[session] = None
        if len(self._to_delete) > MAX_REMEMBERED:
            del self._to_delete[next(iter(self._to_delete))]
            self._metrics.media_sessions("left")
        self._wake.set()

    def keep(self, session: str) -> None:
        """Do not delete a session that is in use again."""
        self._to_delete.pop(session, None)

    async def watch(self) -> None:
        """Ping the engine each second, until cancelled."""
        while True:
            try:
                answer = await self.command("ping")
                self._is_up(answer.get(b"result") == b"pong", "no pong")
            except StoreUnavailable:
                self._ng.close()  # its host name may resolve to another address by now
            await asyncio.sleep(PING_SECONDS)

    async def delete_all(self) -> None:
        """Delete each session that `forget` names, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._delete_remembered()

    async def close(self) -> None:
        """Delete the remaining sessions within `CLOSE_SECONDS`, then close the socket.

        Send no more commands after it.
        """
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._delete_remembered()
        except TimeoutError:
            log.info("media engine %s: %d sessions not deleted", self.name, len(self._to_delete))
        self._ng.close()

    async def _delete_remembered(self) -> None:
        while self.up and self._to_delete:
            sessions = list(self._to_delete)[:DELETED_AT_ONCE]
            await asyncio.gather(*map(self._delete, sessions))

    async def _delete(self, session: str) -> None:
        try:
            await self.command("delete", call_id=session, delete_delay=0)
        except StoreUnavailable:
            return  # it stays remembered, and the engine is down
        if session in self._to_delete:
            del self._to_delete[session]
            self._metrics.media_sessions("deleted")

    def _is_up(self, up: bool, why: str) -> None:
        self._metrics.media_engine_up.labels(self.name).set(up)
        if up == self.up:
            return
        self.up = up
        if up:
            log.info("media engine %s is back", self.name)
            self._wake.set()
        else:
            log.warning("media engine %s is away: %s", self.name, why)


def _line(value: "Decoded | None") -> str:
    """Return text of the engine in a form that is safe in a log and in a quoted string of SIP."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else ""
    return "".join(letter for letter in text if letter in PRINTABLE)[:MAX_REASON]
