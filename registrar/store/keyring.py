"""The keys of an installation while one is replaced: one makes everything new, all of them read.

A key is known by its fingerprint, which tells nothing about it. The database names the key that makes (see
`config.operations.keys`). So all processes change to a new key at one time, however they were started.
"""

from collections.abc import Callable, Sequence
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FINGERPRINT_BYTES: Final = 8


def derive(secret_key: str, purpose: str, length: int = 32) -> bytes:
    """Return a separate key for one purpose, derived from the one secret of the installation (RFC 5869)."""
    return HKDF(SHA256(), length, salt=None, info=f"registrar:{purpose}".encode()).derive(secret_key.encode())


def fingerprint(secret_key: str) -> str:
    """Return the public name of a key, 16 hex digits."""
    return derive(secret_key, "fingerprint", FINGERPRINT_BYTES).hex()


class Keyring:
    """One or two keys. The first is that of the settings; `active` is the one that makes everything new."""

    def __init__(self, *secrets: str) -> None:
        """Hold these keys; an empty one is left out. The first is active until `use` says otherwise."""
        self._keys: dict[str, str] = {}
        self._active = ""
        self._watchers: list[Callable[[], None]] = []
        self.rotated = False
        """Whether another key was active before. Until then, sealed texts have the form without a name."""
        self.use(secrets)

    def use(self, secrets: Sequence[str] = (), active: str = "", *, rotated: bool = False) -> None:
        """Hold these keys instead, or those of before; the one with fingerprint `active` makes from now on.

        If there is none with this fingerprint, the first makes. Watchers are called if anything has changed.
        """
        found = {fingerprint(one): one for one in secrets if one} or self._keys
        if not found:
            return
        chosen = active if active in found else next(iter(found))
        if (list(found), chosen, rotated) == (list(self._keys), self._active, self.rotated):
            return
        self._keys, self._active, self.rotated = found, chosen, rotated
        for watcher in self._watchers:
            watcher()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` now, and after each change."""
        self._watchers.append(watcher)
        watcher()

    @property
    def active(self) -> str:
        """Return the fingerprint of the key that makes."""
        return self._active

    @property
    def first(self) -> str:
        """Return the fingerprint of the first key, which the settings want to be active."""
        return next(iter(self._keys))

    @property
    def secret(self) -> str:
        """Return the key that makes."""
        return self._keys[self._active]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return all keys, the one that makes first."""
        return (self.secret, *[key for name, key in self._keys.items() if name != self._active])

    @property
    def names(self) -> tuple[str, ...]:
        """Return the fingerprints of all keys, the first key's first."""
        return tuple(self._keys)

    def named(self, name: str) -> str | None:
        """Return the key with this fingerprint, or None."""
        return self._keys.get(name)
