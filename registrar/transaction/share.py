"""The transactions of one customer, so that one tenant cannot fill the table of all."""

from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class Share:
    """How many transactions a customer has in the table, and how many it may have.

    Only the table changes `open`: where it adds a transaction, and where it removes one.
    """

    customer: str
    most: int
    open: int = 0


NO_SHARE: Final = Share("", 0)
"""The share of transactions that belong to no customer: only the size of the table limits them."""
