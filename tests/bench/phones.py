"""Phones written straight into our SQLite database, as many as a measurement needs."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, insert, select

from config.tables import Customer, SipPhone, SipPhoneModel
from registrar.store.vault import Vault
from tests.peers.phone import Account

CREDENTIAL_BYTES: Final = 16
"""32 characters, as long as those that the program makes."""
ROWS_AT_ONCE: Final = 5_000


def make_accounts(count: int, domain: str, password: str = "") -> list[Account]:
    """Accounts with names as long as ours; each with its own password, or all with the one given."""
    return [Account(_credential(), password or _credential(), domain.lower()) for _ in range(count)]


def make_phones(
    database: Path, secret_key: str, domain: str, count: int, addresses: Sequence[str]
) -> list[Account]:
    """Write `count` phones of the tenant of `domain`, locked to `addresses` in turn.

    Locked, so that a measurement is not one of the first contact, which every phone has once in its life.
    """
    vault = Vault(secret_key)
    accounts = make_accounts(count, domain)
    engine = create_engine(f"sqlite:///{database}")
    try:
        with engine.begin() as connection:
            customer = connection.scalars(select(Customer.id).where(Customer.sip_domain == domain)).one()
            model = connection.scalars(select(SipPhoneModel.id).limit(1)).one()
            for start in range(0, count, ROWS_AT_ONCE):
                rows = [
                    _row(accounts[number], vault, addresses[number % len(addresses)])
                    | {"customer_id": customer, "model_id": model}
                    for number in range(start, min(count, start + ROWS_AT_ONCE))
                ]
                connection.execute(insert(SipPhone), rows)
    finally:
        engine.dispose()
    return accounts


def _credential() -> str:
    return secrets.token_hex(CREDENTIAL_BYTES)


def _row(account: Account, vault: Vault, address: str) -> dict[str, object]:
    oid = secrets.token_hex(12)
    return {
        "oid": oid,
        "username": account.username,
        "password_enc": vault.seal(account.password, oid),
        "ip_mode": "LOCKED",
        "ip_address": address,
    }
