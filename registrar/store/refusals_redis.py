"""Index in Redis of the addresses from which a customer's phones were refused, for people (docs/redis.md)."""

from typing import Final

from . import keys
from .script_runner import Runner
from .scripts import REFUSED

MAX_ADDRESSES: Final = 1_000
"""Limit of addresses of one customer; those that were refused last are kept."""
MAX_PHONES: Final = 10
"""Limit of phones that are named for one address."""


def note(
    runner: Runner,
    customer: str,
    phone: str,
    address: str,
    reason: str,
    at: int,
    *,
    count: int = 1,
    wrong: bool,
) -> None:
    """Note refusals of a phone, or wrong passwords for it if `wrong`. The caller does not wait for it."""
    words = (at, address, reason, count, phone, keys.REFUSALS_SECONDS, MAX_ADDRESSES, MAX_PHONES)
    runner.tell(REFUSED, keys.refusals(customer), *words, "w" if wrong else "r")
