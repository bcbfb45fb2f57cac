"""The password of a phone's own pages, and the former one as long as the phone has it.

Both are one sealed text: the password, and behind a space the former one. A reset makes a new password. The
phone learns it with its next configuration, and staff needs the former one until then, to enter the URL.
"""

from typing import NamedTuple

from registrar.store.vault import Vault

from ..tables import Provisioning
from .secrets import new_admin_password


class AdminPassword(NamedTuple):
    """What the configuration says, and what the phone has had before."""

    password: str
    former: str = ""
    """The password that the phone still has; empty: it has the one that its configuration says."""

    @property
    def asked(self) -> str:
        """Return the password that the phone's pages ask for now."""
        return self.former or self.password


def read_admin(row: Provisioning, vault: Vault) -> AdminPassword:
    """Return the password of a row. Raise StoreUnavailable if it cannot be opened."""
    return opened_admin(row.admin_password_enc, row.mac, vault)


def opened_admin(sealed: str, mac: str, vault: Vault) -> AdminPassword:
    """Return the password in a sealed text. Raise StoreUnavailable if it cannot be opened."""
    password, _, former = vault.open(sealed, mac).partition(" ")
    return AdminPassword(password, former)


def make_admin(row: Provisioning, vault: Vault, former: str = "") -> None:
    """Give a row a new password; `former` is the one that the phone has."""
    text = f"{new_admin_password()} {former}".rstrip()
    row.admin_password_enc = vault.seal(text, row.mac)


def settled(sealed: str, mac: str, vault: Vault) -> str:
    """Return the sealed text without the former password: the phone has loaded the new one."""
    return vault.seal(opened_admin(sealed, mac, vault).password, mac)
