"""The config API under load: one process, PostgreSQL and Redis filled in bulk, a load tool beside it."""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from config.access import AccessLevel
from config.auth import issue_token
from config.models import GENERIC
from tests.bench import api_load
from tests.bench.api_data import FILTER, Filled, fill
from tests.bench.sides import LOAD_CORE, SECRET_KEY, SERVER_CORE
from tests.peers.postgresql import PostgresServer
from tests.peers.process import PeerFailed
from tests.peers.redis import RedisServer
from tests.peers.registrar import RegistrarServer

PHONES: Final = 100_000
LARGE: Final = 20_000
"""Phones of one customer; the others have 100 each."""
FEW: Final = 1_000
PAGE: Final = 1_000
FAR: Final = 15_000
IDS: Final = 1_000
WEBRTC_CLIENTS: Final = 50
TOKEN_MINUTES: Final = 24 * 60
LOAD_SECONDS: Final = 600.0
POSTGRESQL: Final = {"shared_buffers": "512MB", "work_mem": "16MB", "effective_cache_size": "1GB"}
PAGE_ROWS: Final = """
SELECT p.*, m.oid, c.oid, e.oid, r.oid FROM sip_phone p
JOIN sip_phone_model m ON m.id = p.model_id
JOIN customer c ON c.id = p.customer_id
LEFT JOIN extension e ON e.id = p.extension_id
LEFT JOIN product r ON r.id = p.product_id
WHERE p.customer_id = (SELECT id FROM customer WHERE oid = $1)
ORDER BY p.id OFFSET $2 LIMIT $3
"""
"""The rows of a full page and nothing else: what PostgreSQL and its driver cost by themselves."""

Result = dict[str, Any]  # as the load tool writes it

Request = tuple[str, str, object, str]
"""Method, path, body, whose token."""


@dataclass(frozen=True)
class Case:
    """Requests that are measured together, one after the other in turn."""

    name: str
    requests: list[Request]
    count: int
    concurrency: int = 1
    aim_ms: float | None = None
    """What 95 of 100 requests must not take longer than."""


@dataclass(frozen=True)
class Latency:
    """What one case came to."""

    name: str
    concurrency: int
    requests: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_ms: float
    """User and system time of the server for one request."""
    kilobytes: float
    aim_ms: float | None


@dataclass(frozen=True)
class Plan:
    """What the load tool reads from its standard input."""

    host: str
    port: int
    tokens: dict[str, str]
    cases: list[Case]


@dataclass(frozen=True)
class ApiFigures:
    """All that was measured of the API."""

    phones: int
    online: int
    latencies: list[Latency]
    few_phones: int
    few: Latency
    """The same page where the database holds hardly more than it."""
    rows_alone_ms: float
    """Median time of PostgreSQL and asyncpg for the rows of the page, in the same run."""


def measure(tmp: Path) -> ApiFigures:
    """Fill, serve and measure; the small database first."""
    with PostgresServer(cores=LOAD_CORE, **POSTGRESQL) as sql:
        with _served(tmp / "few", sql, FEW, FEW) as (server, filled):
            (few,) = _load(server, filled, [_page("page, of 1,000 phones", 0)])
        with _served(tmp / "many", sql, PHONES, LARGE) as (server, filled):
            latencies = _load(server, filled, _cases(filled))
            rows = asyncio.run(_rows_alone(server.settings["database_url"], filled))
    return ApiFigures(PHONES, filled.online, latencies, FEW, few, rows)


def _cases(filled: Filled) -> list[Case]:
    wanted = urllib.parse.quote(FILTER)
    one: list[Request] = [
        ("GET", f"/pbx/sipphone/{phone}/status", None, "viewer") for phone in filled.phones[:500]
    ]
    many = {"ids": filled.phones[:IDS]}
    webrtc: list[Request] = [
        ("POST", "/pbx/sipphone/webrtc", {"instanceId": f"bench-{number}"}, "person")
        for number in range(WEBRTC_CLIENTS)
    ]
    create: Request = ("POST", "/pbx/sipphone", {"sipPhoneModel": GENERIC, "notes": "made"}, "person")
    return [
        _page("page of 1,000, offset 0", 0, aim=150),
        _page(f"page of 1,000, offset {FAR:,}", FAR, aim=150),
        _page(f"page, filter={FILTER}", 0, f"&filter={wanted}", aim=200),
        Case("normal list of 1,000", [_list("limit=1000")], 60),
        Case("50 of those online", [_list("state=registered&limit=50&offset=5000")], 60, aim_ms=150),
        Case("50 of those never there", [_list("state=never&limit=50&offset=5000")], 60, aim_ms=150),
        Case("summary", [("GET", "/pbx/sipphone/summary", None, "viewer")], 300),
        Case("one status", one, 1_000, aim_ms=5),
        Case("one status, 8 at once", one, 2_000, 8),
        Case("status of 1,000 ids", [("POST", "/pbx/sipphone/status", many, "viewer")], 60),
        Case("create", [create], 300),
        Case("webrtc", webrtc, 300),
    ]


def _page(name: str, offset: int, more: str = "", aim: float | None = None) -> Case:
    return Case(name, [_list(f"full=true&limit={PAGE}&offset={offset}{more}")], 60, aim_ms=aim)


def _list(query: str) -> Request:
    return "GET", f"/pbx/sipphone?{query}", None, "viewer"


@contextlib.contextmanager
def _served(
    tmp: Path, sql: PostgresServer, phones: int, large: int
) -> Iterator[tuple[RegistrarServer, Filled]]:
    with RedisServer(tmp, cores=LOAD_CORE) as redis:
        url = sql.url(sql.create())
        filled = asyncio.run(fill(url, redis.url, SECRET_KEY, phones, large, time.time()))
        with RegistrarServer(
            tmp,
            arguments=("serve", "api"),
            cores=SERVER_CORE,
            redis_url=redis.url,
            database_url=url,
            secret_key=SECRET_KEY,
            jwt_secret=SECRET_KEY,
        ) as server:
            yield server, filled


def _load(server: RegistrarServer, filled: Filled, cases: Sequence[Case]) -> list[Latency]:
    """Run the load tool in a process of its own, once for each case."""
    claims = {
        "viewer": (AccessLevel.VIEWER, filled.customer, None),
        "person": (AccessLevel.MANAGER, filled.customer, filled.employee),
    }
    tokens = {name: issue_token(SECRET_KEY, *claim, TOKEN_MINUTES) for name, claim in claims.items()}
    found: list[Latency] = []
    for case in cases:
        cpu = server.cpu_seconds()
        result = _run(Plan(*server.http, tokens, [case]))[case.name]
        found.append(_latency(case, result, server.cpu_seconds() - cpu))
    return found


def _run(plan: Plan) -> dict[str, Result]:
    pinned = ["taskset", "--cpu-list", LOAD_CORE] if LOAD_CORE else []
    done = subprocess.run(
        [*pinned, sys.executable, "-m", api_load.__name__],
        input=json.dumps(asdict(plan)),
        capture_output=True,
        text=True,
        timeout=LOAD_SECONDS,
    )
    if done.returncode != 0:
        raise PeerFailed(f"the load tool: {done.stderr}")
    results: dict[str, Result] = json.loads(done.stdout)
    return results


def _latency(case: Case, result: Result, cpu_seconds: float) -> Latency:
    times: list[float] = result["times"]
    if result["statuses"] != {"200": len(times)}:
        raise PeerFailed(f"{case.name}: answers {result['statuses']}")
    cuts = [cut * 1_000 for cut in statistics.quantiles(times, n=100, method="inclusive")]
    return Latency(
        case.name,
        case.concurrency,
        len(times),
        len(times) / result["seconds"],
        cuts[49],
        cuts[94],
        cuts[98],
        cpu_seconds / result["asked"] * 1_000,
        result["bytes"] / 1_000,
        case.aim_ms,
    )


async def _rows_alone(url: str, filled: Filled) -> float:
    connection: asyncpg.Connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    times: list[float] = []
    try:
        for _ in range(30):
            begin = time.perf_counter()
            rows = await connection.fetch(PAGE_ROWS, filled.customer, 0, PAGE)
            times.append(time.perf_counter() - begin)
            if len(rows) != PAGE:
                raise PeerFailed(f"{len(rows)} rows for a page of {PAGE}")
    finally:
        await connection.close()
    return statistics.median(times) * 1_000
