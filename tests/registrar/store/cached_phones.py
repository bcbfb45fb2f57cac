"""`python -m tests.registrar.store.cached_phones`: print the MB that 100,000 cached phones take."""

import gc
import resource
import secrets
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import create_async_engine

from registrar.model import Mono
from registrar.store.directory_cache import CachedDirectory
from registrar.store.directory_sql import SqlPhones
from registrar.store.vault import Vault

PHONES: Final = 100_000
BATCH: Final = 500
CUSTOMERS: Final = 1_000


class OwnPasswords(Vault):
    """A vault that gives each phone a text of its own, without the time that decryption takes."""

    def open(self, sealed: str, owner: str) -> str:
        return secrets.token_hex(16)


def row(number: int) -> tuple[object, ...]:
    """A row of `phone_v1` with texts of its own, as a driver makes it."""
    customer = number % CUSTOMERS
    account = (secrets.token_hex(12), 3, secrets.token_hex(16), f"customer{customer}.example", "sealed")
    owner = (None, None, f"{customer:024x}", "ACTIVE", f"{2_000 + number}", 1)
    rule = ("LOCKED", "", f"198.51.{number // 256 % 256}.{number % 256}", "PHONE", None, 1)
    return (*account, *owner, *rule, 0, None, f"Person {number}", 1, 0, secrets.token_hex(12), "///////")


def resident() -> int:
    """The memory of this process in octets."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    phones = SqlPhones(engine, engine, OwnPasswords("secret key of the tests, long enough for all"))
    directory = CachedDirectory(phones, lambda: Mono(0.0))
    gc.collect()
    before = resident()
    for start in range(0, PHONES, BATCH):
        found = [phones._phone(row(number)) for number in range(start, start + BATCH)]
        directory._take(found, set(), float(start))
    gc.collect()
    print((resident() - before) / 1e6)


if __name__ == "__main__":
    main()
