"""How every change of this dialect is done: read what was sent, write it, then tell the SIP side."""

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
    """What a request did: the number of the row it made, and what the SIP side must hear of it."""

    id: int = 0
    change: Change = NO_CHANGE
    secret: str = ""
    """What is shown in this answer and never again."""


async def carry_out(
    parts: Parts, actor: Actor, work: Callable[[AsyncSession], Awaitable[Done]], target: Target | None = None
) -> Done:
    """Do `work` in one transaction, perhaps more than once; afterwards announce what it changed.

    `target`: whose ETag If-Match names; what is made has none yet.
    """
    done = await changing(parts.engine, actor.condition, target, work)
    await parts.changes.publish(done.change)
    return done


def read_columns(params: Params, fields: Iterable[Field], stored: object = None) -> dict[str, Value]:
    """The checked values by column; `stored` is the row to change, None: a new one. Raises Refused (400)."""
    draft = Draft(params.document, stored)
    read_fields(draft, fields)
    draft.refuse_problems()
    return draft.values
