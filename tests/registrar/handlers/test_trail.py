"""What is written of wrong passwords, when, and how much of it at most."""

import asyncio
import logging

import pytest

from registrar.handlers.trail import HELD, MAX_PHONES, WRONG, Trail
from registrar.logs import WrongPasswordLines
from registrar.metrics import Metrics
from registrar.model import Flow, WrongPasswords
from tests.registrar.handlers.world import ELSEWHERE, HOME, Device, Hands, Memories, World, phone, request

FLOW = Flow("udp", "192.0.2.10", 5060, HOME, 5061)
AGENT = request(more=["User-Agent: Evil/1 [/x]" + "y" * 500])


def trail(traces: Memories, metrics: Metrics | None = None) -> Trail:
    return Trail(traces, WrongPasswordLines(), Hands(), metrics or Metrics())


def note(at: Trail, name: str = "u", reason: str = WRONG) -> None:
    at.note(AGENT, FLOW, f"{name}@acme.test", phone(name), reason)


async def test_what_gathers_is_written_once_for_each_phone() -> None:
    traces = Memories()
    notes = trail(traces)
    for name in ("a", "a", "b", "a"):
        note(notes, name)
    assert not traces.told, "nothing waits for it"
    await notes.write()
    assert [(wrong.phone, wrong.count) for wrong in traces.told] == [("id-a", 3), ("id-b", 1)]
    wrong = traces.told[0]
    assert (wrong.ip, wrong.port, wrong.transport, wrong.customer) == (HOME, 5061, "udp", "acme")
    assert wrong.user_agent.startswith("Evil/1 ") and len(wrong.user_agent) < 300
    await notes.write()
    assert len(traces.told) == 2


async def test_names_that_nobody_has_are_in_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    traces = Memories()
    notes = trail(traces)
    with caplog.at_level(logging.WARNING):
        notes.note(AGENT, FLOW, "nobody@acme.test", None, HELD)
    await notes.write()
    assert not traces.told
    (record,) = caplog.records
    fields = vars(record)
    assert (record.getMessage(), fields["address"], fields["account"], fields["reason"]) == (
        "wrong password",
        HOME,
        "nobody@acme.test",
        HELD,
    )


async def test_what_the_store_does_not_take_waits() -> None:
    traces = Memories()
    notes = trail(traces)
    note(notes)
    traces.away = True
    await notes.write()
    note(notes)
    await notes.write()
    traces.away = False
    await notes.write()
    assert [wrong.count for wrong in traces.told] == [2]


class Slow(Memories):
    """Fails after others had time to note more."""

    async def wrong_passwords(self, wrong: WrongPasswords) -> None:
        await asyncio.sleep(0)
        await super().wrong_passwords(wrong)


async def test_what_comes_meanwhile_is_added() -> None:
    traces = Slow()
    notes = trail(traces)
    note(notes)
    traces.away = True
    writing = asyncio.create_task(notes.write())
    await asyncio.sleep(0)
    note(notes)
    await writing
    traces.away = False
    await notes.write()
    assert [wrong.count for wrong in traces.told] == [2]


async def test_the_queue_has_an_end_and_what_is_dropped_is_counted() -> None:
    traces, metrics = Memories(), Metrics()
    notes = trail(traces, metrics)
    for number in range(MAX_PHONES + 3):
        note(notes, f"n{number}-")
    await notes.write()
    assert len(traces.told) == MAX_PHONES
    assert b"registrar_wrong_passwords_untraced_total 3.0" in metrics.exposition()


async def test_a_wrong_digest_is_noted_for_the_phone_it_names_and_a_held_one_is_not() -> None:
    world = World()
    for address in [HOME] * 10 + [ELSEWHERE] * 2:
        await Device(world, phone(password="wrong"), address).register()
    assert (await Device(world, phone(password="wrong")).register()).status == 403
    await world.trail.write()
    (wrong,) = world.traces.told
    assert (wrong.phone, wrong.count, wrong.ip) == ("id-u", 12, ELSEWHERE)
    assert not world.location.updates, "what is bound is not touched"
