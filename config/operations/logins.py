"""Logging in with an e-mail address and a password."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from ..access import AccessLevel
from ..auth import Login, wrong_login
from ..tables import SHORT_TEXT
from .checks import is_clean
from .passwords import Passwords
from .people import Person, find_login, refuse_address

NOBODYS_LOGIN: Final = ""
"""No employee has it."""


async def log_in(
    engine: AsyncEngine, passwords: Passwords, login: Login, address: str, *, remember: bool = False
) -> Person:
    """The person who logs in from `address`. Raises Refused (401).

    Whatever is wrong, the answer is the same and takes as long; that the address is refused is told only to
    those who know the password. `remember`: a password that was right a moment ago is not hashed again.
    """
    async with engine.connect() as connection:
        person = await find_login(connection, as_email(login.email))
    stored = person.password_hash if person else None
    if remember and person:
        right = await passwords.matches_again(stored, login.password, f"{person.employee} {person.version}")
    else:
        right = await passwords.matches(stored, login.password)
    if person is None or not right:
        raise wrong_login()
    if person.level == AccessLevel.NO_LOGIN or not person.may_enter(person.level):
        raise wrong_login()
    refuse_address(person, address)
    return person


def as_email(text: str) -> str:
    """The login as it is stored."""
    email = text.strip().lower()
    return email if len(email) <= SHORT_TEXT and is_clean(email) else NOBODYS_LOGIN
