"""Each fault under registrations, calls and API reads; the table is in docs/chaos.md."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from _pytest.mark import ParameterSet

from tests.patience import limit
from tests.peers.process import PeerFailed
from tests.wire.chaos.people import NODES
from tests.wire.chaos.rows import ROWS, Row
from tests.wire.chaos.scene import Base, Scene, make_base, running
from tests.wire.chaos.traffic import KINDS, Traffic
from tests.wire.chaos.verdict import Verdict, recovery, table
from tests.wire.conftest import Report
from tests.wire.ledger import Book, lost
from tests.wire.need import need, need_namespace, need_postgresql
from tests.wire.site import Site, within

pytestmark = [pytest.mark.wire, pytest.mark.soak]

CALM_SECONDS: Final = 3.0
"""How long the traffic runs before each fault, and after everything is served again."""
VISIBLE_SECONDS: Final = 10.0
"""After the end of a fault every acknowledged binding is to be seen by then."""
READY_SECONDS: Final = 20.0
TABLE: Final = Path(os.environ.get("CHAOS_TABLE", "chaos-table.txt"))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    need("redis-server", "redis-cli", "nft", "faketime")
    need_namespace()
    if request.param == "postgresql":
        need_postgresql()
    folder = tmp_path_factory.mktemp(f"base-{request.param}")
    with make_base(folder, postgresql=request.param == "postgresql") as made:
        yield made


@pytest.fixture(scope="module")
def verdicts() -> Iterator[list[Verdict]]:
    """All of this run; in the end they are the table."""
    found: list[Verdict] = []
    yield found
    TABLE.write_text(table(found))


@pytest.fixture(scope="module")
def scene(
    request: pytest.FixtureRequest, base: Base, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """Both nodes; rows that need the same share them."""
    with ExitStack() as stack:
        with base.hub.entered():
            made = stack.enter_context(running(base, tmp_path_factory.mktemp("scene"), request.param))
        yield made


def cases() -> list[ParameterSet]:
    """Each row with what it needs."""
    backend = {True: "postgresql", False: "sqlite"}
    return [pytest.param(backend[row.needs.postgresql], row.needs, row, id=row.name) for row in ROWS]


@pytest.mark.parametrize(("base", "scene", "row"), cases(), indirect=["base", "scene"])
def test_nothing_is_lost_and_nobody_is_blamed(
    base: Base, scene: Scene, row: Row, verdicts: list[Verdict], report: Report
) -> None:
    with base.hub.entered():
        verdict = strike(scene, row)
    verdicts.append(verdict)
    report(" | ".join(verdict.cells()))
    assert verdict.failures() == []


def strike(scene: Scene, row: Row) -> Verdict:
    """Inject the fault while the traffic runs, and look what came of it."""
    for node in scene.nodes.values():
        within(READY_SECONDS, node.ready, f"node {node.name} is ready after the row before")
    before = scene.exceptions
    with Traffic(scene) as traffic:
        time.sleep(CALM_SECONDS)
        faults = row.fault(scene)
        healed = time.time()
        traffic.wait(healed)
        missing = still_missing(scene, traffic, traffic.promised, healed)
        if scene.struck:
            time.sleep(max(0.0, healed + VISIBLE_SECONDS - time.time()))
            scene.struck.clear()
        time.sleep(CALM_SECONDS)
    journal, attempts, exceptions = traffic.journal, traffic.attempts(), scene.exceptions - before
    asked = [one for one in attempts if one.kind in KINDS]
    return Verdict(
        row.name, faults, attempts, missing, journal.samples, journal.disagreements, traffic.rude, exceptions,
        recovery(asked, healed), row.recovers,
    )  # fmt: skip


def still_missing(scene: Scene, traffic: Traffic, promised: Book, healed: float) -> list[str]:
    """What is not seen at every node in time, of all that was promised until the fault ended."""
    while missing := [text for node in NODES for text in unseen(scene.nodes[node], traffic, promised)]:
        if time.time() > healed + limit(VISIBLE_SECONDS):
            break
        time.sleep(0.2)
    return missing


def unseen(node: Site, traffic: Traffic, promised: Book) -> list[str]:
    """What one node does not show. A promise over a connection ends with it."""
    now = traffic.promised.promises
    kept = {
        name: promise
        for name, promise in promised.promises.items()
        if name in now and now[name].contact == promise.contact
    }
    try:
        return lost(node, traffic.handsets, Book(promises=kept))
    except (KeyError, OSError, PeerFailed) as error:
        return [f"{type(error).__name__}: {error}"]
