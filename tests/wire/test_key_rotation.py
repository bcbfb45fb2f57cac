"""Both keys are replaced while phones register and call over two nodes: nothing refused, nothing dropped."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import pytest

from tests.peers.redis import RedisServer
from tests.wire.callers import Callers, talk
from tests.wire.conftest import Report
from tests.wire.fleet import Fleet
from tests.wire.need import need, rounds
from tests.wire.site import Site

pytestmark = pytest.mark.wire

RATE: Final = 100
CALLS: Final = rounds(10, 50)
OLD: Final = {"secret_key": token_hex(32), "jwt_secret": token_hex(32)}
NEW: Final = {"secret_key": token_hex(32), "jwt_secret": token_hex(32)}
NAMES: Final = ("secret_key", "secret_key_old", "jwt_secret", "jwt_secret_old")


class Keys:
    """The keys in files, as an operator has them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.put({name: OLD.get(name, OLD[name.removesuffix("_old")]) for name in NAMES})
        self.settings = {f"{name}_file": str(folder / name) for name in NAMES}

    def put(self, keys: dict[str, str]) -> None:
        for name, key in keys.items():
            draft = self._folder / f"{name}.draft"
            draft.write_text(key)
            draft.replace(self._folder / name)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    need("redis-server", "redis-cli")
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def sites(tmp_path: Path, keys: Keys, redis: RedisServer) -> Iterator[tuple[Site, Site]]:
    common: dict[str, Any] = {
        "data_dir": str(tmp_path / "data"),
        "redis_url": redis.url,
        "webhook_private": "on",
        **keys.settings,
    }

    def site(name: str, tenant: dict[str, Any] | None = None) -> Site:
        return Site(tmp_path / name, tenant=tenant, **common)

    with site("a") as a, site("b", a.demo()) as b:
        yield a, b


async def test_keys_are_replaced_under_load(sites: tuple[Site, Site], keys: Keys, report: Report) -> None:
    a, b = sites
    hook = {"url": "http://127.0.0.1:9/", "events": ["dnd"], "customer": a.demo()["customer"]}
    made = a.api("POST", "/webhook", hook)
    assert "secret" in made.body, made
    secret = made.body["secret"]
    async with Callers(a) as callers:
        pairs = [await talking(callers, a, b) for _ in range(CALLS)]
        with (
            Fleet(a, rate=RATE / 2, transports=("udp",)) as first,
            Fleet(b, rate=RATE / 2, transports=("udp",)) as second,
        ):
            await asyncio.sleep(1)
            keys.put(NEW | {f"{name}_old": key for name, key in OLD.items()})
            told = await asyncio.to_thread(a.command, "keys", "rotate")
            await asyncio.sleep(1)
        for site in (
            a,
            b,
        ):  # one after the other: what the old key made must be read by a process that never used it
            await asyncio.to_thread(site.restart)
        await know_each_other(pairs[0][0])
        for outgoing, incoming in pairs:
            assert (await outgoing.request("INFO")).status == 200
            assert (await incoming.request("INFO")).status == 200
            assert (await outgoing.bye()).status == 200
        outgoing, incoming = await talking(callers, b, a)
        assert (await incoming.bye()).status == 200
        passwords = [phone.account.password for phone in (outgoing.phone, incoming.phone)]
        passwords += [one.phone.account.password for pair in pairs for one in pair]
    assert first.failures == second.failures == []
    done = first.acknowledged + second.acknowledged
    assert done > 0
    assert a.api("GET", "/pbx/sipphone").status == 200  # the token of the old key is good
    status = json.loads(a.command("keys", "status", "--json"))
    assert [row["sealedWithOthers"] for row in status["keys"]] == [0, 0]
    assert status["processes"] == 2
    rows = a.api("GET", "/audit?customer=all&limit=1000").body["rows"]
    assert [row["name"] for row in rows if row["action"] == "key-replaced"] == [
        "REGISTRAR_JWT_SECRET",
        "REGISTRAR_SECRET_KEY",
    ]
    assert [row["after"]["unreadable"] for row in rows if row["action"] == "sealed-again"] == [0]
    a.command("audit", "verify")  # its head is sealed with the new key, and good
    assert all("tokens of the key of before" in row["needed"] for row in status["keys"])
    report(f"{done} registrations and {CALLS} calls, none refused or dropped; {told.count('sealed')} steps")
    holds_no_secret(a, [*OLD.values(), *NEW.values(), secret, *passwords])


async def know_each_other(outgoing: Any) -> None:
    """Wait until a request of a call crosses the nodes.

    For half a second after a restart the other node takes that process for dead, and sends its datagrams
    by itself. These phones are as behind a NAT: they hear their own node alone.
    """
    async with asyncio.timeout(60):
        while True:
            with suppress(TimeoutError):
                assert (await outgoing.request("INFO", within=2.0)).status == 200
                return


async def talking(callers: Callers, a: Site, b: Site) -> Any:
    anna, bert = callers.extension(), callers.extension()
    calling = await callers.phone(anna.handset, "udp", site=a)
    called = await callers.phone(bert.handset, "udp", site=b)
    return await talk(calling, called, bert.number)


def holds_no_secret(site: Site, secrets: list[str]) -> None:
    """SQL and Redis contain no key and nothing that is sealed with one, and no row needs the old key."""
    with closing(sqlite3.connect(site.database)) as connection:
        dump = "\n".join(connection.iterdump())
    assert "v2:" in dump
    assert "v1:" not in dump
    site.redis_all([("config", "set", "rdbcompression", "no"), ("save",)])
    folder = site.redis("config", "get", "dir")
    kept = Path(folder["dir"] if isinstance(folder, dict) else folder[1], "dump.rdb").read_bytes()
    assert b"registrar:" in kept
    assert [one for one in secrets if one in dump or one.encode() in kept] == []
