"""The destination of a word of a customer's dial plan."""

from registrar.model import NO_DESTINATION, Called, Destination


def resolve(word: str, found: Called | None) -> Destination:
    """Return the destination of a word; `found` is what the customer's dial plan has for it.

    A phone without a number is not called by its username.
    """
    if found is None or not found.number:
        return NO_DESTINATION
    return found
