"""Log lines: text on a terminal, one JSON object a line elsewhere; never a secret, never a whole message."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line; fields given with `extra=` stand beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        } | _extra(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Terminal(logging.Formatter):
    """One line for people; control characters of peers cannot move the cursor."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        clock = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        extra = " ".join(f"{name}={value}" for name, value in _extra(record).items())
        text = f"{clock} {record.levelname.lower():7} {record.getMessage()} {extra}".rstrip()
        text = "".join(character if character.isprintable() else "?" for character in text)
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def configure(level: str, *, terminal: bool) -> None:
    """Send all logs to standard error; standard output belongs to the answers of commands."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Terminal() if terminal else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn.access", "uvicorn.error", "alembic", "asyncio", "redis", "aiosqlite"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}
