"""What happened to a phone: the journal of the SIP side and the deeds of people, as one story."""

import asyncio
import time
from typing import Any

import pytest

from config.access import AccessLevel
from registrar.store import keys
from tests.config.test_live import online, write_status
from tests.config.world import Json, World


async def events_of(world: World, phone: str, **params: Any) -> Json:
    async with world.client(AccessLevel.ADMIN, None) as client:
        answer = await client.get(f"/pbx/sipphone/{phone}/events", params=params)
    assert answer.status_code == 200, answer.text
    told: Json = answer.json()
    return told


async def note(world: World, phone: str, event: str, **fields: str) -> None:
    """A line in the journal as the SIP side writes it."""
    whole = {"event": event, "reason": event, "time": str(int(time.time())), "count": "1", "by": ""} | fields
    words = [word for pair in whole.items() for word in pair]
    await world.redis.execute_command("XADD", keys.journal(phone), "*", *words)  # type: ignore[no-untyped-call]


async def test_the_journal_and_what_people_did_are_one_story(world: World) -> None:
    phone = (await world.create())["_id"]
    await note(world, phone, "registered", ip="192.0.2.7", port="5060", transport="udp", userAgent="Snom")
    await asyncio.sleep(0.002)
    async with world.client(AccessLevel.MANAGER, person="anna") as client:
        await client.patch(f"/pbx/sipphone/{phone}", json={"notes": "desk"})
        await client.post(f"/pbx/sipphone/{phone}/resetcredentials")
    await asyncio.sleep(0.002)
    await note(world, phone, "revoked", by="api")
    await note(world, phone, "rejected", reason="ip-locked", ip="10.0.0.9", count="7")
    told = await events_of(world, phone)
    assert [event["event"] for event in told["events"]] == [
        "rejected",
        "revoked",
        "reset",
        "updated",
        "registered",
        "created",
    ]
    rejected, revoked, reset, updated, registered, created = told["events"]
    assert (rejected["reason"], rejected["ip"], rejected["count"]) == ("ip-locked", "10.0.0.9", 7)
    assert (revoked["source"], revoked["by"], revoked["level"]) == ("sip", "api", None)
    for deed in (reset, updated):
        assert (deed["source"], deed["by"], deed["level"]) == ("api", "Anna Østergård", "MANAGER")
        assert (deed["employee"], deed["ip"]) == (world.ids["anna"], "127.0.0.1")
    assert (created["by"], created["employee"]) == ("RESELLER_ADMIN", None)
    assert registered == {
        "time": registered["time"],
        "event": "registered",
        "source": "sip",
        "reason": "registered",
        "ip": "192.0.2.7",
        "port": 5060,
        "transport": "udp",
        "userAgent": "Snom",
        "count": 1,
        "by": None,
        "level": None,
        "employee": None,
    }
    assert (
        abs(time.mktime(time.strptime(created["time"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time())
        < 60
    )
    assert (told["_id"], told["limit"], told["status"]["online"]) == (phone, 50, False)


async def test_the_summary_says_why_a_phone_is_offline(world: World) -> None:
    phone = await world.create(ip={"mode": "LOCKED", "address": "10.0.0.1"})
    refused = {
        "online": "0",
        "state": "offline",
        "reason": "ip-rejected",
        "since": "1795262400",
        "lastRejectedAt": "1795262460",
        "lastRejectedIp": "10.0.0.9",
        "lastRejectedReason": "ip-locked",
    }
    await write_status(world.redis, phone["_id"], online() | refused)
    assert (await events_of(world, phone["_id"]))["summary"] == (
        "Offline since 2026-11-21T12:00:00Z: the phone's address 10.0.0.9 was refused because the phone is "
        "locked to 10.0.0.1. Open it again with ip.mode OPEN."
    )


async def test_the_summary_names_who_made_new_credentials(world: World) -> None:
    phone = (await world.create())["_id"]
    async with world.client(AccessLevel.MANAGER, person="anna") as client:
        await client.post(f"/pbx/sipphone/{phone}/resetcredentials")
    gone = {"online": "0", "state": "offline", "reason": "revoked", "since": str(int(time.time()))}
    await write_status(world.redis, phone, online() | gone)
    summary = (await events_of(world, phone))["summary"]
    assert "its credentials were reset by Anna Østergård from 127.0.0.1 at" in summary


async def test_the_summary_knows_a_blocked_customer(world: World) -> None:
    phone = (await world.create())["_id"]
    await world.execute("UPDATE customer SET state = 'BLOCKED' WHERE oid = :oid", oid=world.ids["acme"])
    assert "the customer is not active" in (await events_of(world, phone))["summary"]


@pytest.mark.parametrize(
    ("sent", "used"), [(None, 50), ("1", 1), ("0", 1), ("-3", 1), ("100", 100), ("5000", 100), ("", 50)]
)
async def test_a_limit_stays_inside_its_limits(world: World, sent: str | None, used: int) -> None:
    phone = (await world.create())["_id"]
    for number in range(3):
        await note(world, phone, "registered", port=str(number + 1))
    told = await events_of(world, phone, **({"limit": sent} if sent else {}))
    assert told["limit"] == used
    assert [event["port"] for event in told["events"]] == [3, 2, 1, None][:used]


async def test_rubbish_in_a_journal_is_shown_as_far_as_it_goes(world: World) -> None:
    phone = (await world.create())["_id"]
    await world.redis.xadd(keys.journal(phone), {"event": "odd", "port": "many", "count": "９", "x": "y"})
    odd = (await events_of(world, phone))["events"][0]
    assert (odd["event"], odd["port"], odd["count"], odd["reason"]) == ("odd", None, 1, None)


async def test_a_journal_of_another_type_is_none(world: World) -> None:
    phone = (await world.create())["_id"]
    await world.redis.set(keys.journal(phone), "rubbish")
    assert [event["event"] for event in (await events_of(world, phone))["events"]] == ["created"]
