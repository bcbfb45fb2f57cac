"""Phones of each brand out of their boxes: they load, register, call and load again, on one real server."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from config.models.seeds import MODELS
from tests.config.qr_reader import read_qr
from tests.peers.baresip import Baresip
from tests.peers.calling import CallingPhone
from tests.peers.phone import Account
from tests.wire.boxes.__main__ import DOCUMENT, document
from tests.wire.boxes.account_phone import registered, switched_on
from tests.wire.boxes.brands import BOXES, Box, KeepsWhatItHas
from tests.wire.boxes.fetching import Web
from tests.wire.boxes.server import office_of, served
from tests.wire.boxes.story import Office, Plan, Teller, tell_all
from tests.wire.need import need
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

_numbers = count(8201)
_macs = count(0x02_0000_0000_01)
WITH_FILES: Final = {str(row["model"]): row for row in MODELS.values() if row["writer"]}
ADDRESSES: Final = [f"02468ace{number:02d}" for number in range(6)]
"""Of handsets."""


def plan_of(model: str, **changes: Any) -> Plan:
    """A phone of a model, with a MAC address and a number of its own."""
    row, number = WITH_FILES[model], next(_numbers)
    handset = f"0{number:09d}" if row["multiple_handsets"] else None
    title, source = f"{row['brand_name']} {model}", f"127.0.1.{number - 8200}"
    mac = f"{next(_macs):012X}"
    plan = Plan(title, str(row["brand"]), model, str(row["writer"]), mac, str(number), source, handset)
    return replace(plan, **changes)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One server for all of them."""
    need("redis-cli")
    with served(tmp_path_factory.mktemp("boxes")) as site:
        site.demo()
        yield office_of(site)


@pytest.fixture
def office(shared: Office) -> Office:
    """The same with a transcript of its own, which a failure shows."""
    return replace(shared, teller=Teller())


# One phone of each brand, and the transcript of it


async def test_the_transcript_in_the_documents_is_what_happens(office: Office) -> None:
    happened = document(await tell_all(office))
    assert _steps(happened) == _steps(DOCUMENT.read_text())


def _steps(text: str) -> list[str]:
    """The lines without what is made by chance."""
    return [re.sub(r"\b[a-z0-9]{4}\.\.\.", "...", line) for line in text.splitlines()]


# Check 1


@pytest.mark.parametrize("model", WITH_FILES)
async def test_check_01_each_model_registers_with_what_it_has_loaded(office: Office, model: str) -> None:
    plan = plan_of(model)
    phone_id = office.create(plan)
    box = plan.box(office.trusts, at_once=True)
    box.tell(office.arm(phone_id))
    await asyncio.to_thread(box.start)
    (sip,) = box.accounts
    async with await registered(box, office.names):
        office.is_loaded(phone_id, plan.source)
        shown = office.site.api("GET", f"/pbx/sipphone/{phone_id}").body
        assert shown["status"]["online"] is True
        assert (sip.username, sip.password) == (shown["username"], shown["password"])


# A phone that is expected


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "after a restart"])
@pytest.mark.parametrize("writer", BOXES)
async def test_an_expected_phone_is_sent_to_its_file(office: Office, writer: str, at_once: bool) -> None:
    model = next(name for name, row in WITH_FILES.items() if row["writer"] == writer)
    plan = plan_of(model)
    phone_id = office.create(plan)
    box = plan.box(office.trusts, at_once=at_once)
    box.tell(office.site.settings["prov_url"] + "/")
    await asyncio.to_thread(box.start)
    assert not box.accounts, "nobody expects it"
    office.ask("POST", f"/pbx/sipphone/{phone_id}/provisioning", {"expect": True})
    starts = 0
    while not box.accounts and starts < 4:
        await asyncio.to_thread(box.start)
        starts += 1
    assert starts <= (1 if at_once else 3), box.web.steps
    async with await registered(box, office.names):
        await asyncio.to_thread(box.start)
        office.is_loaded(phone_id, plan.source)


async def test_phones_that_are_expected_do_not_use_up_the_guesses_of_their_office(office: Office) -> None:
    for model in ("T46U", "GRP2612", "6867i", "N510 IP PRO"):
        plan = plan_of(model, source="127.0.2.1")
        phone_id = office.create(plan)
        office.ask("POST", f"/pbx/sipphone/{phone_id}/provisioning", {"expect": True})
        box = plan.box(office.trusts, at_once=True)
        box.tell(office.site.settings["prov_url"] + "/")
        await asyncio.to_thread(box.start)
        assert box.accounts
    assert office.site.redis("get", "registrar:prov:miss:127.0.2.1") is None


# A server that cannot answer


async def test_a_phone_keeps_what_it_has_while_its_file_cannot_be_written(office: Office) -> None:
    plan = plan_of("N510 IP PRO")
    phone_id = office.create(plan)
    extension = office.site.api("GET", f"/pbx/sipphone/{phone_id}").body["extension"]
    box = plan.box(office.trusts)
    box.tell(office.arm(phone_id))
    box.start()
    had, applied = box.accounts, box.applied
    place = f"/pbx/extension/{extension if isinstance(extension, str) else extension['_id']}"
    office.ask("PATCH", place, {"name": 'The "front" desk'})
    with pytest.raises(KeepsWhatItHas):
        box.start()
    assert [step.status for step in box.web.steps[-3:]] == [503] * 3
    assert (box.accounts, box.applied) == (had, applied)
    box.wait = lambda seconds: office.ask("PATCH", place, {"name": "The front desk"}) if seconds > 0 else None
    box.start()
    assert [step.status for step in box.web.steps[-2:]] == [503, 200]
    assert box.applied == applied + 1


async def test_a_phone_that_loads_the_same_file_again_applies_nothing(office: Office) -> None:
    plan = plan_of("T46U")
    box = plan.box(office.trusts)
    box.tell(office.arm(office.create(plan)))
    for _ in range(3):
        box.start()
    assert len(box.web.steps) == 5, "one typed file, then twice the boot file and what it names"
    assert box.applied == 1


# Check 15


async def test_check_15_a_phone_behind_a_router_is_told_and_loads_again(office: Office) -> None:
    plan = plan_of("D785")
    phone_id = office.create(plan)
    box = plan.box(office.trusts)
    box.tell(office.arm(phone_id))
    await asyncio.to_thread(box.start)
    async with await switched_on(box, office.names) as phone:
        inside = f"sip:{phone.account.username}@192.168.1.10:2048;line=abc"
        assert (await phone.register(3600, contact=f"<{inside}>")).status == 200
        await _loads_again(office, phone_id, box, phone)
        (notify,) = phone.requests
        assert notify.request.uri == inside
        phone.forget("the Request-URI is not our Contact")
        phone.forget("the Request-URI")


async def _loads_again(office: Office, phone_id: str, box: Box, phone: CallingPhone) -> None:
    office.ask("PATCH", f"/pbx/sipphone/{phone_id}", {"callWaiting": False})
    reply = await asyncio.to_thread(office.site.api, "POST", f"/pbx/sipphone/{phone_id}/configreload")
    assert (reply.status, reply.body) == (200, {"success": True})
    status = office.site.api("GET", f"/pbx/sipphone/{phone_id}").body["status"]
    assert status["configLoaded"] <= status["configSaved"], "it has only heard it"
    await office.load(box, (await phone.asked("NOTIFY")).request.header("event"))
    office.is_loaded(phone_id, box.source)


# Check 16


@pytest.mark.parametrize("model", ["M400", "W60B", "N510 IP PRO", "N670 IP PRO"])
async def test_check_16_a_base_has_one_file_for_the_handsets_that_are_there(
    office: Office, model: str
) -> None:
    plan = plan_of(model)
    ids = [office.create(replace(plan, number=str(next(_numbers)), handset=one)) for one in ADDRESSES]
    for index in (1, 3, 4):
        assert office.site.api("DELETE", f"/pbx/sipphone/{ids[index]}").status in (200, 204)
    box = plan.box(office.trusts)
    box.tell(office.arm(ids[5]))
    await asyncio.to_thread(box.start)
    assert [one.place for one in box.accounts] == [1, 3, 6]
    async with AsyncExitStack() as stack:
        for place, index in enumerate((0, 2, 5)):
            office.is_loaded(ids[index], plan.source)
            phone = await registered(box, office.names, place)
            await stack.enter_async_context(phone)
    before = set(box.settings)
    assert office.site.api("DELETE", f"/pbx/sipphone/{ids[2]}").status in (200, 204)
    await asyncio.to_thread(box.start)
    assert [one.place for one in box.accounts] == [1, 6]
    assert before ^ set(box.settings)
    assert not [name for name, _ in before ^ set(box.settings) if not _is_of_third(name)]


def _is_of_third(name: str) -> bool:
    """Whether a setting belongs to the third handset."""
    return bool(re.search(r"idx=3\b|\.3\.|_3$|0000?3|astAccounts\[2\]|stMtDat\[2\]|oper add_hs", name))


# Check 17


async def test_check_17_a_device_token_opens_the_files_of_its_device_until_it_is_unlinked(
    office: Office, tmp_path: Path
) -> None:
    need("baresip")
    site, user, device, token = office.site, *_linked(office)
    web = Web("baresip", "127.0.0.1", trusts=office.trusts)
    place = f"{site.settings['prov_url']}/p/{token}/"
    line = web.ask(place + "baresip").text
    assert web.ask(place + "linphone.xml").found
    for name in ("000413922D24.xml", "startup.cfg", "", "secret.key"):
        assert web.ask(place + name).status == 404
    for path in ("/pbx/sipphone", "/config/v2/sip/domains"):
        assert site.api("GET", path, token=token).status == 401
    match = re.search(r"<sip:([^@]+)@([^;>]+)", line)
    assert match
    with Baresip(tmp_path, Account(match[1], "", match[2]), site.sip, line=line + "\n"):
        assert site.api("DELETE", f"{user}/devices/{device}").status == 204
        within(1, lambda: web.ask(place + "baresip").status == 404, "the token is void")


def _linked(office: Office) -> tuple[str, str, str]:
    """A user's path, the id of the device of that user, and its token."""
    ask = office.site.api
    domain = office.site.demo()["domain"]
    found = ask("GET", f"/config/v2/sip/domains?filter[]=domain-eq-value-{domain}").body
    users = f"/config/v2/sip/domains/{found['domainId']}/users"
    about = {"user": "seventeen", "password": "a secret of theirs", "displayName": "Seventeen"}
    made = ask("POST", users, about | {"extensionNumber": str(next(_numbers))})
    assert made.status == 201, made
    user = f"{users}/{made.body['userId']}"
    devices = f"/config/v2/sip/domains/{found['domainId']}/devices"
    about = {"pbxDeviceName": "Softphone", "deviceMacAddress": "02:00:00:00:99:01"}
    told = ask("POST", devices, about)
    assert told.status == 201, told
    linked = ask("POST", f"{user}/devices", {"pbxDeviceId": told.body["pbxDeviceId"]})
    assert linked.status == 201, linked
    return user, told.body["pbxDeviceId"], linked.body["pbxDeviceToken"]


# Check 18


def test_check_18_a_link_opens_once_and_no_secret_is_kept_anywhere(office: Office) -> None:
    site, plan = office.site, plan_of("T46U")
    box = plan.box(office.trusts)
    first = office.arm(office.create(plan))
    box.tell(first)
    box.start()
    handset = site.new_phone()
    made = site.api("POST", f"/pbx/sipphone/{handset.id}/provisioning", {"link": "linphone"}).body
    assert read_qr(made["qr"]) == made["url"]
    web = Web("Linphone", "127.0.0.1", trusts=office.trusts)
    assert handset.account.password in web.ask(made["url"]).text
    assert web.ask(made["url"]).status == 404
    secrets = [made["url"].rpartition("/")[2], first.split("/")[-2], box.server.split("/")[-2]]
    secrets += [handset.account.password, box.accounts[0].password]
    assert [len(secret) for secret in secrets] == [26, 26, 26, 32, 32]
    assert handset.account.password not in str(made)
    kept = {"log": site.log_text, "SQL": _sql(site), "Redis": _redis(site)}
    assert handset.id in kept["SQL"] and handset.id in kept["Redis"]
    assert not [(place, secret[:4]) for place, text in kept.items() for secret in secrets if secret in text]


def _sql(site: Site) -> str:
    """Everything in the database."""
    with closing(sqlite3.connect(site.database, timeout=60)) as connection:
        return "\n".join(connection.iterdump())


READ: Final = {
    "string": "get {}",
    "hash": "hgetall {}",
    "list": "lrange {} 0 -1",
    "set": "smembers {}",
    "zset": "zrange {} 0 -1 withscores",
    "stream": "xrange {} - +",
}
"""Type of a key -> the command that reads all of it."""


def _redis(site: Site) -> str:
    """Everything in Redis."""
    keys = site.redis("keys", "*")
    kinds = site.redis_all([("type", key) for key in keys])
    known = [(key, kind) for key, kind in zip(keys, kinds, strict=True) if kind in READ]  # or it has ended
    return str(site.redis_all([READ[kind].format(key).split() for key, kind in known]))
