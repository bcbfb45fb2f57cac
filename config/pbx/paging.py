"""`offset`, `limit` and the other words of a list's query (clamped: no list refuses them)."""

from typing import Final

from starlette.datastructures import QueryParams

from ..operations.listing import Page

DEFAULT_LIMIT: Final = 50
MAX_OFFSET: Final = 2**31 - 1


def read_page(params: QueryParams, default_limit: int, max_limit: int) -> Page:
    """What the query asks for, inside its limits."""
    return Page(
        offset=clamped(params.get("offset"), 0, 0, MAX_OFFSET),
        limit=clamped(params.get("limit"), default_limit, 1, max_limit),
        text=params.get("filter", "").strip(),
        sort=params.get("sort", "").strip().lower(),
        customer=params.get("customer") or None,
    )


def clamped(text: str | None, default: int, low: int, high: int) -> int:
    """The number in `text`, moved into its limits; the default when it is none."""
    digits = (text or "").strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return default
    number = int(digits[:12]) * (-1 if "-" in (text or "") else 1)
    return min(max(number, low), high)


def is_true(text: str | None) -> bool:
    """`true` and `1` are true, all else is not."""
    return (text or "").lower() in ("true", "1")
