"""What the SIP side reads of the database never changes without a row in `change` that says so."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import Engine, event, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from config import clock
from config.access import AccessLevel
from config.chores import Chores
from config.database import writing
from config.deps import Parts
from config.noted import KEPT_SECONDS, forget, note
from config.operations.demo import demo_tenant
from config.tables import NotedChange
from registrar.model import Change
from registrar.store import keys
from tests.config.v2 import DEVICE, JOE, MEMBER, QUEUE, SALES, domain, made, number
from tests.config.world import MODEL, World

Row = tuple[Any, ...]
VIEWS: Final = {
    "phone_v1": "id, username, domain, password_enc, ha1_md5, ha1_sha256, customer, customer_state, "
    "extension, secret_version, ip_mode, ip_countries, ip_address, ip_policy, networks, pbx_cluster, webrtc, "
    "instance_id, name, codec_hd, codec_video, person, terms",
    "domain_v1": "domain, sha256",
    "callee_v1": "customer, dialled, kind, rank, number, name, extension_id, phone, ref, retries, "
    "is_exclusive, caller_name",
    "member_v1": "kind, ref, position, member, strategy, attempts, seconds, caller_name, permanent, "
    "extension_id, person, number, name, joint",
}
"""All that the SIP side reads into its caches, but for the versions."""
CUSTOMER: Final = 6
"""Place of the customer in a row of `phone_v1`."""


@dataclass
class Watched:
    """A client, and what its requests change of the views and note in the table."""

    world: World
    client: httpx.AsyncClient

    async def shown(self) -> dict[str, set[Row]]:
        return {
            view: set(await self.world.rows(f"SELECT {columns} FROM {view}"))
            for view, columns in VIEWS.items()
        }

    async def last(self) -> int:
        ((seq,),) = await self.world.rows("SELECT MAX(seq) FROM change_v1")
        return int(seq)

    async def noted(self, after: int) -> list[Row]:
        return await self.world.rows(
            "SELECT what, id FROM change_v1 WHERE seq > :after ORDER BY seq", after=after
        )

    async def __call__(self, method: str, path: str, **body: Any) -> Any:
        """Send a request that must succeed, and check that each difference is noted. Returns the JSON."""
        before, last = await self.shown(), await self.last()
        is_form = path.startswith("/config")
        data, json = (body, None) if is_form else (None, body)
        answer = await self.client.request(method, path, data=data, json=json)
        assert answer.status_code < 300, (method, path, answer.text)
        after = await self.shown()
        missing = unnoted(before, after, set(await self.noted(last)))
        assert not missing, (method, path, missing)
        return answer.json() if answer.content else None


def unnoted(before: Mapping[str, set[Row]], after: Mapping[str, set[Row]], rows: set[Row]) -> list[Row]:
    """Return the differences that no row tells a SIP process to read again."""
    words = {what for what, _ in rows}
    missing = [
        row
        for row in before["phone_v1"] ^ after["phone_v1"]
        if ("phone", row[0]) not in rows and ("customer", row[CUSTOMER]) not in rows
    ]
    if "customer" not in words:
        missing += before["domain_v1"] ^ after["domain_v1"]
    if not words & {"phone", "customer"}:
        missing += [
            row for row in before["callee_v1"] ^ after["callee_v1"] if ("dialplan", row[0]) not in rows
        ]
        missing += () if "dialplan" in words else before["member_v1"] ^ after["member_v1"]
    return missing


async def test_each_change_in_the_json_dialect_is_noted(world: World) -> None:
    ids = world.ids
    async with world.client(AccessLevel.ADMIN, person="anna") as client:
        do = Watched(world, client)
        extension = (await do("POST", "/pbx/extension", number="300", name="Front"))["_id"]
        phone = (await do("POST", "/pbx/sipphone", sipPhoneModel=MODEL["generic"], extension=extension))[
            "_id"
        ]
        path = f"/pbx/sipphone/{phone}"
        await do("PATCH", path, ip={"mode": "LOCKED", "address": "192.0.2.7"}, codec={"video": True})
        await do("PATCH", path, policy={"tls": True})
        await do("POST", f"{path}/unlock", minutes=5)
        await do("POST", f"{path}/resetcredentials")
        await do("PATCH", path, extension=ids["ext200"])
        await do("PATCH", path, extension=extension)
        user = {"sipUser": "front", "sipPassword": "correct-horse-battery"}
        await do("PATCH", f"/pbx/extension/{extension}", **user)
        await do("PATCH", f"/pbx/extension/{extension}", number="301", name="Back")
        group = (await do("POST", "/pbx/group", number="600", name="Sales", members=[extension]))["_id"]
        queue = (await do("POST", "/pbx/queue", number="700", name="Wait", members=[{"group": group}]))["_id"]
        await do("PATCH", f"/pbx/group/{group}", members=[ids["ext200"], ids["ext201"]])
        await do("PATCH", f"/pbx/queue/{queue}", members=[{"extension": ids["ext200"]}])
        for change in (
            {"policy": {"sha256": True, "maxContacts": 2}},
            {"quota": {"calls": 7}},
            {"sipDisplayName": "Acme"},
            {"state": "BLOCKED"},
            {"state": "ACTIVE"},
        ):
            await do("PATCH", f"/customer/{ids['acme']}", **change)
        await do("POST", "/pbx/sipphone/webrtc", instanceId="i")
        employee = (await do("POST", "/employee", name="Bo", customer=ids["acme"]))["_id"]
        await do("PATCH", f"/pbx/extension/{extension}", employee=employee)
        for gone in (f"/employee/{employee}", f"/pbx/group/{group}", f"/pbx/extension/{extension}", path):
            await do("DELETE", gone)
        other = (await do("POST", "/customer", name="Other", sipDomain="other.test"))["_id"]
        await do("PATCH", f"/customer/{other}", sipDomain="another.test")
        await do("POST", "/pbx/sipphone", sipPhoneModel=MODEL["generic"], customer=other, extension=None)
        await do("DELETE", f"/customer/{other}")


async def test_each_change_in_the_row_dialect_is_noted(world: World) -> None:
    path = await domain(world)
    anna = await number(world, world.ids["ext200"], "extension")
    async with world.client(AccessLevel.ADMIN, person="anna") as client:
        do = Watched(world, client)
        user = f"{path}/users/{await made(client, f'{path}/users', **JOE)}"
        await do("POST", user, password="another secret", displayName="Joe")
        device = (await do("POST", f"{path}/devices", **DEVICE))["pbxDeviceId"]
        linked = await do("POST", f"{user}/devices", pbxDeviceId=device)
        assert linked["pbxDeviceToken"]
        await do("DELETE", f"{user}/devices/{device}")
        group = await made(client, f"{path}/groups", **SALES)
        await do("POST", f"{path}/groups/{group}/users", userSpec=anna)
        await do("POST", f"{user}/groups", groupSpec=group)
        queue = f"{path}/queues/{await made(client, f'{path}/queues', **QUEUE)}"
        member = await made(client, f"{queue}/members", groupId=group, **MEMBER)
        await do("POST", f"{queue}/members/{member}", ringSecs="30")
        await do("PUT", f"{queue}/members/order", queueMemberId=member)
        await do("DELETE", f"{path}/groups/{group}/users", userSpec=anna)
        network = (await do("POST", f"{path}/trustedNetworks", network="10.0.0.0/8"))["trustedNetworkId"]
        await do("POST", f"{path}/trustedNetworks/{network}", network="10.1.0.0/16")
        await do("DELETE", f"{path}/trustedNetworks/{network}")
        await do("POST", path, displayName="Acme Ltd", requireTls="true")
        for gone in (f"{queue}/members/{member}", queue, f"{path}/groups/{group}", user):
            await do("DELETE", gone)
        await do("DELETE", f"{path}/devices/{device}")
        new = await made(client, "/config/v2/sip/domains", domain="new.test", displayName="New")
        await do("DELETE", f"/config/v2/sip/domains/{new}")


async def test_the_check_finds_what_is_not_noted(world: World) -> None:
    phone = await world.create()
    async with world.client() as client:
        do = Watched(world, client)
        before = await do.shown()
        await world.execute("UPDATE sip_phone SET codec_video = NOT codec_video")
        after = await do.shown()
    assert len(unnoted(before, after, set())) == 2
    assert unnoted(before, after, {("phone", phone["_id"])}) == []
    assert unnoted(before, after, {("customer", world.ids["acme"])}) == []


@contextmanager
def inserts() -> Iterator[list[str]]:
    """The INSERTs of the block."""
    seen: list[str] = []

    def see(*given: Any) -> None:
        if given[2].startswith("INSERT INTO change"):
            seen.append(given[2])

    event.listen(Engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", see)


async def test_a_change_costs_one_insert_and_nothing_is_noted_for_one_that_does_not_matter(
    world: World,
) -> None:
    phone = await world.create(extension=world.ids["ext200"])
    async with world.client() as client:
        do = Watched(world, client)
        with inserts() as seen:
            await do("PATCH", f"/pbx/extension/{world.ids['ext200']}", name="Reception")
        assert len(seen) == 1
        last = await do.last()
        with inserts() as seen:
            await do("POST", "/employee", name="Bo", customer=world.ids["acme"])
        assert (seen, await do.noted(last)) == ([], [])
        await do("PATCH", f"/pbx/extension/{world.ids['ext200']}", name="Front")
        assert await do.noted(last) == [("phone", phone["_id"]), ("dialplan", world.ids["acme"])]


async def test_the_messages_name_the_rows_that_they_announce(world: World) -> None:
    async with world.redis.pubsub() as subscription, world.client() as client:
        await subscription.subscribe(keys.CHANGED)
        await subscription.get_message(timeout=1)
        do = Watched(world, client)
        last = await do.last()
        await do("PATCH", f"/pbx/extension/{world.ids['ext200']}", name="Front")
        heard = [
            (await subscription.get_message(ignore_subscribe_messages=True, timeout=1))["data"]
            for _ in range(2)
        ]
    assert heard == [f"dialplan {world.ids['acme']}", f"rows {last + 1}"]


async def test_a_change_that_fails_is_not_noted(world: World) -> None:
    async def fails(session: AsyncSession) -> None:
        await note(session, Change(phones=("p1",)))
        row = {"seq": 1, "what": "twice", "id": ""}
        await session.execute(insert(NotedChange), [row])

    async with world.client() as client:
        do = Watched(world, client)
        last = await do.last()
        with pytest.raises(IntegrityError):
            await writing(world.engine, fails)
        assert await do.noted(last) == []


async def test_what_the_jobs_and_commands_do_is_noted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = await world.create(ip={"mode": "LOCKED", "address": "192.0.2.7"})
    async with world.client() as client:
        do = Watched(world, client)
        await do("POST", f"/pbx/sipphone/{phone['_id']}/unlock", minutes=1)
        last = await do.last()
        later = clock.utc_now() + timedelta(minutes=2)
        monkeypatch.setattr(clock, "utc_now", lambda: later)
        parts: Parts = world.app().state.parts
        await _ended(Chores(parts), parts)
        assert await do.noted(last) == [("phone", phone["_id"])]
        last = await do.last()
        made_now = await demo_tenant(world.engine, world.settings, world.vault)
        assert await do.noted(last) == [("customer", made_now["customer"])]
        last = await do.last()
        assert (await demo_tenant(world.engine, world.settings, world.vault))["customer"]
        assert await do.noted(last) == [], "it was there already"


async def _ended(chores: Chores, parts: Parts) -> None:
    try:
        assert len(await chores.end_unlocks()) == 1
    finally:
        await parts.changes.close()


async def test_old_rows_are_deleted_but_for_the_newest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def three(session: AsyncSession) -> None:
        await note(session, *(Change(phones=(f"p{number}",)) for number in range(3)))

    await writing(world.engine, three)
    assert await forget(world.engine) == 0
    now = clock.epoch_now()
    monkeypatch.setattr(clock, "epoch_now", lambda: now + KEPT_SECONDS + 2)
    assert await forget(world.engine) >= 3
    left = await world.rows("SELECT what, id FROM change_v1")
    assert left == [("phone", "p2")]
    await writing(world.engine, three)
    assert len(await world.rows("SELECT seq FROM change_v1")) == 4
