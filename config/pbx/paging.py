"""The query of a list: numbers are clamped to their limits, unknown words are refused."""

import re
from collections.abc import Collection
from typing import Final

from starlette.datastructures import QueryParams

from ..operations.listing import Page
from ..words import read_flag, read_word, unknown

DEFAULT_LIMIT: Final = 50
MAX_OFFSET: Final = 2**31 - 1
NUMBER: Final = re.compile(r"-?[0-9]+")
MAX_DIGITS: Final = 18
"""Limit of digits that are read; more digits than that exceed every limit anyway."""


def read_page(params: QueryParams, default_limit: int, max_limit: int, sorts: Collection[str] = ()) -> Page:
    """Return the page that the query asks for, clamped to its limits.

    Raise Refused (400) for a word that is not known.
    """
    return Page(
        offset=clamped(params, "offset", 0, 0, MAX_OFFSET),
        limit=clamped(params, "limit", default_limit, 1, max_limit),
        text=params.get("filter", "").strip(),
        sort=word(params, "sort", sorts),
        customer=params.get("customer") or None,
    )


def clamped(params: QueryParams, name: str, default: int, low: int, high: int) -> int:
    """Return a number of the query, clamped to its limits. Raise Refused (400) if it is not a number."""
    text = params.get(name, "").strip()
    if not text:
        return default
    if NUMBER.fullmatch(text) is None:
        raise unknown(name, "must be a whole number")
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    digits = digits.lstrip("0")[:MAX_DIGITS] or "0"  # leading zeros are no digits that count
    return min(max(int(sign + digits), low), high)


def word(params: QueryParams, name: str, options: Collection[str]) -> str:
    """Return a word of the query in lower case, or "" if none was sent. Raise Refused (400) for another."""
    return read_word(params.get(name), name, options)


def flag(params: QueryParams, name: str) -> bool:
    """Return True for true or 1, False for false, 0 or nothing. Raise Refused (400) for another word."""
    return bool(read_flag(params.get(name), name))
