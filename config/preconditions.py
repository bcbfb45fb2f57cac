"""ETag, If-Match and If-None-Match: which version of a thing a client has seen (RFC 9110 8.8.3 and 13.1).

The ETag of a thing is made of the versions of the rows that its configuration is made of. `changing` carries
out a change that has If-Match: it reads and compares the versions in the transaction of the change, and holds
their rows until it ends, so no other change can come between.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeVar

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import ColumnElement, FromClause, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from .database import writing
from .errors import precondition_failed

TAG: Final = re.compile(r'(W/)?"([^"\x00-\x20\x7f]*)"')
CODED: Final = "-gzip"
"""The end of the ETag of a compressed answer, which is another representation (RFC 9110 8.8.3.3)."""
DIGEST_BYTES: Final = 16

Edition = tuple[int, ...]
"""The versions of the rows that a representation is made of."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Tags:
    """The ETags that a header names, without their quotation marks."""

    strong: frozenset[str]
    weak: frozenset[str]
    any: bool = False
    """`*`: whatever there is."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a change depends on; None: the header was not sent."""

    match: Tags | None = None
    none_match: Tags | None = None

    def refuse(self, edition: Edition | None) -> None:
        """Raise Refused (412) unless a thing of this edition may be changed. None: it has no ETag.

        If-Match compares strongly: a weak tag names no version.
        """
        tag = None if edition is None else etag(edition)
        if self.match is not None and not self.match.any and tag not in self.match.strong:
            raise precondition_failed()
        if self.none_match is None or tag is None:
            return
        if self.none_match.any or tag in self.none_match.strong | self.none_match.weak:
            raise precondition_failed()


UNCONDITIONAL: Final = Condition()


@dataclass(frozen=True, slots=True)
class Target:
    """Where the versions stand that the ETag of one thing is made of."""

    columns: Sequence[InstrumentedAttribute[int]]
    """One version for each table, the table of the thing itself first: rows are locked in this order."""
    source: FromClause
    where: ColumnElement[bool]


def read_condition(request: Request) -> Condition:
    """What the headers of a change say."""
    return Condition(_tags(request, "if-match"), _tags(request, "if-none-match"))


def etag(edition: Edition) -> str:
    """The ETag of an edition, without its quotation marks."""
    return "-".join(map(str, edition))


async def changing(
    engine: AsyncEngine,
    condition: Condition,
    target: Target | None,
    work: Callable[[AsyncSession], Awaitable[Result]],
) -> Result:
    """Do `work` as `database.writing` does, if the condition holds for the target; None: it has no ETag.

    Raises Refused (412), but what `work` raises comes first: 412 tells nothing of what is out of sight.
    """

    async def guarded(session: AsyncSession) -> Result:
        edition = None if target is None or condition == UNCONDITIONAL else await _held(session, target)
        done = await work(session)
        condition.refuse(edition)
        return done

    return await writing(engine, guarded)


def tagged(request: Request, answer: Response, edition: Edition) -> Response:
    """The answer with its ETag, or 304 when the client has it already. It must hold nothing that is live."""
    return _validated(request, answer, etag(edition))


def tagged_by_content(request: Request, answer: Response) -> Response:
    """A list with the ETag of what it says, for it has no version of its own; or 304."""
    return _validated(request, answer, blake2b(answer.body, digest_size=DIGEST_BYTES).hexdigest())


def with_etag(answer: Response, edition: Edition) -> Response:
    """The answer with the ETag of its configuration; what is live in it changes without the ETag."""
    answer.headers["ETag"] = f'"{etag(edition)}"'
    return answer


def _validated(request: Request, answer: Response, tag: str) -> Response:
    # The client may keep it, but must ask before each use; and another person's answer is another one.
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    known = _tags(request, "if-none-match")
    if known is not None and (known.any or tag in known.strong | known.weak):
        has_coded = f'"{tag}{CODED}"' in request.headers["if-none-match"]
        return Response(status_code=304, headers=headers | ({"ETag": f'"{tag}{CODED}"'} if has_coded else {}))
    answer.headers.update(headers)
    return answer


async def _held(session: AsyncSession, target: Target) -> Edition:
    """The versions, whose rows are held against other writers until the transaction ends."""
    versions = []
    for column in target.columns:
        table = column.class_
        rows = select(table.id).select_from(target.source).where(target.where).correlate(None)
        statement = select(column).where(table.id.in_(rows)).with_for_update()
        versions.append(await session.scalar(statement) or 0)
    return tuple(versions)


def _tags(request: Request, header: str) -> Tags | None:
    given = request.headers.getlist(header)
    if not given:
        return None
    text = ",".join(given)
    found = [(bool(weak), tag.removesuffix(CODED)) for weak, tag in TAG.findall(text)]
    strong = frozenset(tag for weak, tag in found if not weak)
    return Tags(strong, frozenset(tag for weak, tag in found if weak), text.strip() == "*")
