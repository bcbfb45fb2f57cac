"""`registrar keys`: which keys are in use, and the change to new ones while everything runs.

A change takes three steps: every process gets the new key beside the old one, the database names the new one
as the key in use, and everything stored is sealed again. Each step can be repeated, so the command can be
broken off and run again.
"""

import asyncio
import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from config import clock
from config.operations.keys import KINDS, InUse, Kind, in_use, switch
from config.operations.resealing import count_left, reseal
from registrar.errors import ConfigurationError
from registrar.store import database, keys
from registrar.store.keyfile import held, replace
from registrar.store.keyring import Keyring
from registrar.store.redis_client import MeasuredRedis

from .audit import note, told
from .installation import Installation, Stores, given_keys, key_file, opened
from .key_watch import LOOK_SECONDS

KNOWN_SECONDS: Final = 60.0
"""How long a command waits until all processes know a new key."""
SILENT_SECONDS: Final = 15
"""A process that has not told for this long which keys it knows has ended."""
LIFE: Final = timedelta(days=1)
"""How long tokens of a key are good after it is no longer in use; those of calls end with the call."""
ROTATED: Final = "key-replaced"
RESEALED: Final = "sealed-again"
"""What the audit log calls the two steps."""
NAMES: Final = {"secret": "REGISTRAR_SECRET_KEY", "jwt": "REGISTRAR_JWT_SECRET"}


@dataclass(frozen=True, slots=True)
class Knower:
    """A living process, and the keys that it knows by name."""

    process: str
    secret: tuple[str, ...]
    jwt: tuple[str, ...]

    def knows(self, kind: Kind, name: str) -> bool:
        """Return whether it knows the key."""
        return name in (self.secret if kind == "secret" else self.jwt)


def kinds(word: str) -> tuple[Kind, ...]:
    """Return the kinds of keys that a word names. Raise ConfigurationError."""
    if word == "all":
        return KINDS
    for kind in KINDS:
        if kind == word:
            return (kind,)
    raise ConfigurationError(f"{word!r} is none of secret, jwt, all")


async def jwt_key(installation: Installation) -> Keyring:
    """Return the ring of JWT keys, with the one in use active: all processes know that one."""
    if len(installation.jwt_keys.names) > 1:
        engine = database.connect(installation.database_url, read_only=True)
        try:
            found = await in_use(engine)
        except (SQLAlchemyError, OSError) as error:
            raise ConfigurationError(f"REGISTRAR_DATABASE_URL: {error}") from error
        finally:
            await engine.dispose()
        if found is not None:
            installation.jwt_keys.use(active=found.jwt)
    return installation.jwt_keys


async def rotate(installation: Installation, wanted: tuple[Kind, ...], *, force: bool) -> None:
    """Replace keys, and print what is done. Raise ConfigurationError if it cannot go on now."""
    async with opened(installation, upgrade=False) as stores:
        for kind in wanted:
            await _replace(installation, stores, kind, force=force)
        if "secret" in wanted:
            await asyncio.sleep(2 * LOOK_SECONDS)  # until no process seals with the old key any more
            await _reseal(stores)
    print("the keys of before stay valid; `registrar keys status` says when they may go")


async def show(installation: Installation, *, as_json: bool) -> None:
    """Print which keys are in use, and what still needs the old ones."""
    async with opened(installation, upgrade=False) as stores:
        left = await count_left(stores.reader, stores.vault)
        knowers = await _knowers(stores.redis)
        rows = [_row(installation.keys(kind), stores.in_use, kind, knowers, left) for kind in KINDS]
    if as_json:
        print(json.dumps({"keys": rows, "processes": len(knowers)}))
        return
    for row in rows:
        print(_line(row))


async def _replace(installation: Installation, stores: Stores, kind: Kind, *, force: bool) -> None:
    ring = installation.keys(kind)
    if ring.first == ring.active:
        await _prepare(installation, stores, kind, force=force)
    before, after = ring.active, ring.first
    print(f"{kind} key {before}: its successor is {after}")
    await _known(stores.redis, kind, after)
    row = told(ROTATED, named=NAMES[kind], before={"key": before}, after={"key": after})
    if not await switch(stores.writer, kind, before, after, row):
        raise ConfigurationError(
            f"the {kind} key {before} is no longer in use: look at `registrar keys status`"
        )
    found = await in_use(stores.writer)
    if found is not None:
        found.tell(installation.secret_keys, installation.jwt_keys)
    print(f"{kind} key {after}: in use")


async def _prepare(installation: Installation, stores: Stores, kind: Kind, *, force: bool) -> None:
    """Put a new key beside the one in use. Raise ConfigurationError if somebody else must do that."""
    ring, name = installation.keys(kind), NAMES[kind]
    if given_keys(installation.settings, kind)[0]:
        raise ConfigurationError(
            f"{name}: put a new key there and the one in use into {name}_OLD, restart the processes one "
            "after the other, and run this again"
        )
    left = await count_left(stores.reader, stores.vault) if kind == "secret" else 0
    why = _needed(ring, stores.in_use, kind, left)
    if why and (left or not force):
        raise ConfigurationError(f"the {kind} key was replaced before, and {why}")
    path = key_file(installation.directory, kind)
    try:
        replace(path)
        ring.use(held(path), ring.active, rotated=ring.rotated)
    except OSError as error:
        raise ConfigurationError(f"REGISTRAR_DATA_DIR: {error.filename}: {error.strerror}") from error


async def _known(redis: MeasuredRedis, kind: Kind, name: str) -> None:
    """Wait until all living processes know a key. Raise ConfigurationError if some do not."""
    for _ in range(round(KNOWN_SECONDS)):
        ignorant = [one.process for one in await _knowers(redis) if not one.knows(kind, name)]
        if not ignorant:
            return
        await asyncio.sleep(1)
    raise ConfigurationError(
        f"the {kind} key {name} is not known to {', '.join(ignorant)}: bring it there as {NAMES[kind]} "
        f"with the one of now as {NAMES[kind]}_OLD, and run this again"
    )


async def _knowers(redis: MeasuredRedis) -> list[Knower]:
    """Return the living processes; forget those that have ended. Without Redis, none can be living."""
    try:
        now, _ = await redis.time()
        rows = await redis.hgetall(keys.KEYS_KNOWN)
        found = {str(process): json.loads(text) for process, text in rows.items()}
        gone = [process for process, told in found.items() if now - told["at"] > SILENT_SECONDS]
        if gone:
            await redis.hdel(keys.KEYS_KNOWN, *gone)
    except (RedisError, OSError) as error:
        raise ConfigurationError(f"REGISTRAR_REDIS_URL: {error}") from error
    return [
        Knower(process, tuple(told["secret"]), tuple(told["jwt"]))
        for process, told in sorted(found.items())
        if process not in gone
    ]


async def _reseal(stores: Stores) -> None:
    total, done = await count_left(stores.reader, stores.vault), 0

    def progress(step: int) -> None:
        nonlocal done
        done += step
        print(f"sealed again: {done} of {total}", end="\r" if sys.stdout.isatty() else "\n", flush=True)

    unreadable = await reseal(stores.writer, stores.vault, progress)
    if total:
        after = {"key": stores.vault.fingerprint, "sealed": done, "unreadable": unreadable}
        await note(stores.writer, RESEALED, named=NAMES["secret"], after=after)
    if unreadable:
        print(f"{unreadable} stored secrets cannot be read with any key, and stay as they are")


def _needed(ring: Keyring, found: InUse, kind: Kind, left: int) -> str:
    """Return why the key of before is still needed; empty if it may go, or if there is none."""
    _, since = found.of(kind)
    if len(ring.names) == 1:
        return ""
    if ring.first != ring.active:
        return "the new key is not in use yet"
    if left and kind == "secret":
        return f"{left} stored secrets are not sealed with the new key yet"
    if since is not None and clock.utc_now() - since < LIFE:
        return f"tokens of the key of before are good until {clock.iso(since + LIFE)}"
    return ""


def _row(ring: Keyring, found: InUse, kind: Kind, knowers: list[Knower], left: int) -> dict[str, object]:
    name, since = found.of(kind)
    return {
        "kind": kind,
        "inUse": name,
        "since": clock.iso(since) if since else None,
        "others": [one for one in ring.names if one != name],
        "unknownTo": [one.process for one in knowers for key in ring.names if not one.knows(kind, key)],
        "sealedWithOthers": left if kind == "secret" else 0,
        "needed": _needed(ring, found, kind, left),
    }


def _line(row: dict[str, object]) -> str:
    since = f", since {row['since']}" if row["since"] else ""
    text = f"{row['kind']:<6}  {row['inUse']}{since}"
    others, unknown = row["others"], row["unknownTo"]
    if isinstance(others, list) and others:
        state = row["needed"] or f"it may go: {_how(str(row['kind']))}"
        text += f"\n        beside it {', '.join(others)}: {state}"
    if isinstance(unknown, list) and unknown:
        text += f"\n        not all of them are known to {', '.join(unknown)}"
    return text


def _how(kind: str) -> str:
    return f"remove the file {kind}.key.old, or {NAMES[kind]}_OLD"
