"""The listener for phones: who gets which file, what that locks, and what strangers learn: nothing."""

import asyncio
import hashlib
import json
import logging
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from config import clock
from config.access import AccessLevel
from config.provisioning.admit import Grant
from config.provisioning.answers import NOT_FOUND
from config.provisioning.build import limiter_of
from config.provisioning.limits import Limiter
from config.provisioning.load import Device
from config.provisioning.records import Records
from registrar.metrics import Metrics
from registrar.model import Mono
from registrar.store import keys
from registrar.store.database import connect
from tests.config.phones import (
    HERE,
    MAC,
    NAME,
    THERE,
    URL,
    act,
    armed,
    get,
    new_phone,
    on,
    path_of,
    phone,
    rule,
)
from tests.config.world import MODEL, World
from tests.patience import SOAK

STEADY = "static.auto_provision.server.url = https://prov.test/p/"


def steady(answer: httpx.Response) -> str:
    """The path of the configuration with the steady secret, as the file names it."""
    (line,) = [line for line in answer.text.splitlines() if line.startswith(STEADY)]
    return f"/p/{line.removeprefix(STEADY)}{NAME}"


def told(answer: httpx.Response) -> tuple[Any, ...]:
    """All that an answer tells."""
    return answer.status_code, answer.content, sorted(answer.headers.items())


def path_only(url: str) -> str:
    return url.removeprefix(URL)


async def journal(world: World, id: str) -> list[tuple[str, str, str]]:
    entries: Any = await world.redis.xrange(keys.journal(id))
    return [(fields["event"], fields["reason"], fields["ip"]) for _, fields in entries]


async def test_a_first_fetch_locks_the_phone_and_carries_its_account(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    subscriber = world.redis.pubsub()
    await subscriber.subscribe(keys.CHANGED)
    path = await armed(world, id)
    answer = await get(world, path)
    assert answer.status_code == 200, answer.text
    ((username, sealed),) = await world.rows(
        "SELECT username, password_enc FROM sip_phone WHERE oid = :id", id=id
    )
    assert f"account.1.user_name = {username}\n" in answer.text
    assert f"account.1.password = {world.vault.open(sealed, id)}\n" in answer.text
    assert answer.headers["cache-control"] == "no-store" and "server" not in answer.headers
    assert await rule(world, id) == ("LOCKED", HERE, True)
    assert await journal(world, id) == [
        ("locked", "first-contact", HERE),
        ("configured", "first-secret", HERE),
    ]
    stream: Any = await world.redis.xrange(keys.EVENTS)
    assert [fields["event"] for _, fields in stream] == ["locked", "configured"]
    assert stream[1][1]["customer"] == world.ids["acme"] and stream[1][1]["phone"] == id
    assert await _announced(subscriber) == f"phone {id}"


async def _announced(subscriber: Any) -> str:
    async with asyncio.timeout(60):
        async for message in subscriber.listen():
            if message["type"] == "message":
                await subscriber.aclose()
                return str(message["data"])
    raise AssertionError("nothing was announced")


async def test_a_first_secret_serves_one_source_for_its_window(world: World) -> None:
    world = on(world)
    id = await new_phone(world, ip={"mode": "ROAMING", "countries": "DK"})
    await world.execute("UPDATE sip_phone SET ip_policy = 'DOMAIN' WHERE oid = :id", id=id)
    path = await armed(world, id)
    assert (await get(world, path)).status_code == 200
    assert (await get(world, path)).status_code == 200
    assert told(await get(world, path, THERE)) == told(await get(world, "/p/" + "a" * 26 + f"/{NAME}"))
    past = clock.utc_now() - timedelta(seconds=1)
    await _set(world, "session_until", past)
    assert (await get(world, path)).status_code == 404
    again = await armed(world, id)
    assert again != path and (await get(world, again, THERE)).status_code == 200


async def _set(world: World, column: str, value: Any) -> None:
    stored = value if world.engine.dialect.name == "postgresql" else value.strftime("%Y-%m-%d %H:%M:%S.%f")
    await world.execute(f"UPDATE provisioning SET {column} = :value WHERE mac = :mac", value=stored, mac=MAC)


async def test_a_first_secret_that_nobody_uses_ends(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path = await armed(world, id)
    await _set(world, "first_until", clock.utc_now() - timedelta(seconds=1))
    assert (await get(world, path)).status_code == 404
    assert (await rule(world, id))[0] == "OPEN"
    assert (await get(world, await armed(world, id))).status_code == 200


async def test_the_steady_secret_goes_on_until_it_is_rotated(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    first = await armed(world, id)
    next_one = steady(await get(world, first))
    assert (await get(world, next_one)).status_code == 200
    assert (await get(world, first)).status_code == 404, "the phone has the steady secret"
    assert (await get(world, next_one, THERE)).status_code == 403
    assert (await journal(world, id))[-1] == ("config-refused", "ip-locked", THERE)
    entries = len(await journal(world, id))
    assert (await get(world, next_one, THERE)).status_code == 403
    assert len(await journal(world, id)) == entries, "told once an hour"
    url = (await act(world, id, rotate=True))["url"]
    assert (await get(world, next_one)).status_code == 404
    assert (await get(world, path_of(url))).status_code == 200


async def test_a_reset_voids_whatever_opens_the_new_password(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    first = await armed(world, id)
    old = steady(await get(world, first))
    link = path_only((await act(world, id, link="linphone"))["url"])
    token = "0123456789abcdef012345678"
    stored = hashlib.sha256(token.encode()).hexdigest()
    await world.execute(
        "UPDATE sip_phone SET device_token_sha256 = :token WHERE oid = :id", token=stored, id=id
    )
    assert (await get(world, f"/p/{token}/linphone.xml")).status_code == 200
    async with world.client(AccessLevel.VIEWER) as client:
        answer = (await client.post(f"/pbx/sipphone/{id}/resetcredentials")).json()
        assert f"/pbx/sipphone/{id}/provisioning" in answer["nextStep"]
    for path in (first, old, link, f"/p/{token}/linphone.xml"):
        assert told(await get(world, path))[:2] == (404, NOT_FOUND.body), path
    loaded = await get(world, await armed(world, id))
    assert f"account.1.password = {answer['password']}\n" in loaded.text and steady(loaded) != old
    actions = await world.rows("SELECT action FROM audit_log WHERE row_oid = :id ORDER BY id", id=id)
    armed_once = ["create", "rearm", "first-contact", "link"]
    assert [row[0] for row in actions] == [*armed_once, "resetcredentials", "rotate", "rearm"]


async def test_a_reset_makes_a_new_password_of_the_pages_and_keeps_the_old_one_in_sight(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path = f"/pbx/sipphone/{id}"

    async def reset() -> None:
        async with world.client(AccessLevel.VIEWER) as client:
            assert (await client.post(f"{path}/resetcredentials")).status_code == 200

    async def shown() -> tuple[str | None, str | None]:
        async with world.client(AccessLevel.VIEWER) as client:
            answer = (await client.get(f"{path}/provisioning")).json()
        return answer["adminPassword"], answer["nextAdminPassword"]

    async def written(at: str) -> str:
        (line,) = [one for one in (await get(world, at)).text.splitlines() if "user_password = admin:" in one]
        return line.rpartition(":")[2]

    first = await armed(world, id)
    await reset()
    before, none = await shown()
    assert none is None, "the phone has loaded nothing, so no former one is in it"
    first = await armed(world, id)
    assert await written(first) == before
    await reset()
    asked, following = await shown()
    assert asked == before and following not in (None, before)
    await reset()
    asked, last = await shown()
    assert asked == before and last not in (None, before, following), "the phone still has the first one"
    assert await written(await armed(world, id)) == last
    assert await shown() == (last, None)


async def test_a_reset_during_a_load_keeps_what_the_phone_has_got(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load tells the password that was new; a later reset makes another one, and its former one stays."""
    world = on(world)
    id = await new_phone(world)
    await get(world, await armed(world, id))
    async with world.client() as client:
        await client.post(f"/pbx/sipphone/{id}/resetcredentials")
        path = await armed(world, id)
        note = Records.note

        async def after_a_reset(records: Records, grant: Grant, device: Device, *rest: Any) -> bool:
            assert (await client.post(f"/pbx/sipphone/{id}/resetcredentials")).status_code == 200
            return await note(records, grant, device, *rest)

        monkeypatch.setattr(Records, "note", after_a_reset)
        assert (await get(world, path)).status_code == 200
        answer = (await client.get(f"/pbx/sipphone/{id}/provisioning")).json()
    assert answer["nextAdminPassword"] is not None


async def test_a_reset_of_a_phone_without_a_writer_does_not_send_to_a_url(world: World) -> None:
    """The model was changed, so there are secrets, and a new URL would be refused."""
    world = on(world)
    id = await new_phone(world)
    await armed(world, id)
    async with world.client() as client:
        await client.patch(f"/pbx/sipphone/{id}", json={"sipPhoneModel": MODEL["generic"]})
        answer = (await client.post(f"/pbx/sipphone/{id}/resetcredentials")).json()
        assert "provisioning" not in answer["nextStep"] and "at the phone" in answer["nextStep"]
        keep = {"keepProvisioning": "true"}
        kept = (await client.post(f"/pbx/sipphone/{id}/resetcredentials", params=keep)).json()
    assert "nextStep" not in kept


@pytest.mark.parametrize("way", ["first", "steady"])
async def test_a_reset_while_a_file_is_made_keeps_the_new_password_from_the_old_secret(
    world: World, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    world = on(world)
    id = await new_phone(world)
    first = await armed(world, id)
    next_one = steady(await get(world, first))
    look_up = Records.grant

    async def then_reset(records: Records, secret: str) -> Grant | None:
        found = await look_up(records, secret)
        async with world.client() as client:
            assert (await client.post(f"/pbx/sipphone/{id}/resetcredentials")).status_code == 200
        return found

    monkeypatch.setattr(Records, "grant", then_reset)
    answer = await get(world, first if way == "first" else next_one)
    assert (answer.status_code, answer.content) == (404, NOT_FOUND.body)


async def test_a_reset_may_keep_the_secrets(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    old = steady(await get(world, await armed(world, id)))
    async with world.client() as client:
        reset = f"/pbx/sipphone/{id}/resetcredentials"
        assert (await client.post(reset, params={"keepProvisioning": "perhaps"})).status_code == 400
        answer = (await client.post(reset, params={"keepProvisioning": "true"})).json()
    assert "restart" in answer["nextStep"]
    assert f"account.1.password = {answer['password']}\n" in (await get(world, old)).text


async def test_a_reset_of_a_phone_without_files_says_no_next_step(world: World) -> None:
    id = await new_phone(on(world))
    async with world.client() as client:
        assert "nextStep" not in (await client.post(f"/pbx/sipphone/{id}/resetcredentials")).json()


async def test_a_reset_tells_the_redirect_service_the_new_url(world: World) -> None:
    world = on(world)
    id = await new_phone(world, "snom", "000413922D24")
    await armed(world, id)
    rows = "SELECT url_enc FROM redirect WHERE mac = '000413922D24'"
    before = await world.rows(rows)
    async with world.client() as client:
        assert (await client.post(f"/pbx/sipphone/{id}/resetcredentials")).status_code == 200
    assert len(before) == 1 and await world.rows(rows) != before


async def test_a_rearmed_phone_may_use_its_steady_secret_first(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    next_one = steady(await get(world, await armed(world, id)))
    again = await armed(world, id)
    assert (await get(world, next_one)).status_code == 200
    assert (await get(world, again)).status_code == 200, "a new first secret waits for a reset phone"


async def test_the_listener_with_old_tls_serves_phones_that_need_it_and_no_others(world: World) -> None:
    world = on(world, legacy_url="https://prov.test:8445")
    weak = world.but(provisioning=world.settings.provisioning.for_old_phones())
    modern = await armed(world, await new_phone(world))
    old = await new_phone(world, "snom-370", "000413922D24")
    url = (await act(world, old, rearm=True))["url"]
    assert url.startswith("https://prov.test:8445/p/") and url.endswith("/000413922D24.xml")
    unknown = told(await get(weak, "/p/" + "a" * 26 + f"/{NAME}"))
    assert told(await get(weak, modern)) == unknown
    loaded = await get(weak, url.removeprefix("https://prov.test:8445"))
    assert loaded.status_code == 200 and "https://prov.test:8445/p/" in loaded.text
    assert (await get(world, modern)).status_code == 200
    other = await new_phone(world, mac="805EC0D57D99")
    await act(world, other, expect=True)
    assert told(await get(weak, "/805ec0d57d99.cfg")) == unknown
    assert told(await get(weak, "/805ec0d57d99.cfg", THERE)) == unknown
    assert "/p/" in (await get(world, "/805ec0d57d99.cfg")).text, "nobody has taken its turn"
    await act(world, old, expect=True)
    stub = await get(weak, "/000413922D24.xml")
    assert stub.status_code == 200 and "https://prov.test:8445/p/" in stub.text


async def test_the_metrics_tell_what_became_of_each_request(world: World) -> None:
    world, metrics = on(world, misses=2), Metrics()
    path = await armed(world, await new_phone(world))
    async with phone(world, metrics=metrics) as client:
        tag = (await client.get(path)).headers["etag"]
        await client.get(path, headers={"If-None-Match": tag})
        await client.get(path.replace(".cfg", ".txt"))
        await client.get("/startup.cfg")
        await client.put(path)
    async with phone(world, THERE, metrics=metrics) as client:
        for _ in range(3):
            await client.get("/p/" + "a" * 26 + f"/{NAME}")
    read = metrics.registry.get_sample_value
    seen = {"served": 1, "unchanged": 1, "no-file": 1, "stub": 1, "malformed": 1, "unknown": 3}
    for outcome, number in seen.items():
        assert read("registrar_prov_requests_total", {"outcome": outcome}) == number, outcome
        assert read("registrar_prov_request_seconds_count", {"outcome": outcome}) == number
    assert read("registrar_prov_limited_total") == 1


async def test_a_value_that_cannot_be_written_is_told_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world, metrics = on(world), Metrics()
    id = await new_phone(world)
    path = await armed(world, id)
    label = "UPDATE extension SET name = :name WHERE oid = :oid"

    async def asked(*names: str) -> list[str]:
        caplog.clear()
        async with phone(world, metrics=metrics) as client:
            for name in names:
                assert (await client.get(path.replace(".cfg", ".boot"))).status_code == 200
                await world.execute(label, name=name, oid=world.ids["ext200"])
                assert (await client.get(path)).status_code == (503 if "%NULL%" in name else 200)
        told = [one for one in caplog.records if "cannot be written" in one.message]
        return [one.levelname for one in told]

    caplog.set_level(logging.DEBUG, "config.provisioning.faults")
    assert await asked("%NULL%", "%NULL%", "%NULL%") == ["ERROR", "DEBUG", "DEBUG"]
    assert await asked("%NULL%", "Anna", "%NULL%") == ["ERROR", "ERROR"], "it is new after a good load"
    value = metrics.registry.get_sample_value
    assert value("registrar_prov_requests_total", {"outcome": "unwritable"}) == 5


async def test_check_03_what_serves_no_configuration_locks_nothing(world: World, tmp_path: Path) -> None:
    world = on(world, assets=tmp_path)
    (tmp_path / "logo.png").write_bytes(b"picture")
    id = await new_phone(world)
    path = await armed(world, id)
    folder = path.removesuffix(NAME)
    other = NAME.replace("80", "81")
    async with phone(world) as client:
        head = await client.head(path)
        assert head.status_code == 200 and head.content == b"" and int(head.headers["content-length"]) > 100
        boot = await client.get(f"{folder}{MAC.lower()}.boot")
        assert boot.status_code == 200 and "password" not in boot.text
        stub = await client.get(f"{folder}y000000000108.cfg")
        assert stub.status_code == 200 and f"= https://prov.test{folder}" in stub.text
        assert (await client.get(f"{folder}a/logo.png")).content == b"picture"
        assert (await client.get(f"{folder}{other}")).status_code == 404
        assert (await client.get(f"/p/{'a' * 26}/{NAME}")).status_code == 404
        assert (await client.get(f"{folder}y000000000000.boot")).status_code == 404
        for method in ("POST", "PUT", "DELETE"):
            answer = await client.request(method, path)
            assert answer.status_code == 405 and answer.headers["allow"] == "GET, HEAD"
    async with world.client() as api:
        assert (await api.get(f"/pbx/sipphone/{id}/configuration")).status_code == 200
    assert await rule(world, id) == ("OPEN", None, False)
    assert await journal(world, id) == []


async def test_a_file_that_the_phone_has_is_not_sent_again(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    first = await get(world, await armed(world, id))
    known = {"If-None-Match": first.headers["etag"]}
    unlocked = (
        "UPDATE sip_phone SET ip_mode = 'OPEN', ip_address = NULL, config_loaded_at = NULL WHERE oid = :id"
    )
    await world.execute(unlocked, id=id)
    entries = await journal(world, id)
    answer = await get(world, steady(first), THERE, headers=known)
    assert answer.status_code == 304 and answer.content == b""
    assert await rule(world, id) == ("OPEN", None, True), "it was sent this very text before"
    told = (await journal(world, id))[len(entries) :]
    assert told == [("configured", "steady-secret", THERE)], "nothing was locked"


async def test_a_tag_of_a_file_that_was_not_sent_is_no_load(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path = await armed(world, id)
    async with phone(world) as client:
        tag = (await client.head(path)).headers["etag"]
        answer = await client.get(path, headers={"If-None-Match": tag})
    assert answer.status_code == 304 and answer.content == b""
    assert await rule(world, id) == ("OPEN", None, False)
    assert await journal(world, id) == []


async def test_unknown_closed_and_foreign_look_the_same(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path = await armed(world, id)
    unknown = told(await get(world, "/p/" + "b" * 26 + f"/{NAME}"))
    assert unknown[:2] == (404, NOT_FOUND.body)
    asked = [f"/{NAME}", "/000000000000.cfg", "/p/x/y", "/nothing", "/p//", "/%2e%2e/secret.key", "/ca.pem"]
    assert {str(told(await get(world, one))) for one in asked} == {str(unknown)}
    await world.execute("UPDATE customer SET state = 'BLOCKED', version = version + 1 WHERE name = 'Acme'")
    assert told(await get(world, path)) == unknown
    await world.execute("UPDATE customer SET state = 'ACTIVE', version = version + 1 WHERE name = 'Acme'")
    await world.execute(
        "UPDATE provisioning SET customer_id = (SELECT id FROM customer WHERE name = 'Rival')"
    )
    assert told(await get(world, path)) == unknown, "the MAC address belonged to another customer then"


async def test_a_scan_finds_nothing_and_is_slowed_down(world: World) -> None:
    world = on(world, misses=5)
    id = await new_phone(world)
    path = await armed(world, id)
    async with phone(world) as client:
        for number in range(5):
            assert (await client.get(f"/{number:012x}.cfg")).status_code == 404
        assert (await client.get(path)).status_code == 404, "over the limit even what is right"
    assert (await rule(world, id))[0] == "OPEN"
    next_one = steady(await get(world, path, THERE))
    async with phone(world, THERE) as client:
        for number in range(8):
            assert (await client.get(f"/{number:012x}.cfg")).status_code == 404
        assert (await client.get(next_one)).status_code == 200, "a phone has loaded its configuration there"


SCANNED = ("{}.cfg", "{}.xml", "{}.boot", "cfg{}.xml", "snomD785-{}.htm", "{}")
"""Files with an account of all brands."""


async def test_a_scan_of_mac_addresses_finds_nothing_and_takes_the_same_for_each(world: World) -> None:
    world = on(world, misses=1_000_000)
    await armed(world, await new_phone(world))
    asked: list[str] = []

    @event.listens_for(world.read_engine.sync_engine, "before_cursor_execute")
    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    first = int(MAC, 16) - 10
    seen: set[tuple[str, int]] = set()
    async with phone(world) as client:
        for number in range(first, first + (5_000 if SOAK else 40)):
            for form in SCANNED:
                asked.clear()
                answer = await client.get("/" + form.format(f"{number:012x}"))
                assert answer.status_code == 404
                seen.add((str(told(answer)), len(asked)))
    assert len(seen) == 1, "the known one is among them: the same octets after the same work"


async def test_the_limit_counts_without_redis_and_ends(dead_redis: Redis) -> None:
    now = 0.0
    limiter = Limiter(dead_redis, lambda: Mono(now), 2)
    for address in ("2001:db8::1", "2001:db8::2"):
        assert not await limiter.is_blocked(address)
        await limiter.missed(address)
    assert await limiter.is_blocked("2001:db8::3"), "one /64 is one source"
    assert not await limiter.is_blocked("2001:db8:0:1::1")
    now = 600.0
    assert not await limiter.is_blocked("2001:db8::1")
    for _ in range(3):
        await limiter.missed("2001:db8::1")
    await limiter.loaded("2001:db8::1")
    assert not await limiter.is_blocked("2001:db8::1")


async def test_both_listeners_count_guesses_together_without_redis(world: World, dead_redis: Redis) -> None:
    world = on(world, misses=2)
    path = await armed(world, await new_phone(world))
    limiter = limiter_of(world.settings.provisioning, dead_redis, Metrics())
    away = world.but(redis=dead_redis)
    weak = away.but(provisioning=away.settings.provisioning.for_old_phones())
    async with phone(weak, limiter=limiter) as client:
        for _ in range(2):
            assert (await client.get("/p/" + "a" * 26 + f"/{NAME}")).status_code == 404
    async with phone(away, limiter=limiter) as client:
        assert (await client.get(path)).status_code == 404, "it is held here, too"
    async with phone(away, THERE, limiter=limiter) as client:
        assert (await client.get(path)).status_code == 200


async def test_two_first_fetches_at_once_have_one_winner(world: World) -> None:
    world = on(world, misses=1_000)
    id = await new_phone(world)
    for _ in range(500 if SOAK else 10):
        path = await armed(world, id)
        await world.execute("UPDATE sip_phone SET ip_mode = 'OPEN', ip_address = NULL WHERE oid = :id", id=id)
        answers = await asyncio.gather(get(world, path, HERE), get(world, path, THERE))
        statuses = [answer.status_code for answer in answers]
        assert sorted(statuses)[0] == 200 and sorted(statuses)[1] in (403, 404)
        winner = HERE if statuses[0] == 200 else THERE
        assert (await rule(world, id))[:2] == ("LOCKED", winner)


async def test_a_base_locks_all_of_its_open_handsets_or_is_refused(world: World) -> None:
    world = on(world)
    one = await new_phone(world, "dect", "7C2F80010203", handsetAddress="0123456789")
    two = await new_phone(world, "dect", "7C2F80010203", handsetAddress="0123456788")
    path = await armed(world, two)
    assert (await get(world, path)).status_code == 200
    assert await rule(world, one) == await rule(world, two) == ("LOCKED", HERE, True)
    await world.execute("UPDATE sip_phone SET ip_address = :ip WHERE oid = :id", ip=THERE, id=one)
    again = await armed(world, two)
    assert (await get(world, again)).status_code == 403


async def test_an_expected_phone_is_told_once_where_to_load_from(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    assert (await get(world, f"/{NAME}")).status_code == 404
    shown = await act(world, id, expect=True, networks=["127.0.0.0/29"])
    assert shown["expectedNetworks"] == ["127.0.0.0/29"] and shown["expectedUntil"]
    assert (await get(world, f"/{NAME}", "127.0.0.77")).status_code == 404
    answer = await get(world, f"/{NAME}")
    assert answer.status_code == 200 and "account" not in answer.text and "password" not in answer.text
    folder = path_of(shown["url"]).removesuffix(NAME)
    assert f"https://prov.test{folder}" in answer.text
    assert (await get(world, f"/{NAME}", THERE)).status_code == 404, "another source was first"
    assert (await rule(world, id))[0] == "OPEN"
    assert (await get(world, folder + NAME)).status_code == 200
    await _set(world, "expect_until", clock.utc_now() - timedelta(seconds=1))
    assert (await get(world, f"/{NAME}")).status_code == 404


async def test_a_blocked_source_does_not_use_up_an_expectation(world: World) -> None:
    world = on(world, misses=3)
    await act(world, await new_phone(world), expect=True)
    before = await world.rows("SELECT expect_source, expect_until FROM provisioning")
    async with phone(world, THERE) as client:
        for number in range(3):
            assert (await client.get(f"/{number:012x}.cfg")).status_code == 404
        assert (await client.get(f"/{NAME}")).status_code == 404
    assert await world.rows("SELECT expect_source, expect_until FROM provisioning") == before
    assert (await get(world, f"/{NAME}")).status_code == 200


async def test_an_expectation_that_ended_is_not_opened_again(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    records = Records(world.read_engine, world.engine, world.vault)
    for again in ("rearm", "expect", "rotate"):
        await act(world, id, expect=True)
        late = await records.expected(MAC)
        await act(world, id, **{again: True})
        before = await world.rows("SELECT expect_source, expect_until FROM provisioning")
        assert late is not None and not await records.tell(late, THERE, timedelta(minutes=10))
        assert await world.rows("SELECT expect_source, expect_until FROM provisioning") == before
    await act(world, id, expect=True)
    late = await records.expected(MAC)
    await _set(world, "expect_until", clock.utc_now() - timedelta(seconds=1))
    assert late is not None and not await records.tell(late, HERE, timedelta(minutes=10))
    assert (await get(world, f"/{NAME}")).status_code == 404
    await records.close()


async def test_files_without_a_mac_tell_all_phones_the_same(world: World) -> None:
    world = on(world)
    answer = await get(world, "/startup.cfg")
    assert answer.status_code == 200 and answer.content
    assert b"/p/" not in answer.content


async def test_the_url_may_have_a_path_and_the_log_has_no_secret(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "config.provisioning")
    world = on(world, url=f"{URL}/prov/")
    url = (await act(world, await new_phone(world), rearm=True))["url"]
    assert url.startswith(f"{URL}/prov/p/")
    path = url.removeprefix(URL)
    secret = path.split("/")[3]
    async with phone(world) as client:
        assert (await client.post(path)).status_code == 405
        assert (await client.post(f"/other{path}")).status_code == 405
        assert (await client.get(f"/p/{secret}/p/{secret}/{NAME}")).status_code == 404
        assert (await client.get(path)).status_code == 200
    assert f"GET /p/.../{NAME}: 200" in caplog.messages
    assert secret not in caplog.text


async def test_without_tls_a_phone_is_told_to_use_it(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path = await armed(world, id)
    async with phone(world, scheme="http") as client:
        answer = await client.get(path)
    assert answer.status_code == 200 and "password" not in answer.text
    assert f"https://prov.test{path.removesuffix(NAME)}" in answer.text
    assert (await rule(world, id))[0] == "OPEN"
    async with phone(on(world, plain=True), scheme="http") as client:
        assert "account.1.password" in (await client.get(path)).text


async def test_behind_a_proxy_the_forwarded_address_counts(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path = await armed(world, id)
    proxies = (ip_network("127.0.0.9/32"),)
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    async with phone(world, "127.0.0.9", scheme="http", trusted=proxies) as client:
        assert (await client.get(path, headers={"X-Forwarded-Proto": "https"})).status_code == 403
        assert (await rule(world, id))[0] == "OPEN", "the proxy itself is no phone"
        assert (await client.get(path, headers={"X-Forwarded-For": "x"})).status_code == 400
        assert (await client.get(path, headers=forwarded)).status_code == 200
    assert (await rule(world, id))[:2] == ("LOCKED", "192.0.2.7")
    again = steady(await get(world, await armed(world, id), "192.0.2.7"))
    lie = await get(world, again, THERE, headers={"X-Forwarded-For": "192.0.2.7"})
    assert lie.status_code == 403, "an untrusted peer names no address"


async def test_a_device_token_opens_the_files_of_its_device_only(world: World) -> None:
    world = on(world)
    id = await new_phone(world, "generic", mac=None)
    token = "0123456789abcdef012345678"
    digest = hashlib.sha256(token.encode()).hexdigest()
    await world.execute("UPDATE sip_phone SET device_token_sha256 = :d WHERE oid = :id", d=digest, id=id)
    answer = await get(world, f"/p/{token}/device.json")
    assert answer.status_code == 200 and json.loads(answer.text)["number"] == "200"
    assert await rule(world, id) == ("LOCKED", HERE, True)
    assert (await get(world, f"/p/{token}/{NAME}")).status_code == 404
    async with world.client(None) as api:
        answer = await api.get(f"/pbx/sipphone/{id}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    await world.execute("UPDATE sip_phone SET device_token_sha256 = NULL WHERE oid = :id", id=id)
    assert (await get(world, f"/p/{token}/device.json")).status_code == 404


async def test_a_link_opens_once(world: World) -> None:
    world = on(world)
    id = await new_phone(world, "generic", mac=None)
    secret = "c" * 26
    ends = clock.utc_now() + timedelta(minutes=10)
    await world.execute(
        "INSERT INTO provisioning_link (sha256, phone_id, name, expires_at) "
        "SELECT :d, id, 'linphone.xml', :at FROM sip_phone WHERE oid = :id",
        d=hashlib.sha256(secret.encode()).hexdigest(),
        at=ends if world.engine.dialect.name == "postgresql" else ends.strftime("%Y-%m-%d %H:%M:%S.%f"),
        id=id,
    )
    async with phone(world) as client:
        assert (await client.head(f"/o/{secret}")).status_code == 200
        assert (await client.get(f"/o/{secret}")).status_code == 200
        assert (await client.get(f"/o/{secret}")).status_code == 404
    assert await rule(world, id) == ("LOCKED", HERE, True)


@pytest.mark.parametrize("model", ["yealink", "generic"])
async def test_a_softphone_loads_nothing_for_a_desk_phone(world: World, model: str) -> None:
    world = on(world)
    id = await new_phone(world, model)
    token = "0123456789abcdef012345678"
    digest = hashlib.sha256(token.encode()).hexdigest()
    await world.execute("UPDATE sip_phone SET device_token_sha256 = :d WHERE oid = :id", d=digest, id=id)
    is_loaded = model == "generic"
    for path in (f"/p/{token}/device.json", (await act(world, id, link="baresip"))["url"].removeprefix(URL)):
        await world.execute("UPDATE sip_phone SET config_loaded_at = NULL WHERE oid = :id", id=id)
        assert (await get(world, path)).status_code == 200
        assert await rule(world, id) == ("LOCKED", HERE, is_loaded)
    assert (await journal(world, id))[-1] == ("configured", "one-time-link", HERE)


async def test_a_value_that_the_format_cannot_carry_is_503(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    path = await armed(world, id)
    await world.execute("UPDATE sip_phone SET password_enc = :p WHERE oid = :id", p=_bad(world, id), id=id)
    answer = await get(world, path)
    assert answer.status_code == 503 and "retry-after" in answer.headers
    assert await rule(world, id) == ("OPEN", None, False)
    async with world.client() as api:
        shown = (await api.get(f"/pbx/sipphone/{id}/configuration")).json()
    assert [problem["field"] for problem in shown["problems"]] == ["password"]


def _bad(world: World, id: str) -> str:
    return world.vault.seal("line\nbreak", id)


async def test_sql_away_is_503_and_redis_away_is_served(
    world: World, dead_redis: Redis, tmp_path: Path
) -> None:
    world = on(world)
    path = await armed(world, await new_phone(world))
    away = connect(f"sqlite+aiosqlite:///{tmp_path}/no/such/folder.db")
    answer = await get(world.but(read_engine=away), path)
    assert answer.status_code == 503 and "retry-after" in answer.headers
    await away.dispose()
    assert (await get(world.but(redis=dead_redis), path)).status_code == 200


async def test_what_cannot_be_noted_is_sent_and_the_lock_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = on(world)
    id = await new_phone(world, "generic", mac=None)
    url = (await act(world, id, link="device"))["url"].removeprefix(URL)

    async def broken(*_: object) -> bool:
        raise OperationalError("UPDATE", {}, Exception("away"))

    monkeypatch.setattr(Records, "note", broken)
    subscriber = world.redis.pubsub()
    await subscriber.subscribe(keys.CHANGED)
    assert (await get(world, url)).status_code == 200, "the link is used up, so its file is sent"
    assert await rule(world, id) == ("LOCKED", HERE, False)
    assert await _announced(subscriber) == f"phone {id}"
    events = [entry[0] for entry in await journal(world, id)]
    assert events[-2:] == ["locked", "configured"]
    assert "is not noted" in caplog.text
    monkeypatch.undo()
    assert (await get(world, url)).status_code == 404


async def test_a_load_is_later_than_the_save_that_it_has(world: World) -> None:
    world = on(world)
    id = await new_phone(world)
    next_one = steady(await get(world, await armed(world, id)))

    async def is_loaded() -> bool:
        statement = "SELECT config_loaded_at > config_saved_at FROM sip_phone WHERE oid = :id"
        ((later,),) = await world.rows(statement, id=id)
        return bool(later)

    assert await is_loaded()
    version = await world.rows("SELECT version FROM sip_phone WHERE oid = :id", id=id)
    async with world.client() as api:
        assert (await api.patch(f"/pbx/sipphone/{id}", json={"notes": "x"})).status_code == 200
    assert not await is_loaded()
    assert (await get(world, next_one)).status_code == 200
    assert await is_loaded()
    assert await world.rows("SELECT version - 1 FROM sip_phone WHERE oid = :id", id=id) == version


async def test_our_authority_is_public(world: World, tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_text("certificate")
    assert (await get(on(world, authority=tmp_path / "tls.crt"), "/ca.pem")).text == "certificate"
    assert (await get(on(world, authority=tmp_path / "none.crt"), "/ca.pem")).status_code == 404


@pytest.mark.parametrize(
    "name", ["../secret.key", "..%2fsecret.key", ".hidden", "folder", "link.png", "none"]
)
async def test_an_asset_is_a_file_of_its_folder(world: World, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "assets"
    (folder / "folder").mkdir(parents=True)
    (folder / ".hidden").write_text("secret")
    (tmp_path / "secret.key").write_text("secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.key")
    world = on(world, assets=folder)
    path = (await armed(world, await new_phone(world))).removesuffix(NAME)
    assert (await get(world, f"{path}a/{name}")).status_code == 404
