"""Public ids and credentials; all of them are made here."""

import secrets
import string
from typing import Final

from ..tables import CREDENTIAL_LENGTH, OID_LENGTH

CREDENTIAL_ALPHABET: Final = string.ascii_lowercase + string.digits
"""These characters survive devices that fold case; 32 of them are 165 bits."""


def new_oid() -> str:
    """Return a new random public id."""
    return secrets.token_hex(OID_LENGTH // 2)


def parse_oid(value: object) -> str | None:
    """Return the id as it is stored (lower case), or None if `value` cannot be an id."""
    if not isinstance(value, str) or len(value) != OID_LENGTH:
        return None
    return value.lower() if set(value) <= set(string.hexdigits) else None


def new_credential() -> str:
    """Return a new username or password of a phone."""
    while True:
        credential = "".join(secrets.choice(CREDENTIAL_ALPHABET) for _ in range(CREDENTIAL_LENGTH))
        if not credential.startswith("0x"):  # sipp, and perhaps other programs, read such a text as a number
            return credential
