"""What a run of the tests says about itself before it begins, and which tests may run side by side."""

import faulthandler
import gc
import os
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from hypothesis import settings

from tests.figures import figures
from tests.large import without_large
from tests.patience import SOAK
from tests.peers import forked
from tests.peers.postgresql import PostgresServer
from tests.peers.process import lacking
from tests.wire.need import need_postgresql

# No deadline: a busy machine takes 200 ms for anything. `make soak` looks at the usual number of examples.
settings.register_profile("unhurried", deadline=None, max_examples=100 if SOAK else 40)
settings.load_profile("unhurried")

TOGETHER: Final = "servers"
"""One after the other in one process: tests that share servers, measure time, or kill what others need."""
APART: Final = frozenset(
    {
        "test_browser", "test_call_history", "test_calls_pjsua", "test_calls_reloaded",
        "test_calls_trouble", "test_certificate_under_load", "test_commands",
        "test_connections", "test_create_errors", "test_doctor", "test_events_over_http", "test_examples",
        "test_board", "test_first_fetches", "test_framing", "test_fuzz",
        "test_generated", "test_generated_client", "test_groups_media", "test_health",
        "test_http_connections", "test_https", "test_injection", "test_lamps",
        "test_listener", "test_mac_scan", "test_media_browser", "test_media_engine", "test_media_nat",
        "test_monitoring", "test_netns",
        "test_nodes", "test_page_calls", "test_page_everybody", "test_page_favourites",
        "test_page_links", "test_page_person",
        "test_phones_tcp_tls", "test_selftest",
        "test_pings", "test_postgresql", "test_queues_nodes", "test_queues_restarted", "test_readme",
        "test_rude_phones",
        "test_run", "test_statements_authentication", "test_statements_register", "test_statements_transport",
        "test_statements_websocket", "test_torture",
        "test_turn", "test_turn_inside", "test_unit", "test_watch", "test_webhook_nodes",
        "test_websocket_frames", "test_wheel",
    }
)  # fmt: skip
"""Of those that start servers: modules that may run beside the others, with servers of their own."""
TIMED: Final = frozenset(
    {
        "test_accept", "test_calls_losses", "test_calls_timers", "test_connections", "test_health",
        "test_listener", "test_memory", "test_ng", "test_nodes", "test_pings", "test_valkey", "test_watch",
    }
)  # fmt: skip
"""Modules whose tests wait for time to pass, or compare with it: `make busy` runs them beside busy loops."""
API: Final = frozenset({"test_access_matrix", "test_checklist", "test_races"})
"""Modules that share one server of the API on PostgreSQL."""
PEOPLE: Final = frozenset(
    {
        "test_features", "test_groups", "test_groups_sipp", "test_people", "test_queues",
    }
)  # fmt: skip
"""Modules of tests/wire about people with numbers, one after the other with servers that they share."""
LOADED: Final = frozenset({"test_faults", "test_limits", "test_node_lost", "test_ten_thousand_calls"})
"""Modules that load a server, kill it, or wait for those who waste time: a group beside the other servers."""
SUITES: Final = frozenset({"contract", "registrar/store"})
"""Folders whose tests start a Redis or PostgreSQL of their own, and no `registrar serve`."""
SHARING: Final = {"people": PEOPLE, "api": API, "loaded": LOADED}
FIRST: Final = (
    "servers", "loaded", "api", "calls", "people", "test_page_everybody", "test_browser", "sound",
    "test_board",
    "test_framing", "test_connections", "test_examples", "test_generated", "test_page_person",
    "test_queues_nodes", "test_calls_reloaded", "test_pings", "test_lamps", "test_http_connections",
    "test_calls_pjsua", "test_selftest", "test_page_calls", "test_https", "test_events_over_http",
    "test_page_favourites", "test_injection", "test_monitoring", "test_fuzz", "test_run", "test_readme",
    "test_commands", "test_torture", "test_phones_tcp_tls", "test_page_links", "test_doctor", "test_logins",
)  # fmt: skip
"""The groups that take longest, by name or module, the longest first: what begins last shall be short."""
PEERS = ("sipp", "baresip", "redis-server", "redis-cli", "kamailio", "psql", "rtpengine", "ip")
ON_POSTGRESQL: Final = "postgresql"
"""The name of that half of the tests that run on both databases."""
BOTH_DATABASES: Final = frozenset(
    {
        "test_audit_chain", "test_changes", "test_customers", "test_database", "test_first_login",
        "test_history", "test_list", "test_migrations", "test_model_seeding", "test_provisioning_admit",
        "test_redirects", "test_v2_lists", "test_v2_rows", "test_webhook_upkeep",
    }
)  # fmt: skip
"""Modules of tests/config about search, order, cascades, locks and migrations: they run on both databases.

The others run on SQLite in the soak alone: PostgreSQL is the stricter one, and all tests with servers and
phones use SQLite.
"""
MOST_SECOND_TRIES: Final = 5
"""Tests of a run that may fail once: `make real` tries them again."""
ROOT: Final = Path(__file__).parent
FAST: Final = "not wire and not api"
"""The choice of `make unit`: its tests share nothing, so they need no groups."""
REAL: Final = "wire or api"
"""The choice of `make real`: its processes do not even read the other folders."""
REAL_FOLDERS: Final = frozenset(
    {"config", "contract", "peers", "wire", "registrar", "registrar/commands", "registrar/store"}
)


def pytest_configure() -> None:
    """A start of the program costs its imports once for each process of the run; in the soak each time."""
    forked.enabled = not SOAK


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """In the soak a round may take longer than pytest's watch, which would end the whole run."""
    if SOAK:
        faulthandler.cancel_dump_traceback_later()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Which peers are missing, and how long the rounds are."""
    missing = lacking(*PEERS)
    effect = "their tests fail" if os.environ.get("CI") == "true" else "their tests are skipped"
    peers = f"missing: {', '.join(missing)}; {effect}" if missing else "all here"
    size = "in full (SOAK=1)" if SOAK else "reduced (SOAK=1 runs them in full)"
    return [f"peers: {peers}", f"rounds: {size}"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Every figure, from whichever process it came; only this folder's hook is heard in all of them."""
    lines = figures(outcome for found in terminalreporter.stats.values() for outcome in found)
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(tryfirst=True)  # before the summary is written
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let a run fail in which many tests needed a second try: then it is not the machine."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return  # a process of xdist
    again = len(reporter.stats.get("rerun", ()))
    if again > MOST_SECOND_TRIES:
        reporter.write_line(f"{again} tests needed a second try, {MOST_SECOND_TRIES} may", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what `make real` does not run anyway."""
    if config.option.markexpr != REAL or collection_path == ROOT or ROOT not in collection_path.parents:
        return None
    folder = collection_path if collection_path.is_dir() else collection_path.parent
    return None if folder.relative_to(ROOT).as_posix() in REAL_FOLDERS else True


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among what the imports and the many items leave: all of it stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in its own hook of this name
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For `--dist loadgroup --no-loadscope-reorder`: a module is never split, some with servers are one."""
    if not SOAK:
        small = [item for item in items if not _is_twice(item) and not item.get_closest_marker("soak")]
        items[:] = without_large(small)
    for item in items:
        _refuse_hidden(item)
    if config.option.markexpr == FAST:
        return
    groups = {item: _group(item) for item in items}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item]))
        if _place(item.path).stem in TIMED:
            item.add_marker(pytest.mark.timed)
    items.sort(key=lambda item: _turn(groups[item]))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say so when the groups have no effect: the tests would disturb each other."""
    config = session.config
    grouped = hasattr(config, "workerinput") and config.getoption("loadgroup", False)
    if grouped and session.items and "@" not in session.items[0].nodeid:
        raise pytest.UsageError("pytest-xdist does not keep the groups of tests together")


class _Place(NamedTuple):
    """Where a test stands. Thousands of tests ask, a few hundred files are asked about."""

    folder: str
    stem: str
    name: str


@cache
def _place(path: Path) -> _Place:
    return _Place(path.parent.relative_to(ROOT).as_posix(), path.stem, str(path))


def _refuse_hidden(item: pytest.Item) -> None:
    """Say so when a test has a mark of `make real` and stands where that does not look."""
    if _place(item.path).folder in REAL_FOLDERS:
        return
    if any(item.get_closest_marker(name) is not None for name in REAL.split(" or ")):
        raise pytest.UsageError(f"{item.nodeid} stands in a folder that is not in REAL_FOLDERS")


def _is_twice(item: pytest.Item) -> bool:
    """Whether it says the same as its twin on PostgreSQL."""
    place, callspec = _place(item.path), getattr(item, "callspec", None)
    if place.folder != "config" or place.stem in BOTH_DATABASES or callspec is None:
        return False
    return callspec.params.get("backend") == "sqlite" and "hash_cost" not in callspec.params


def _group(item: pytest.Item) -> str:
    place = _place(item.path)
    if place.stem.startswith("test_calls_") and place.stem not in APART:
        return "sound" if place.stem.startswith("test_calls_sound") else "calls"
    if item.get_closest_marker("wire") is None or place.stem in APART:
        return place.name
    callspec = getattr(item, "callspec", None)
    if callspec is not None and callspec.params.get("backend") == ON_POSTGRESQL:
        return f"{place.name} on {ON_POSTGRESQL}"
    if place.folder in SUITES:
        return place.name
    return next((name for name, modules in SHARING.items() if place.stem in modules), TOGETHER)


def _turn(group: str) -> int:
    name = Path(group.removesuffix(f" on {ON_POSTGRESQL}")).stem
    return FIRST.index(name) if name in FIRST else len(FIRST)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The PostgreSQL of this process of the run; each test makes a database of its own in it."""
    need_postgresql()
    with PostgresServer() as server:
        yield server
