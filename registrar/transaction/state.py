"""Where a transaction stands (figures 5 to 8 of RFC 3261, and Accepted of RFC 6026)."""

from enum import Enum, auto


class State(Enum):
    """The names are those of the figures; each machine has some of them."""

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    ACCEPTED = auto()
    TERMINATED = auto()
