"""The course of every change in this dialect: read the parameters, write, then tell the SIP side."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..deps import Parts
from ..operations.audit import Actor
from ..operations.checks import Value
from ..operations.draft import Draft
from ..operations.fields import Field, read_fields
from ..preconditions import Target, changing
from .params import Params

NO_CHANGE: Final = Change()


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a request: the number of the created row, and the change to publish to the SIP side."""

    id: int = 0
    change: Change = NO_CHANGE
    secret: str = ""
    """A value that is shown only in this response."""


async def carry_out(
    parts: Parts, actor: Actor, work: Callable[[AsyncSession], Awaitable[Done]], target: Target | None = None
) -> Done:
    """Run `work` in one transaction, which may be retried; then publish what it changed.

    `target` is the row whose ETag If-Match names; a row that is being created has none yet.
    """
    done = await changing(parts.engine, actor.condition, target, work)
    await parts.changes.publish(done.change)
    return done


def read_columns(params: Params, fields: Iterable[Field], stored: object = None) -> dict[str, Value]:
    """Return the checked values by column; `stored` is the row to change, or None. Raise Refused (400)."""
    draft = Draft(params.document, stored)
    read_fields(draft, fields)
    draft.refuse_problems()
    return draft.values
