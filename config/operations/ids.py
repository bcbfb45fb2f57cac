"""Ids and credentials: made here, and nowhere else."""

import secrets
import string
from typing import Final

from ..tables import CREDENTIAL_LENGTH, OID_LENGTH

CREDENTIAL_ALPHABET: Final = string.ascii_lowercase + string.digits
"""Survives devices that fold case; 32 of these are 165 bits."""


def new_oid() -> str:
    """A public id that no row has yet."""
    return secrets.token_hex(OID_LENGTH // 2)


def parse_oid(value: object) -> str | None:
    """The id as it is stored (lower case), None when `value` cannot be one."""
    if not isinstance(value, str) or len(value) != OID_LENGTH:
        return None
    return value.lower() if set(value) <= set(string.hexdigits) else None


def new_credential() -> str:
    """A username or a password of a phone."""
    while True:
        credential = "".join(secrets.choice(CREDENTIAL_ALPHABET) for _ in range(CREDENTIAL_LENGTH))
        if not credential.startswith("0x"):  # sipp, and who knows what else, reads such a text as a number
            return credential
