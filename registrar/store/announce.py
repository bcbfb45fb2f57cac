"""How a change is told to every SIP process: as messages on `registrar:changed`, and as rows of `change`.

phone <id> [<id> ...]       these phones (created, changed, reset or deleted)
customer <id>               every phone of this customer
dialplan <customer>         who is reached by the numbers of this customer: its extensions, groups and queues
everybody                   any phone: too much changed to name it
rows <seq> [<seq> ...]      these rows of `change` were announced by the messages before this one

A word that a process does not know announces nothing to it, so a newer version may add words. A row of the
table has a word and one id, which is empty for `everybody`.
"""

from collections.abc import Iterable, Sequence

from registrar.model import Change

MAX_IDS = 1_000
ROWS = "rows"
MAX_DIGITS = 19
"""Of the number of a row, which has 64 bits."""


def encode(change: Change) -> list[str]:
    """Return the messages that announce `change`."""
    messages = _listed("phone", change.phones)
    if change.customer:
        messages.append(f"customer {change.customer}")
    if change.dial_plan:
        messages.append(f"dialplan {change.dial_plan}")
    if change.everybody:
        messages.append("everybody")
    return messages + _listed(ROWS, change.rows)


def decode(message: str) -> Change:
    """Return the change that a message announces; it is empty for an unknown word."""
    match message.split():
        case ["phone", *phones]:
            return Change(phones=tuple(phones))
        case ["customer", customer]:
            return Change(customer=customer)
        case ["dialplan", customer]:
            return Change(dial_plan=customer)
        case ["everybody"]:
            return Change(everybody=True)
        case ["rows", *rows]:
            return Change(rows=tuple(int(row) for row in rows if row.isdecimal() and len(row) <= MAX_DIGITS))
    return Change()


def to_rows(change: Change) -> list[tuple[str, str]]:
    """Return the rows that note `change`: the words of its messages, each with one id."""
    rows = []
    for message in encode(change):
        what, *ids = message.split()
        rows += [(what, id) for id in ids or ("",)]
    return rows


def from_rows(rows: Iterable[tuple[str, str]]) -> list[Change]:
    """Return the changes that rows note, each once, and all phones as one."""
    told = dict.fromkeys(rows)
    phones = tuple(id for what, id in told if what == "phone")
    others = [decode(f"{what} {id}") for what, id in told if what != "phone"]
    return [Change(phones=phones), *others] if phones else others


def _listed(word: str, ids: Sequence[object]) -> list[str]:
    """Return messages with a word and all ids, at most `MAX_IDS` in one message."""
    return [
        f"{word} {' '.join(map(str, ids[start : start + MAX_IDS]))}" for start in range(0, len(ids), MAX_IDS)
    ]
