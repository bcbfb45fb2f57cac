"""The lines that `registrar status --watch` prints. No event is lost while Redis is away."""

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Final

from redis.asyncio import Redis

from registrar.store import event_stream

LOOK_SECONDS: Final = 2.0
MAX_USER_AGENT: Final = 60


class Entry(event_stream.Entry):
    """One entry of the stream, with the texts that are printed about it."""

    def concerns(self, words: Iterable[str]) -> bool:
        """Return whether the event is about a phone, a person or a number among `words`."""
        named = {*self.phones, *map(self.fields.get, ("caller", "callee", "via", "person"))} - {"", None}
        return not named.isdisjoint(words)

    def json(self, username: str, extension: str) -> dict[str, object]:
        """Return the fields of the stream, with numbers as numbers, and the phone's username and number."""
        about = {"id": self.id, "username": username, "extensionNumber": extension or None}
        return about | self.values()

    def line(self, username: str, extension: str) -> str:
        """Return one line: local time, event, phone, reason, address and transport, User-Agent.

        For a call, add the callee, and how long it rang and how long it lasted. For a call that waits, add
        the number of the queue or group, its position, and how long it has waited.
        """
        get = self.fields.get
        count = "" if get("count", "1") in ("", "1") else f"x{get('count')}"
        by = f"by {get('by')}" if get("by") else ""
        callee = f"to {get('callee') or '?'}" if "calleePhone" in self.fields or get("callee") else ""
        at = f"at {get('via')}" if get("place") else ""
        position = f"position {get('position')}" if get("position") else ""
        waited = f"waited {get('waitedSeconds')} s" if get("waitedSeconds") else ""
        rang = f"rang {get('ringSeconds')} s" if get("ringSeconds") else ""
        talked = f"talked {get('talkSeconds')} s" if get("talkSeconds") else ""
        words = (
            _local(get("time", "")),
            f"{get('event', ''):<12}",
            f"{extension or get('caller') or '-'}/{username or self.phone or get('person', '')}",
            at,
            callee,
            get("reason", ""),
            get("status", ""),
            rang,
            talked,
            position,
            waited,
            _place(get("ip", ""), get("port", "")),
            get("transport", ""),
            visible(get("userAgent", ""))[:MAX_USER_AGENT],
            count,
            by,
        )
        return visible("  ".join(word for word in words if word)).rstrip()


def visible(text: str) -> str:
    """Return `text` without non-printable characters.

    Text from a peer may contain characters that move the cursor or reverse a line.
    """
    return "".join(character for character in text if character.isprintable())


async def after(redis: Redis, last: str, tell: Callable[[str], None]) -> AsyncIterator[list[Entry]]:
    """Yield the entries after `last`, without end.

    Call `tell` once when Redis goes away, and once when it is back.
    """

    def told(why: str) -> None:
        tell(f"Redis is away: {visible(why)}" if why else "Redis is back")

    async for entries in event_stream.after(redis, last, told):
        yield [Entry(entry.id, entry.fields) for entry in entries]


def _local(time: str) -> str:
    try:
        return datetime.fromtimestamp(int(time)).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "-"


def _place(ip: str, port: str) -> str:
    host = f"[{ip}]" if ":" in ip else ip
    return f"{host}:{port}" if port not in ("", "0") else host
