"""The query of a list: numbers are moved into their limits, unknown words are refused."""

import re
from collections.abc import Collection
from typing import Final

from starlette.datastructures import QueryParams

from ..errors import Problem, Refused
from ..operations.listing import Page

DEFAULT_LIMIT: Final = 50
MAX_OFFSET: Final = 2**31 - 1
NUMBER: Final = re.compile(r"-?[0-9]+")
MAX_DIGITS: Final = 18
"""Further digits make a number no larger than any limit."""
FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


def read_page(params: QueryParams, default_limit: int, max_limit: int, sorts: Collection[str] = ()) -> Page:
    """What the query asks for, inside its limits. Raises Refused (400) for a word that is not known."""
    return Page(
        offset=clamped(params, "offset", 0, 0, MAX_OFFSET),
        limit=clamped(params, "limit", default_limit, 1, max_limit),
        text=params.get("filter", "").strip(),
        sort=word(params, "sort", sorts),
        customer=params.get("customer") or None,
    )


def clamped(params: QueryParams, name: str, default: int, low: int, high: int) -> int:
    """The number that the query has, moved into its limits. Raises Refused (400) when it is no number."""
    text = params.get(name, "").strip()
    if not text:
        return default
    if NUMBER.fullmatch(text) is None:
        raise unknown(name, "must be a whole number")
    return min(max(int(text[:MAX_DIGITS]), low), high)


def word(params: QueryParams, name: str, options: Collection[str]) -> str:
    """One of a few words in lower case; empty when it was not sent. Raises Refused (400) for another one."""
    sent = params.get(name, "").strip().lower()
    if sent and sent not in options:
        raise unknown(name, f"must be one of {', '.join(options)}" if options else "is not known here")
    return sent


def flag(params: QueryParams, name: str) -> bool:
    """true or 1, false or 0, by default false. Raises Refused (400) for another word."""
    sent = params.get(name, "").strip().lower()
    if sent and sent not in FLAGS:
        raise unknown(name, "must be true or false")
    return FLAGS.get(sent, False)


def unknown(name: str, message: str) -> Refused:
    """The query says something that this route does not know."""
    return Refused(Problem(400, name, f"{name} {message}", name, "enum"))
