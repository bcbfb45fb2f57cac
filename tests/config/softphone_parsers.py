"""Readers of the files of softphones. They share nothing with the writers, and fail on unknown things."""

import re
import xml.etree.ElementTree as ElementTree
from typing import Final

import orjson

Read = dict[str, str]
LPCONFIG: Final = "{http://www.linphone.org/xsds/lpconfig.xsd}"


def linphone(text: str) -> Read:
    """`section/entry` -> value, as Linphone keeps it."""
    found: Read = {}
    root = ElementTree.fromstring(text.encode())
    assert root.tag == f"{LPCONFIG}config"
    for section in root:
        assert (section.tag, set(section.attrib)) == (f"{LPCONFIG}section", {"name"})
        for entry in section:
            assert (entry.tag, len(entry), entry.get("overwrite")) == (f"{LPCONFIG}entry", 0, "true")
            name = f"{section.get('name')}/{entry.get('name')}"
            assert name not in found
            found[name] = entry.text or ""
    return found


def elements(text: str, *path: str) -> Read:
    """Name of each element below `path` -> its text."""
    place = ElementTree.fromstring(text.encode())
    assert place.tag == path[0]
    for name in path[1:]:
        (place,) = place
        assert place.tag == name
    names = [one.tag for one in place]
    assert len(names) == len(set(names))
    assert not any(len(one) or one.attrib for one in place)
    return {one.tag: one.text or "" for one in place}


def ini(text: str) -> dict[str, Read]:
    """Section -> key -> value, as GetPrivateProfileString reads it, without blanks and a pair of quotes."""
    sections: dict[str, Read] = {}
    for line in re.split(r"\r\n|\r|\n|\0", text):
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            name = line[1:-1]
            assert name not in sections
            sections[name] = {}
        elif line and not line.startswith(";"):
            key, equals, value = line.partition("=")
            assert equals and key not in sections[name]
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            sections[name][key] = value[1:-1] if quoted else value
    return sections


def baresip(text: str) -> Read:
    """The parts of an account's line, as libre's `sip_addr_decode` and `msg_param_decode` take them apart."""
    (line, rest) = text.split("\n")
    assert not rest
    name, line = _display_name(line)
    match = re.match(r"<([^>]+)>", line)
    assert match is not None
    found = {"name": name, "uri": match[1]}
    for part in _parameters(line[match.end() :]):
        key, _, value = part.partition("=")
        assert key and key not in found
        found[key] = value.removeprefix('"').removesuffix('"')
    return found


def _display_name(line: str) -> tuple[str, str]:
    if not line.startswith('"'):
        return "", line
    name = ""
    at = 1
    while line[at] != '"':
        at += line[at] == "\\"
        name += line[at]
        at += 1
    return name, line[at + 1 :].lstrip(" \t")


def _parameters(text: str) -> list[str]:
    """Parts between semicolons; one in quotes ends none, a blank ends one."""
    parts: list[str] = []
    in_quotes = False
    for char in text:
        assert not char.isspace()
        in_quotes ^= char == '"'
        if char == ";" and not in_quotes:
            parts.append("")
        else:
            parts[-1] += char
    assert not in_quotes
    return parts


def json(text: str) -> dict[str, object]:
    found = orjson.loads(text)
    assert isinstance(found, dict)
    return found
