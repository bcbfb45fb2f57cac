"""config/operations/keys.py, resealing.py, tokens.py: keys are replaced, and tokens of machines end."""

import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import jwt
import pytest
from sqlalchemy import select

import config
from config import clock
from config.access import AccessLevel
from config.audit.system import by_itself
from config.audit.verify import verify as verify_chain
from config.auth import issue_token, verify
from config.database import check_fingerprint
from config.errors import Refused
from config.operations.keys import in_use, settle, switch
from config.operations.resealing import COLUMNS, any_left, count_left, reseal
from config.operations.tokens import announced, ending, give_ends
from config.settings import ProvisioningSettings
from config.tables import Table
from registrar.errors import ConfigurationError
from registrar.store.keyring import Keyring, fingerprint
from registrar.store.vault import Vault

from .test_logins import hired
from .test_second_factor import LOGIN
from .vendors import SERVE, account, vendor
from .world import JWT_SECRET, MODEL, SECRET_KEY, World

SEALING: Final = {
    "audit/chain.py",
    "operations/phones/write.py",
    "operations/resealing.py",
    "operations/second_factor.py",
    "operations/webhooks.py",
    "provisioning/admin_password.py",
    "provisioning/arming.py",
    "redirect/outbox.py",
}
NEW: Final = "the next secret of the tests, long enough for all"


def test_all_sealed_columns_are_sealed_again() -> None:
    found = {
        (table.name, column.name)
        for table in Table.metadata.tables.values()
        for column in table.columns
        if column.name.endswith("_enc") or column.name == "seal"
    }
    assert {(one.table, one.column) for one in COLUMNS} == found


async def test_everything_is_sealed_again_and_nothing_else_changes(world: World) -> None:
    phone = await world.create()
    shown = "SELECT version, updated_at FROM sip_phone"
    stored = "SELECT password_enc FROM sip_phone"
    before, steps = await world.rows(shown), list[int]()
    keys = Keyring(NEW, SECRET_KEY)
    keys.use(active=fingerprint(NEW), rotated=True)
    vault = Vault(keys)
    assert await any_left(world.engine, vault)
    left = await count_left(world.engine, vault)
    assert await reseal(world.engine, vault, steps.append) == 0
    assert sum(steps) == left >= 1
    assert await reseal(world.engine, vault, steps.append) == 0  # a second time there is nothing to do
    assert sum(steps) == left
    assert not await any_left(world.engine, vault)
    assert await world.rows(shown) == before
    ((sealed,),) = await world.rows(stored)
    assert Vault(keys).open(sealed, phone["_id"]) == phone["password"]
    assert sealed.startswith(f"v2:{fingerprint(NEW)}:")


def test_each_module_that_seals_is_known() -> None:
    """Another one seals another column: it must be in COLUMNS, or a replaced key makes it unreadable."""
    root = Path(config.__file__).parent
    sealing = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"vault\.seal\(", path.read_text())
    }
    assert sealing == SEALING


async def test_whatever_is_sealed_is_sealed_again(world: World) -> None:
    """All columns of all tables are read: no text may be left that the new key has not sealed."""
    await fill(world)
    assert await sealed_columns(world, "v1:") == {(one.table, one.column) for one in COLUMNS}
    keys = Keyring(NEW, SECRET_KEY)
    keys.use(active=fingerprint(NEW), rotated=True)
    assert await reseal(world.engine, Vault(keys), lambda _: None) == 0
    assert await sealed_columns(world, "v1:") == set()
    new = Vault(Keyring(NEW))
    assert (await verify_chain(world.read_engine, new)).is_good
    ((secret, oid),) = await world.rows(
        "SELECT secret_enc, oid FROM employee_totp JOIN employee ON employee.id = employee_id"
    )
    assert new.open(secret, f"totp:{oid}")


async def fill(world: World) -> None:
    """Store something sealed in each column that the API fills."""
    await hired(world)
    async with vendor(SERVE["snom"]) as here:
        site = world.but(
            webhook_private=(ip_network("127.0.0.0/8"),),
            provisioning=ProvisioningSettings(url="https://prov.test"),
            redirects=(account("snom", here),),
        )
        async with site.client(AccessLevel.ADMIN) as admin:
            body = {"sipPhoneModel": MODEL["snom"], "macAddress": "0004139ABCDE"}
            hook = {"url": "http://127.0.0.1:9/x", "events": ["registered"]}
            phone = (await admin.post("/pbx/sipphone", json=body)).json()["_id"]
            answers = [
                await admin.post(f"/pbx/sipphone/{phone}/provisioning", json={"rearm": True}),
                await admin.post("/webhook", json=hook),
                await admin.post("/auth/totp", json=LOGIN),
            ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert await world.app().state.parts.chainer.step() > 0


async def sealed_columns(world: World, form: str) -> set[tuple[str, str]]:
    """The columns that hold a text of this form, whatever their names are."""
    found = set()
    async with world.engine.connect() as connection:
        for table in Table.metadata.tables.values():
            for row in (await connection.execute(select(table))).mappings():
                found |= {(table.name, name) for name, value in row.items() if str(value).startswith(form)}
    return found


async def test_a_text_that_no_key_opens_stays_and_is_counted(world: World) -> None:
    await world.create()
    await world.create()
    foreign = Vault("another secret of the tests, long enough for all").seal("x", "y")
    await world.execute(
        "UPDATE sip_phone SET password_enc = :foreign WHERE id = (SELECT min(id) FROM sip_phone)",
        foreign=foreign,
    )
    keys = Keyring(NEW, SECRET_KEY)
    keys.use(active=fingerprint(NEW), rotated=True)
    assert await reseal(world.engine, Vault(keys), lambda _: None) == 1
    assert await count_left(world.engine, Vault(keys)) == 1
    assert (foreign,) in await world.rows("SELECT password_enc FROM sip_phone")


async def test_processes_change_when_the_row_does(world: World) -> None:
    await check_fingerprint(world.engine, Vault(SECRET_KEY))
    secret, tokens = Keyring(NEW, SECRET_KEY), Keyring(JWT_SECRET)
    first = await settle(world.engine, Keyring(SECRET_KEY), Keyring(JWT_SECRET))
    found = await settle(world.engine, secret, tokens)
    assert (found, found.secret_since) == (first, None)
    assert (secret.active, secret.rotated) == (fingerprint(SECRET_KEY), False)
    change = fingerprint(SECRET_KEY), fingerprint(NEW)
    row = by_itself("key-replaced", "", "", None)
    assert await switch(world.engine, "secret", *change, row)
    assert not await switch(world.engine, "secret", *change, row)
    assert await world.rows("SELECT action FROM audit_log") == [("key-replaced",)], "in the same transaction"
    changed = await in_use(world.read_engine)
    assert changed is not None
    changed.tell(secret, tokens)
    assert (secret.active, secret.rotated, tokens.rotated) == (fingerprint(NEW), True, False)
    assert changed.media_sessions == first.media_sessions  # calls outlive the key
    with pytest.raises(ConfigurationError, match="REGISTRAR_SECRET_KEY"):
        await settle(world.engine, Keyring(SECRET_KEY), tokens)


def test_a_token_names_its_key_and_that_of_the_other_key_is_good() -> None:
    keys = Keyring(NEW, JWT_SECRET)
    old = issue_token(JWT_SECRET, AccessLevel.VIEWER)
    nameless = jwt.encode(
        {"lvl": "VIEWER", "iat": clock.utc_now(), "exp": clock.utc_now() + timedelta(hours=1)}, NEW
    )
    assert jwt.get_unverified_header(old)["kid"] == fingerprint(JWT_SECRET)
    assert all(
        verify(one, keys).level is AccessLevel.VIEWER
        for one in (old, nameless, issue_token(keys, AccessLevel.VIEWER))
    )
    for forged in (
        issue_token("x" * 40, AccessLevel.ADMIN),
        jwt.encode({"lvl": "ADMIN"}, "y" * 40, headers={"kid": fingerprint(NEW)}),
    ):
        with pytest.raises(Refused):
            verify(forged, keys)


async def test_a_token_of_a_machine_ends_and_that_is_announced_once(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as admin:
        url = f"/employee/{world.ids['anna']}/token"
        made = (await admin.post(url, json={"note": "import"})).json()
        header = {"Authorization": f"Bearer {made['token']}"}
        async with world.client(None) as client:
            assert (await client.get("/pbx/sipphone", headers=header)).status_code == 200
            assert await ending(world.engine) == []
            await _end(world, 29)
            (near,) = await ending(world.engine)
            assert (near.note, near.employee, near.event()["event"]) == (
                "import",
                world.ids["anna"],
                "token-ending",
            )
            await announced(world.engine, [near])
            assert await ending(world.engine) == []
            await _end(world, -1)
            assert (await client.get("/pbx/sipphone", headers=header)).status_code == 401
        (listed,) = (await admin.get(url)).json()
        assert listed["hasEnded"] is True
        assert (await admin.delete(f"{url}/{listed['_id']}")).status_code == 200
        query = {"customer": "all", "object": listed["_id"], "action": "delete"}
        (row,) = (await admin.get("/audit", params=query)).json()["rows"]
        assert (row["customer"], list(row["after"])) == (world.ids["acme"], ["revoked_at"])


async def test_a_token_without_an_end_gets_one(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as admin:
        url = f"/employee/{world.ids['anna']}/token"
        await admin.post(url, json={})
        await world.execute("UPDATE employee_token SET expires_at = NULL")
        assert (await admin.get(url)).json()[0]["expiresAt"] is None
        await give_ends(world.engine)
        assert (await admin.get(url)).json()[0]["expiresAt"] > clock.iso(
            clock.utc_now() + timedelta(days=364)
        )
        query = {"customer": "all", "type": "employee_token", "action": "update"}
        (row,) = (await admin.get("/audit", params=query)).json()["rows"]
    assert (row["accessLevel"], row["customer"]) == ("SYSTEM", world.ids["acme"])
    assert (row["before"], list(row["after"])) == ({"expires_at": None}, ["expires_at"])


async def _end(world: World, days: int) -> None:
    async with world.engine.begin() as connection:
        table = Table.metadata.tables["employee_token"]
        await connection.execute(table.update().values(expires_at=clock.utc_now() + timedelta(days=days)))
