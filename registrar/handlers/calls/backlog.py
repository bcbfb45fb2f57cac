"""Responses that wait for their body: the media relay or the database is asked, one after the other."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from registrar.errors import MalformedMessage, MediaRefused, RedirectionRefused, StoreUnavailable
from registrar.sip import Response

from ..answers import BUSY
from .rewriter import MessageRewriter

UNREADABLE: Final = 502

log = logging.getLogger(__name__)


@dataclass(slots=True)
class BodyRefused:
    """The reason why a body could not be made."""

    status: int
    warning: str


Body = bytes | BodyRefused | None
"""The body of a response; None: it keeps its own."""


class Backlog:
    """The responses of one request that wait, in the order in which they came."""

    def __init__(
        self,
        rewriter: MessageRewriter,
        takes_time: Callable[[int, Response], bool],
        hear: Callable[[int, Response, Body], None],
    ) -> None:
        """Create an empty backlog.

        `takes_time` returns whether a response still needs a body when its turn comes. `hear` handles a
        response with its body.
        """
        self._rewriter = rewriter
        self._takes_time = takes_time
        self._hear = hear
        self._waiting: deque[tuple[int, Response]] = deque()

    def add(self, number: int, response: Response) -> bool:
        """Add a response of a branch, and return whether it is the only one: then run `work_off`."""
        self._waiting.append((number, response))
        return len(self._waiting) == 1

    async def work_off(self) -> None:
        """Handle the responses until none waits."""
        while self._waiting:
            number, response = self._waiting[0]
            body = await self._body(number, response)
            try:
                self._hear(number, response, body)
            except Exception:  # a bug of our own must not block the responses after it
                log.exception("a response could not be passed on")
            self._waiting.popleft()

    async def _body(self, number: int, response: Response) -> Body:
        try:
            return await self._rewriter.body(number, response) if self._takes_time(number, response) else None
        except (MediaRefused, RedirectionRefused, StoreUnavailable) as error:
            log.warning("a response does not pass as it is: %s", error)
            return refusal(error)
        except MalformedMessage as fault:  # another name: in compiled code, a name has one type
            log.debug("a response that cannot be read: %s", fault)
            return BodyRefused(UNREADABLE, "")
        except Exception:  # the same: the responses after it must be processed
            log.exception("a response could not be made")
            return BodyRefused(500, "")


def refusal(error: MediaRefused | RedirectionRefused | StoreUnavailable) -> BodyRefused:
    """Return the refusal for an error of the relay or of a store."""
    if isinstance(error, StoreUnavailable):
        return BodyRefused(BUSY.status, str(error))
    return BodyRefused(488 if isinstance(error, MediaRefused) else 480, str(error))
