"""The check of `registrar doctor` for the index of states; `--repair` mends it."""

from pathlib import Path
from typing import Final

from config import clock
from registrar.doctor import Finding, ok, warn
from registrar.errors import ConfigurationError, StoreUnavailable
from registrar.settings import Settings
from registrar.store import database, keys
from registrar.store.short_connection import connected
from registrar.store.state_index import StateIndex
from registrar.store.state_members import SqlMembers
from registrar.store.state_walk import StateWalk, Walked
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
        found = await _walked(settings, directory, repair=repair)
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


async def _walked(settings: Settings, directory: Path, *, repair: bool) -> Walked:
    given = settings.database_url.get_secret_value()
    engine = database.connect(given or f"sqlite+aiosqlite:///{directory / FILE}", read_only=True)
    try:
        async with connected(settings.redis_url.get_secret_value() or socket_url(directory)) as runner:
            began = clock.epoch_now()
            found = await StateWalk(StateIndex(runner), SqlMembers(engine), repair=repair).run()
            if repair:
                await runner.ask("SET", keys.STATES_CHECKED, f"{began:.3f}")
            return found
    finally:
        await engine.dispose()
