"""Unlocking a phone for some minutes, and accepting the address from which it was refused."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from config import chores, clock
from config.access import AccessLevel
from config.chores import Chores
from config.operations.phones.unlock import end_unlocks
from registrar.store import keys
from registrar.store.database import connect
from registrar.store.directory_sql import SqlPhones
from tests.config.test_live import write_status
from tests.config.world import NOBODY, World
from tests.patience import limit

OFFICE, CAFE = "198.51.100.7", "203.0.113.9"
LOCKED = {"mode": "LOCKED", "address": OFFICE}


async def locked(world: World, **body: Any) -> str:
    created = await world.create(ip=LOCKED, **body)
    return str(created["_id"])


async def ask(
    world: World, path: str, body: dict[str, Any], level: AccessLevel = AccessLevel.MANAGER, **who: Any
) -> httpx.Response:
    async with world.client(level, **who) as client:
        return await client.post(f"/pbx/sipphone/{path}", json=body)


async def rule(world: World, id: str) -> dict[str, Any]:
    async with world.client(AccessLevel.VIEWER) as client:
        answer = (await client.get(f"/pbx/sipphone/{id}")).json()
    ip: dict[str, Any] = answer["ip"]
    return ip


async def refuse(world: World, id: str, address: str = CAFE, reason: str = "ip-locked") -> None:
    told = {"lastRejectedAt": "1795262400", "lastRejectedIp": address, "lastRejectedReason": reason}
    await write_status(world.redis, id, told)


async def deeds(world: World, id: str) -> list[tuple[Any, ...]]:
    statement = "SELECT action, actor_level FROM audit_log WHERE row_oid = :id ORDER BY id"
    return (await world.rows(statement, id=id))[1:]


async def let_time_pass(world: World, id: str) -> None:
    """The time of the phone is over."""
    past = clock.utc_now() - timedelta(seconds=2)
    value = past if world.engine.dialect.name == "postgresql" else past.strftime("%Y-%m-%d %H:%M:%S.%f")
    await world.execute("UPDATE sip_phone SET unlocked_until = :at WHERE oid = :id", at=value, id=id)


async def test_an_unlocked_phone_is_open_until_its_time_is_over(world: World) -> None:
    id = await locked(world)
    answer = await ask(world, f"{id}/unlock", {"minutes": 15})
    assert answer.status_code == 200, answer.text
    shown = answer.json()["ip"]
    assert (shown["mode"], shown["address"]) == ("OPEN", None)
    until = clock.utc_now() + timedelta(minutes=15)
    assert abs(clock.utc_exact(until.timestamp()) - _read(shown["unlockedUntil"])) < timedelta(seconds=5)
    async with world.client(AccessLevel.VIEWER) as client:
        (listed,) = (await client.get("/pbx/sipphone")).json()["sipPhones"]
    assert listed["ip"] == shown
    jobs = Chores(world.app().state.parts)
    assert await jobs.end_unlocks() == []
    assert (await rule(world, id))["mode"] == "OPEN"
    await let_time_pass(world, id)
    subscriber = world.redis.pubsub()
    await subscriber.subscribe(keys.CHANGED)
    assert await jobs.end_unlocks() == [id] and await jobs.end_unlocks() == []
    assert await rule(world, id) == LOCKED | {"countries": "", "policy": "PHONE"}
    assert await _told(subscriber) == f"phone {id}"
    assert await deeds(world, id) == [("unlock", "MANAGER"), ("lock", "SYSTEM")]


def _read(text: str) -> Any:
    return datetime.fromisoformat(text)


async def _told(subscriber: Any) -> str:
    async with asyncio.timeout(limit(5)):
        async for message in subscriber.listen():
            if message["type"] == "message":
                await subscriber.aclose()
                return str(message["data"])
    raise AssertionError("nothing was announced")


async def test_the_jobs_go_on_until_the_stop_also_after_a_store_was_away(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chores, "LOOK_SECONDS", 0.02)
    id = await locked(world)
    await ask(world, f"{id}/unlock", {})
    await let_time_pass(world, id)
    away = connect(f"sqlite+aiosqlite:///{tmp_path}/no/such/folder.db")
    parts = world.app().state.parts
    jobs, stop = Chores(replace(parts, read_engine=away)), asyncio.Event()
    running = asyncio.create_task(jobs.run(stop))
    await _until(lambda: caplog.text.count("tried again") >= 2)
    jobs._parts = parts  # the store is back
    await _until_locked(world, id)
    stop.set()
    await running
    await away.dispose()


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(limit(10)):
        while not holds():
            await asyncio.sleep(0.02)


async def _until_locked(world: World, id: str) -> None:
    async with asyncio.timeout(limit(10)):
        while (await rule(world, id))["mode"] != "LOCKED":
            await asyncio.sleep(0.02)


async def test_a_contact_that_comes_in_time_locks_the_phone(world: World) -> None:
    id = await locked(world)
    assert (await ask(world, f"{id}/unlock", {})).status_code == 200
    phones = SqlPhones(world.read_engine, world.engine, world.vault)
    assert await phones.lock(id, CAFE)
    await phones.close()
    await let_time_pass(world, id)  # as a process of before would have left it
    assert await Chores(world.app().state.parts).end_unlocks() == []
    ip = await rule(world, id)
    assert ip == {"mode": "LOCKED", "address": CAFE, "countries": "", "policy": "PHONE"}


async def test_only_one_process_ends_the_time(world: World) -> None:
    ids = [await locked(world) for _ in range(5)]
    for id in ids:
        await ask(world, f"{id}/unlock", {"minutes": 1})
        await let_time_pass(world, id)
    now = clock.utc_now()
    ended = await asyncio.gather(*(end_unlocks(world.engine, now) for _ in range(3)))
    assert sorted(id for oids, _ in ended for id in oids) == sorted(ids)


async def test_another_time_replaces_the_first(world: World) -> None:
    id = await locked(world)
    first = (await ask(world, f"{id}/unlock", {"minutes": 1})).json()["ip"]["unlockedUntil"]
    second = (await ask(world, f"{id}/unlock", {"minutes": 60})).json()["ip"]["unlockedUntil"]
    assert first < second
    await let_time_pass(world, id)
    await Chores(world.app().state.parts).end_unlocks()
    assert (await rule(world, id))["address"] == OFFICE


@pytest.mark.parametrize("what", ["unlock", "acceptaddress"])
async def test_a_roaming_phone_has_no_lock_and_goes_on_roaming(world: World, what: str) -> None:
    """Its next contact would lock it to one address, and its countries would count no more."""
    id = (await world.create(ip={"mode": "ROAMING", "countries": "DK,SE"}))["_id"]
    await refuse(world, id)
    before = await rule(world, id)
    answer = await ask(world, f"{id}/{what}", {})
    assert (answer.status_code, answer.json()["error"]["path"]) == (409, "ip.mode")
    assert answer.json()["error"]["message"] == (
        "The phone is ROAMING in DK,SE, and has no lock to an address: "
        "add a country to ip.countries, or change ip.mode"
    )
    phones = SqlPhones(world.read_engine, world.engine, world.vault)
    assert not await phones.lock(id, CAFE)
    await phones.close()
    assert await rule(world, id) == before
    assert await deeds(world, id) == []


async def test_a_roaming_phone_that_was_unlocked_by_an_earlier_version_roams_again(world: World) -> None:
    id = (await world.create(ip={"mode": "ROAMING", "countries": "DK"}))["_id"]
    opened = "UPDATE sip_phone SET ip_mode = 'OPEN', unlock_mode = 'ROAMING' WHERE oid = :id"
    await world.execute(opened, id=id)
    await let_time_pass(world, id)
    await Chores(world.app().state.parts).end_unlocks()
    assert (await rule(world, id))["mode"] == "ROAMING"


async def test_a_new_rule_ends_the_time_and_other_changes_do_not(world: World) -> None:
    id = await locked(world)
    whole = (await ask(world, f"{id}/unlock", {"minutes": 5})).json()
    async with world.client(AccessLevel.MANAGER) as client:
        kept = await client.put(f"/pbx/sipphone/{id}", json={"notes": "x", "ip": whole["ip"]})
        assert kept.json()["ip"] == whole["ip"]
        other = await client.put(f"/pbx/sipphone/{id}", json={"ip": {"mode": "LOCKED", "address": CAFE}})
    assert "unlockedUntil" not in other.json()["ip"]
    await Chores(world.app().state.parts).end_unlocks()
    assert (await rule(world, id))["address"] == CAFE


@pytest.mark.parametrize("minutes", [0, 1_441, -1, "15", 1.5, True, []])
async def test_a_time_that_is_not_allowed_is_422(world: World, minutes: object) -> None:
    answer = await ask(world, f"{await locked(world)}/unlock", {"minutes": minutes})
    assert (answer.status_code, answer.json()["error"]["path"]) == (422, "minutes")


async def test_a_phone_without_a_lock_cannot_be_unlocked(world: World) -> None:
    id = (await world.create())["_id"]
    answer = await ask(world, f"{id}/unlock", {})
    assert (answer.status_code, answer.json()["error"]["path"]) == (409, "ip.mode")
    by_domain = (await world.create(ip={"policy": "DOMAIN"}))["_id"]
    answer = await ask(world, f"{by_domain}/unlock", {})
    assert (answer.status_code, answer.json()["error"]["path"]) == (409, "ip.policy")


async def test_the_new_address_is_accepted(world: World) -> None:
    id = await locked(world)
    await refuse(world, id)
    answer = await ask(world, f"{id}/acceptaddress", {"address": CAFE})
    assert (answer.status_code, answer.json()["ip"]["address"]) == (200, CAFE)
    again = await ask(world, f"{id}/acceptaddress", {})
    assert (again.status_code, again.json()["ip"]) == (200, answer.json()["ip"])
    assert await deeds(world, id) == [("acceptaddress", "MANAGER")]


async def test_a_newer_refusal_is_not_accepted_by_accident(world: World) -> None:
    id = await locked(world)
    await refuse(world, id, "192.0.2.66")
    answer = await ask(world, f"{id}/acceptaddress", {"address": CAFE})
    assert (answer.status_code, answer.json()["error"]["path"]) == (409, "address")
    assert (await rule(world, id))["address"] == OFFICE
    assert (await ask(world, f"{id}/acceptaddress", {"address": "here"})).status_code == 422


@pytest.mark.parametrize("reason", ["", "wrong-password", "country-refused"])
async def test_without_a_refusal_because_of_the_lock_there_is_nothing_to_accept(
    world: World, reason: str
) -> None:
    id = await locked(world)
    if reason:
        await refuse(world, id, reason=reason)
    assert (await ask(world, f"{id}/acceptaddress", {})).status_code == 409


async def test_a_phone_that_is_not_locked_accepts_nothing(world: World) -> None:
    id = (await world.create())["_id"]
    await refuse(world, id)
    assert (await ask(world, f"{id}/acceptaddress", {})).status_code == 409


@pytest.mark.parametrize("what", ["unlock", "acceptaddress"])
async def test_a_foreign_phone_is_404_as_an_unknown_one_and_a_viewer_may_not(world: World, what: str) -> None:
    id = await locked(world)
    foreign = await ask(world, f"{id}/{what}", {}, customer="rival")
    unknown = await ask(world, f"{NOBODY}/{what}", {}, customer="rival")
    assert (foreign.status_code, foreign.content) == (404, unknown.content)
    assert (await ask(world, f"{id}/{what}", {}, AccessLevel.VIEWER)).status_code == 403
