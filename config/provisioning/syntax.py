"""The syntaxes of text files: one writer each. None of them knows an escape, so values are refused."""

from collections.abc import Iterable

from ..extras.check import CONTROLS
from .draft import Pair, Unwritable


def equals(pairs: Iterable[Pair]) -> str:
    """Return lines `name = value`, as Yealink reads them. `%NULL%` would reset a setting."""
    return "".join(f"{one.name} = {plain(one, '%NULL%')}\n" for one in pairs)


def colon(pairs: Iterable[Pair]) -> str:
    """Return lines `name: value`, as Mitel reads them. `$$X$$` would be replaced, quotes removed."""
    return "".join(f"{one.name}: {unquoted(plain(one, '$$'), one)}\n" for one in pairs)


def ini(sections: Iterable[tuple[str, Iterable[Pair]]]) -> str:
    """Return sections of lines `name value`, as LG reads them. Empty values are not written."""
    lines: list[str] = []
    for section, pairs in sections:
        written = [f"{one.name} {plain(one, chr(34))}\n" for one in pairs if one.value]
        if written:
            lines += [f"[{section}]\n", *written]
    return "".join(lines)


def plain(pair: Pair, *forbidden: str) -> str:
    """Return a value that goes into a line as it is, or raise `Unwritable`."""
    value = clean(pair)
    if value != value.strip():
        raise Unwritable(pair.subject, "this phone would drop the blanks at the ends of the value")
    for text in forbidden:
        if text in value:
            raise Unwritable(pair.subject, f"{text} has a meaning of its own to this phone")
    return value


def unquoted(value: str, pair: Pair) -> str:
    """Return a value unless it begins with a quote, which the phone would remove."""
    if value[:1] in ('"', "'"):
        raise Unwritable(pair.subject, "this phone would drop the quote at the start of the value")
    return value


def clean(pair: Pair) -> str:
    """Return a value without control characters, or raise `Unwritable`: a line end would be a new setting."""
    if CONTROLS.search(pair.value):
        raise Unwritable(pair.subject, "the value has characters that no configuration file can hold")
    return pair.value
