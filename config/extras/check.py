"""The check of extra lines: `configurationTemplate` of a model, and `customConfig` of a phone.

It is pure. The API asks before it stores a text, and a writer before it uses one.
"""

import re
from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

from .denied import COLON, EQUALS, INI, XML, is_denied

MAX_EXTRA: Final = 16_384
"""The longest text of extra lines, in characters: a page of settings has about 2,000."""
NAMES: Final = ("number", "name", "domain", "mac", "serial")
"""The names of the placeholders."""
PLACEHOLDER: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
"""Characters that no value of a file has: controls, separators of lines, halves of pairs, no characters."""
_BREAK: Final = re.compile(r"\r\n|\r|\n")
"""The end of a line, as editors and the parser of XML count them. Other separators are control characters."""
_MARK: Final = "\u2400"
"""Stands for a placeholder while a text is checked: no name can have this character."""

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


def lines_of(text: str) -> list[str]:
    """Return the lines of a text without their ends; there is none after the last end."""
    found = _BREAK.split(text)
    return found if found[-1] else found[:-1]


def problem(writer: str, text: str) -> str:
    """Return why these extra lines cannot be used, with the number of the line, or an empty text."""
    syntax = SYNTAXES.get(writer)
    if syntax is None or not text.strip():
        return ""
    if len(text) > MAX_EXTRA:
        return f"more than {MAX_EXTRA} characters"
    for found in PLACEHOLDER.finditer(text):
        number = len(_BREAK.findall(text, 0, found.start())) + 1
        if _BREAK.search(found[0]):  # else the lines behind it would have other numbers
            return f"line {number}: a placeholder is in one line"
        if found[1] not in NAMES:
            return f"line {number}: {{{{ {found[1]} }}}} is not one of {', '.join(NAMES)}"
    for number, line in enumerate(lines_of(text), 1):
        if CONTROLS.search(line.replace("\t", " ")):
            return f"line {number}: control characters"
    tried = PLACEHOLDER.sub(_MARK, text)
    return _xml_problem(tried) if syntax == XML else _lines_problem(syntax, tried)


def _lines_problem(syntax: str, text: str) -> str:
    separator = _SEPARATORS[syntax]
    for number, written_line in enumerate(lines_of(text), 1):
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
    reader = _Reader()
    try:
        reader.read(text)
    except (expat.ExpatError, ValueError) as error:
        return f"not well-formed XML: {_where(error)}"
    return (reader.problems or [""])[0]


def _where(error: Exception) -> str:
    """Return what the parser says and the line: its column counts what stands around the text, too."""
    if isinstance(error, expat.ExpatError):
        return f"line {error.lineno}: {expat.errors.messages[error.code]}"
    return str(error)


class _Reader:
    """Reads elements, and knows where it is: text that is directly in the file would be in no element."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._depth = 0
        self._parser = parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.CommentHandler = self._comment
        parser.StartDoctypeDeclHandler = self._refuse
        parser.ProcessingInstructionHandler = self._refuse
        parser.StartCdataSectionHandler = self._refuse

    def read(self, text: str) -> None:
        """Note the problems of a text. Raise ExpatError or ValueError if it is not well-formed."""
        try:
            self._parser.Parse(f"<extra>{text}</extra>", True)
        finally:
            del self._parser  # it has our methods: break the reference cycle

    def _wrong(self, message: str) -> None:
        self.problems.append(f"line {self._parser.CurrentLineNumber}: {message}")

    def _refuse(self, *_: object) -> None:
        self._wrong("only elements, texts and comments are allowed")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:  # ours
            return
        for name in (tag, attributes.get("name", ""), attributes.get("ID", "")):
            if _MARK in name:
                self._wrong("a placeholder cannot be part of a name")
            elif is_denied(XML, name):
                self._wrong(f"{name} belongs to the account or to provisioning")

    def _end(self, _tag: str) -> None:
        self._depth -= 1

    def _text(self, text: str) -> None:
        if self._depth < 2 and text.strip():
            self._wrong("text that is in no element")

    def _comment(self, text: str) -> None:
        if _MARK in text:
            self._wrong("a placeholder cannot be in a comment")
