"""What this service does without a person, for the audit log."""

from collections.abc import Mapping
from typing import Final

from .. import clock
from .values import text_of

BY_ITSELF: Final = "SYSTEM"
"""The level of the actor in the audit log if no person did it."""


def by_itself(
    action: str,
    table: str,
    oid: str,
    customer: int | None,
    source_ip: str = "",
    named: str | None = None,
    changes: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return the columns of a row of the audit log: insert it in the transaction of the change."""
    return {
        "at": clock.exact_now(),
        "actor": None,
        "actor_level": BY_ITSELF,
        "action": action,
        "table_name": table,
        "row_oid": oid,
        "source_ip": source_ip,
        "customer_id": customer,
        "named": named,
        "changes": text_of(changes or {}),
    }
