"""Log lines: text on a terminal, else one JSON object per line; never a secret, never a whole message."""

import asyncio
import json
import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

from registrar.model import Epoch, Flow, Phone
from registrar.rules.destination import dialled_word
from registrar.sip import Request

FLUSH_SECONDS: Final = 0.2
SELDOM_SECONDS: Final = 1.0
MAX_A_SECOND: Final = 20
"""Maximum number of lines about wrong passwords per second, because peers may cause any number."""
MAX_SOURCES: Final = 1_000
MAX_ACCOUNT: Final = 128
MAX_DIALLED: Final = 128
MAX_LINES: Final = 1_000
"""Maximum number of finished requests that wait for their line; beyond it, they are only counted."""

passwords = logging.getLogger("registrar.passwords")
REDACTED: Final = "<redacted>"
SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization"})
_SECRET_LINE: Final = re.compile(r"\s*(a\s*=\s*(?:crypto|key-mgmt|ice-pwd)\s*:|k\s*=).*", re.IGNORECASE)

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_dump = json.JSONEncoder(default=str).encode
Fields = dict[str, object]


def json_line(at: float, level: str, logger: str, message: str, fields: Fields) -> str:
    """Return one JSON object; control characters of peers are escaped."""
    time = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return _dump({"time": time, "level": level, "logger": logger, "message": message} | fields)


def terminal_line(at: float, level: str, logger: str, message: str, fields: Fields) -> str:
    """Return one line for people; control characters of peers cannot move the cursor."""
    clock = datetime.fromtimestamp(at).strftime("%H:%M:%S")
    extra = " ".join(f"{name}={value}" for name, value in fields.items() if value != "")
    return _visible(f"{clock} {level:7} {message} {extra}".rstrip())


def _visible(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


Line = Callable[[float, str, str, str, Fields], str]


class Lines(logging.Formatter):
    """A formatter that turns the standard library's records into our lines."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record; fields that were given with `extra=` are beside the message."""
        fields = {name: value for name, value in vars(record).items() if name not in _OWN}
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if trace and self._line is json_line:
            fields["exception"] = trace
        level = record.levelname.lower()
        line = self._line(record.created, level, record.name, record.getMessage(), fields)
        if not trace or self._line is json_line:
            return line
        return "\n".join([line, *map(_visible, trace.split("\n"))])


class Seldom(logging.Filter):
    """A filter that passes one record per second: peers can cause a library's log records at any rate."""

    def __init__(self) -> None:
        super().__init__()
        self._last = float("-inf")
        self._held = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record may pass; it then says how many were held back since the last one."""
        if self._last <= record.created < self._last + SELDOM_SECONDS:
            self._held += 1
            return False
        if self._held:
            record.msg, record.args = f"{record.getMessage()} ({self._held} more before it)", None
        self._last, self._held = record.created, 0
        return True


def redacted(data: bytes) -> str:
    """Return a SIP message as text for troubleshooting, without its secrets.

    The secrets are: proofs of identity (Authorization), the keys of media (a=crypto, a=key-mgmt, k=,
    a=ice-pwd), and messages between people (a body that is not a session description). The length of such a
    body stays visible.
    """
    head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
    shown: list[str] = []
    hidden = is_sdp = False
    for line in head.split("\r\n"):
        if not line.startswith((" ", "\t")):  # a folded line belongs to the header before it
            name, _, value = line.partition(":")
            name = name.strip().lower()
            hidden = name in SECRET_HEADERS
            is_sdp = is_sdp or (name in ("content-type", "c") and "sdp" in value.lower())
            shown.append(f"{name}: {REDACTED}" if hidden else line)
        elif not hidden:
            shown.append(line)
    return "\n".join([*shown, "", _redacted_body(body, is_sdp=is_sdp)])


def _redacted_body(body: str, *, is_sdp: bool) -> str:
    if not is_sdp:
        return f"{REDACTED} ({len(body)} characters)" if body else ""
    return "\n".join([_SECRET_LINE.sub(rf"\1{REDACTED}", line) for line in body.splitlines()])


class RequestLines:
    """One line for each finished request. Lines are written together: hundreds per second cost one write."""

    def __init__(self, line: Line = json_line, stream: TextIO = sys.stderr, *, enabled: bool = True) -> None:
        self._line = line
        self._stream = stream
        self._enabled = enabled
        self._waiting: list[str] = []
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None

    def finished(
        self,
        request: Request,
        flow: Flow,
        phone: Phone,
        status: int,
        at: Epoch,
        seconds: float,
        why: str = "",
    ) -> None:
        """Note that a request of `phone` was answered with `status` at `at`, after `seconds`.

        `why` says what was wrong with the request.
        """
        if not self._enabled:
            return
        if len(self._waiting) >= MAX_LINES:
            self._dropped += 1
            return
        fields: Fields = {
            "phone": phone.id,
            "customer": phone.customer,
            "extension": phone.extension,
            "source": f"{flow.remote_ip}:{flow.remote_port}",
            "transport": flow.transport,
            "milliseconds": round(seconds * 1000, 1),
            "callId": request.call_id[:128],
        }
        if request.method == "INVITE":
            fields["dialled"] = dialled_word(request.uri)[:MAX_DIALLED]
        if why:
            fields["reason"] = why
        message = f"{request.method} {status}"
        self._waiting.append(self._line(at, "info", "registrar.request", message, fields))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write the lines that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._stream.write("\n".join(self._waiting) + "\n")
            self._stream.flush()
            self._waiting.clear()
        if self._dropped:
            logging.getLogger(__name__).warning("%d finished requests have no line", self._dropped)
            self._dropped = 0


class WrongPasswordLines:
    """One line for each wrong password, at most `MAX_A_SECOND`; the others of that second share one line.

    The text is a contract with deploy/fail2ban: the address comes first, then the words chosen by the peer.
    """

    def __init__(self) -> None:
        self._said = 0
        self._held = 0
        self._sources: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def note(self, address: str, account: str, transport: str, agent: str, reason: str) -> None:
        """Note a wrong password from `address` for `account`; `reason` is one of our words."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SELDOM_SECONDS, self.flush)
        if self._said < MAX_A_SECOND:
            self._said += 1
            fields = {
                "address": address,
                "account": account[:MAX_ACCOUNT],
                "transport": transport,
                "userAgent": agent,
                "reason": reason,
            }
            passwords.warning("wrong password", extra=fields)
            return
        self._held += 1
        if len(self._sources) < MAX_SOURCES:
            self._sources.add(address)

    def flush(self) -> None:
        """End the second: log how many wrong passwords had no line."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held:
            passwords.warning(
                "more wrong passwords", extra={"count": self._held, "addresses": len(self._sources)}
            )
        self._said = self._held = 0
        self._sources.clear()


def configure(level: str, *, terminal: bool) -> RequestLines:
    """Send all logs to standard error, and return the lines of finished requests.

    Standard output is for the results of commands.
    """
    line = terminal_line if terminal else json_line
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(line))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn.access", "uvicorn.error", "alembic", "asyncio", "redis", "aiosqlite"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for provoked in ("asyncio", "uvicorn.error", "registrar.websocket"):
        logging.getLogger(provoked).filters[:] = [Seldom()]
    return RequestLines(line, enabled=root.isEnabledFor(logging.INFO))
