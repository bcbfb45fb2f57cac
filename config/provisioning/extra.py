"""Extra lines of a file: `configurationTemplate` of a model and `customConfig` of a phone.

They are text in the syntax of the phone, with a closed set of placeholders. They may not set accounts,
servers, passwords, or where the phone loads from.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final
from xml.parsers import expat

from .denied import COLON, EQUALS, INI, XML, is_denied
from .draft import Pair, Unwritable
from .markup import written
from .syntax import CONTROLS, plain, unquoted
from .view import Provisioned

MAX_EXTRA: Final = 16_384
"""The longest text of extra lines, in characters: a page of settings has about 2,000."""
_PLACEHOLDER: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_MARK: Final = "\u2400"
"""Stands for a placeholder while a text is checked: no name can have this character."""
_BEGIN: Final = "begin of the extra lines"
_END: Final = "end of the extra lines"

SYNTAXES: Final[Mapping[str, str]] = {
    "snom": XML,
    "snom8": XML,
    "snom-dect": XML,
    "mitel": COLON,
    "yealink": EQUALS,
    "yealink-dect": EQUALS,
    "gigaset-n510": XML,
    "gigaset-nx70": XML,
    "maxwell": XML,
    "grandstream": XML,
    "spa": XML,
    "mpp": XML,
    "lg": INI,
}
"""Writer -> the syntax of its extra lines."""
_SEPARATORS: Final = {COLON: ":", EQUALS: "=", INI: " "}


def problem(writer: str, text: str) -> str:
    """Return why these extra lines cannot be used, or an empty text. To check them before they are stored."""
    syntax = SYNTAXES.get(writer)
    if syntax is None or not text.strip():
        return ""
    if len(text) > MAX_EXTRA:
        return f"more than {MAX_EXTRA} characters"
    unknown = [name for name in _PLACEHOLDER.findall(text) if name not in PLACEHOLDERS]
    if unknown:
        return f"{{{{ {unknown[0]} }}}} is not one of {', '.join(PLACEHOLDERS)}"
    tried = _PLACEHOLDER.sub(_MARK, text)
    if any(CONTROLS.search(line.replace("\t", " ")) for line in tried.splitlines()):
        return "control characters"
    return _xml_problem(tried) if syntax == XML else _lines_problem(syntax, tried)


def extra_lines(phone: Provisioned) -> str:
    """Return the extra lines of a phone, placeholders replaced, between two comments."""
    parts = (("configurationTemplate", phone.extra), ("customConfig", phone.custom))
    return "".join(_part(phone, source, text) for source, text in parts if text.strip())


def _part(phone: Provisioned, source: str, text: str) -> str:
    reason = problem(phone.writer, text)
    if reason:
        raise Unwritable(source, reason)
    syntax = SYNTAXES[phone.writer]
    filled = _PLACEHOLDER.sub(lambda found: _value(phone, source, syntax, found[1]), text)
    lines = "\n".join(line.strip() if syntax != XML else line for line in filled.splitlines())
    if syntax == XML:
        return f"<!-- {source}: {_BEGIN} -->\n{lines}\n<!-- {source}: {_END} -->\n"
    return f"# {source}: {_BEGIN}\n{lines}\n# {source}: {_END}\n"


def _value(phone: Provisioned, source: str, syntax: str, name: str) -> str:
    pair = Pair(name, PLACEHOLDERS[name](phone).strip(), source)
    match syntax:
        case "xml":
            return written(pair)
        case "colon":
            return unquoted(plain(pair, "$$"), pair)
        case "equals":
            return plain(pair, "%NULL%")
        case _:
            return plain(pair, '"')


PLACEHOLDERS: Final[Mapping[str, Callable[[Provisioned], str]]] = {
    "number": lambda phone: phone.account.number,
    "name": lambda phone: phone.account.display_name,
    "domain": lambda phone: phone.account.domain,
    "mac": lambda phone: phone.mac,
    "serial": lambda phone: phone.serial,
}
"""What `{{ name }}` in extra lines may be."""


def _lines_problem(syntax: str, text: str) -> str:
    separator = _SEPARATORS[syntax]
    for number, written_line in enumerate(text.splitlines(), 1):
        line = written_line.strip()
        if not line or line.startswith("#") or (syntax == INI and re.fullmatch(r"\[[A-Z]+\]", line)):
            continue
        name, found, _ = line.partition(separator)
        name = re.sub(r"\s+", " ", name.strip(" \t!^")).lower()
        if not found or not name or not re.fullmatch(r"[a-z0-9][a-z0-9 ._-]*", name):
            return f"line {number} is not a comment and not `name{separator} value`"
        if is_denied(syntax, name):
            return f"line {number}: {name} belongs to the account or to provisioning"
    return ""


def _xml_problem(text: str) -> str:
    """Return why a text is not a list of elements that may be put into a file, or an empty text."""
    found: list[str] = []

    def refuse(*_: object) -> None:
        found.append("only elements, texts and comments are allowed")

    def start(tag: str, attributes: dict[str, str]) -> None:
        for name in (tag, attributes.get("name", ""), attributes.get("ID", "")):
            if _MARK in name:
                found.append("a placeholder cannot be part of a name")
            elif is_denied(XML, name):
                found.append(f"{name} belongs to the account or to provisioning")

    def comment(text: str) -> None:
        if _MARK in text:
            found.append("a placeholder cannot be in a comment")

    parser = expat.ParserCreate()
    depth = _Depth(start)
    parser.StartElementHandler = depth.start
    parser.EndElementHandler = depth.end
    parser.CharacterDataHandler = depth.text
    parser.CommentHandler = comment
    parser.StartDoctypeDeclHandler = refuse
    parser.ProcessingInstructionHandler = refuse
    parser.StartCdataSectionHandler = refuse
    try:
        parser.Parse(f"<extra>{text}</extra>", True)
    except (expat.ExpatError, ValueError) as error:
        return f"not well-formed XML: {error}"
    return (found or depth.problems or [""])[0]


class _Depth:
    """Knows where the parser is: text that is directly in the file would be in no element."""

    def __init__(self, start: Callable[[str, dict[str, str]], None]) -> None:
        self._start = start
        self._depth = 0
        self.problems: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > 1:
            self._start(tag, attributes)

    def end(self, _tag: str) -> None:
        self._depth -= 1

    def text(self, text: str) -> None:
        if self._depth < 2 and text.strip():
            self.problems.append("text that is in no element")
