"""A client generated from /openapi.json changes one property of each resource, and nothing else changes."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers import generated
from tests.peers.api import ApiClient
from tests.peers.generated import Call
from tests.wire.need import need_client_generator
from tests.wire.site import Site
from tests.wire.tenancy import DOMAINS, Json, Tenant, mac, network, number, ok, word

pytestmark = pytest.mark.wire

COUNTED: Final = {"updatedAt", "updateDatetime", "configSaved"}
"""When something was changed."""


@pytest.fixture(scope="module")
def package(api_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the generated client is."""
    need_client_generator()
    folder = tmp_path_factory.mktemp("client")
    generated.generate(url_of(api_site), folder)
    return folder


def url_of(site: Site) -> str:
    return "http://{}:{}".format(*site.http)


def configuration(shown: Any) -> Any:
    """What is shown, without the moments that tell of a change."""
    if isinstance(shown, dict):
        return {name: configuration(value) for name, value in shown.items() if name not in COUNTED}
    return shown


def test_every_route_is_in_the_client(api_site: Site, package: Path) -> None:
    """The generator fails on warnings, of which each is a route or a schema that it leaves out."""
    with ApiClientOf(api_site) as client:
        paths = ok(client.ask("GET", "/openapi.json")).json()["paths"]
    wanted = {operation["operationId"] for item in paths.values() for operation in item.values()}
    made = {file.stem for file in (package / generated.PACKAGE / "api").glob("*/*.py")} - {"__init__"}
    assert made == wanted


class ApiClientOf:
    """A caller who may do everything, for the length of a block."""

    def __init__(self, site: Site) -> None:
        self._client = ApiClient(site.http, site.demo()["token"])

    def __enter__(self) -> ApiClient:
        return self._client

    def __exit__(self, *_error: object) -> None:
        self._client.close()


def far_from_defaults(client: ApiClient, tenant: Tenant) -> dict[str, tuple[str, Call]]:
    """One of each kind with values that are no defaults: where it is read, and the call that changes it."""
    customer = tenant.ids["customer"]

    def made(path: str, **body: object) -> str:
        sent = body if path in ("/customer", "/product") else {"customer": customer, **body}
        return f"{path}/{ok(client.ask('POST', path, sent)).json()['_id']}"

    def one(path: str, tag: str, noun: str, change: Json) -> tuple[str, Call]:
        arguments = {"id": path.rpartition("/")[2]}
        model = f"{'SIPPhone' if noun == 'phone' else noun.capitalize()}Change"
        return path, Call(tag, f"update_{noun}", arguments, model, change)

    flags = {"pickup": True, "steal": True, "spy": True, "setPresence": True, "queueMember": True}
    member = {"number": "+4512345678", "priority": 7, "permanent": True, "ringAttempts": 3, "ringSecs": 40}
    phone = {"ip": {"mode": "ROAMING", "countries": "DK,SE", "policy": "DOMAIN"}, "pbxCluster": 2}
    phone |= {"codec": {"hdAudio": False, "video": True}, "dhsg": True, "callWaiting": True}
    phone |= {"network": {"vlanId": 7, "vlanPriority": 3}, "softkeyBlfBlindTransfer": True}
    extension = {"hotdeskAllowed": True, "mobileFollow": True, "dashboard": True}
    person = {"accessLevel": "MANAGER", "state": "BLOCKED"}
    return {
        "customer": one(
            made("/customer", name=word(), state="BLOCKED", isReseller=True, callRecording=True),
            "customers",
            "customer",
            {"name": "Renamed"},
        ),
        "employee": one(made("/employee", name="A", **person), "employees", "employee", {"name": "B"}),
        "extension": one(
            made("/pbx/extension", number=number(), name="A", **extension),
            "extensions",
            "extension",
            {"name": "B"},
        ),
        "group": one(
            made("/pbx/group", number=number(), name="A", ringRetry=True, ringExclusive=True, **flags),
            "groups",
            "group",
            {"name": "B"},
        ),
        "queue": one(
            made("/pbx/queue", number=number(), name="A", members=[member]), "queues", "queue", {"name": "B"}
        ),
        "product": one(
            made("/product", type="SIDE_PANEL", productCode=word(), name="A", price=2.5),
            "products",
            "product",
            {"name": "B"},
        ),
        "phone": one(
            made("/pbx/sipphone", sipPhoneModel=tenant.ids["model"], macAddress=mac(), **phone),
            "sip_phones",
            "phone",
            {"notes": "Renamed"},
        ),
    }


def rows_far_from_defaults(client: ApiClient, tenant: Tenant) -> dict[str, tuple[str, Call]]:
    """The same in the row dialect."""
    domain = tenant.ids["d"]
    top = f"{DOMAINS}/{domain}"
    ok(client.ask("POST", top, {"rec": 1}), 204)

    def one(path: str, tag: str, noun: str, body: Json, change: Json, **above: str) -> tuple[str, Call]:
        id = next(iter(ok(client.ask("POST", f"{top}/{path}", body), 201).json().values()))
        place = {"trusted_network": "network", "queue_member": "member"}.get(noun, noun)
        model = f"UpdateSip{''.join(part.capitalize() for part in noun.split('_'))}JsonBody"
        arguments = {"domain": domain, **above, place: id}
        return f"{top}/{path}/{id}", Call(tag, f"update_sip_{noun}", arguments, model, change)

    flags = {"hotdeskAllowed": 1, "mobileFollow": 1, "dashboard": 1, "pin": "4711"}
    user = {"user": word(), "password": "a secret of theirs", "displayName": "A", "extensionNumber": number()}
    group = {"groupName": "a", "displayName": "A", "extensionNumber": number()}
    rings = {"ringRetry": 1, "ringExclusive": 1}
    queue = {"queueName": "a", "displayName": "A", "extensionNumber": number()}
    member = {"groupId": tenant.ids["g"], "ringStrategy": "huntLongestIdle", "ringAttempts": 7}
    member |= {"ringSecs": 40, "ringOrder": 3}
    inside = tenant.ids["q"]
    return {
        "domain": (
            top,
            Call(
                "sip_domains",
                "update_sip_domain",
                {"domain": domain},
                "UpdateSipDomainJsonBody",
                {"displayName": "B"},
            ),
        ),
        "user": one("users", "sip_users", "user", user | flags, {"displayName": "B"}),
        "group": one(
            "groups",
            "sip_groups",
            "group",
            group | rings,
            {"displayName": "B"},
        ),
        "queue": one("queues", "sip_queues", "queue", queue, {"displayName": "B"}),
        "member": one(
            f"queues/{inside}/members", "sip_queues", "queue_member", member, {"ringSecs": 41}, queue=inside
        ),
        "network": one(
            "trustedNetworks",
            "sip_trusted_networks",
            "trusted_network",
            {"network": network()},
            {"description": "B"},
        ),
        "device": one(
            "devices",
            "pbx_devices",
            "device",
            {"pbxDeviceName": "A", "deviceMacAddress": mac()},
            {"pbxDeviceName": "B"},
        ),
    }


@pytest.mark.parametrize("make", [far_from_defaults, rows_far_from_defaults])
def test_a_change_of_one_property_changes_nothing_else(api_site: Site, package: Path, make: Any) -> None:
    demo = api_site.demo()
    with ApiClientOf(api_site) as client:
        things: dict[str, tuple[str, Call]] = make(client, Tenant(client, demo["models"]))
        before = {name: ok(client.ask("GET", path)).json() for name, (path, _) in things.items()}
        calls = [call for _, call in things.values()]
        statuses = generated.send(url_of(api_site), demo["token"], package, calls)
        wanted = 200 if make is far_from_defaults else 204
        assert statuses == [wanted] * len(calls)
        for name, (path, call) in things.items():
            after = ok(client.ask("GET", path)).json()
            is_json = make is far_from_defaults
            changed = {key: value if is_json else str(value) for key, value in call.body.items()}
            assert configuration(after) == configuration(before[name]) | changed, name
            assert {key: before[name][key] for key in changed} != changed, name
