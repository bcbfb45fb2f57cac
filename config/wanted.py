"""Which phones a list asks for by their state, and the words of the index of states that answer it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from registrar.model import Reason
from registrar.rules.standing import NO_TRANSPORT

from .words import read_flag, read_word

TRANSPORTS: Final = ("udp", "tcp", "tls", "ws", "wss")
OFFLINE_REASONS: Final = tuple(str(reason) for reason in Reason if reason is not Reason.REGISTERED)


class State(StrEnum):
    """The states by which a list of phones can be filtered."""

    REGISTERED = "registered"
    OFFLINE = "offline"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The phones that a list asks for; a filter that is None admits all."""

    state: State | None = None
    reason: str | None = None
    transport: str | None = None
    online: bool | None = None

    @property
    def is_any(self) -> bool:
        """Return whether nothing was asked for."""
        return self == Wanted()

    def has(self, word: "Word") -> bool:
        """Return whether phones with this word in the index are wanted."""
        state = State.REGISTERED if word.online else State.OFFLINE
        return (
            self.state in (None, state)
            and self.reason in (None, word.reason)
            and self.transport in (None, word.transport)
            and self.online in (None, word.online)
        )

    @property
    def has_unknown(self) -> bool:
        """Return whether phones that are not in the index are wanted: they have no reason and transport."""
        named = self.reason is not None or self.transport is not None
        return self.state in (None, State.NEVER) and not self.online and not named


@dataclass(frozen=True, slots=True)
class Word:
    """The words of the index that many phones share."""

    kind: str
    """`p` for phones, `u` for SIP users."""
    reason: str
    transport: str
    """Empty if it is not known."""

    @property
    def online(self) -> bool:
        """Return whether the phones are online."""
        return self.reason == Reason.REGISTERED

    def __str__(self) -> str:
        return f"{self.kind} {self.reason} {self.transport or NO_TRANSPORT}"


def read_wanted(get: Callable[[str], str | None]) -> Wanted:
    """Return the filters by state; `get` returns a parameter. Raise Refused (400) for an unknown word."""
    state = read_word(get("state"), "state", tuple(State))
    return Wanted(
        State(state) if state else None,
        read_word(get("reason"), "reason", tuple(Reason)) or None,
        read_word(get("transport"), "transport", TRANSPORTS) or None,
        read_flag(get("online"), "online"),
    )
