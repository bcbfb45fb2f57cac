"""A JSON object as it was sent, read by dotted names: `ip.mode` is `{"ip": {"mode": ...}}`."""

from collections.abc import Mapping
from enum import Enum
from typing import Final, Literal


class Sent(Enum):
    """The mark of a property that was not sent, which differs from one that was sent as null."""

    NOT = "not sent"


NOT_SENT: Final = Sent.NOT
MAX_PARTS: Final = 5
"""Limit of parts in a key with dots; no known property has more."""


class Document:
    """The body of a request. Unknown properties are never read, and so ignored.

    A key with dots is a path as well: `{"ip.mode": ...}` is `{"ip": {"mode": ...}}`. If a body has both, the
    key with more dots wins.
    """

    def __init__(self, body: Mapping[str, object]) -> None:
        self._body = _nested(body)

    def get(self, path: str) -> object | Literal[Sent.NOT]:
        """Return the value at `path`, or NOT_SENT if it, or an object on the way to it, is missing."""
        value: object = self._body
        for name in path.split("."):
            if not isinstance(value, Mapping) or name not in value:
                return NOT_SENT
            value = value[name]
        return value

    def given(self, path: str) -> object:
        """Return the value at `path`, or None if it was not sent."""
        value = self.get(path)
        return None if value is NOT_SENT else value

    def sent(self, path: str) -> bool:
        """Return True if the property was sent with a value other than null."""
        return self.get(path) not in (NOT_SENT, None)

    def misshapen(self, groups: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of the `groups` that were sent as something other than an object."""
        return tuple(
            group for group in groups if self.sent(group) and not isinstance(self.get(group), Mapping)
        )


def _nested(body: Mapping[str, object]) -> dict[str, object]:
    """Return a copy with an object for each dot in a key. All objects are new: `_put` may write to them."""
    whole = {name: _nested(value) if isinstance(value, Mapping) else value for name, value in body.items()}
    nested = {name: value for name, value in whole.items() if "." not in name}
    for name in sorted((name for name in whole if "." in name), key=lambda name: name.count(".")):
        _put(nested, name.split("."), whole[name])
    return nested


def _put(into: dict[str, object], path: list[str], value: object) -> None:
    """Set the value at the path, unless a part of the path is not an object; its own check refuses that."""
    if len(path) > MAX_PARTS or "" in path:
        return
    for name in path[:-1]:
        inner = into.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        into = inner
    into[path[-1]] = value
