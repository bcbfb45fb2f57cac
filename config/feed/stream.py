"""The messages of one stream: a snapshot, what was missed, then each event when it comes."""

from collections.abc import AsyncIterator
from typing import Final

from fastapi.sse import format_sse_event

from registrar.errors import StoreUnavailable

from .. import clock
from .hub import Hub, Trimmed
from .reader import CHUNK, Reader
from .told import Told

PING_SECONDS: Final = 15.0
Id = tuple[int, int]


def mark(id: Id) -> bytes:
    """Return a comment with a position. It is no event, but a client that resumes begins at this position."""
    return format_sse_event(comment="here", id=f"{id[0]}-{id[1]}")


async def messages(
    hub: Hub, reader: Reader, start: Id, missed: list[Told], snapshot: AsyncIterator[bytes] | None
) -> AsyncIterator[bytes]:
    """Yield the messages after the position `start`, until the stream must end.

    `missed` are the next events, if the ring does not have them any more.
    """
    if snapshot is None:
        yield mark(start)
    else:
        async for page in snapshot:
            yield page
    try:
        async for page in _catch_up(hub, reader, start, missed):
            yield page
    except (Trimmed, StoreUnavailable):
        return  # the client comes back, and gets 410 or 503
    async for page in _follow(hub, reader):
        yield page


async def _catch_up(hub: Hub, reader: Reader, last: Id, missed: list[Told]) -> AsyncIterator[bytes]:
    """Yield what the ring does not have any more, and set the reader's position."""
    while not hub.ring.covers(last) and not reader.over:
        found = missed or await hub.page_after(last)
        missed = []
        if found:
            last = found[-1].id
            yield b"".join([*reader.chosen(found), mark(last)])
        else:  # Redis has nothing between here and the beginning of the ring
            reader.position = hub.ring.first
            return
    reader.position = hub.ring.position(last)


async def _follow(hub: Hub, reader: Reader) -> AsyncIterator[bytes]:
    ring = hub.ring
    ping_at = clock.mono_now() + PING_SECONDS
    while not reader.over and reader.position >= ring.first:
        told = ring.since(reader.position, CHUNK)
        reader.position += len(told)
        chosen = reader.chosen(told)
        if chosen:
            yield b"".join(chosen)
        if reader.position < ring.last:
            continue
        now = clock.mono_now()
        if now >= ping_at:
            ping_at = now + PING_SECONDS
            yield mark(ring.newest)
            continue
        await reader.wait(ping_at - now)
