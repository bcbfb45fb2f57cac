"""The Redis check: whether it is reachable and persists data, and whether its clock agrees with ours."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from registrar.model import Epoch

from .finding import Finding, fail, ok, warn

WHAT: Final = "Redis"
CLOCK: Final = "clock"
ASK_SECONDS: Final = 5.0
LEAST_MAJOR: Final = 7
MUCH: Final = 0.75
FULL: Final = 0.95
MAX_DRIFT: Final = 2.0
"""Allowed difference between the two clocks. Nonces, expiries and leases are points in time on them."""

Info = Mapping[str, object]


@dataclass(frozen=True)
class Told:
    """The answers of Redis about itself."""

    info: Info
    save: str | None = None
    """Its snapshot rule; None if CONFIG GET is not allowed."""
    ahead: float = 0.0
    """Seconds by which the clock of Redis is ahead of this machine."""
    problem: str = field(default="")
    """Why it did not answer."""
    hangs: bool = False
    """Whether a server is there, but did not answer in time."""


async def ask(redis: Redis, now: Epoch) -> Told:
    """Ask Redis for everything and return it; `now` is the time of the call."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with asyncio.timeout(ASK_SECONDS):
            seconds, microseconds = await redis.time()
            middle = now + (loop.time() - begun) / 2
            info = dict(await redis.info())
            return Told(info, await _save(redis), seconds + microseconds / 1e6 - middle)
    except (RedisError, OSError) as error:
        hangs = _has_timed_out(error)
        return Told({}, problem=" ".join(str(error).split()) or type(error).__name__, hangs=hangs)


def _has_timed_out(error: BaseException | None) -> bool:
    """Return True if a timeout caused the error; redis-py may report it as a ConnectionError."""
    while error is not None and not isinstance(error, TimeoutError | RedisTimeoutError):
        error = error.__cause__ or error.__context__
    return error is not None


async def _save(redis: Redis) -> str | None:
    try:
        return str((await redis.config_get("save")).get("save", ""))
    except RedisError:  # a hosted service may forbid it
        return None


def judge(told: Told) -> list[Finding]:
    """Return all findings about a Redis that has answered."""
    info = told.info
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version") or "?")
    findings = [_version(name, version), _memory(info), _persistence(info, told.save), _clock(told.ahead)]
    if info.get("role") == "slave":
        findings.append(fail(WHAT, "it is a read-only replica", "name the primary"))
    return findings


def _version(name: str, version: str) -> Finding:
    major = version.partition(".")[0]
    if name == "Valkey" or (major.isdecimal() and int(major) >= LEAST_MAJOR):
        return ok(WHAT, f"{name} {version}")
    return fail(WHAT, f"{name} {version} is too old", f"install Redis {LEAST_MAJOR} or newer, or Valkey")


def _memory(info: Info) -> Finding:
    policy = str(info.get("maxmemory_policy", "noeviction"))
    used, limit = _number(info, "used_memory"), _number(info, "maxmemory")
    shown = f"{used / 2**20:.0f} MB used of {f'{limit / 2**20:.0f} MB' if limit else 'no limit'}, {policy}"
    if policy != "noeviction" and limit:
        return fail(WHAT, f"{shown}: it evicts registrations", "CONFIG SET maxmemory-policy noeviction")
    if policy != "noeviction":
        return warn(WHAT, f"{shown}: with a memory limit it would evict registrations",
                    "CONFIG SET maxmemory-policy noeviction")  # fmt: skip
    if limit and used > FULL * limit:
        return fail(WHAT, f"{shown}: it is full and refuses writes", "CONFIG SET maxmemory to more")
    if limit and used > MUCH * limit:
        return warn(WHAT, shown, "CONFIG SET maxmemory to more, before it is full and refuses writes")
    return ok(WHAT, shown)


def _persistence(info: Info, save: str | None) -> Finding:
    kept = [("append-only", bool(_number(info, "aof_enabled"))), ("snapshots", bool(save))]
    names = " and ".join(name for name, is_on in kept if is_on)
    broken = [name for name in ("aof_last_write_status", "rdb_last_bgsave_status") if info.get(name) == "err"]
    if broken:
        return fail(WHAT, f"its last write to disk failed ({', '.join(broken)})", "look into its log")
    if names:
        return ok(WHAT, f"kept on disk: {names}")
    if save is None:
        return warn(WHAT, "no append-only file; its snapshots may not be asked about", "turn appendonly on")
    return warn(WHAT, "nothing is kept on disk: a restart loses every registration", "appendonly yes")


def _clock(ahead: float) -> Finding:
    if abs(ahead) <= MAX_DRIFT:
        return ok(CLOCK, f"{abs(ahead):.1f} s from that of Redis")
    where = "behind" if ahead > 0 else "ahead of"
    return warn(
        CLOCK,
        f"ours is {abs(ahead):.1f} s {where} that of Redis: nonces and expiries will be wrong",
        "keep both in step (NTP)",
    )


def _number(info: Info, name: str) -> float:
    value = info.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0
