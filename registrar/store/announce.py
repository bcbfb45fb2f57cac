"""Messages on `registrar:changed`: what the config API changed, for every SIP process to re-check.

phone <id> [<id> ...]       these phones (created, changed, reset or deleted)
customer <id>               every phone of this customer
dialplan <customer>         who is reached by the numbers of this customer: its extensions, groups and queues
everybody                   any phone: too much changed to name it

A word that a process does not know announces nothing to it, so a newer version may add words.
"""

from registrar.model import Change

MAX_IDS = 1_000


def encode(change: Change) -> list[str]:
    """Return the messages that announce `change`."""
    messages = [
        "phone " + " ".join(change.phones[start : start + MAX_IDS])
        for start in range(0, len(change.phones), MAX_IDS)
    ]
    if change.customer:
        messages.append(f"customer {change.customer}")
    if change.dial_plan:
        messages.append(f"dialplan {change.dial_plan}")
    return [*messages, "everybody"] if change.everybody else messages


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
    return Change()
