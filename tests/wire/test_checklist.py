"""The 47 routes of the seeds by their number: what is sent is read again, what is deleted is gone."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers.api import Answer, ApiClient
from tests.wire.conftest import Report
from tests.wire.site import Site
from tests.wire.tenancy import Ids, Json, Tenant, mac, network, number, ok, pairs, word

pytestmark = pytest.mark.wire

FILE: Final = Path(__file__).parent.parent / "access_matrix.csv"
PLACE: Final = re.compile(r"{(\w+)}")
MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")
CREDENTIAL: Final = re.compile(r"[a-z0-9]{32}")
SECRETS: Final = frozenset({"password", "pin"})
POLICIES: Final = frozenset({"requireTls", "requireSrtp", "requireNetworks", "requireSha256", "maxContacts"})
"""What a domain has beside the fields of the seed document: the policies of its phones."""
WRITTEN_FIELDS: Final = 58
"""How many fields the page of the creation of a phone has, `handsetIndex` and the two arrays among them."""

with FILE.open(newline="") as lines:
    ROUTES: Final = {int(row["nr"]): row for row in csv.DictReader(lines) if row["nr"]}
"""Number -> method, path, and the status that one's own things are answered with."""


class Checklist:
    """Asks the routes by their number, and ticks them off when they answered as they must.

    A body goes as a form, in the query and as JSON by turns.
    """

    def __init__(self, client: ApiClient, tenant: Tenant) -> None:
        self.client = client
        self.tenant = tenant
        self.ticked: set[int] = set()
        self.fields = 0
        """How many values were read again as they were sent."""
        self._ways = cycle(("form", "query", "json"))

    def ask(self, nr: int, ids: Mapping[str, str] | None = None, body: Json | None = None) -> Answer:
        """The answer of route `nr`, which has the right status."""
        answer = self.send(nr, ids or {}, body)
        wanted = int(ROUTES[nr]["own"])
        assert answer.status == wanted, f"route {nr}: {answer.status} instead of {wanted}: {answer.text}"
        if wanted == 204:
            assert answer.raw == b"", f"route {nr}: a body with 204: {answer.text}"
        self.ticked.add(nr)
        return answer

    def send(self, nr: int, ids: Mapping[str, str], body: Json | None = None) -> Answer:
        route, places = ROUTES[nr], self.tenant.ids | dict(ids)
        path = PLACE.sub(lambda place: places[place[1]], route["path"])
        if body is None or not path.startswith("/config"):
            return self.client.ask(route["method"], path, body)
        way = next(self._ways)
        if way == "json":
            return self.client.ask(route["method"], path, body)
        return self.client.ask(route["method"], path, **{way: body})

    def made(self, nr: int, key: str, body: Json, ids: Mapping[str, str] | None = None) -> str:
        """What route `nr` made: its number, which Location points to."""
        answer = self.ask(nr, ids, body)
        number = answer.json()[key]
        assert isinstance(number, str) and number.isdigit()
        assert answer.headers["location"].endswith(f"/{number}")
        return number

    def shows(self, sent: Json, row: Json) -> None:
        """Each value that was sent is in the row, as a string; secrets are nowhere."""
        for name, value in sent.items():
            if name in SECRETS:
                assert name not in row
                continue
            assert row[name] == str(value), f"{name}: sent {value!r}, read {row[name]!r}"
            self.fields += 1
        assert not SECRETS & set(row)
        assert all(value is None or isinstance(value, str) for value in row.values())
        for name in ("createDatetime", "updateDatetime"):
            assert name not in row or MOMENT.fullmatch(row[name])

    def shows_json(self, sent: Any, read: Any, path: str = "") -> None:
        """The same for the JSON dialect: numbers stay numbers, groups stay groups."""
        if isinstance(sent, dict):
            for name, value in sent.items():
                self.shows_json(value, read[name], f"{path}.{name}")
        elif isinstance(sent, list):
            assert len(read) == len(sent), path
            for place, value in enumerate(sent):
                self.shows_json(value, read[place], f"{path}[{place}]")
        else:
            assert read == sent, f"{path}: sent {sent!r}, read {read!r}"
            self.fields += 1

    def gone(self, nr: int, ids: Mapping[str, str]) -> None:
        """Route `nr` finds nothing any more."""
        assert self.send(nr, ids).status == 404, f"route {nr} still finds {ids}"

    def listed(self, nr: int, key: str, wanted: str, ids: Mapping[str, str] | None = None) -> Json:
        """The row of the list of route `nr` that has this number."""
        answer = self.ask(nr, ids)
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        (row,) = [row for row in answer.rows() if row[key] == wanted]
        shown: Json = row
        return shown


@pytest.fixture(scope="module")
def checklist(api_site: Site) -> Iterator[Checklist]:
    demo = api_site.demo()
    client = ApiClient(api_site.http, demo["token"])
    yield Checklist(client, Tenant(client, demo["models"]))
    client.close()


def test_the_47_routes(checklist: Checklist, api_site: Site, report: Report) -> None:
    models = api_site.demo()["models"]
    walks: tuple[Callable[[], None], ...] = (
        lambda: _phones(checklist, models),
        lambda: _webrtc(checklist),
        lambda: _domains(checklist),
        lambda: _users(checklist),
        lambda: _groups(checklist),
        lambda: _group_users(checklist),
        lambda: _user_devices(checklist),
        lambda: _user_groups(checklist),
        lambda: _queues(checklist),
        lambda: _members(checklist),
        lambda: _networks(checklist),
        lambda: _devices(checklist),
    )
    faults = []
    for walk in walks:
        try:
            walk()
        except (AssertionError, KeyError) as fault:
            faults.append(f"{type(fault).__name__}: {fault}")
    missing = set(range(1, 48)) - checklist.ticked
    report(f"{len(checklist.ticked)}/47 routes, {checklist.fields} fields read again as they were sent")
    assert not faults, "\n".join(faults)
    assert not missing


def _phones(checklist: Checklist, models: Mapping[str, str]) -> None:
    """Routes 1, 2 and 4; between them the ones that read, change and delete a phone."""
    client, ids = checklist.client, checklist.tenant.ids
    group = ok(
        client.ask(
            "POST",
            "/pbx/group",
            {"customer": ids["customer"], "number": number(), "name": "G", "controllers": [ids["extension"]]},
        )
    ).json()["_id"]
    bodies = [_whole_phone(ids, models, group), _handset(ids, models), _browser(ids, models)]
    names = set().union(*map(_names, bodies))
    assert len(names) == WRITTEN_FIELDS, sorted(names)
    for body in bodies:
        sent = {name: value for name, value in body.items() if name != "handsetIndex"}
        made = checklist.ask(2, body=body).json()
        phone = f"/pbx/sipphone/{made['_id']}"
        read = ok(client.ask("GET", phone)).json()
        for shown in (made, read, _in_list(checklist, made["_id"], full=True)):
            checklist.shows_json(sent, shown)
            assert CREDENTIAL.fullmatch(shown["username"]) and CREDENTIAL.fullmatch(shown["password"])
        _updates(checklist, phone)
        row = _in_list(checklist, made["_id"], full=False)
        assert (row["extension"] or {"_id": None})["_id"] == body["extension"]
        assert row["online"] is False and "password" not in row
        _reset(checklist, made)
        assert ok(client.ask("DELETE", phone)).json() == {"success": True}
        assert client.ask("GET", phone).status == 404
        assert checklist.send(4, {"id": made["_id"]}).status == 404


def _updates(checklist: Checklist, phone: str) -> None:
    for method, body in (
        ("POST", {"notes": word(), "ip": {"mode": "LOCKED", "address": "192.0.2.9"}}),
        ("PUT", {"pbxCluster": 1, "notes": None, "network": {"dhcp": True, "vlanId": 7}}),
        (
            "PATCH",
            {
                "ip": {"mode": "ROAMING", "countries": "SE"},
                "customConfig": "<contrast>4</contrast>\r\n<volume>5</volume>",
            },
        ),
    ):
        ok(checklist.client.ask(method, phone, body), 200)
        checklist.shows_json(body, ok(checklist.client.ask("GET", phone)).json())


def _reset(checklist: Checklist, before: Json) -> None:
    answer = checklist.ask(4, {"id": before["_id"]})
    reset = answer.json()
    read = ok(checklist.client.ask("GET", f"/pbx/sipphone/{before['_id']}")).json()
    for name in ("username", "password"):
        assert CREDENTIAL.fullmatch(reset[name])
        assert before[name] != reset[name] == read[name]
    assert answer.headers["cache-control"] == "no-store"
    assert {name for name in read if name != "status"} <= set(reset)


def _in_list(checklist: Checklist, wanted: str, *, full: bool) -> Json:
    """The phone in the list; route 1 by its page, its filter and its customer."""
    client, customer = checklist.client, checklist.tenant.ids["customer"]
    query = {"customer": customer, "full": "true" if full else "false", "limit": 1000, "offset": 0}
    answer = ok(client.ask("GET", ROUTES[1]["path"], query=query)).json()
    checklist.ticked.add(1)
    assert (answer["offset"], answer["limit"], answer["total"]) == (0, 1000, len(answer["sipPhones"]))
    (row,) = [row for row in answer["sipPhones"] if row["_id"] == wanted]
    shown: Json = row
    return shown


def _webrtc(checklist: Checklist) -> None:
    """Route 3, by somebody who may do nothing else."""
    person = checklist.tenant.client("PERSONAL")
    own = Checklist(person, checklist.tenant)
    first = own.ask(3, body={"instanceId": "an instance"}).json()
    again = own.ask(3, body={"instanceId": "an instance", "v2": True}).json()
    assert first["servers"] == ["127.0.0.1:8443"] and again["server"] == "wss://127.0.0.1:8443"
    for name in ("_id", "username", "password", "extensionNumber", "extensionName"):
        assert first[name] == again[name]
    read = ok(checklist.client.ask("GET", f"/pbx/sipphone/{first['_id']}")).json()
    checklist.shows_json({"instanceId": "an instance", "ip": {"mode": "OPEN", "address": None}}, read)
    checklist.ticked |= own.ticked
    person.close()


def _domains(checklist: Checklist) -> None:
    """Routes 5 to 7."""
    domain = checklist.tenant.ids["d"]
    assert checklist.listed(5, "domainId", domain)["domain"] == checklist.tenant.domain
    updates: tuple[Json, ...] = ({"displayName": "A name", "rec": 1}, {"rec": 0})
    for sent in updates:
        checklist.ask(7, body=sent)
        checklist.shows(sent, checklist.ask(6).json())
    row = checklist.ask(6).json()
    of_the_seed = set("domainId domain displayName rec createDatetime updateDatetime".split())
    assert set(row) == of_the_seed | POLICIES
    checklist.gone(6, {"d": "999999999"})


def _users(checklist: Checklist) -> None:
    """Routes 8 to 12."""
    sent = {
        "user": word(),
        "password": "a secret of theirs",
        "pin": "4711",
        "displayName": "Joe Blogs Ø",
        "extensionNumber": number(),
        "email": "joe.blogs@company.example",
        "firstName": "Joe",
        "lastName": "Blogs",
        "jobName": "Seller",
        "departmentName": "Sales",
        "companyName": "Company & Co",
        "officeName": "North",
        "ukCallerId": "+442070000000",
        "usCallerId": "+12025550100",
        "mobileNumber": "+4520000000",
        "mobileFollow": 1,
        "ukPhoneId": 7,
        "usPhoneId": 8,
        "hotdeskAllowed": 1,
        "dashboard": 1,
    }
    user = checklist.made(10, "userId", sent)
    checklist.shows(sent, checklist.ask(9, {"u": user}).json())
    checklist.shows(sent, checklist.listed(8, "userId", user))
    update: Json = {name: f"{value}1" for name, value in sent.items() if isinstance(value, str)}
    update |= {"mobileFollow": 0, "hotdeskAllowed": 0, "dashboard": 0}
    del update["user"]
    checklist.ask(11, {"u": user}, update)
    checklist.shows(update, checklist.ask(9, {"u": user}).json())
    checklist.ask(12, {"u": user})
    for nr in (9, 11, 12, 21, 25):
        checklist.gone(nr, {"u": user})


def _groups(checklist: Checklist) -> None:
    """Routes 13 to 17."""
    sent = {
        "groupName": word(),
        "displayName": "Sales Dept",
        "extensionNumber": number(),
        "ringRetry": 1,
        "ringExclusive": 1,
        "callerNameFormat": "{displayName} - {srcPhoneNumber}",
    }
    group = checklist.made(15, "groupId", sent)
    checklist.shows(sent, checklist.ask(14, {"g": group}).json())
    checklist.shows(sent, checklist.listed(13, "groupId", group))
    update = {"groupName": word(), "displayName": "Other", "extensionNumber": number(), "ringRetry": 0}
    update |= {"ringExclusive": 0, "callerNameFormat": "{dgrpName}"}
    for part in (update, {"displayName": "Once more"}):
        checklist.ask(16, {"g": group}, part)
        checklist.shows(part, checklist.ask(14, {"g": group}).json())
    checklist.ask(17, {"g": group})
    for nr in (14, 16, 17, 18):
        checklist.gone(nr, {"g": group})


def _group_users(checklist: Checklist) -> None:
    """Routes 18 to 20."""
    group, users = checklist.tenant.fresh("g")["g"], [checklist.tenant.fresh("u")["u"] for _ in range(3)]
    place = {"g": group}
    checklist.ask(19, place, {"userSpec": users})
    rows = checklist.ask(18, place).rows()
    assert [row["userId"] for row in rows] == users
    assert {row["groupId"] for row in rows} == {group}
    names = "groupId groupName userId user displayName extensionNumber updateDatetime"
    assert set(rows[0]) == set(names.split())
    checklist.ask(20, place, {"userSpec": users[:2]})
    assert [row["userId"] for row in checklist.ask(18, place).rows()] == users[2:]
    checklist.ask(20, place, {"userSpec": users})
    assert checklist.ask(18, place).raw == b"\n"


def _user_devices(checklist: Checklist) -> None:
    """Routes 21 to 24."""
    place = checklist.tenant.fresh("u") | checklist.tenant.fresh("dev")
    made = checklist.ask(23, place, {"pbxDeviceId": place["dev"]}).json()
    assert set(made) == {"pbxDeviceId", "userId", "pbxDeviceToken"}
    assert (made["pbxDeviceId"], made["userId"]) == (place["dev"], place["u"])
    assert re.fullmatch("[0-9a-f]{25}", made["pbxDeviceToken"])
    row = checklist.ask(22, place).json()
    names = "userId pbxDeviceId user updateDatetime pbxDeviceName"
    assert set(row) == set(names.split())
    assert checklist.listed(21, "pbxDeviceId", place["dev"], place) == row
    checklist.shows({"userId": place["u"], "pbxDeviceId": place["dev"]}, row)
    assert checklist.ask(44, place).json()["userId"] == place["u"]
    checklist.ask(24, place)
    checklist.gone(22, place)
    checklist.gone(24, place)
    assert checklist.ask(44, place).json()["userId"] is None


def _user_groups(checklist: Checklist) -> None:
    """Routes 25 and 26."""
    place = checklist.tenant.fresh("u")
    groups = [checklist.tenant.fresh("g")["g"] for _ in range(2)]
    checklist.ask(26, place, {"groupSpec": groups})
    rows = checklist.ask(25, place).rows()
    assert [row["groupId"] for row in rows] == groups
    assert {row["userId"] for row in rows} == {place["u"]}
    checklist.ask(20, {"g": groups[0]}, {"userSpec": [place["u"]]})
    assert [row["groupId"] for row in checklist.ask(25, place).rows()] == groups[1:]


def _queues(checklist: Checklist) -> None:
    """Routes 27 to 31."""
    sent = {
        "queueName": word(),
        "displayName": "Support",
        "extensionNumber": number(),
        "callerNameFormat": "{displayName}: {srcPhoneNumber}",
    }
    queue = checklist.made(29, "queueId", sent)
    checklist.shows(sent, checklist.ask(28, {"q": queue}).json())
    checklist.shows(sent, checklist.listed(27, "queueId", queue))
    update = {"queueName": word(), "displayName": "S", "extensionNumber": number(), "callerNameFormat": "x"}
    for part in (update, {"displayName": "T"}):
        checklist.ask(30, {"q": queue}, part)
        checklist.shows(part, checklist.ask(28, {"q": queue}).json())
    checklist.ask(31, {"q": queue})
    for nr in (28, 30, 31, 32):
        checklist.gone(nr, {"q": queue})


def _members(checklist: Checklist) -> None:
    """Routes 32 to 37."""
    queue = checklist.tenant.fresh("q")
    rings = {"ringStrategy": "huntLongestIdle", "ringAttempts": 2, "ringSecs": 25, "ringOrder": 4}
    members = []
    for _ in range(3):
        sent = {"groupId": checklist.tenant.fresh("g")["g"], **rings}
        members.append(checklist.made(34, "queueMemberId", sent, queue))
        place = queue | {"m": members[-1]}
        checklist.shows(sent, checklist.ask(33, place).json())
        checklist.shows(sent, checklist.listed(32, "queueMemberId", members[-1], queue))
    update = {"groupId": checklist.tenant.fresh("g")["g"], "ringStrategy": "all", "ringAttempts": 1}
    update |= {"ringSecs": 30, "ringOrder": 1}
    for part in (update, {"ringSecs": 31}):
        checklist.ask(35, place, part)
        checklist.shows(part, checklist.ask(33, place).json())
    turned = members[::-1]
    checklist.ask(37, queue, {"queueMemberId": turned})
    rows = {row["queueMemberId"]: row["ringOrder"] for row in checklist.ask(32, queue).rows()}
    assert rows == {member: str(order) for order, member in enumerate(turned)}
    assert checklist.send(37, queue, {"queueMemberId": turned[:2]}).status == 400
    checklist.ask(36, place)
    for nr in (33, 35, 36):
        checklist.gone(nr, place)


def _networks(checklist: Checklist) -> None:
    """Routes 38 to 42; the example of the source has host bits and is shown as it was sent (D33)."""
    sent = {"network": "10.0.20.10/24", "description": "The office"}
    place = {"t": checklist.made(40, "trustedNetworkId", sent)}
    checklist.shows(sent, checklist.ask(39, place).json())
    checklist.shows(sent, checklist.listed(38, "trustedNetworkId", place["t"]))
    for part in ({"network": network(), "description": "Moved"}, {"network": "2001:db8::/48"}):
        checklist.ask(41, place, part)
        checklist.shows(part, checklist.ask(39, place).json())
    checklist.ask(42, place)
    for nr in (39, 41, 42):
        checklist.gone(nr, place)


def _devices(checklist: Checklist) -> None:
    """Routes 43 to 47."""
    sent = {"pbxDeviceName": "Desk 1", "deviceMacAddress": pairs(mac())}
    place = {"dev": checklist.made(45, "pbxDeviceId", sent)}
    row = checklist.ask(44, place).json()
    checklist.shows(sent | {"domainId": checklist.tenant.ids["d"]}, row)
    names = "pbxDeviceId pbxDeviceName domainId deviceMacAddress createDatetime updateDatetime userId user"
    assert set(row) == set(names.split())
    assert checklist.listed(43, "pbxDeviceId", place["dev"]) == row
    checklist.ask(46, place, {"pbxDeviceName": "Desk 2"})
    checklist.shows({"pbxDeviceName": "Desk 2"}, checklist.ask(44, place).json())
    checklist.ask(47, place)
    for nr in (44, 46, 47):
        checklist.gone(nr, place)


def _whole_phone(ids: Ids, models: Mapping[str, str], group: str) -> Json:
    """A desk phone with everything that a phone without handsets can have."""
    moment = "2026-01-31T12:00:00Z"
    levels = {"mic": 7, "speaker": 8}
    values = {
        "SPEEDDIAL": "+4570305050",
        "BLF": ids["extension"],
        "URL": "https://example.com/x",
        "PICKUPGROUP": group,
        "QUEUE": ids["queue"],
        "SWITCH": "night",
        "DNDOTHER": ids["id"],
        "LINE": None,
    }
    return {
        "pbxCluster": 2,
        "sipPhoneModel": models["generic"],
        "extension": ids["extension"],
        "customer": ids["customer"],
        "macAddress": mac(),
        "serial": "S1",
        "product": ids["product"],
        "handsetIndex": 5,  # read only: whatever is sent is ignored
        "callWaiting": True,
        "sidePanel": "PANEL 1",
        "sidePanelCount": 2,
        "softkeyConfigurationOnDevice": True,
        "softkeyBlfBlindTransfer": True,
        "headsetButton": "speaker-headset",
        "dhsg": True,
        "displayBrightness": 15,
        "displayBrightnessIdle": 0,
        "displayBackground": "https://example.com/picture.png",
        "displayFontColor": "DARK",
        "customConfig": "line 1\nline 2",
        "notes": "Ærø & 'quotes' % _",
        "ip": {"mode": "ROAMING", "countries": "DK,SE", "address": "192.0.2.7"},
        "ringer": {"volume": 9, "tone": 5},
        "volume": {"handset": levels, "headset": levels, "handsfree": levels},
        "softkeys": [
            {"index": index, "function": function, "value": value, "label": f"Key {index}"}
            for index, (function, value) in enumerate(values.items())
        ],
        "codec": {"hdAudio": False, "video": True},
        "network": {
            "dhcp": False,
            "ipAddress": "10.0.0.5",
            "subnet": "255.255.255.0",
            "gateway": "10.0.0.1",
            "dns1": "10.0.0.2",
            "dns2": "10.0.0.3",
            "vlanId": 100,
            "vlanPriority": 5,
        },
        "purchaseInfo": {
            "orderId": "O1",
            "date": moment,
            "paymentOption": "RENTED",
            "sidePanels": [
                {
                    "serial": word(),
                    "paymentOption": "BOUGHT",
                    "orderId": "O2",
                    "date": moment,
                    "product": ids["panel"],
                }
            ],
        },
    }


def _handset(ids: Ids, models: Mapping[str, str]) -> Json:
    """A handset of a DECT base, without a person."""
    return {
        "sipPhoneModel": models["dect"],
        "customer": ids["customer"],
        "macAddress": mac(),
        "handsetAddress": "0298765432",
        "extension": None,
        "ip": {"mode": "LOCKED", "address": "2001:db8::7"},
    }


def _browser(ids: Ids, models: Mapping[str, str]) -> Json:
    """A softphone in a browser."""
    body = {"sipPhoneModel": models["webrtc"], "customer": ids["customer"], "extension": ids["extension"]}
    return body | {"instanceId": word()}


def _names(body: Any, path: str = "") -> set[str]:
    """The fields that a body has, named as the page of the creation names them."""
    if isinstance(body, dict):
        return set().union(
            *(_names(value, f"{path}.{name}" if path else name) for name, value in body.items())
        )
    if isinstance(body, list):
        return {path}.union(*(_names(item, f"{path}[]") for item in body))
    return {path}
