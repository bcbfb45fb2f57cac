"""Many at once want what only few can have: the database decides, and the losers are told why.

Two processes of the API on one PostgreSQL, so that no lock of one process can help.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any, Final

import pytest

from tests.peers.api import Answer, ApiClient
from tests.wire.conftest import Report
from tests.wire.site import Site
from tests.wire.tenancy import DOMAINS, Json, Tenant, mac, number, ok, word

pytestmark = pytest.mark.wire

MANY: Final = 100
FEWER: Final = 50
START_SECONDS: Final = 30.0
Work = Callable[[ApiClient, int], Answer]


@dataclass(frozen=True)
class Outcome:
    """How a race ended."""

    answers: Sequence[Answer]

    @property
    def won(self) -> list[Any]:
        """The bodies of those who got what they wanted."""
        return [answer.json() for answer in self.answers if answer.status in (200, 201)]

    @property
    def refusals(self) -> Counter[tuple[int, str]]:
        """How often which status and code were answered."""
        return Counter(
            (answer.status, _code(answer)) for answer in self.answers if answer.status not in (200, 201)
        )


class Track:
    """Two processes, and one client for each runner."""

    def __init__(self, sites: Sequence[Site], token: str) -> None:
        self._clients = [ApiClient(sites[lane % len(sites)].http, token) for lane in range(MANY)]

    def race(self, runners: int, work: Work) -> Outcome:
        """All at once; each runner has a connection already, and waits for all others."""
        barrier = Barrier(runners, timeout=START_SECONDS)

        def run(lane: int) -> Answer:
            client = self._clients[lane]
            ok(client.ask("GET", "/health/live"))
            barrier.wait()
            return work(client, lane)

        with ThreadPoolExecutor(runners) as pool:
            answers = list(pool.map(run, range(runners)))
        assert [answer.text for answer in answers if answer.status >= 500] == []
        return Outcome(answers)

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(scope="module")
def track(api_site: Site, second_api: Site) -> Iterator[Track]:
    track = Track((api_site, second_api), api_site.demo()["token"])
    yield track
    track.close()


@pytest.fixture(scope="module")
def root(api_site: Site) -> Iterator[ApiClient]:
    client = ApiClient(api_site.http, api_site.demo()["token"])
    yield client
    client.close()


@pytest.fixture(scope="module")
def tenant(api_site: Site, root: ApiClient) -> Tenant:
    return Tenant(root, api_site.demo()["models"])


@pytest.mark.parametrize(
    ("model", "winners", "refusal"),
    [
        ("generic", 1, (409, "macAddress")),  # E7
        ("gateway", 2, (403, "macAddress")),  # E8
        ("dect", 6, (409, "handsetIndex")),  # E10
    ],
)
def test_one_mac_has_as_many_phones_as_its_model_allows(
    api_site: Site,
    track: Track,
    root: ApiClient,
    report: Report,
    model: str,
    winners: int,
    refusal: tuple[int, str],
) -> None:
    wanted = mac()

    def create(client: ApiClient, lane: int) -> Answer:
        body = {"sipPhoneModel": api_site.demo()["models"][model], "macAddress": wanted}
        return client.ask("POST", "/pbx/sipphone", {**body, "handsetAddress": f"{lane:05}"})

    outcome = track.race(MANY, create)
    _tell(report, f"{MANY} phones with one MAC, model {model}", outcome)
    assert outcome.refusals == {refusal: MANY - winners}
    page = ok(root.ask("GET", "/pbx/sipphone", query={"filter": wanted})).json()
    assert sorted(row["_id"] for row in page["sipPhones"]) == sorted(won["_id"] for won in outcome.won)
    if model == "dect":
        assert sorted(won["handsetIndex"] for won in outcome.won) == list(range(winners))


def test_one_number_has_one_extension(track: Track, tenant: Tenant, report: Report) -> None:
    body = {"customer": tenant.ids["customer"], "number": number(), "name": "Runner"}
    outcome = track.race(FEWER, lambda client, _: client.ask("POST", "/pbx/extension", body))
    _tell(report, f"{FEWER} extensions with one number", outcome)
    assert (len(outcome.won), outcome.refusals) == (1, {(409, "number"): FEWER - 1})


def test_one_number_is_one_thing_in_both_dialects(
    track: Track, tenant: Tenant, root: ApiClient, report: Report
) -> None:
    wanted = number()
    creations = _creations(tenant, wanted)

    def create(client: ApiClient, lane: int) -> Answer:
        path, body = creations[lane % len(creations)]()
        return client.ask("POST", path, body)

    outcome = track.race(FEWER, create)
    _tell(report, f"{FEWER} extensions, groups, queues and SIP users with one number", outcome)
    assert len(outcome.won) == 1
    assert {status for status, _ in outcome.refusals} == {409}
    assert sum(_having(root, tenant, wanted)) == 1


def test_one_email_logs_one_person_in(track: Track, tenant: Tenant, report: Report) -> None:
    body = {"customer": tenant.ids["customer"], "name": "Runner", "accessLevel": "VIEWER"}
    body["emailAddress"] = f"{word()}@race.example"
    outcome = track.race(FEWER, lambda client, _: client.ask("POST", "/employee", body))
    _tell(report, f"{FEWER} employees with one e-mail address", outcome)
    assert (len(outcome.won), outcome.refusals) == (1, {(409, "emailAddress"): FEWER - 1})


def test_one_instance_is_one_phone_for_all(track: Track, report: Report) -> None:
    body = {"instanceId": word()}
    outcome = track.race(FEWER, lambda client, _: client.ask("POST", "/pbx/sipphone/webrtc", body))
    assert len(outcome.won) == FEWER
    assert len({(won["_id"], won["username"], won["password"]) for won in outcome.won}) == 1
    report(f"{FEWER} calls of webrtc with one instance: one phone for all")


def test_one_phone_is_deleted_once(track: Track, tenant: Tenant, report: Report) -> None:
    path = f"/pbx/sipphone/{tenant.fresh('id')['id']}"
    outcome = track.race(FEWER, lambda client, _: client.ask("DELETE", path))
    _tell(report, f"{FEWER} times one phone is deleted", outcome)
    assert (len(outcome.won), outcome.refusals) == (1, {(404, "not_found"): FEWER - 1})


def _creations(tenant: Tenant, wanted: str) -> list[Callable[[], tuple[str, Json]]]:
    """The ways to take a number, each with a name of its own every time."""
    domain = f"{DOMAINS}/{tenant.ids['d']}"
    json = {"customer": tenant.ids["customer"], "number": wanted}
    row = {"displayName": "Runner", "extensionNumber": wanted}
    return [
        lambda: ("/pbx/extension", {**json, "name": word()}),
        lambda: ("/pbx/group", {**json, "name": word()}),
        lambda: ("/pbx/queue", {**json, "name": word()}),
        lambda: (f"{domain}/users", {**row, "user": word(), "password": "a secret of theirs"}),
        lambda: (f"{domain}/groups", {**row, "groupName": word()}),
        lambda: (f"{domain}/queues", {**row, "queueName": word()}),
    ]


def _having(root: ApiClient, tenant: Tenant, wanted: str) -> Iterator[int]:
    """How many extensions, groups and queues have the number."""
    for kind in ("users", "groups", "queues"):
        query = {"filter[]": f"extensionNumber-eq-value-{wanted}"}
        yield len(ok(root.ask("GET", f"{DOMAINS}/{tenant.ids['d']}/{kind}", query=query)).rows())


def _tell(report: Report, what: str, outcome: Outcome) -> None:
    acknowledged, refused = len(outcome.won), sum(outcome.refusals.values())
    assert acknowledged and refused
    report(f"{what}: {acknowledged} acknowledged, {refused} refused")


def _code(answer: Answer) -> str:
    """What an error is called; in the row dialect it has no name."""
    body = answer.json()
    if isinstance(body, str):
        return ""
    error = body["error"]
    return str(error["code"])
