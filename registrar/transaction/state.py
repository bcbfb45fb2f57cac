"""The states of transactions (figures 5 to 8 of RFC 3261, and Accepted of RFC 6026)."""

from enum import Enum, auto


class State(Enum):
    """The state names of the figures. Each state machine uses some of them."""

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    ACCEPTED = auto()
    TERMINATED = auto()
