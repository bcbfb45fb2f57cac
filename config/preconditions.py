"""ETag, If-Match and If-None-Match: the version that a client has seen (RFC 9110 8.8.3 and 13.1).

An ETag is made of the versions of the rows that the configuration of an object consists of. `changing`
carries out a change with If-Match: it reads and compares the versions in the transaction of the change, and
locks their rows until its end, so that no other change can come between.
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
"""Suffix of the ETag of a compressed response, which is another representation (RFC 9110 8.8.3.3)."""
DIGEST_BYTES: Final = 16

Edition = tuple[int, ...]
"""The versions of the rows that a representation is made of."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Tags:
    """The ETags in a header, without their quotation marks."""

    strong: frozenset[str]
    weak: frozenset[str]
    any: bool = False
    """Set for `*`, which matches any representation."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The precondition of a change. A value is None if its header was not sent."""

    match: Tags | None = None
    none_match: Tags | None = None

    def refuse(self, edition: Edition | None) -> None:
        """Raise Refused (412) unless an object of this edition may be changed. None: it has no ETag.

        If-Match compares strongly, so a weak tag never matches.
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
    """The columns and rows of the versions that an ETag is made of."""

    columns: Sequence[InstrumentedAttribute[int]]
    """One version for each table, starting with the object's own table. The rows are locked in this order."""
    source: FromClause
    where: ColumnElement[bool]


def read_condition(request: Request) -> Condition:
    """Return the precondition in the headers of a change."""
    return Condition(_tags(request, "if-match"), _tags(request, "if-none-match"))


def etag(edition: Edition) -> str:
    """Return the ETag of an edition, without its quotation marks."""
    return "-".join(map(str, edition))


async def changing(
    engine: AsyncEngine,
    condition: Condition,
    target: Target | None,
    work: Callable[[AsyncSession], Awaitable[Result]],
    last: Callable[[], Awaitable[None]],
) -> Result:
    """Do `work` as `database.writing` does, if the condition holds for the target. None: it has no ETag.

    `last` is done just before the commit. If it fails, nothing is written to the database.

    Raise Refused (412). An error of `work` comes first, so that a 412 tells nothing about objects that the
    caller may not see.
    """

    async def guarded(session: AsyncSession) -> Result:
        edition = None if target is None or condition == UNCONDITIONAL else await _held(session, target)
        done = await work(session)
        condition.refuse(edition)
        await session.flush()
        await last()
        return done

    return await writing(engine, guarded)


def tagged(request: Request, answer: Response, edition: Edition) -> Response:
    """Return the response with its ETag, or a 304 if the client has it. It must contain no live values."""
    return _validated(request, answer, etag(edition))


def tagged_by_content(request: Request, answer: Response) -> Response:
    """Return a list with the hash of its content as ETag, or a 304. A list has no version of its own."""
    return _validated(request, answer, blake2b(answer.body, digest_size=DIGEST_BYTES).hexdigest())


def with_etag(answer: Response, edition: Edition) -> Response:
    """Return the response with the ETag of its configuration. Its live values change without the ETag."""
    answer.headers["ETag"] = f'"{etag(edition)}"'
    return answer


def _validated(request: Request, answer: Response, tag: str) -> Response:
    # The client may keep it, but must revalidate before each use. Each person gets another response.
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    known = _tags(request, "if-none-match")
    if known is not None and (known.any or tag in known.strong | known.weak):
        has_coded = f'"{tag}{CODED}"' in request.headers["if-none-match"]
        return Response(status_code=304, headers=headers | ({"ETag": f'"{tag}{CODED}"'} if has_coded else {}))
    answer.headers.update(headers)
    return answer


async def _held(session: AsyncSession, target: Target) -> Edition:
    """Return the versions, and lock their rows against other writers until the transaction ends."""
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
