"""Stored SIP passwords, encrypted with AES-256-GCM under keys derived from REGISTRAR_SECRET_KEY."""

import base64
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from registrar.errors import StoreUnavailable

NONCE_BYTES: Final = 12
FORMAT: Final = "v1:"


def derive(secret_key: str, purpose: str, length: int = 32) -> bytes:
    """Return a separate key for one purpose, derived from the one secret of the installation (RFC 5869)."""
    return HKDF(SHA256(), length, salt=None, info=f"registrar:{purpose}".encode()).derive(secret_key.encode())


class Vault:
    """Encryption of small secrets; a text sealed for one owner does not open for another."""

    def __init__(self, secret_key: str) -> None:
        self._cipher = AESGCM(derive(secret_key, "sip-passwords"))
        self.fingerprint: str = derive(secret_key, "fingerprint", 8).hex()
        """Stored in the database: a process with another key stops instead of writing unreadable rows."""

    def seal(self, secret: str, owner: str) -> str:
        """Return the text to store for `secret`, bound to `owner` (the phone's id)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret.encode(), owner.encode())
        return FORMAT + base64.b64encode(sealed).decode()

    def open(self, stored: str, owner: str) -> str:
        """Return the secret in `stored`. Raises StoreUnavailable if another key or owner sealed it."""
        try:
            sealed = base64.b64decode(stored.removeprefix(FORMAT), validate=True)
            nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
            return self._cipher.decrypt(nonce, text, owner.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise StoreUnavailable(f"the stored password of {owner} cannot be decrypted") from error
