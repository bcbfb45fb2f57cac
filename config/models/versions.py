"""The versions of the writers: one that writes another file for the same phone gets the next number.

An upgrade moves `configSaved` of the phones whose writer has another version, so that people see who has not
loaded its new file. A test compares the numbers with the files that were approved.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from ..tables import OID_LENGTH

VERSIONS: Final[Mapping[str, int]] = {
    "snom": 1,
    "snom8": 1,
    "snom-dect": 1,
    "mitel": 1,
    "yealink": 1,
    "yealink-dect": 1,
    "gigaset-n510": 1,
    "gigaset-nx70": 1,
    "maxwell": 1,
    "grandstream": 1,
    "spa": 1,
    "mpp": 1,
    "lg": 1,
}


def writer_oid(writer: str) -> str:
    """Return the id under which the table `seeded_model` has the version of a writer."""
    return hashlib.sha256(f"writer {writer}".encode()).hexdigest()[:OID_LENGTH]
