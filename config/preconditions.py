"""ETag, If-Match and If-None-Match: the version that a client has seen (RFC 9110 8.8.3 and 13.1).

An ETag is made of the versions of the rows that the configuration of an object consists of. A change with
If-Match (`deps.Parts.change`) reads and compares the versions in its transaction, and locks their rows until
its end, so that no other change can come between.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import ColumnElement, FromClause, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from .errors import precondition_failed

TAG: Final = re.compile(r'(W/)?"([^"\x00-\x20\x7f]*)"')
CODED: Final = "-gzip"
"""Suffix of the ETag of a compressed response, which is another representation (RFC 9110 8.8.3.3)."""
DIGEST_BYTES: Final = 16

Edition = tuple[int, ...]
"""The versions of the rows that a representation is made of."""
Tags = frozenset[str]
"""The ETags in a header, without quotation marks: strong ones as they are, weak ones after WEAK; and ANY."""
WEAK: Final = " "
"""No tag contains a blank."""
ANY: Final = "* "
"""The mark of `*`, which matches any representation."""


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
        if self.match is not None and not self.match & {ANY, tag}:
            raise precondition_failed()
        if self.none_match is not None and tag is not None and _names(self.none_match, tag):
            raise precondition_failed()


UNCONDITIONAL: Final = Condition()


@dataclass(frozen=True, slots=True)
class Target:
    """The columns and rows of the versions that an ETag is made of."""

    columns: Sequence[InstrumentedAttribute[int]]
    """One version for each table, starting with the object's own table. The rows are locked in this order."""
    source: FromClause
    where: ColumnElement[bool]


def etag(edition: Edition) -> str:
    """Return the ETag of an edition, without its quotation marks."""
    return "-".join(map(str, edition))


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
    known = tags(request, "if-none-match")
    if known is not None and _names(known, tag):
        has_coded = f'"{tag}{CODED}"' in request.headers["if-none-match"]
        return Response(status_code=304, headers=headers | ({"ETag": f'"{tag}{CODED}"'} if has_coded else {}))
    answer.headers.update(headers)
    return answer


async def held(session: AsyncSession, target: Target) -> Edition:
    """Return the versions, and lock their rows against other writers until the transaction ends."""
    versions = []
    for column in target.columns:
        table = column.class_
        rows = select(table.id).select_from(target.source).where(target.where).correlate(None)
        statement = select(column).where(table.id.in_(rows)).with_for_update()
        versions.append(await session.scalar(statement) or 0)
    return tuple(versions)


def _names(tags: Tags, tag: str) -> bool:
    """Return whether the tags match weakly."""
    return bool(tags & {ANY, tag, WEAK + tag})


def tags(request: Request, header: str) -> Tags | None:
    """Return the ETags in a header, or None if it was not sent."""
    text = ",".join(given := request.headers.getlist(header))
    found = {(WEAK if weak else "") + tag.removesuffix(CODED) for weak, tag in TAG.findall(text)}
    return frozenset(found | ({ANY} if text.strip() == "*" else set())) if given else None
