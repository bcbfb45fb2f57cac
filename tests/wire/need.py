"""Which peers a test cannot do without, and how many rounds it runs."""

import importlib.util
import os

import pytest
from _pytest.mark import ParameterSet

from config import board, phone
from tests.patience import SOAK
from tests.peers import browser, generated, netns, postgresql
from tests.peers.process import lacking


def need(*programs: str) -> None:
    """Skip the test when a program is missing; where nothing may be missing (CI=true) fail it."""
    missing = ", ".join(lacking(*programs))
    if missing:
        _leave_out(f"not installed: {missing} (deploy/peers.sh installs it)")


def need_postgresql() -> None:
    """The same for PostgreSQL, which Debian keeps off the path, and the driver of it."""
    if postgresql.binaries() is None:
        _leave_out("not installed: postgresql (deploy/peers.sh installs it)")
    need_module("asyncpg")


def need_browser() -> None:
    """The same for Chromium, what drives it, and the pages that it opens."""
    missing = [*browser.missing_parts(), *([] if pages_are_built() else ["the pages (make page)"])]
    if missing:
        _leave_out(f"not there: {', '.join(missing)}")


def need_client_generator() -> None:
    """The same for the environment of the generator of clients."""
    if not generated.is_there():
        _leave_out("not there: .venv/client (make client)")


def need_page() -> None:
    """The same for the pages at / and /phone."""
    if not pages_are_built():
        _leave_out("not there: the pages (make page)")


def pages_are_built() -> bool:
    """Whether both pages can be shown."""
    return board.PAGE.is_built and phone.PAGE.is_built


def need_namespace() -> None:
    """The same for a network of the test's own, which only root can make."""
    missing = netns.missing_parts()
    if missing:
        _leave_out(f"not there: {', '.join(missing)}")


def need_module(name: str) -> None:
    """The same for a package that is not made for every machine."""
    if importlib.util.find_spec(name) is None:
        _leave_out(f"not installed: {name} (no wheel for this machine or this Python)")


def _leave_out(text: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def in_soak(*values: object, id: str | None = None) -> ParameterSet:
    """A case that only the large rounds run: `make test` runs another one of its kind."""
    return pytest.param(*values, marks=pytest.mark.soak, id=id)


def rounds(reduced: int, soak: int) -> int:
    """How many rounds to run: few, or with SOAK=1 all of them."""
    return soak if SOAK else reduced
