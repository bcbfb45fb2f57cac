"""The check of `registrar doctor` for the index of states; `--repair` mends it."""

from pathlib import Path
from typing import Final

from config import clock
from registrar.doctor import Finding, ok, warn
from registrar.errors import ConfigurationError, StoreUnavailable
from registrar.settings import Settings
from registrar.store import database, keys
from registrar.store.script_runner import connected
from registrar.store.state_index import StateIndex
from registrar.store.state_walk import Members, StateWalk, Walked, read_members
from registrar.store.valkey import socket_url

WHAT: Final = "index of states"
FILE: Final = "registrar.sqlite"
ADVICE: Final = "registrar doctor --repair"


async def check_states(settings: Settings, directory: Path, *, repair: bool) -> list[Finding]:
    """Return whether the index of states agrees with the status of every phone, after a repair if wanted.

    Return nothing if there is no database yet.
    """
    if not settings.database_url.get_secret_value() and not (directory / FILE).exists():
        return []
    try:
        members = await _members(settings, directory)
        async with connected(settings.redis_url.get_secret_value() or socket_url(directory)) as runner:
            found = await StateWalk(StateIndex(runner), repair=repair).run(members)
            if repair:
                await runner.ask("SET", keys.STATES_CHECKED, f"{clock.epoch_now():.3f}")
    except ConfigurationError:  # another check has reported it
        return []
    except (StoreUnavailable, TimeoutError) as error:
        why = str(error) or "Redis does not answer"
        return [warn(WHAT, f"could not be compared with the phones: {why}", "put the stores right first")]
    return [judge_states(found, repaired=repair)]


def judge_states(found: Walked, *, repaired: bool) -> Finding:
    """Return the finding about a walk."""
    if found.is_right:
        return ok(WHAT, f"agrees with the status of {found.phones} phones")
    some = f", {', '.join(found.examples)}{' ...' if found.wrong > len(found.examples) else ''}"
    about = f"{found.wrong} of {found.phones} phones{some if found.examples else ''}"
    if found.customers:
        about += f"; the numbers of {found.customers} customers"
    if repaired:
        return ok(WHAT, f"was wrong and is mended: {about}")
    return warn(WHAT, f"is wrong: {about}", ADVICE)


async def _members(settings: Settings, directory: Path) -> Members:
    given = settings.database_url.get_secret_value()
    engine = database.connect(given or f"sqlite+aiosqlite:///{directory / FILE}", read_only=True)
    try:
        return await read_members(engine)
    finally:
        await engine.dispose()
