"""The 44 errors of creating a phone (docs/api.md), one by one, against a running server."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.peers.registrar import Reply
from tests.wire.conftest import Report
from tests.wire.need import need
from tests.wire.site import Site

pytestmark = pytest.mark.wire

NOBODY: Final = "0123456789abcdef01234567"
"""A well-formed id that nothing has."""
TAKEN: Final = "4EE8A34B56F3"
SHARED: Final = "4EE8A34B56F4"
BASE: Final = "4EE8A34B56F5"

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A body that is wrong in one way, and what must be said of it."""

    row: int
    """Its number among the errors of the page; 0: a documented property that has none there."""
    body: Json
    status: int
    code: str
    check: str = ""
    path: str = ""
    """Where it is not the code itself; `-`: none."""
    level: str = "ADMIN"


STATIC: Final = {
    "dhcp": False,
    "ipAddress": "192.168.1.10",
    "subnet": "255.255.255.0",
    "gateway": "192.168.1.1",
    "dns1": "192.168.1.1",
}


def static(**other: object) -> Json:
    """A network without DHCP; a None leaves the property out."""
    network = {**STATIC, **other}
    return {"network": {name: value for name, value in network.items() if value is not None}}


def key(**values: object) -> Json:
    return {"softkeys": [{"index": 0, "function": "LINE"} | values]}


def panels(*serials: str) -> Json:
    return {"purchaseInfo": {"sidePanels": [{"serial": serial} for serial in serials]}}


SERIALS: Final = "purchaseInfo.sidePanels.serial"
CASES: Final = (
    Case(1, {"pbxCluster": 3, "extension": NOBODY}, 422, "multiple", path="-"),
    Case(2, {"pbxCluster": 3}, 422, "pbxCluster", "range"),
    Case(3, {"sipPhoneModel": None}, 404, "sipPhoneModel", "exists"),
    Case(3, {"sipPhoneModel": "x"}, 404, "sipPhoneModel", "exists"),
    Case(3, {"sipPhoneModel": NOBODY}, 404, "sipPhoneModel", "exists"),
    Case(4, {"extension": NOBODY}, 404, "extension", "exists"),
    Case(4, {"extension": "$foreign"}, 404, "extension", "exists"),
    Case(5, {"customer": NOBODY}, 404, "customer", "exists"),
    Case(5, {"customer": "$blocked"}, 404, "customer", "exists"),
    Case(6, {"macAddress": "4E:E8:A3:4B:56:F3"}, 422, "macAddress", "format"),
    Case(7, {"macAddress": TAKEN}, 409, "macAddress", "unique"),
    Case(7, {"macAddress": SHARED}, 409, "macAddress", "unique"),
    Case(8, {"sipPhoneModel": "$gateway", "macAddress": SHARED}, 403, "macAddress", "unique"),
    Case(9, {"sipPhoneModel": "$dect", "macAddress": TAKEN[::-1]}, 422, "handsetAddress", "required"),
    Case(
        10,
        {"sipPhoneModel": "$dect", "macAddress": BASE, "handsetAddress": "7"},
        409,
        "handsetIndex",
        "unique",
    ),
    Case(11, {"ip": {"mode": "CLOSED"}}, 422, "ip.mode", "enum"),
    Case(12, {"ip": {"mode": "ROAMING", "countries": "DK,XX"}}, 422, "ip.countries", "enum"),
    Case(13, {"ip": {"mode": "ROAMING"}}, 409, "ip.mode", "required"),
    Case(14, {"ip": {"mode": "LOCKED", "address": "1.2.3"}}, 422, "ip.address", "format"),
    Case(14, {"ip": {"mode": "LOCKED"}}, 422, "ip.address", "required"),
    Case(15, {"ringer": {"volume": "loud"}}, 422, "ringer.volume", "format"),
    Case(16, {"ringer": {"volume": 16}}, 422, "ringer.volume", "range"),
    Case(17, {"ringer": {"tone": 32}}, 422, "ringer.tone", "range"),
    Case(17, {"sipPhoneModel": "$yealink", "ringer": {"tone": NOBODY}}, 422, "ringer.tone", "allowed"),
    *(
        Case(row, {"volume": {part: {way: value}}}, 422, f"volume.{part}.{way}", check)
        for row, part, way in (
            (18, "handset", "mic"),
            (19, "handset", "speaker"),
            (20, "headset", "mic"),
            (21, "headset", "speaker"),
            (22, "handsfree", "mic"),
            (23, "handsfree", "speaker"),
        )
        for value, check in (("loud", "format"), (16, "range"))
    ),
    Case(24, key(index=None), 422, "softkeys[0].index", "required"),
    Case(24, key(index=128), 422, "softkeys[0].index", "range"),
    Case(
        25,
        {"softkeys": [{"index": 1, "function": "LINE"}, {"index": 1, "function": "DND"}]},
        422,
        "softkeys[1].index",
        "unique",
    ),
    Case(26, key(function=None), 422, "softkeys[0].function", "required"),
    Case(27, key(function="FLY"), 422, "softkeys[0].function", "allowed"),
    Case(28, key(function="SPEEDDIAL", value="call me"), 422, "softkeys[0].value", "format"),
    Case(29, key(function="BLF", value=NOBODY), 404, "softkeys[0].value", "exists"),
    Case(29, key(function="BLF", value="$foreign"), 404, "softkeys[0].value", "exists"),
    Case(30, key(function="URL", value="ftp://menu.test/"), 422, "softkeys[0].value", "format"),
    Case(31, key(function="PICKUPGROUP", value=NOBODY), 404, "softkeys[0].value", "exists"),
    Case(31, key(function="PICKUPGROUP", value="$foreign_group"), 404, "softkeys[0].value", "exists"),
    Case(32, key(function="QUEUE", value=NOBODY), 404, "softkeys[0].value", "exists"),
    Case(32, key(function="QUEUE", value="$foreign_queue"), 404, "softkeys[0].value", "exists"),
    Case(
        33,
        {"extension": "$uncontrolling"} | key(function="PICKUPGROUP", value="$group"),
        409,
        "softkeys[0].value",
        "allowed",
    ),
    Case(34, panels("new", "new"), 409, SERIALS, "unique", "purchaseInfo.sidePanels[1].serial"),
    Case(34, panels("in use"), 409, SERIALS, "unique", "purchaseInfo.sidePanels[0].serial"),
    Case(35, panels("1", "2", "3", "4"), 422, "purchaseInfo.sidePanels", "range"),
    Case(36, static(ipAddress=None), 422, "network.ipAddress", "required"),
    Case(36, static(ipAddress="192.168.1"), 422, "network.ipAddress", "format"),
    Case(37, static(subnet=None), 422, "network.subnet", "required"),
    Case(37, static(subnet="255.0.255.0"), 422, "network.subnet", "format"),
    Case(38, static(gateway=None), 422, "network.gateway", "required"),
    Case(38, static(gateway="gateway"), 422, "network.gateway", "format"),
    Case(39, static(dns1=None), 422, "network.dns1", "required"),
    Case(39, static(dns1="dns.test"), 422, "network.dns1", "format"),
    Case(40, {"network": {"dns2": "8.8.8"}}, 422, "network.dns2", "format"),
    Case(41, {"network": {"vlanId": 4095}}, 422, "network.vlanId", "range"),
    Case(42, {"network": {"vlanPriority": 8}}, 422, "network.vlanPriority", "range"),
    Case(43, {}, 403, "access_denied", "level", path="-", level="VIEWER"),
    Case(43, {"customer": "$another"}, 403, "access_denied", "allowed", path="customer", level="MANAGER"),
    Case(43, {"customer": NOBODY}, 403, "access_denied", "allowed", path="customer", level="OWNER"),
    Case(
        43,
        {"purchaseInfo": {"orderId": "1"}},
        403,
        "access_denied",
        "allowed",
        path="purchaseInfo",
        level="OWNER",
    ),
    Case(44, {"sipPhoneModel": "$broken"}, 500, "internal_error", path="-"),
    Case(0, {"headsetButton": "both"}, 422, "headsetButton", "enum"),
    Case(0, {"displayBrightness": 16}, 422, "displayBrightness", "range"),
    Case(0, {"displayBrightnessIdle": -1}, 422, "displayBrightnessIdle", "range"),
    Case(0, {"displayBackground": "/picture.png"}, 422, "displayBackground", "format"),
    Case(0, {"displayFontColor": "RED"}, 422, "displayFontColor", "enum"),
    Case(0, {"sipPhoneModel": "$grandstream"}, 422, "serial", "required"),
    Case(0, {"sidePanel": 7}, 422, "sidePanel", "format"),
    Case(0, {"sidePanelCount": 4}, 422, "sidePanelCount", "range"),
    Case(0, {"purchaseInfo": {"paymentOption": "FREE"}}, 422, "purchaseInfo.paymentOption", "enum"),
    Case(0, {"purchaseInfo": {"date": "soon"}}, 422, "purchaseInfo.date", "format"),
    Case(0, {"dhsg": "yes"}, 422, "dhsg", "format"),
    Case(0, {"codec": {"video": 2}}, 422, "codec.video", "format"),
    Case(0, {"network": {"dhcp": "no"}}, 422, "network.dhcp", "format"),
    Case(0, {"product": NOBODY}, 404, "product", "exists"),
    Case(
        0,
        {"purchaseInfo": {"sidePanels": [{"serial": "9", "product": NOBODY}]}},
        404,
        "purchaseInfo.sidePanels[0].product",
        "exists",
    ),
    Case(0, key(function="DNDOTHER", value=NOBODY), 404, "softkeys[0].value", "exists"),
    Case(0, {"extension": "$extension", "instanceId": "mine"}, 409, "instanceId", "unique"),
)
ROWS: Final = 44


@dataclass(frozen=True)
class Place:
    """A server, the ids of what the cases speak of, and a token of each level they need."""

    site: Site
    ids: Mapping[str, str]
    tokens: Mapping[str, str]

    def create(self, case: Case) -> Reply:
        body = {"sipPhoneModel": "$generic"} | case.body
        return self.site.api("POST", "/pbx/sipphone", self._meant(body), token=self.tokens[case.level])

    def phones(self) -> int:
        return int(self.site.sql("SELECT count(*) FROM sip_phone")[0][0])

    def _meant(self, sent: Any) -> Any:
        """The body with `$name` replaced by the id of what has that name."""
        if isinstance(sent, dict):
            return {name: self._meant(value) for name, value in sent.items()}
        if isinstance(sent, list):
            return [self._meant(value) for value in sent]
        return self.ids[sent[1:]] if isinstance(sent, str) and sent.startswith("$") else sent


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server of its own: one row of its database is damaged on purpose."""
    need("redis-cli")
    with Site(tmp_path_factory.mktemp("errors")) as site:
        yield furnished(site)


def furnished(site: Site) -> Place:
    """Everything that the cases run into."""
    tenant = site.demo()
    models, extensions = tenant["models"], [row["_id"] for row in tenant["extensions"]]
    another, blocked = site.new_customer().id, site.new_customer().id
    site.sql("UPDATE customer SET state = 'BLOCKED' WHERE oid = ?", blocked)
    customer = ("--customer", tenant["customer"])
    levels = {level: site.command("token", "--level", level, *customer).strip() for level in LEVELS}
    place = {"customer": another, "name": "x"}
    ids = {
        **models,
        "another": another,
        "blocked": blocked,
        "extension": extensions[0],
        "uncontrolling": extensions[1],
        "foreign": made(site, "extension", number="200", **place),
        "foreign_group": made(site, "group", number="600", **place),
        "foreign_queue": made(site, "queue", number="700", **place),
        "group": made(site, "group", number="600", name="x", controllers=[extensions[0]]),
        "broken": broken_model(site, models["generic"]),
    }
    site.new_phone(macAddress=TAKEN)
    site.new_phone(instanceId="mine")
    site.new_phone(**panels("in use"))
    for _ in range(2):
        site.new_phone(sipPhoneModel=models["gateway"], macAddress=SHARED)
    for handset in range(6):
        site.new_phone(sipPhoneModel=models["dect"], macAddress=BASE, handsetAddress=str(handset))
    return Place(site, ids, levels | {"ADMIN": tenant["token"]})


LEVELS: Final = ("VIEWER", "MANAGER", "OWNER")


def made(site: Site, kind: str, **body: object) -> str:
    reply = site.api("POST", f"/pbx/{kind}", body)
    assert reply.status == 200, reply
    return str(reply.body["_id"])


def broken_model(site: Site, like: str) -> str:
    """A copy of a model whose list of functions is no JSON: nobody can read this row any more."""
    oid = f"{time.time_ns():024x}"
    columns = [row[1] for row in site.sql("PRAGMA table_info(sip_phone_model)") if row[1] != "id"]
    own = {"oid": "?", "model": "'damaged'", "softkey_capabilities": "'[\"LINE'"}
    values = ", ".join(own.get(column, column) for column in columns)
    site.sql(
        f"INSERT INTO sip_phone_model ({', '.join(columns)}) "
        f"SELECT {values} FROM sip_phone_model WHERE oid = ?",
        oid,
        like,
    )
    return oid


def faults(case: Case, reply: Reply) -> Sequence[str]:
    """What is wrong with the answer."""
    error = reply.body.get("error", {}) if isinstance(reply.body, dict) else {}
    path = "" if case.path == "-" else case.path or case.code
    wanted = {"code": case.code, "status": case.status, "check": case.check, "path": path}
    said = {name: error.get(name, "") for name in wanted}
    found = [] if reply.status == case.status else [f"HTTP {reply.status}"]
    found += [] if said == wanted else [f"{said} instead of {wanted}"]
    return found + ([] if error.get("message") else ["no message"])


def test_each_error_of_the_page_is_answered(place: Place, report: Report) -> None:
    before = place.phones()
    wrong: dict[int, list[str]] = {}
    for case in CASES:
        found = faults(case, place.create(case))
        if found:
            wrong.setdefault(case.row, []).append(f"E{case.row} {case.body}: {'; '.join(found)}")
    assert place.phones() == before, "a refused phone was made"
    right = {case.row for case in CASES if case.row} - set(wrong)
    print(f"{len(right)}/{ROWS}")
    report(f"errors of creating a phone: {len(right)}/{ROWS}")
    assert not wrong, "\n".join(line for lines in wrong.values() for line in lines)
    assert right == set(range(1, ROWS + 1))


def test_several_errors_come_in_one_answer_and_keep_what_they_are(place: Place) -> None:
    body = {
        "sipPhoneModel": "$dect",
        "macAddress": BASE,
        "pbxCluster": 9,
        "extension": NOBODY,
        "ip": {"mode": "ROAMING", "countries": ""},
        "product": NOBODY,
    }
    reply = place.create(Case(1, body, 422, "multiple"))
    error = reply.body["error"]
    assert (reply.status, error["code"], error["status"]) == (422, "multiple", 422)
    assert {(one["code"], one["path"], one["status"], one["check"]) for one in error["inner"]} == {
        ("pbxCluster", "pbxCluster", 422, "range"),
        ("extension", "extension", 404, "exists"),
        ("ip.mode", "ip.mode", 409, "required"),
        ("product", "product", 404, "exists"),
        ("handsetAddress", "handsetAddress", 422, "required"),
        ("handsetIndex", "handsetIndex", 409, "unique"),
    }
    assert all(one["message"] for one in error["inner"])


def test_what_nobody_expected_says_nothing_about_the_inside(place: Place) -> None:
    reply = place.create(Case(44, {"sipPhoneModel": "$broken"}, 500, "internal_error"))
    message = {"code": "internal_error", "status": 500, "message": "Internal error"}
    assert (reply.status, reply.body) == (500, {"error": message})
    assert place.site.api("POST", "/pbx/sipphone", {}).status == 404, "the server goes on"
