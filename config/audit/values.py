"""The values of columns as the audit log shows them: without secrets, and never long."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

Values = dict[str, object]

MAX_TEXT: Final = 1_000
"""Longer texts are shown as their length and hash."""
SECRET: Final = re.compile(
    r"(?:^|_)(?:enc|hash|sha256|md5|secret|password)$|^(?:custom_config|configuration_template)$"
)
"""Columns that hold a secret, sealed or hashed, or lines for a phone that may contain one."""
IN_JSON: Final = re.compile(r"password|secret|token|pin$", re.IGNORECASE)
"""Names inside a JSON column whose value is not shown."""
BOOKKEEPING: Final = frozenset(
    {"id", "created_at", "updated_at", "revision", "version", "secret_version", "sip_secret_version"}
    | {"config_saved_at", "mac_slot", "warned_at"}
)
"""Columns that follow from a change and are none themselves."""
BEFORE: Final = "secret"
AFTER: Final = "changed"
"""What is shown in the place of a secret: that there was one, and that there is a new one."""


def shown(column: str, value: object, secret: str) -> object:
    """Return the value of a column as JSON; `secret` takes the place of a value that is one."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if SECRET.search(column):
        return secret
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return _digest(value)
    if isinstance(value, list | dict):
        value = _masked(value, secret)
        text = json.dumps(value, sort_keys=True)
        return value if len(text) <= MAX_TEXT else _digest(text.encode())
    text = str(value)
    return text if len(text) <= MAX_TEXT else _digest(text.encode(errors="replace"))


def whole(row: Mapping[str, object], secret: str) -> Values:
    """Return the columns of a row that have a value, as the audit log shows them."""
    return {
        name: shown(name, value, secret)
        for name, value in row.items()
        if name not in BOOKKEEPING and value is not None
    }


def text_of(changes: Mapping[str, object]) -> str | None:
    """Return the JSON that is stored and hashed, or None if there is nothing to tell."""
    told = {name: value for name, value in changes.items() if value}
    return json.dumps(told, sort_keys=True, separators=(",", ":")) if told else None


def _digest(octets: bytes) -> Values:
    return {"length": len(octets), "sha256": hashlib.sha256(octets).hexdigest()}


def _masked(value: object, secret: str) -> object:
    if isinstance(value, list):
        return [_masked(item, secret) for item in value]
    if isinstance(value, dict):
        return {
            str(name): secret if IN_JSON.search(str(name)) else _masked(item, secret)
            for name, item in value.items()
        }
    return value.isoformat() if isinstance(value, datetime) else value
