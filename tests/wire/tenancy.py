"""A customer with one of everything that a path of the API can name, all of it made through the API."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final
from uuid import uuid4

from config.pictures import drawing_oid
from tests.peers.api import Answer, ApiClient

DOMAINS: Final = "/config/v2/sip/domains"
PASSWORD: Final = "a good password of the tests"
LEVELS: Final = ("PERSONAL", "VIEWER", "MANAGER", "OWNER", "RESELLER", "RESELLER_ADMIN", "ADMIN")
"""Who may log in, in their order."""
Ids = dict[str, str]
Json = dict[str, Any]

_numbers = count(1_000)


def number() -> str:
    """A number that no dial plan has yet."""
    return str(next(_numbers))


def word() -> str:
    """A name that nothing has yet."""
    return f"w{uuid4().hex[:12]}"


def mac() -> str:
    """A MAC address that no phone has yet, in the spelling that both dialects read."""
    return "02" + uuid4().hex[:10].upper()


def pairs(address: str) -> str:
    """The same in the spelling of the row dialect."""
    return ":".join(address[place : place + 2] for place in range(0, 12, 2))


def ok(answer: Answer, *statuses: int) -> Answer:
    """The answer, when it is what was hoped for."""
    assert answer.status in (statuses or (200, 201, 204)), (answer.status, answer.text)
    return answer


class Tenant:
    """A customer, its SIP domain, and the ids of what it has, by the names that the paths give them.

    id (a phone), extension, group, queue, employee, token, product (and panel, the product of a side panel),
    customer, model (the generic one), phonemodel, picture; and in the row dialect d, u, g, q, m, t, dev:
    domain, user, group, queue, member of a queue, trusted network, device.
    """

    def __init__(self, root: ApiClient, models: Mapping[str, str], parent: str | None = None) -> None:
        self._root = root
        self._parent = parent
        self.domain = f"{word()}.example"
        self.ids: Ids = {"model": models["generic"], "picture": drawing_oid("generic")}
        self.ids |= self._customer(self.domain)
        self._make: dict[str, Callable[[], Ids]] = {
            "id": self._phone,
            "extension": lambda: self._json("extension", "/pbx/extension", number=number(), name="Extension"),
            "group": lambda: self._json("group", "/pbx/group", number=number(), name="Group"),
            "queue": lambda: self._json("queue", "/pbx/queue", number=number(), name="Queue"),
            "employee": lambda: self._json("employee", "/employee", name="Person", accessLevel="PERSONAL"),
            "token": self._token,
            "product": self._product,
            "phonemodel": self._model,
            "panel": lambda: {"panel": self._product("SIDE_PANEL")["product"]},
            "u": self._user,
            "g": self._group,
            "q": lambda: self._row("q", "queues", "queueId", queueName=word(), **_plan()),
            "m": self._member,
            "t": self._network,
            "dev": self._device,
        }
        for make in self._make.values():
            self.ids |= make()
        self.ids |= self.linked()

    def fresh(self, name: str) -> Ids:
        """One more of the things with this name; its id, and those of what it belongs to."""
        if name in ("customer", "d"):
            return self._customer(f"{word()}.example")
        return self._make[name]()

    def add(self, name: str, make: Callable[[], str]) -> None:
        """One thing more, which is not made through the API; `make` gives its id."""
        self._make[name] = lambda: {name: make()}
        self.ids |= self._make[name]()

    def linked(self) -> Ids:
        """A device that belongs to the user."""
        device = self._device()
        path = f"{DOMAINS}/{self.ids['d']}/users/{self.ids['u']}/devices"
        ok(self._root.ask("POST", path, {"pbxDeviceId": device["dev"]}), 201)
        return device

    def one_member(self) -> Ids:
        """A queue with one member."""
        queue = self.fresh("q")
        return queue | self._member(queue["q"])

    def login(self, level: str) -> tuple[Ids, Json]:
        """Somebody with this level, and what logs them in."""
        body = {"accessLevel": level, "emailAddress": f"{word()}@{self.domain}", "password": PASSWORD}
        person = self._json("employee", "/employee", name=f"{level} of the tests", **body)
        return person, {"username": body["emailAddress"], "password": PASSWORD}

    def client(self, level: str) -> ApiClient:
        """Somebody with this level, logged in, with a primary extension of their own."""
        person, login = self.login(level)
        self._json(
            "extension",
            "/pbx/extension",
            number=number(),
            name=level,
            employee=person["employee"],
            primary=True,
        )
        token = ok(self._root.ask("POST", "/auth/login", login)).json()["token"]
        return self._root.with_token(token)

    def _customer(self, domain: str) -> Ids:
        body = {"name": domain, "sipDomain": domain, "isReseller": True}
        if self._parent:
            body["parentReseller"] = self._parent
        made = ok(self._root.ask("POST", "/customer", body)).json()
        rows = ok(self._root.ask("GET", DOMAINS, query={"filter[]": f"domain-eq-value-{domain}"})).rows()
        return {"customer": made["_id"], "d": rows[0]["domainId"]}

    def _json(self, name: str, path: str, /, **body: object) -> Ids:
        made = ok(self._root.ask("POST", path, {"customer": self.ids["customer"], **body})).json()
        return {name: made["_id"]}

    def _row(self, name: str, path: str, key: str, /, **body: object) -> Ids:
        made = ok(self._root.ask("POST", f"{DOMAINS}/{self.ids['d']}/{path}", body), 201).json()
        return {name: made[key]}

    def _phone(self) -> Ids:
        return self._json("id", "/pbx/sipphone", sipPhoneModel=self.ids["model"], macAddress=mac())

    def _token(self) -> Ids:
        path = f"/employee/{self.ids['employee']}/token"
        return {"token": ok(self._root.ask("POST", path, {"note": word()})).json()["_id"]}

    def _product(self, kind: str = "PBX_SIP_PHONE") -> Ids:
        body = {"type": kind, "productCode": word(), "name": "Product"}
        made = ok(self._root.ask("POST", "/product", {**body, "reseller": self.ids["customer"]})).json()
        return {"product": made["_id"]}

    def _model(self) -> Ids:
        body = {"brand": "ACME", "brandName": "Acme", "model": word()}
        return {"phonemodel": ok(self._root.ask("POST", "/pbx/sipphonemodels", body)).json()["_id"]}

    def _user(self) -> Ids:
        return self._row("u", "users", "userId", user=word(), password="a secret of theirs", **_plan())

    def _group(self) -> Ids:
        rings = {"ringRetry": 0, "ringExclusive": 0, "callerNameFormat": "{displayName}"}
        return self._row("g", "groups", "groupId", groupName=word(), **rings, **_plan())

    def _member(self, queue: str = "") -> Ids:
        group = self._group()["g"]
        rings = {"ringStrategy": "all", "ringAttempts": 1, "ringSecs": 20, "ringOrder": 0}
        path = f"queues/{queue or self.ids['q']}/members"
        return self._row("m", path, "queueMemberId", groupId=group, **rings)

    def _network(self) -> Ids:
        return self._row("t", "trustedNetworks", "trustedNetworkId", network=network())

    def _device(self) -> Ids:
        return self._row("dev", "devices", "pbxDeviceId", pbxDeviceName=word(), deviceMacAddress=pairs(mac()))


_networks = count(1)


def network() -> str:
    """A network that no domain trusts yet."""
    place = next(_networks)
    return f"10.{place >> 8 & 255}.{place & 255}.0/24"


def _plan() -> Json:
    return {"displayName": "Shown", "extensionNumber": number()}
