"""Groups and queues as resources: rows with a number, and with members that are shown with them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import Change

from ..operations import numbered
from ..operations.audit import Work
from ..operations.customers import lock_owned, require_customer
from ..operations.document import Document
from ..operations.draft import Draft, read_fields
from ..operations.numbered import Numbered
from ..properties import fields_of
from ..tables import Customer
from .people import OF_PLACES
from .resource import OWNER, Json, Resource, Written

Members = TypeVar("Members")


def numbered_resource(
    table: type[Numbered],
    *,
    examples: Mapping[str, object],
    more: Mapping[str, Json],
    read: Callable[[AsyncSession, Draft[Numbered], Customer], Awaitable[Members]],
    write: Callable[[AsyncSession, Numbered, Members], Awaitable[None]],
    parts: Callable[[AsyncSession, Sequence[int]], Awaitable[Mapping[int, Json]]],
) -> Resource:
    """Return a resource whose members `read` checks, `write` stores and `parts` shows."""
    one = numbered.KINDS[table]

    async def checked(work: Work, draft: Draft[Numbered], customer: Customer) -> Members:
        read_fields(draft, fields_of(table))
        members = await read(work.session, draft, customer)
        draft.refuse_problems()
        return members

    async def create(work: Work, document: Document) -> Written:
        customer = await require_customer(work.session, work.caller, document.given("customer"))
        draft: Draft[Numbered] = Draft(document)
        members = await checked(work, draft, customer)
        row = await numbered.create(work, table, customer, draft.values)
        await write(work.session, row, members)
        return Written(row.oid, Change(dial_plan=customer.oid))

    async def update(work: Work, oid: str, document: Document) -> Written:
        row, customer = await lock_owned(work.session, work.caller, table, oid, one.capitalize())
        draft = Draft(document, row)
        members = await checked(work, draft, customer)
        await numbered.update(work, row, draft.values)
        await write(work.session, row, members)
        return Written(row.oid, Change(dial_plan=customer.oid))

    async def delete(work: Work, oid: str) -> Change:
        row, customer = await lock_owned(work.session, work.caller, table, oid, one.capitalize())
        await numbered.delete(work, row)
        return Change(dial_plan=customer.oid)

    return Resource(
        path=f"/pbx/{one}",
        one=one,
        table=table,
        version=table.revision,
        joined=select(table, Customer.oid).join(Customer, Customer.id == table.customer_id),
        references=OWNER,
        more=more,
        examples=examples,
        sorts={"number": (table.number,), "name": (table.name,)},
        searched=(table.number, table.name, table.display_name),
        searched_names="number, name or displayName",
        create=create,
        update=update,
        delete=delete,
        parts=parts,
        live=OF_PLACES,
        max_limit=1_000,
    )
