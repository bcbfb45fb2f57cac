"""The audit log: every change is explained, the chain finds what was changed, and who may read it."""

import random
import re
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from config.audit.values import SECRET
from config.audit.verify import verify
from config.operations.demo import demo_tenant
from config.operations.first_login import NewLogin, create_login
from config.tables import Table
from registrar.store.directory_sql import SqlPhones
from tests.config.auditing import newest, state, unexplained
from tests.config.world import MODEL, World
from tests.wire.need import rounds

Json = dict[str, Any]
Do = Callable[[], Awaitable[object]]
COMMAND = "command:operator"
OPERATIONS = rounds(60, 200)


class Player:
    """Does random operations through both dialects and the command line."""

    def __init__(self, world: World, client: httpx.AsyncClient, seed: int) -> None:
        self.world, self.client, self.chance = world, client, random.Random(seed)
        self.made: dict[str, list[str]] = {}
        self.number = 1000
        self.done: dict[str, int] = {}

    async def play(self) -> None:
        """Do one operation, chosen by chance."""
        creates = (self.phone, self.extension, self.group, self.queue, self.employee, self.customer)
        rare = (self.webhook, self.product, self.model, self.network, self.login, self.token, self.demo)
        changes = (self.change, self.change, self.change, self.reset, self.delete, self.unlock, self.members)
        do = self.chance.choice((*creates, *rare, *changes, *changes))
        await do()

    async def _make(self, path: str, body: Json) -> None:
        answer = await self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        self.made.setdefault(path, []).append(answer.json()["_id"])
        self._count(f"create {path}")

    def _count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def _any(self, *paths: str) -> str | None:
        there = [f"{path}/{oid}" for path in paths for oid in self.made.get(path, ())]
        return self.chance.choice(there) if there else None

    def _next(self) -> str:
        self.number += 1
        return str(self.number)

    def _extension(self) -> str:
        there: list[str] = [*self.made.get("/pbx/extension", ()), self.world.ids["ext200"]]
        return self.chance.choice(there)

    async def phone(self) -> None:
        keys = [{"index": n, "function": "SPEEDDIAL", "value": f"{n}00", "label": "x"} for n in (1, 2)]
        body = {"sipPhoneModel": MODEL["generic"], "extension": self._extension(), "notes": "n" * 1200}
        await self._make("/pbx/sipphone", body | ({"softkeys": keys} if self.chance.random() < 0.3 else {}))

    async def extension(self) -> None:
        body: Json = {"number": self._next(), "name": "Room"}
        if self.chance.random() < 0.5:
            body |= {"employee": self.world.ids["anna"], "primary": True}
        await self._make("/pbx/extension", body)

    async def group(self) -> None:
        await self._make("/pbx/group", {"number": self._next(), "name": "G", "members": [self._extension()]})

    async def queue(self) -> None:
        member = {"extension": self._extension(), "priority": 1}
        await self._make("/pbx/queue", {"number": self._next(), "name": "Q", "members": [member]})

    async def employee(self) -> None:
        body = {"name": "E", "emailAddress": f"e{self._next()}@acme.test", "password": "correct horse 9"}
        await self._make("/employee", body)

    async def customer(self) -> None:
        await self._make("/customer", {"name": "C", "sipDomain": f"d{self._next()}.test"})

    async def webhook(self) -> None:
        if len(self.made.get("/webhook", ())) < 15:
            await self._make("/webhook", {"url": "http://127.0.0.1:9/x", "events": ["registered"]})

    async def product(self) -> None:
        await self._make("/product", {"type": "PBX_SIP_PHONE", "productCode": self._next(), "name": "P"})

    async def model(self) -> None:
        await self._make("/pbx/sipphonemodels", {"brand": "ACME", "model": self._next(), "brandName": "B"})

    async def network(self) -> None:
        ((number,),) = await self.world.rows("SELECT id FROM customer WHERE sip_domain = 'acme.test'")
        path = f"/config/v2/sip/domains/{number}/trustedNetworks"
        answer = await self.client.post(path, data={"network": f"10.{self.chance.randrange(255)}.0.0/16"})
        assert answer.status_code in (201, 409), answer.text
        self._count("create a network")

    async def login(self) -> None:
        new = NewLogin(f"l{self._next()}@ops.test", AccessLevel.ADMIN, "a long enough secret 7")
        await create_login(self.world.engine, self.world.settings, self.world.vault, new, COMMAND)
        self._count("login create")

    async def demo(self) -> None:
        await demo_tenant(self.world.engine, self.world.settings, self.world.vault, COMMAND)
        self._count("demo")

    async def token(self) -> None:
        answer = await self.client.post(f"/employee/{self.world.ids['anna']}/token", json={"note": "t"})
        assert answer.status_code == 200
        self._count("create a token")

    async def change(self) -> None:
        named = ("/pbx/extension", "/pbx/group", "/pbx/queue", "/employee", "/customer", "/product")
        path = self._any(*named, "/pbx/sipphone")
        if path is None:
            return
        body: Json = {"name": f"N{self._next()}"}
        if path.startswith("/pbx/sipphone"):
            body = self.chance.choice(
                [
                    {"notes": self._next()},
                    {"extension": self._extension()},
                    {"customConfig": "a = b", "softkeys": []},
                    {"ip": {"mode": "LOCKED", "address": "192.0.2.7"}},
                ]
            )
        elif path.startswith("/employee") and self.chance.random() < 0.5:
            body = {"password": f"another horse {self._next()}"}
        answer = await self.client.patch(path, json=body)
        assert answer.status_code == 200, answer.text
        self._count("change")

    async def members(self) -> None:
        path = self._any("/pbx/group")
        if path is not None:
            answer = await self.client.patch(path, json={"members": [self._extension(), self._extension()]})
            assert answer.status_code == 200, answer.text
            self._count("members")

    async def reset(self) -> None:
        path = self._any("/pbx/sipphone")
        if path is not None:
            answer = await self.client.post(f"{path}/resetcredentials")
            assert answer.status_code in (200, 429), answer.text
            self._count("reset")

    async def unlock(self) -> None:
        path = self._any("/pbx/sipphone")
        if path is not None:
            answer = await self.client.post(f"{path}/unlock", json={"minutes": self.chance.randrange(1, 60)})
            assert answer.status_code in (200, 409), answer.text  # 409: it is open already
            self._count(f"unlock {answer.status_code}")

    async def delete(self) -> None:
        path = self._any(*self.made)
        if path is None:
            return
        answer = await self.client.delete(path)
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 200:
            kind, _, oid = path.rpartition("/")
            self.made[kind].remove(oid)
            self._count("delete")


async def test_random_operations_are_all_explained(world: World) -> None:
    """Whole tables are compared before and after each operation."""
    async with world.but(webhook_private=(ip_network("127.0.0.0/8"),)).client(
        AccessLevel.ADMIN, person="anna"
    ) as client:
        player = Player(world, client, seed=20_261)
        before, last = await state(world.engine), 0
        while sum(player.done.values()) < OPERATIONS:
            await player.play()
            after, rows = await state(world.engine), await newest(client, last)
            assert unexplained(before, after, rows) == [], player.done
            assert all(row["via"] for row in rows)
            before, last = after, max([last, *(row["_id"] for row in rows)])
    assert len(player.done) >= 15
    await _found_by_verify(world)


async def _found_by_verify(world: World) -> None:
    """Chain all rows; then change one behind our back, and delete another one."""
    chainer = world.app().state.parts.chainer
    assert await chainer.step() > 0
    assert (await verify(world.read_engine, world.vault)).faults == []
    ((first, last),) = await world.rows("SELECT min(seq), max(seq) FROM audit_log")
    middle = (first + last) // 2
    ((was,),) = await world.rows("SELECT actor_level FROM audit_log WHERE seq = :seq", seq=middle)
    await world.execute("UPDATE audit_log SET actor_level = 'NONE' WHERE seq = :seq", seq=middle)
    (fault,) = (await verify(world.read_engine, world.vault)).faults
    assert fault.startswith(f"row {middle} (") and fault.endswith(": changed")
    await world.execute("UPDATE audit_log SET actor_level = :was WHERE seq = :seq", was=was, seq=middle)
    assert (await verify(world.read_engine, world.vault)).is_good
    await world.execute("DELETE FROM audit_log WHERE seq = :seq", seq=middle)
    assert (await verify(world.read_engine, world.vault)).faults == [f"row {middle}: deleted"]


async def test_who_reads_which_rows(world: World) -> None:
    async with world.client(AccessLevel.ADMIN, "rival") as rival:
        body = {"sipPhoneModel": MODEL["generic"], "customer": world.ids["rival"]}
        foreign = (await rival.post("/pbx/sipphone", json=body)).json()["_id"]
    own = (await world.create())["_id"]
    async with world.client(AccessLevel.ADMIN) as admin:
        model = {"brand": "ACME", "model": "One", "brandName": "Acme"}
        assert (await admin.post("/pbx/sipphonemodels", json=model)).status_code == 200
        assert len(await newest(admin, 0)) == 3, "that of no customer, too"
    async with world.client(AccessLevel.MANAGER) as manager:
        assert (await manager.get("/audit")).status_code == 403
    async with world.client(AccessLevel.OWNER) as owner:
        rows = (await owner.get("/audit", params={"customer": "all"})).json()["rows"]
        assert [row["object"] for row in rows] == [own]
        assert (await owner.get("/audit", params={"object": foreign})).json()["rows"] == []
        assert (await owner.get("/audit", params={"customer": world.ids["rival"]})).status_code == 403
    async with world.client(AccessLevel.RESELLER, "reseller") as reseller:
        rows = (await reseller.get("/audit", params={"customer": "all"})).json()["rows"]
        assert [row["object"] for row in rows] == [own]


async def test_rows_are_paged_filtered_and_taken_as_csv(world: World) -> None:
    async with world.client(AccessLevel.OWNER, person="anna") as owner:
        phone = (await owner.post("/pbx/sipphone", json={"sipPhoneModel": MODEL["generic"]})).json()["_id"]
        for notes in ("=1+1", "two", None):
            await owner.patch(f"/pbx/sipphone/{phone}", json={"notes": notes})
        first = (await owner.get("/audit", params={"limit": 3})).json()
        second = (await owner.get("/audit", params={"limit": 3, "after": first["next"]})).json()
        rows = first["rows"] + second["rows"]
        assert [(row["before"].get("notes"), row["after"].get("notes")) for row in rows] == [
            ("two", None),
            ("=1+1", "two"),
            (None, "=1+1"),
            (None, None),
        ]
        assert second["next"] is None
        assert {row["employeeName"] for row in rows} == {"Anna Østergård"}
        query: Json = {"action": "update", "object": phone, "employee": world.ids["anna"], "format": "csv"}
        lines = (await owner.get("/audit", params=query)).text.splitlines()
        assert len(lines) == 4 and lines[0].startswith("_id,at,action,type,object")
        for query in ({"action": "delete"}, {"from": "2100-01-01T00:00:00Z"}, {"to": "2000-01-01T00:00:00Z"}):
            assert (await owner.get("/audit", params=query)).json()["rows"] == []


@pytest.mark.parametrize(
    "query", ["object=x", "employee=1", "from=soon", "limit=x", "action=%00", "format=pdf"]
)
async def test_a_query_that_cannot_be_read_is_refused(world: World, query: str) -> None:
    async with world.client(AccessLevel.OWNER) as owner:
        assert (await owner.get(f"/audit?{query}")).status_code == 400


async def test_secrets_are_told_as_changed(world: World) -> None:
    phone = (await world.create(customConfig="password = hunter2"))["_id"]
    async with world.client(AccessLevel.ADMIN) as admin:
        await admin.post(f"/pbx/sipphone/{phone}/resetcredentials")
        (reset, made) = (await admin.get("/audit", params={"object": phone})).json()["rows"]
    assert (reset["before"]["password_enc"], reset["after"]["password_enc"]) == ("secret", "changed")
    assert made["after"]["custom_config"] == "changed"


def test_every_column_that_may_hold_a_secret_is_masked() -> None:
    odd = re.compile(r"enc|hash|sha|md5|secret|passw|token|key$|pin")
    named = {column.name for table in Table.metadata.sorted_tables for column in table.columns}
    plain = {name for name in named if odd.search(name) and SECRET.search(name) is None}
    assert plain == {
        "secret_fingerprint",
        "secret_since",
        "secret_version",
        "set_presence",
        "sip_secret_version",
    }


async def test_a_first_contact_is_told(world: World) -> None:
    """The SIP side writes it in the transaction of the lock."""
    phone = (await world.create())["_id"]
    phones = SqlPhones(world.read_engine, world.engine, world.vault)
    assert await phones.lock(phone, "192.0.2.7")
    assert not await phones.lock(phone, "192.0.2.8")
    async with world.client(AccessLevel.OWNER) as owner:
        (row,) = (await owner.get("/audit", params={"action": "first-contact"})).json()["rows"]
        events = (await owner.get(f"/pbx/sipphone/{phone}/events")).json()["events"]
    assert (row["object"], row["accessLevel"], row["ip"]) == (phone, "SYSTEM", "192.0.2.7")
    assert row["after"] == {"ip_address": "192.0.2.7", "ip_mode": "LOCKED"}
    assert [event["event"] for event in events] == ["created"], "the journal of the phone has the lock"
