"""The parameters of a request, from query string, form or JSON object; the body takes precedence."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData

from ..deps import CallerDep, parse_object
from ..errors import bad_request, unsupported
from ..operations.draft import Document
from ..request import JSON, MULTIPART, URLENCODED, is_json, media_type

MAX_KEYS: Final = 512
"""Limit for the query string and for the body; the longest known parameter list has 20, without arrays."""
TOO_MANY: Final = f"There are more than {MAX_KEYS} parameters"
MAX_INDEX_DIGITS: Final = 9
NAME: Final = re.compile(rf"([^\[\]]+)(?:\[([0-9]{{0,{MAX_INDEX_DIGITS}}})\])?")
"""`name`, `name[]` or `name[7]`"""
BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

Value = str | None
Pairs = Iterable[tuple[str, object]]


class Params:
    """The parameters of a request by name, independent of how they were sent."""

    def __init__(self, values: Mapping[str, tuple[Value, ...]]) -> None:
        self._values = values
        last = {name: given[-1] for name, given in values.items() if given}
        self.document: Final = Document(last)
        """Each parameter as a single value: of several values the last counts."""

    def one(self, name: str) -> Value:
        """Return the value of a parameter, or None if it was not sent or is empty."""
        given = self._values.get(name)
        return given[-1] if given else None

    def many(self, name: str) -> tuple[str, ...]:
        """Return all values of an array, in order and without empty ones."""
        return tuple(value for value in self._values.get(name, ()) if value is not None)


async def params(request: Request, _first: CallerDep) -> Params:
    """Return the parameters, which are read after authentication. Raise Refused (400, 413, 415)."""
    query = _gathered(_decoded(request.scope["query_string"], "query string"))
    return Params(query | _gathered(await _body(request)))


ParamsDep = Annotated[Params, Depends(params)]


async def _body(request: Request) -> Pairs:
    body = await request.body()
    if not body:
        return ()
    kind = media_type(request)
    if is_json(kind, body):
        return _flat(parse_object(body))
    if kind in (URLENCODED, ""):
        return _decoded(body, "body")
    if kind == MULTIPART:
        return await _multipart(request, body)
    raise unsupported(f"The body must be {URLENCODED}, {MULTIPART} or {JSON}")


def _decoded(text: bytes, what: str) -> Pairs:
    """Return the pairs of a text of the form `a=b&c=d`."""
    try:
        plain = text.decode()
        if BROKEN_ESCAPE.search(plain):
            raise ValueError
        return parse_qsl(plain, keep_blank_values=True, errors="strict", max_num_fields=MAX_KEYS)
    except UnicodeDecodeError:
        raise bad_request(f"The {what} is not in UTF-8") from None
    except ValueError:
        if text.count(b"&") >= MAX_KEYS:
            raise bad_request(TOO_MANY) from None
        raise bad_request(
            f"The {what} has a percent sign that is not followed by two hexadecimal digits"
        ) from None


async def _multipart(request: Request, body: bytes) -> Pairs:
    try:
        body.decode()  # files are refused, so the whole body must be text
    except UnicodeDecodeError:
        raise bad_request("The body is not in UTF-8") from None
    # The parser silently drops a truncated last part.
    _, options = parse_options_header(request.headers.get("content-type", ""))
    if b"--" + options.get(b"boundary", b"") + b"--" not in body:
        raise bad_request("The body ends before its last boundary")
    form: FormData = await request.form(max_files=0, max_fields=MAX_KEYS, max_part_size=len(body))
    return form.multi_items()


def _flat(body: Mapping[str, object]) -> Pairs:
    """Yield a JSON object as pairs; an array gives one pair for each of its values."""
    for name, value in body.items():
        if isinstance(value, list):
            bare = name.removesuffix("[]")
            yield f"{bare}[]", _NOTHING
            yield from ((f"{bare}[]", item) for item in value)
        else:
            yield name, value


_NOTHING: Final = object()
"""A marker for the start of an array, which may be empty."""


def _gathered(pairs: Pairs) -> dict[str, tuple[Value, ...]]:
    """Return values by name; an array value without an index follows the highest index before it."""
    found: dict[str, dict[int, Value]] = {}
    ends: dict[str, int] = defaultdict(int)
    for spelled, value in pairs:
        match = NAME.fullmatch(spelled)
        if match is None:
            if not spelled:
                continue
            raise bad_request(f"A parameter has a name that cannot be read: {spelled[:64]!r}")
        name, index = match[1], match[2]
        if name not in found and len(found) >= MAX_KEYS:
            raise bad_request(TOO_MANY)
        array = found.setdefault(name, {})
        if value is not _NOTHING:
            place = int(index) if index else ends[name]
            array[place] = _text(name, value)
            ends[name] = max(ends[name], place + 1)
    return {name: tuple(array[place] for place in sorted(array)) for name, array in found.items()}


def _text(name: str, value: object) -> Value:
    """Return a value as text, or None for an empty one."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | int | float):
        return str(value) or None
    if value is None:
        return None
    raise bad_request(f"{name[:64]!r} must be a text, a number or an array of them")
