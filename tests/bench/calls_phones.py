"""Extensions with one phone each, written straight into our SQLite database."""

import secrets
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, insert, select, update

from config.tables import Customer, Number, SipPhone
from config.tables import Extension as ExtensionRow
from tests.bench.phones import make_phones
from tests.peers.sipp_calls import Extension

FIRST_NUMBER: Final = 20_000
"""Beyond the numbers of the demo tenant."""


def make_extensions(database: Path, secret_key: str, domain: str, count: int) -> list[Extension]:
    """Write `count` extensions of the tenant of `domain`; their phones are locked to loopback."""
    accounts = make_phones(database, secret_key, domain, count, ["127.0.0.1"])
    made = [Extension(account, str(FIRST_NUMBER + index)) for index, account in enumerate(accounts)]
    engine = create_engine(f"sqlite:///{database}")
    try:
        with engine.begin() as connection:
            customer = connection.scalars(select(Customer.id).where(Customer.sip_domain == domain)).one()
            for extension in made:
                row = {"oid": secrets.token_hex(12), "number": extension.number, "name": extension.number}
                mine = {"customer_id": customer}
                new = insert(ExtensionRow).values(**row, **mine).returning(ExtensionRow.id)
                key = connection.execute(new).scalar_one()
                number = {"number": extension.number, "kind": "extension", "ref": row["oid"]}
                connection.execute(insert(Number).values(**number, **mine))
                phone = update(SipPhone).where(SipPhone.username == extension.account.username)
                connection.execute(phone.values(extension_id=key))
    finally:
        engine.dispose()
    return made
