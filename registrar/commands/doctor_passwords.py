"""The password checks of `registrar doctor`: what can be known about passwords that are stored as hashes.

SIP users: HA1 is a fast hash, so the passwords that an attacker tries first are tried here: common passwords,
the user's own name and number, and numbers of up to four digits. People: argon2id is too slow for that.
Instead, the API notes at each login, when it sees the password, whether it is weak. Other passwords cannot be
judged.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from config.operations.passwords import common_passwords
from config.tables import Customer, Employee, Extension
from registrar.doctor import Finding, ok, warn
from registrar.errors import ConfigurationError
from registrar.settings import Settings
from registrar.store import database, keys, redis_client
from registrar.store.valkey import socket_url

WHAT: Final = "passwords"
MAX_USERS: Final = 5_000
TRY_SECONDS: Final = 10.0
STORE_SECONDS: Final = 8.0
SHOWN: Final = 10
ADVICE: Final = "set a new password for each; new ones are looked at when they are set"


@dataclass(frozen=True, slots=True)
class User:
    """A SIP user, and the words that an attacker would try for it."""

    name: str
    domain: str
    ha1: str
    about: tuple[str, ...]


async def check_passwords(settings: Settings, directory: Path) -> list[Finding]:
    """Return who has a weak password.

    Return nothing if the database cannot be read, which another check has reported.
    """
    given = settings.database_url.get_secret_value()
    file = directory / "registrar.sqlite"
    if not given and not file.exists():
        return []
    try:
        engine = database.connect(given or f"sqlite+aiosqlite:///{file}", read_only=True)
    except ConfigurationError:
        return []
    try:
        async with asyncio.timeout(STORE_SECONDS), engine.connect() as connection:
            users = await _users(connection)
            weak = await _weak_people(settings, directory)
            logins = await _logins(connection, weak)
    except (SQLAlchemyError, OSError):
        return []
    finally:
        await engine.dispose()
    return [await asyncio.to_thread(judge_users, users), judge_people(logins)]


def judge_users(users: Sequence[User], seconds: float = TRY_SECONDS) -> Finding:
    """Return the finding about passwords that were found by trying, for at most `seconds`."""
    end = time.perf_counter() + seconds
    found: list[str] = []
    tried = 0
    for user in users:
        if time.perf_counter() > end:
            break
        tried += 1
        if _is_common(user):
            found.append(f"{user.name}@{user.domain}")
    of = f"{tried} of {len(users)} SIP users" if tried < len(users) else f"{tried} SIP users"
    if found:
        return warn(WHAT, f"{len(found)} of {of} have one that is guessed first: {_some(found)}", ADVICE)
    return ok(
        WHAT, f"{of}: none is among those that are guessed first (their length is not known: only hashes)"
    )


def judge_people(logins: Sequence[str]) -> Finding:
    """Return the finding about people whose password was weak at their last login."""
    if logins:
        return warn(WHAT, f"{len(logins)} people logged in with a weak one: {_some(logins)}", ADVICE)
    return ok(
        WHAT,
        "no person who has logged in had a weak password (others cannot be checked: only hashes are stored)",
    )


def _is_common(user: User) -> bool:
    head = f"{user.name}:{user.domain}:".encode()
    return any(
        md5(head + password.encode(), usedforsecurity=False).hexdigest() == user.ha1
        for password in common_passwords(user.about)
    )


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


async def _users(connection: AsyncConnection) -> list[User]:
    statement = (
        select(
            Extension.sip_user, Customer.sip_domain, Extension.sip_ha1_md5, Extension.number, Extension.name,
            Customer.name,
        )
        .join(Customer, Customer.id == Extension.customer_id)
        .where(Extension.sip_ha1_md5.is_not(None))
        .order_by(Extension.id)
        .limit(MAX_USERS)
    )  # fmt: skip
    return [
        User(str(user), str(domain), str(ha1), _about(user, number, name, customer))
        for user, domain, ha1, number, name, customer in await connection.execute(statement)
    ]


def _about(*words: str | None) -> tuple[str, ...]:
    said = [word for word in words if word]
    return tuple(said + [word.lower() for word in said] + [f"{word}{word}" for word in said])


async def _weak_people(settings: Settings, directory: Path) -> list[str]:
    given = settings.redis_url.get_secret_value()
    try:
        client = redis_client.connect(given or socket_url(directory), errors="replace")
    except ConfigurationError:
        return []
    try:
        return [str(oid) for oid in await client.zrange(keys.WEAK, 0, -1)]
    except (RedisError, OSError):  # another check has reported it
        return []
    finally:
        await client.aclose()


async def _logins(connection: AsyncConnection, oids: Sequence[str]) -> list[str]:
    statement = select(Employee.login_email).where(Employee.oid.in_(oids), Employee.login_email.is_not(None))
    return sorted(str(email) for email in await connection.scalars(statement))
