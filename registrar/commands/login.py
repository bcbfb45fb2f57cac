"""`registrar login create`: makes a login for the board and the API."""

import secrets
import sys
from typing import Final

import typer

from config.access import AccessLevel
from config.operations.first_login import NewLogin, create_login
from registrar.errors import ConfigurationError

from .audit import this_command
from .first_steps import board_line
from .installation import Installation, opened

GENERATED_BYTES: Final = 15
"""20 characters, 120 bits."""


def read_level(word: str) -> AccessLevel:
    """Return the level with this name. Raise ConfigurationError."""
    levels = [level for level in AccessLevel if level is not AccessLevel.NO_LOGIN]
    for level in levels:
        if level.name == word.upper():
            return level
    raise ConfigurationError(f"--level: {word!r} is none of {', '.join(level.name for level in levels)}")


def read_password(*, generate: bool) -> str:
    """Return a new random password, or the one that is typed twice, or the first line of standard input."""
    if generate:
        return secrets.token_urlsafe(GENERATED_BYTES)
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


async def create(installation: Installation, login: NewLogin, *, show: bool) -> None:
    """Make the login and print where it is used; `show` prints the password, too.

    Raise ConfigurationError.
    """
    async with opened(installation, upgrade=False) as stores:
        customer = await create_login(stores.writer, installation.api(), stores.vault, login, this_command())
    print(f"login     {login.email}, {login.level.name} of {customer}")
    if show:
        print(f"password  {login.password}   (shown only now)")
    print(f"board     {board_line(installation.settings)}")
