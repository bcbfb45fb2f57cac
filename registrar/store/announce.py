"""The words on `registrar:changed`: what the config API changed, for every SIP process to re-check.

phone <id> [<id> ...]       these phones (created, changed, reset or deleted)
customer <id>               every phone of this customer
"""

from registrar.model import Change

MAX_IDS = 1_000


def encode(change: Change) -> list[str]:
    """The messages that announce `change`."""
    messages = [
        "phone " + " ".join(change.phones[start : start + MAX_IDS])
        for start in range(0, len(change.phones), MAX_IDS)
    ]
    return [*messages, f"customer {change.customer}"] if change.customer else messages


def decode(message: str) -> Change:
    """The change a message announces; an unknown word announces nothing."""
    match message.split():
        case ["phone", *phones]:
            return Change(phones=tuple(phones))
        case ["customer", customer]:
            return Change(customer=customer)
    return Change()
