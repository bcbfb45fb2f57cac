"""Stored SIP passwords, encrypted with AES-256-GCM under keys derived from REGISTRAR_SECRET_KEY."""

import base64
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from registrar.errors import StoreUnavailable

from .keyring import Keyring, fingerprint
from .keyring import derive as derive

NONCE_BYTES: Final = 12
FORMAT: Final = "v1:"
"""Sealed with the only key that the installation ever had; older versions read it, too."""
NAMED: Final = "v2:"
"""Followed by the fingerprint of the key and a colon."""


class Vault:
    """Encryption of small secrets; a text sealed for one owner does not open for another."""

    def __init__(self, keys: Keyring | str) -> None:
        """Seal with the active key, open with any; a text is a ring of one key."""
        self.keys = keys if isinstance(keys, Keyring) else Keyring(keys)
        self._ciphers: dict[str, AESGCM] = {}
        self.prefix = FORMAT
        """How everything begins that is sealed now. What begins otherwise is to be sealed again."""
        self.keys.watch(self._rekey)

    @property
    def fingerprint(self) -> str:
        """Return the name of the key that seals.

        It is stored in the database: a process without that key stops instead of writing unreadable rows.
        """
        return self.keys.active

    def seal(self, secret: str, owner: str) -> str:
        """Return the text to store for `secret`, bound to `owner` (the phone's id)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        cipher = self._ciphers[self.keys.active]
        sealed = nonce + cipher.encrypt(nonce, secret.encode(), owner.encode())
        return self.prefix + base64.b64encode(sealed).decode()

    def open(self, stored: str, owner: str) -> str:
        """Return the secret in `stored`. Raises StoreUnavailable if another key or owner sealed it."""
        name, text = _parts(stored)
        ciphers = [self._ciphers[name]] if name in self._ciphers else [] if name else self._ciphers.values()
        try:
            sealed = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise _unreadable(owner) from error
        for cipher in ciphers:
            try:
                return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], owner.encode()).decode()
            except (InvalidTag, ValueError):
                continue
        raise _unreadable(owner)

    def _rekey(self) -> None:
        self._ciphers = {
            fingerprint(secret): AESGCM(derive(secret, "sip-passwords")) for secret in self.keys.secrets
        }
        self.prefix = f"{NAMED}{self.keys.active}:" if self.keys.rotated else FORMAT


def _parts(stored: str) -> tuple[str, str]:
    """Return the name of the key in a sealed text, empty for the first form, and what is sealed."""
    if not stored.startswith(NAMED):
        return "", stored.removeprefix(FORMAT)
    name, _, text = stored.removeprefix(NAMED).partition(":")
    return name or "?", text


def _unreadable(owner: str) -> StoreUnavailable:
    return StoreUnavailable(f"the stored password of {owner} cannot be decrypted")
