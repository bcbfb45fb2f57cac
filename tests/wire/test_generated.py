"""Requests that schemathesis makes from /openapi.json: whatever is asked, nothing breaks (no 5xx).

Left out are two things: `GET /events`, whose answer has no end, and `DELETE /config/v2/sip/domains/{domain}`
with the number of the domain whose employee asks, which would lock the test itself out. It is asked with
another number.
"""

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import (
    CheckFunction,
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from tests.peers.api import ApiClient
from tests.wire.conftest import Report
from tests.wire.need import rounds
from tests.wire.site import Site
from tests.wire.tenancy import DOMAINS, Ids, Tenant

pytestmark = [pytest.mark.wire, pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")]

CASES: Final = rounds(40, 2_000)
PARTS: Final = rounds(1, 10)
"""Each part asks some of the operations, and as many cases as the others."""
EXAMPLES: Final = rounds(2, 10)
"""Of one kind, for one operation, at one time; the first of them is always the simplest that there is."""
SECONDS: Final = 100
"""For each part."""
SAME: Final = PARTS == 1
"""Whether each run makes the same requests; in the soak each makes others."""
CASE_SECONDS: Final = 15.0
CHECKS: Final[list[CheckFunction]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ENDLESS: Final = "/events"
WITHOUT_BODY: Final = "/auth/validateToken"
"""Its `simple` answers have none, which OpenAPI cannot say beside the others: its bodies are not compared."""
MODES: Final = itertools.cycle(GenerationMode)
REAL: Final = itertools.cycle((True, True, False))
"""How often the ids of a path are those of something that is there."""
PLACES: Final[Ids] = {
    "domain": "d",
    "user": "u",
    "group": "g",
    "queue": "q",
    "member": "m",
    "network": "t",
    "device": "dev",
}
"""What the paths of the row dialect call an id, and what the tenant does."""
BELOW: Final = {"employee": ("token",), "q": ("m",)}
"""What goes with it."""
RESOURCES: Final = (
    "extension",
    "group",
    "queue",
    "employee",
    "customer",
    "product",
    "sipphonemodels",
    "picture",
)


@dataclass
class Tally:
    """What was asked, and what came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def cases(self) -> int:
        return self.statuses.total()


class Prey:
    """A customer with everything; what is deleted is made again."""

    def __init__(self, root: ApiClient, demo: dict[str, Any]) -> None:
        self._root = root
        self._demo = demo
        self._tenant = self._new()

    def _new(self) -> Tenant:
        return Tenant(self._root, self._demo["models"])

    def ids(self, path: str) -> Ids:
        """The ids of things that are there, by the names that the documentation gives them."""
        names = self._names(path)
        return {theirs: self._tenant.ids[ours] for theirs, ours in names.items()}

    def mend(self, path: str) -> None:
        """After a deletion the next request finds something again."""
        name = self._names(path).get(path.rpartition("{")[2].removesuffix("}"), "")
        if name in ("customer", "d"):
            self._tenant = self._new()
        elif path.endswith("{user}/devices/{device}"):
            self._tenant.ids |= self._tenant.linked()
        else:
            for lost in (name, *BELOW.get(name, ())):
                self._tenant.ids |= self._tenant.fresh(lost)

    def _names(self, path: str) -> Ids:
        if path.startswith(DOMAINS):
            return PLACES
        resource = next((name for name in RESOURCES if f"/{name}" in path), "")
        named = {"": "id", "sipphonemodels": "phonemodel"}.get(resource, resource)
        return {"id": named, "token": "token"}


@pytest.fixture
def root(api_site: Site) -> Iterator[ApiClient]:
    client = ApiClient(api_site.http, api_site.demo()["token"])
    yield client
    client.close()


@pytest.fixture(scope="module")
def tally() -> Tally:
    """One for all parts."""
    return Tally()


@pytest.mark.parametrize("part", range(PARTS))
def test_no_generated_request_breaks_anything(
    api_site: Site, root: ApiClient, tally: Tally, part: int, report: Report
) -> None:
    demo = api_site.demo()
    url = "http://{}:{}".format(*api_site.http)
    config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    found = list(schema.get_all_operations())
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    assert operations and len(operations) == len(found)
    operations = [one for one in operations if one.path != ENDLESS]
    wanted = CASES * (part + 1) // PARTS
    deadline = time.monotonic() + SECONDS
    prey = Prey(root, demo)
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {demo['token']}"
        for operation in itertools.cycle(operations[part::PARTS]):
            if tally.cases >= wanted or time.monotonic() > deadline:
                break
            _ask(operation, next(MODES), url, session, prey, tally)
    report(f"{tally.cases} cases on {len(operations)} operations: {dict(sorted(tally.statuses.items()))}")
    assert tally.cases >= wanted, "the time was not enough"
    assert root.ask("GET", "/health/ready").status == 200
    assert root.ask("GET", "/pbx/sipphone").status == 200, "the test locked itself out"
    faults = list(tally.faults.values())
    tally.faults.clear()
    assert not faults, "\n\n".join(faults)


def _ask(
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    url: str,
    session: requests.Session,
    prey: Prey,
    tally: Tally,
) -> None:
    """Some generated requests for one operation; what takes no parameters cannot be asked in a wrong way."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=SAME,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Case[Any]) -> None:
        if next(REAL):
            ids = prey.ids(case.path)
            case.path_parameters = {
                name: ids.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
        if case.method == "DELETE" and case.path == f"{DOMAINS}/{{domain}}":
            case.path_parameters = prey.ids(case.path)
        response = case.call(base_url=url, session=session, timeout=CASE_SECONDS)
        tally.statuses[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS[:2] if case.path == WITHOUT_BODY else CHECKS)
        except FailureGroup as fault:  # told in the end, one for each kind
            tally.faults.setdefault(f"{operation.label} {response.status_code}", str(fault))
        if response.status_code < 300 and case.method == "DELETE" and case.path.endswith("}"):
            prey.mend(case.path)

    try:
        run()
    except Unsatisfiable:
        if mode is not GenerationMode.POSITIVE:
            _ask(operation, GenerationMode.POSITIVE, url, session, prey, tally)
