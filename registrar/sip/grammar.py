"""Elements of the SIP grammar for every header: tokens, quoted strings, lists (RFC 3261 section 25.1).

Every repetition in the patterns of this package is possessive, so that matching takes linear time.
"""

import re
from typing import Final

from registrar.errors import MalformedMessage

TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]++"
QUOTED_CONTENT: Final = r'[^"\\]*+(?:\\[^\r\n][^"\\]*+)*+'
QUOTED: Final = rf'"{QUOTED_CONTENT}"'
LWS: Final = " \t"

_TOKEN: Final = re.compile(TOKEN)
# Quotes and brackets match as a whole, so that a separator inside them does not separate.
_WORD: Final = re.compile(rf'{QUOTED}|<[^<>]*+>|[^"<>,;]++|[,;]')
_WHOLE: Final = re.compile(rf"{QUOTED}|<[^<>]*+>")
# A character that is not part of a parameter matches alone, with an empty name, so findall skips nothing.
_PARAM: Final = re.compile(
    rf";[ \t]*+({TOKEN})[ \t]*+(?:=[ \t]*+({QUOTED}|[^\x00-\x20\x7f;\",<>]++)[ \t]*+)?+|.", re.DOTALL
)
_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_PAIRED: Final = re.compile(r'["\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f]')

Params = tuple[tuple[str, str | None], ...]
"""Parameters in wire order: name in lower case, value as written (with quotes), or None if there is no
value."""


def is_token(text: str) -> bool:
    """Return whether `text` is one `token`."""
    return _TOKEN.fullmatch(text) is not None


def split(text: str, separator: str) -> list[str]:
    """Return the trimmed pieces of `text` between separators outside quotes and angle brackets.

    The separator is `,` or `;`. Raise MalformedMessage for a quote or bracket that is not closed.
    """
    if '"' not in text and "<" not in text and ">" not in text:
        return [piece.strip(LWS) for piece in text.split(separator)]
    pieces: list[str] = []
    start = position = 0
    while position < len(text):
        word = _WORD.match(text, position)
        if word is None:
            raise MalformedMessage(f"quote or bracket not closed: {text[:80]!r}")
        if word.group() == separator:
            pieces.append(text[start:position].strip(LWS))
            start = word.end()
        position = word.end()
    pieces.append(text[start:].strip(LWS))
    return pieces


def first(text: str, separator: str) -> str:
    """Return the first piece that `split` would return, and read no further. Raise the same errors."""
    if '"' not in text and "<" not in text and ">" not in text:
        return text.partition(separator)[0].strip(LWS)
    position = 0
    while position < len(text):
        word = _WORD.match(text, position)
        if word is None:
            raise MalformedMessage(f"quote or bracket not closed: {text[:80]!r}")
        if word.group() == separator:
            break
        position = word.end()
    return text[:position].strip(LWS)


def pieces(text: str, separator: str) -> int:
    """Return the number of pieces that `split` would return, at the cost of one search."""
    if '"' in text or "<" in text:
        text = _WHOLE.sub("", text)
    return text.count(separator) + 1


def parse_params(text: str) -> Params:
    """Return the `;name=value` parameters of a header. Raise MalformedMessage for any other text."""
    params = tuple([(name.lower(), value or None) for name, value in _PARAM.findall(text)])
    for name, _ in params:
        if not name:
            raise MalformedMessage(f"bad parameters: {text[:80]!r}")
    return params


def format_params(params: Params) -> str:
    """Return the text of parameters; the inverse of `parse_params`."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def param(params: Params, name: str) -> str | None:
    """Return the value of the first parameter `name`, empty if it has no value, or None if it is absent."""
    for key, value in params:
        if key == name:
            return value if value is not None else ""
    return None


def unquote(text: str) -> str:
    """Return the content of a quoted string, or the text itself if it is not quoted."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _PAIR.sub(r"\1", inner) if "\\" in inner else inner


def quote(text: str) -> str:
    """Return `text` as a quoted string. A line break is not allowed in one and becomes a space."""
    text = text.replace("\r", " ").replace("\n", " ")
    return '"' + _PAIRED.sub(r"\\\g<0>", text) + '"'
