"""Strength of a password: long enough, and not one that is guessed first."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import Final

from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

LEAST_SCORE: Final = 2
"""The lowest accepted score of zxcvbn: below it, a million guesses are enough to find the password."""
JUDGED: Final = 16
"""Characters that are judged at once: the estimator takes seconds for a long text of odd characters."""
MAX_ABOUT: Final = 64
WORDS: Final = re.compile(r"\w{3,}")
COMMON: Final = 10_000
DIGITS: Final = "0123456789"
MAX_DIGITS: Final = 4


def weakness(password: str, least: int, about: Iterable[str] = ()) -> str | None:
    """Return what is wrong with a password, or None.

    `about` are words that a guesser would try first: the owner's name, number and address.
    """
    if len(password) < least:
        return f"The password needs at least {least} characters"
    parts = {password[:JUDGED], password[-JUDGED:]}
    words = _pieces(about)
    if any(_score(part, words) >= LEAST_SCORE for part in parts):
        return None
    return "The password is one of those that are guessed first: use several words, or random characters"


def common_passwords(about: Iterable[str] = ()) -> Iterator[str]:
    """Yield the first guesses of an attacker: words about the owner, common passwords, and short numbers."""
    yield from dict.fromkeys(word for word in about if word)
    yield from islice(FREQUENCY_LISTS["passwords"], COMMON)
    for length in range(1, MAX_DIGITS + 1):
        yield from map("".join, product(DIGITS, repeat=length))


def _pieces(about: Iterable[str]) -> list[str]:
    """Return the words and their parts, such as the local part of an address."""
    short = [word[:MAX_ABOUT] for word in about]
    return [piece for word in short for piece in (word, word.partition("@")[0], *WORDS.findall(word))]


def _score(part: str, about: list[str]) -> int:
    return int(zxcvbn(part, user_inputs=about)["score"])
