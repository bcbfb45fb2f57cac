"""Parsers of configuration files that the writers do not share: each returns the settings in order.

They read as a lenient phone would: any line end of any alphabet ends a line, any order of attributes is
right, and blanks around names and values are dropped.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Final

Setting = tuple[str, str]
_LINE_ENDS: Final = re.compile("\r\n|[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029\0]")


class Malformed(AssertionError):
    """A phone would not understand the file."""


def _lines(text: str) -> Iterator[str]:
    for line in _LINE_ENDS.split(text):
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def parse_equals(text: str) -> list[Setting]:
    if not text.startswith("#!version:1.0.0.1\n"):
        raise Malformed("no version")
    return [_cut(line, "=") for line in _lines(text)]


def parse_colon(text: str) -> list[Setting]:
    return [_unquoted(*_cut(line, ":")) for line in _lines(text)]


def _unquoted(name: str, value: str) -> Setting:
    return name, value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def parse_ini(text: str) -> list[Setting]:
    settings, section = [], ""
    for line in _lines(text):
        if line.startswith("[") and line.endswith("]") and " " not in line:
            section = line[1:-1]
        else:
            name, value = _cut(line, " ")
            settings.append((f"{section}/{name}", value))
    return settings


def _cut(line: str, separator: str) -> Setting:
    name, found, value = line.partition(separator)
    if not found:
        raise Malformed(f"no {separator!r} in {line!r}")
    return name.strip(), value.strip()


def _root(text: str, *path: str) -> ET.Element:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Malformed("a document type")
    element = ET.fromstring(text.encode())
    if element.tag != path[0]:
        raise Malformed(element.tag)
    for tag in path[1:]:
        found = element.findall(tag)
        if len(found) != 1:
            raise Malformed(f"{len(found)} of {tag}")
        element = found[0]
    return element


def _key(element: ET.Element, *left: str) -> str:
    attributes = [f"{name}={value}" for name, value in sorted(element.attrib.items()) if name not in left]
    return " ".join([element.tag, *attributes])


def _flat(element: ET.Element) -> Iterator[Setting]:
    for child in element:
        if len(child):
            raise Malformed(f"elements in {child.tag}")
        yield _key(child, "label"), child.text or ""
        if "label" in child.attrib:
            yield _key(child, "label") + "/label", child.attrib["label"]


def parse_snom(text: str) -> list[Setting]:
    root = _root(text, "settings")
    if not {child.tag for child in root} <= {"phone-settings", "functionKeys"}:
        raise Malformed(str([child.tag for child in root]))
    return [setting for part in root for setting in _flat(part)]


def parse_flat(text: str) -> list[Setting]:
    return list(_flat(_root(text, "flat-profile")))


def parse_gs(text: str) -> list[Setting]:
    root = _root(text, "gs_provision")
    if [child.tag for child in root] not in (["mac", "config"], ["config"]):
        raise Malformed("children of gs_provision")
    items = _root(text, "gs_provision", "config")
    if any(child.tag != "item" or set(child.attrib) != {"name"} or len(child) for child in items):
        raise Malformed("not an item")
    return [("mac", child.text or "") for child in root if child.tag == "mac"] + [
        (child.attrib["name"], child.text or "") for child in items
    ]


def parse_params(text: str) -> list[Setting]:
    settings: list[Setting] = []
    for child in _root(text, "provisioning", "nvm"):
        if child.tag == "oper":
            settings.append((f"oper {child.attrib['name']}", child.attrib.get("value", "")))
            settings += [(one.attrib["name"], one.attrib["value"]) for one in child]
        elif child.tag == "param" and set(child.attrib) == {"name", "value"} and not len(child):
            settings.append((child.attrib["name"], child.attrib["value"]))
        else:
            raise Malformed(child.tag)
    return settings


def parse_symbols(text: str) -> list[Setting]:
    settings: list[Setting] = []
    for child in _root(text, "ProviderFrame", "Provider"):
        name = child.attrib.get("ID", child.tag)
        settings.append((name, _symbol(child.attrib["value"])))
    return settings


def _symbol(value: str) -> str:
    """Read the inner quoting: a text ends at the next quote, and nothing may follow."""
    if not value.startswith('"'):
        return value
    text, _, behind = value[1:].partition('"')
    if behind or "\\" in text:
        raise Malformed(value)
    return text


PARSERS: Final[dict[str, Callable[[str], list[Setting]]]] = {
    "snom": parse_snom,
    "snom8": parse_snom,
    "snom-dect": parse_snom,
    "mitel": parse_colon,
    "yealink": parse_equals,
    "yealink-dect": parse_equals,
    "gigaset-n510": parse_symbols,
    "gigaset-nx70": parse_params,
    "maxwell": parse_params,
    "grandstream": parse_gs,
    "spa": parse_flat,
    "mpp": parse_flat,
    "lg": parse_ini,
}
