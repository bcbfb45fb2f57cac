"""Limits for the use of data that was read from the database (decision 14)."""

from typing import Final

FRESH_SECONDS: Final = 60
"""How long an entry is used without a query."""
BELIEVED_SECONDS: Final = 600
"""How long an entry may be used while the database cannot be reached."""
SELECT_SECONDS: Final = 0.4
"""A database that has not answered by then counts as away: a phone that waits sends its request again."""
