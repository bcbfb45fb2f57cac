"""How long what was read of the database may be believed (decision 14)."""

from typing import Final

FRESH_SECONDS: Final = 60
"""So long an entry is used without asking."""
BELIEVED_SECONDS: Final = 600
"""So long it may still be used while the database cannot be reached."""
SELECT_SECONDS: Final = 0.4
"""A database that has not answered by then is away: a phone that waits sends its request again."""
