"""The words on `registrar:changed`: what the config API changed, for every SIP process to re-check.

phone <id> [<id> ...]       these phones (created, changed, reset or deleted)
customer <id>               every phone of this customer
everybody                   any phone: too much changed to name it
"""

from registrar.model import Change

MAX_IDS = 1_000


def encode(change: Change) -> list[str]:
    """The messages that announce `change`."""
    messages = [
        "phone " + " ".join(change.phones[start : start + MAX_IDS])
        for start in range(0, len(change.phones), MAX_IDS)
    ]
    if change.customer:
        messages.append(f"customer {change.customer}")
    return [*messages, "everybody"] if change.everybody else messages


def decode(message: str) -> Change:
    """The change a message announces; an unknown word announces nothing."""
    match message.split():
        case ["phone", *phones]:
            return Change(phones=tuple(phones))
        case ["customer", customer]:
            return Change(customer=customer)
        case ["everybody"]:
            return Change(everybody=True)
    return Change()
