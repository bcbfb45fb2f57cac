"""Configurations that cannot be written: each is told once, although its phone asks again and again."""

import logging
from typing import Final

MAX_TOLD: Final = 10_000
"""Phones that are remembered; the one that was told first makes room."""

log = logging.getLogger(__name__)


class Faults:
    """What is wrong with which phone, as the log knows it."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def found(self, phone: str, cause: str) -> None:
        """Log why the configuration of a phone cannot be written: as an error if that is new."""
        is_known = self._told.get(phone) == cause
        log.log(
            logging.DEBUG if is_known else logging.ERROR,
            "the configuration of %s cannot be written: %s",
            phone,
            cause,
        )
        if not is_known:
            self._told.pop(phone, None)
            while len(self._told) >= MAX_TOLD:
                del self._told[next(iter(self._told))]
            self._told[phone] = cause

    def gone(self, phone: str) -> None:
        """Note that the configuration of a phone can be written: the next fault is new."""
        self._told.pop(phone, None)
