"""The sentinels of Redis: which server takes writes now, and when it is another one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Final

import hiredis

from registrar.errors import StoreUnavailable

from .redis_url import Address, Place

LOOK_SECONDS: Final = 1.0
"""How often one of them is asked while everything works. A master that was cut off from them goes on taking
writes, which are lost, and closes no connection."""
ASK_SECONDS: Final = 1.0
"""A sentinel that has not answered by then is taken for away."""
CHUNK: Final = 65_536

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Master:
    """What one sentinel says of the master."""

    place: Place
    epoch: int
    """Grows with each failover: of two sentinels that disagree, the one with the greater number is right."""
    is_down: bool


class Sentinels:
    """All sentinels of one installation. A connection lasts for one question, so there is none to close."""

    def __init__(self, address: Address) -> None:
        """Create it; nothing is opened. Raises ConfigurationError if the certificates cannot be read."""
        self._address = address
        self._tls = address.tls_context()
        self._turns = cycle(address.sentinels)
        self._named: Master | None = None
        """The master that was named last."""
        self._left_for: Master | None = None
        """The master to which `watch` has sent all connections; those from before may be at another one."""

    async def master(self) -> Place:
        """Return where the master is. Raises StoreUnavailable if it is down, or no sentinel answers.

        All are asked at once, and more than half of the answers are enough: one of these took part in the
        last failover.
        """
        newest = max(await self._answers(), key=lambda one: (one.epoch, not one.is_down))
        if newest.is_down:
            host, port = newest.place
            raise StoreUnavailable(f"the sentinels say that {host}:{port} is down")
        self._named = newest
        return newest.place

    async def watch(self, moved: Callable[[], Awaitable[None]]) -> None:
        """Ask one sentinel after the other, and call `moved` when the master is another one."""
        for place in self._turns:
            await asyncio.sleep(LOOK_SECONDS)
            found, named = await self._try(place), self._named
            if not isinstance(found, Master) or named is None:
                continue
            if self._left_for is None:
                self._left_for = named
            if found.epoch > self._left_for.epoch and found.place != self._left_for.place:
                log.debug("the sentinels have made another server the master: %s:%d", *found.place)
                self._left_for = found
                if found.epoch > named.epoch:
                    self._named = found
                await moved()

    async def _answers(self) -> list[Master]:
        asked = [asyncio.create_task(self._try(place)) for place in self._address.sentinels]
        found: list[Master] = []
        faults: list[str] = []
        try:
            for answer in asyncio.as_completed(asked):
                told = await answer
                if isinstance(told, str):
                    faults.append(told)
                    continue
                found.append(told)
                if len(found) > len(asked) // 2:
                    break
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)  # their connections are closed
        if not found:
            raise StoreUnavailable("no sentinel knows the master: " + "; ".join(faults))
        return found

    async def _try(self, place: Place) -> Master | str:
        """Return what a sentinel says, or why it says nothing."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await self._ask(place)
        except (OSError, ValueError, LookupError, EOFError, hiredis.HiredisError) as error:
            return f"{place[0]}:{place[1]}: {str(error) or type(error).__name__}"

    async def _ask(self, place: Place) -> Master:
        reader, writer = await asyncio.open_connection(*place, ssl=self._tls)
        try:
            user, password = self._address.sentinel_username, self._address.sentinel_password
            commands: list[tuple[str, ...]] = [("SENTINEL", "MASTER", self._address.master)]
            if password:
                commands.insert(0, ("AUTH", *filter(None, (user, password))))
            # The stub of hiredis has a tuple of one item; the function takes any number.
            packed = [hiredis.pack_command(one) for one in commands]  # type: ignore[arg-type]  # the stub
            writer.writelines(packed)
            answer: object = None
            answers = hiredis.Reader()
            for _ in commands:
                answer = await _answer(reader, answers)
        finally:
            writer.transport.abort()
        return _master(answer)


async def _answer(reader: asyncio.StreamReader, answers: hiredis.Reader) -> object:
    """Return the next answer. Raises EOFError, and ReplyError if it is an error."""
    while (answer := answers.gets()) is False:
        data = await reader.read(CHUNK)
        if not data:
            raise EOFError("connection closed")
        answers.feed(data)
    if isinstance(answer, hiredis.ReplyError):
        raise answer
    return answer


def _master(answer: object) -> Master:
    """Return the master in an answer. Raises ValueError or LookupError if it is not about one."""
    found = answer if isinstance(answer, list) else []
    words = [word.decode() for word in found if isinstance(word, bytes)]
    about = dict(zip(words[::2], words[1::2], strict=True))
    is_down = not {"s_down", "o_down"}.isdisjoint(about["flags"].split(","))
    return Master((about["ip"], int(about["port"])), int(about["config-epoch"]), is_down)
