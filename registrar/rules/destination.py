"""What a word of a customer's dial plan means. Groups, queues and feature codes become further kinds."""

from registrar.model import NO_DESTINATION, Callee, Destination, Devices


def resolve(word: str, callee: Callee | None) -> Destination:
    """Return the destination of a word; `callee` is what the customer's dial plan has for it.

    A phone without a number is not called by its username.
    """
    if callee is None or not callee.number:
        return NO_DESTINATION
    return Devices(callee.number, callee.name, callee.phones)
