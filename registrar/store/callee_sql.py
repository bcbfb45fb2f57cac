"""The SELECTs for the destination of a dialled word, and the values that are made of their rows."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

from registrar.model import Called, Devices, Group, Phone, Queue, QueueMember, Strategy

MAX_MEMBERS: Final = 1_000
"""Limit of people in one group or queue; all phones of these people are read at once."""
DIALLED: Final = (
    "SELECT kind, number, name, extension_id, phone, ref, retries, is_exclusive, caller_name FROM callee_v1 "
    "WHERE customer = :customer AND dialled = :word ORDER BY rank, id LIMIT 1"
)
# The members in the order in which they ring, the people of a group in the order of the API. `kind` selects
# a part of the view.
_MEMBERS: Final = (
    "SELECT member, strategy, attempts, seconds, caller_name, permanent, extension_id, person, number, name, "
    "joint FROM member_v1 WHERE kind = '{kind}' AND ref = :ref "
    "ORDER BY position, member, extension_id LIMIT {limit}"
)
MEMBERS: Final = {kind: _MEMBERS.format(kind=kind, limit=MAX_MEMBERS) for kind in ("group", "queue")}
"""The SELECT of members by the kind of the destination; other kinds have none."""

PICKABLE: Final = "SELECT person FROM pickup_v1 WHERE picker = :picker LIMIT 1000"
"""The SELECT of the people whose calls a person may pick up."""

Row = Sequence[Any]
log = logging.getLogger(__name__)


def extensions(members: Iterable[Row]) -> list[int]:
    """Return the row ids of the members' extensions, each once."""
    return list(dict.fromkeys(row[6] for row in members if row[6] is not None))


def destination(dialled: Row, members: Sequence[Row], phones: Iterable[Phone]) -> Called:
    """Return the destination of a row of `callee_v1`; `phones` are all that may ring for it."""
    kind, number, name, _, _, ref, retries, is_exclusive, caller_name = dialled
    if kind not in MEMBERS:
        return Devices(number, name, tuple(phones), ref or "")
    if len(members) == MAX_MEMBERS:
        log.warning("%s %s: only the first %d people ring", kind, ref, MAX_MEMBERS)
    by_person: dict[str, list[Phone]] = defaultdict(list)
    for phone in phones:
        by_person[phone.person].append(phone)
    if kind == "group":
        people = _people(members, by_person)
        return Group(ref, number, name, people, bool(retries), bool(is_exclusive), caller_name)
    steps = [tuple(rows) for _, rows in groupby(members, lambda row: row[-1] or row[0])]
    return Queue(ref, number, name, tuple(_member(rows, by_person) for rows in steps), caller_name)


def _member(rows: Sequence[Row], phones: dict[str, list[Phone]]) -> QueueMember:
    """Return one step: a row of the queue, or rows that its strategy joins, with the longest times."""
    _, strategy, _, _, caller_name, _, *_, joint = rows[0]
    attempts, seconds = (max(row[at] for row in rows) for at in (2, 3))
    # The API with rows allows 0 attempts.
    return QueueMember(
        _people(rows, phones),
        Strategy(joint or strategy),
        max(attempts, 1),
        seconds,
        caller_name,
        frozenset(row[7] for row in rows if row[5]),
    )


def _people(rows: Iterable[Row], phones: dict[str, list[Phone]]) -> tuple[Devices, ...]:
    return tuple(
        Devices(number, name, tuple(phones[person]), person)
        for *_, person, number, name, _ in rows
        if person is not None
    )
