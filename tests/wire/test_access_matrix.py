"""Every route, every level, own, foreign, below and unknown: `tests/access_matrix.csv`, walked over HTTP."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import pytest

from tests.patience import SOAK
from tests.peers.api import Answer, ApiClient
from tests.peers.redis import RedisServer
from tests.wire.conftest import Report
from tests.wire.site import Site
from tests.wire.switchboard import Switchboard
from tests.wire.tenancy import DOMAINS, LEVELS, PASSWORD, Ids, Json, Tenant, mac, network, number, pairs, word

pytestmark = pytest.mark.wire

FILE: Final = Path(__file__).parent.parent / "access_matrix.csv"
PLACE: Final = re.compile(r"{(\w+)}")
ROWS_UNKNOWN: Final = "999999999"
JSON_UNKNOWN: Final = "0123456789abcdef01234567"
SEES_ALL: Final = ("RESELLER_ADMIN", "ADMIN")
SEES_BELOW: Final = ("RESELLER", *SEES_ALL)
NOWHERE: Final = "http://127.0.0.1:9/"
ENDLESS: Final = ("/events",)
"""Paths whose answer has no end, so that HEAD is asked for it."""
PAGES: Final = ("/docs/oauth2-redirect", "/phone", "/phone/")
"""Public pages that the documentation of the API leaves out or may leave out."""


@dataclass(frozen=True)
class Row:
    """One line of the file: a route, its lowest level, and what each kind of caller is answered."""

    nr: str
    method: str
    path: str
    level: str
    below: str
    own: str
    foreign: str
    reseller: str
    unknown: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def places(self) -> list[str]:
        """The names of the ids in the path, else of the one that the query or the body has."""
        of_a_phone = (
            self.path.endswith(("/status", "/configreload", "/reboot")) or self.name == "POST /pbx/ban"
        )
        return PLACE.findall(self.path) or ["id" if of_a_phone else "customer"]

    def expected(self, level: str, scope: str) -> int | None:
        """What a caller of this level is to be answered; None: this is not asked.

        `a|b` in the file: below RESELLER_ADMIN a, from it on b. Whoever sees nobody below is answered
        about a customer below as about a foreign one.
        """
        if self.level != "NO_LOGIN" and LEVELS.index(level) < LEVELS.index(self.level):
            return int(self.below)
        if scope == "reseller" and level not in SEES_BELOW:
            scope = "foreign"
        cell: str = getattr(self, scope)
        first, _, second = cell.partition("|")
        chosen = second if "|" in cell and level in SEES_ALL else first
        return int(chosen) if chosen else None


with FILE.open(newline="") as lines:
    ROWS: Final = [Row(**line) for line in csv.DictReader(lines)]
PUBLIC: Final = [row for row in ROWS if not row.level]
PRIVATE: Final = [row for row in ROWS if row.level]


@dataclass(frozen=True)
class Cast:
    """Who plays: a customer and its people, a stranger, and the people of the reseller above the customer."""

    own: Tenant
    rival: Tenant
    people: Mapping[str, ApiClient]
    resellers: Mapping[str, ApiClient]


@pytest.fixture(scope="module")
def board(api_redis: RedisServer, api_site: Site) -> Iterator[Switchboard]:
    """Who has the calls: no process with SIP runs here."""
    with Switchboard.running(api_redis.url) as running:
        yield running


@pytest.fixture(scope="module")
def cast(api_site: Site, board: Switchboard) -> Iterator[Cast]:
    demo = api_site.demo()
    root = ApiClient(api_site.http, demo["token"])
    top = Tenant(root, demo["models"])
    own = Tenant(root, demo["models"], parent=top.ids["customer"])
    rival = Tenant(root, demo["models"])
    for tenant in (own, rival):
        tenant.add("call", partial(board.call, tenant.ids["customer"]))
        tenant.add("webhook", partial(webhook, root, tenant.ids["customer"]))
        tenant.add("ban", partial(ban, root, tenant.ids["id"]))
        tenant.add("session", partial(session, tenant))
    people = {level: own.client(level) for level in LEVELS}
    resellers = {level: top.client(level) for level in LEVELS}
    yield Cast(own, rival, people, resellers)
    for client in (root, *people.values(), *resellers.values()):
        client.close()


@pytest.fixture(scope="module")
def walk(cast: Cast) -> "Walk":
    return Walk(cast)


def ban(root: ApiClient, phone: str) -> str:
    """A ban of a phone, which no process with SIP enforces here."""
    return str(root.ask("POST", "/pbx/ban", {"phone": phone, "seconds": 3600}).json()["_id"])


def session(tenant: Tenant) -> str:
    """The session of a login that nobody else here has."""
    person = tenant.client("PERSONAL")
    sessions = person.ask("GET", "/auth/session").json()
    person.close()
    return str(sessions[0]["_id"])


def webhook(root: ApiClient, customer: str) -> str:
    """A webhook that is never called: nobody listens there, and its events never happen."""
    body = {"url": NOWHERE, "events": ["emergency-call"], "customer": customer}
    return str(root.ask("POST", "/webhook", body).json()["_id"])


def test_the_matrix_has_the_47_routes_of_the_seeds_and_every_other(api_site: Site) -> None:
    assert [int(row.nr) for row in ROWS if row.nr] == list(range(1, 48))
    documented = api_site.api("GET", "/openapi.json", token="").body["paths"]
    served = {(method.upper(), _spelled(path)) for path, methods in documented.items() for method in methods}
    written = {(row.method, _spelled(row.path)) for row in ROWS}
    pages = {(method, path) for method, path in served if path in PAGES or path.startswith("/phone/")}
    assert served - pages <= written
    assert {route for route in written if _dialect(route[1])} <= served


@pytest.mark.parametrize("row", PUBLIC, ids=lambda row: row.name)
def test_a_public_route_asks_for_no_token(api_site: Site, cast: Cast, row: Row) -> None:
    client = ApiClient(api_site.http)
    body = None
    if row.method == "POST":
        body = cast.own.login("PERSONAL")[1]
    assert client.ask(row.method, row.path, body).status == int(row.own)
    client.close()


def test_whoever_has_no_login_does_not_get_in(api_site: Site, cast: Cast) -> None:
    client = ApiClient(api_site.http)
    _, login = cast.own.login("NO_LOGIN")
    assert login["password"] == PASSWORD
    assert client.ask("POST", "/auth/login", login).status == 401
    client.close()


def test_every_private_route_refuses_a_stranger(api_site: Site, cast: Cast) -> None:
    client = ApiClient(api_site.http)
    for row in PRIVATE:
        path, query = _filled(row, cast.own.ids)
        answer = client.ask(row.method, path, {}, query=query)
        assert answer.status == 401, row.name
    client.close()


@pytest.mark.parametrize("row", PRIVATE, ids=[row.name for row in PRIVATE])
def test_every_level_gets_what_the_matrix_says(walk: "Walk", row: Row) -> None:
    assert walk.row(row) == [], row.name


def test_the_whole_matrix(walk: "Walk", report: Report) -> None:
    for row in PRIVATE:
        assert row in walk.walked or walk.row(row) == [], row.name  # most were walked above, one test each
    assert walk.same_bytes > len(PRIVATE)
    levels = "all levels" if SOAK else "the levels at borders"
    report(f"{len(PRIVATE)} routes at {levels}: {walk.checked} cells as the matrix says")
    report(f"foreign = unknown, byte for byte, in {walk.same_bytes} cells")


def borders(row: Row) -> list[str]:
    """The levels beside which something changes; the soak asks at all of them."""
    lowest = 0 if row.level == "NO_LOGIN" else LEVELS.index(row.level)
    beside = {LEVELS[max(lowest - 1, 0)], LEVELS[lowest], SEES_BELOW[0], SEES_ALL[0]}
    return [level for level in LEVELS if level in beside]


class Walk:
    """Goes through the cells and remembers what is not as the file says."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self.walked: set[Row] = set()
        self.checked = 0
        self.same_bytes = 0
        self._wrong: list[str] = []

    def row(self, row: Row) -> list[str]:
        """Ask for one route at every level; what is not as the file says."""
        self._wrong = []
        for level in LEVELS if SOAK else borders(row):
            self._level(row, level)
        self.walked.add(row)
        return self._wrong

    def _level(self, row: Row, level: str) -> None:
        own, rival = self._cast.own, self._cast.rival
        client = self._cast.people[level]
        self._ask(row, level, "own", client, own)
        foreign = self._ask(row, level, "foreign", client, rival)
        self._unknown(row, level, client, foreign)
        self._ask(row, level, "reseller", self._cast.resellers[level], own)

    def _ask(self, row: Row, level: str, scope: str, client: ApiClient, tenant: Tenant) -> Answer | None:
        expected = row.expected(level, scope)
        if expected is None:
            return None
        ids = tenant.ids | (self._fresh(row, tenant) if expected < 300 else {})
        return self._check(row, level, scope, client, ids, expected)

    def _unknown(self, row: Row, level: str, client: ApiClient, foreign: Answer | None) -> None:
        """One id of the path after the other is one that nobody has, then one that somebody else has.

        Who asks cannot tell them apart; nor, by the first of the ids, the path with nothing but foreign ones.
        """
        expected = row.expected(level, "unknown")
        if expected is None:
            return
        own, rival = self._cast.own.ids, self._cast.rival.ids
        nobodys = ROWS_UNKNOWN if row.path.startswith(DOMAINS) else JSON_UNKNOWN
        for place in row.places:
            unknown = self._check(row, level, f"unknown {place}", client, own | {place: nobodys}, expected)
            if len(row.places) > 1:
                mixed = own | {place: rival[place]}
                self._same(
                    row,
                    level,
                    unknown,
                    self._check(row, level, f"{place} of another", client, mixed, expected),
                )
            if foreign and place == row.places[0]:
                self._same(row, level, unknown, foreign)

    def _same(self, row: Row, level: str, unknown: Answer, foreign: Answer) -> None:
        if level in SEES_ALL or unknown.status != foreign.status or unknown.status < 400:
            return
        self.same_bytes += 1
        if foreign.raw != unknown.raw:
            self._wrong.append(f"{row.name} {level}: foreign {foreign.text}, unknown {unknown.text}")

    def _check(self, row: Row, level: str, scope: str, client: ApiClient, ids: Ids, expected: int) -> Answer:
        path, query = _filled(row, ids)
        body = _body(row, ids)
        if row.method == "GET" and "{" not in row.path and row.unknown:
            body, query = None, query | {"customer": ids["customer"]}
        endless = row.path in ENDLESS and expected < 300
        answer = client.ask("HEAD" if endless else row.method, path, body, query=query)
        self.checked += 1
        if answer.status != expected:
            self._wrong.append(
                f"{row.name} {level} {scope}: {answer.status} instead of {expected}: {answer.text[:200]}"
            )
        return answer

    def _fresh(self, row: Row, tenant: Tenant) -> Ids:
        """New victims for what destroys, or makes new what others must still know."""
        if row.path.endswith("/order"):
            return tenant.one_member()
        if row.path.endswith("/resetcredentials"):  # ten an hour and phone
            return tenant.fresh("id")
        if row.method != "DELETE" or not row.path.endswith("}"):
            return {}
        if row.path.endswith("{u}/devices/{dev}"):
            return tenant.linked()
        return tenant.fresh(row.places[-1])


def _filled(row: Row, ids: Ids) -> tuple[str, dict[str, str]]:
    """The path with ids in it, and its query."""
    path, _, query = PLACE.sub(lambda place: ids[place[1]], row.path).partition("?")
    return path, dict(parse_qsl(query))


def _body(row: Row, ids: Ids) -> Json | None:
    """A good body for the route: it changes nothing that the other routes need."""
    if row.method == "GET" or (row.method == "DELETE" and not row.path.endswith("/users")):
        return None
    if row.method != "POST" or row.path.endswith("}"):
        return _change(row, ids)
    return _creation(row.path, ids)


def _change(row: Row, ids: Ids) -> Json:
    """What an update says, by the last word of its path."""
    bodies: dict[str, Json] = {
        "{id}": {"notes": word()},
        "{extension}": {"name": word(), "dnd": False, "cfu": "201", "cfnr": "+4570305050"},
        "{group}": {"name": word()},
        "{queue}": {"name": word()},
        "{employee}": {"title": word()},
        "{customer}": {"sipDisplayName": word()},
        "{product}": {"name": word()},
        "{phonemodel}": {"description": word()},
        "picture": {},  # 415: a picture is not JSON
        "{webhook}": {"events": ["emergency-call"]},
        "{d}": {"displayName": word()},
        "{u}": {"displayName": word(), "dnd": 0, "cfb": "201"},
        "{g}": {"displayName": word()},
        "{q}": {"displayName": word()},
        "{m}": {"ringSecs": 30},
        "{t}": {"description": word()},
        "{dev}": {"pbxDeviceName": word()},
        "order": {"queueMemberId": [ids["m"]]},
        "users": {"userSpec": [ids["u"]]},
    }
    return bodies[row.path.rpartition("/")[2]]


def _creation(path: str, ids: Ids) -> Json:
    customer = {"customer": ids["customer"]}
    plan = {"displayName": word(), "extensionNumber": number()}
    rings = {"ringStrategy": "all", "ringAttempts": 1, "ringSecs": 20, "ringOrder": 0}
    group = {"groupName": word(), "ringRetry": 0, "ringExclusive": 0, "callerNameFormat": "{displayName}"}
    bodies: dict[str, Json] = {
        "/pbx/sipphone": customer | {"sipPhoneModel": ids["model"], "macAddress": mac()},
        "/pbx/sipphone/webrtc": {"instanceId": "matrix"},
        "/pbx/sipphone/{id}/resetcredentials": {},
        "/pbx/sipphone/{id}/unlock": {"minutes": 15},  # 409: the phone is open
        "/pbx/sipphone/{id}/provisioning": {"rearm": True},  # 409: there is no listener for phones
        "/pbx/sipphone/{id}/acceptaddress": {},  # 409: it was not refused
        "/pbx/sipphone/{id}/configreload": {},  # 409: no NOTIFY is known for a generic phone
        "/pbx/sipphone/{id}/reboot": {},
        "/pbx/sipphone/status": {"ids": [ids["id"]]},
        "/pbx/sipphone/configreload": {"ids": [ids["id"]]},
        "/pbx/sipphone/reboot": {"ids": [ids["id"]]},
        "/pbx/extension": customer | {"name": word(), "number": number()},
        "/pbx/group": customer | {"name": word(), "number": number()},
        "/pbx/queue": customer | {"name": word(), "number": number()},
        "/employee": customer | {"name": word(), "accessLevel": "PERSONAL"},
        "/employee/{employee}/token": {"note": word()},
        "/customer": {"name": word()},
        "/pbx/ban": {"phone": ids["id"], "seconds": 60},
        "/webhook": customer | {"url": NOWHERE, "events": ["emergency-call"]},
        "/webhook/{webhook}/secret": {},
        "/webhook/{webhook}/test": {},
        "/product": {"type": "PBX_SIP_PHONE", "productCode": word(), "name": word()},
        "/pbx/sipphonemodels": {"brand": "ACME", "brandName": "Acme", "model": word()},
        "": {"domain": f"{word()}.example", "displayName": word()},
        "/{d}/users": {"user": word(), "password": "a secret of theirs", **plan},
        "/{d}/groups": {**group, **plan},
        "/{d}/groups/{g}/users": {"userSpec": [ids["u"]]},
        "/{d}/users/{u}/devices": {"pbxDeviceId": ids["dev"]},
        "/{d}/users/{u}/groups": {"groupSpec": [ids["g"]]},
        "/{d}/queues": {"queueName": word(), **plan},
        "/{d}/queues/{q}/members": {"groupId": ids["g"], **rings},
        "/{d}/trustedNetworks": {"network": network()},
        "/{d}/devices": {"pbxDeviceName": word(), "deviceMacAddress": pairs(mac())},
    }
    return bodies[path.removeprefix(DOMAINS)]


def _spelled(path: str) -> str:
    """A path without the names of its ids and without its query, in one of the spellings of the routes."""
    plain = PLACE.sub("{}", path).lower().partition("?")[0]
    return re.sub("/trustednetworks?", "/trustednetworks", plain)


def _dialect(path: str) -> bool:
    return path.startswith(
        ("/pbx", "/auth", "/customer", "/employee", "/product", "/config", "/events", "/webhook")
    )
