"""Phones register, and everybody is told: online while they are, and why not within a second."""

import time
from collections.abc import Callable
from typing import Final

import pytest

from tests.peers.baresip import Baresip
from tests.peers.phone import UdpPhone
from tests.peers.sipp import Pace, Scenario, SippResult, run_sipp
from tests.wire import views, waits
from tests.wire.conftest import Report
from tests.wire.need import need
from tests.wire.site import Handset, Site, kinds, within
from tests.wire.views import Seen
from tests.wire.waits import Waits

pytestmark = pytest.mark.wire

PHONES: Final = 200
EXPIRES: Final = 1_800
USER_AGENT: Final = "Wire/1.0 (sipp)"
SOURCE: Final = "127.0.0.9"

View = Callable[[Site, list[Handset]], dict[str, Seen]]
VIEWS: Final[dict[str, View]] = {
    "GET /pbx/sipphone?full=true": lambda site, _: views.from_api(site),
    "registrar status --json": lambda site, _: views.from_command(site),
    "redis-cli hgetall": views.from_redis,
}


@pytest.fixture(scope="module")
def handsets(site: Site) -> list[Handset]:
    return [site.new_phone() for _ in range(PHONES)]


@pytest.fixture(scope="module")
def by_sipp(site: Site, handsets: list[Handset], tmp_path_factory: pytest.TempPathFactory) -> SippResult:
    need("sipp")
    accounts = [handset.account for handset in handsets]
    scenario = Scenario(expires=EXPIRES, user_agent=USER_AGENT)
    pace = Pace(calls=PHONES, local_ip=SOURCE, timeout=60)
    return run_sipp(tmp_path_factory.mktemp("sipp"), site.sip, accounts, pace, scenario)


def test_sipp_registers_every_phone(by_sipp: SippResult, report: Report) -> None:
    assert (by_sipp.succeeded, by_sipp.failed) == (PHONES, 0)
    again = by_sipp.retransmitted  # on a busy machine; each of them is answered, too
    assert by_sipp.codes.keys() == {401, 200}
    assert all(PHONES <= times <= PHONES + again for times in by_sipp.codes.values())
    report(f"{PHONES} phones in {by_sipp.seconds:.2f} s, p99 {by_sipp.p99_ms:.1f} ms")


@pytest.mark.parametrize("name", VIEWS)
def test_each_phone_is_seen_as_it_registered(
    name: str, site: Site, handsets: list[Handset], by_sipp: SippResult
) -> None:
    began = time.time()
    seen = VIEWS[name](site, handsets)
    spent = time.time() - began + by_sipp.seconds + 60  # the other tests of this file come between
    wrong = {
        handset.account.username: seen.get(handset.id)
        for handset in handsets
        if not _is_registered(seen.get(handset.id), spent)
    }
    assert not wrong


def _is_registered(seen: Seen | None, spent: float) -> bool:
    if seen is None or not EXPIRES - spent <= seen.expires <= EXPIRES:
        return False
    return seen == Seen(True, seen.expires, USER_AGENT, SOURCE, SOURCE)


@pytest.mark.parametrize("name", VIEWS)
def test_a_baresip_is_seen_as_it_registered(
    name: str, site: Site, baresip: tuple[Handset, Baresip], by_sipp: SippResult
) -> None:
    handset, _ = baresip
    seen = VIEWS[name](site, [handset])[handset.id]
    assert 0 < seen.expires <= waits.MIN_EXPIRES
    assert seen.user_agent.startswith("baresip v1")
    assert (seen.online, seen.public, seen.local) == (True, "127.0.0.1", "127.0.0.1")


def test_the_power_of_a_real_phone_is_cut(
    site: Site, baresip: tuple[Handset, Baresip], long_waits: Waits
) -> None:
    handset, phone = baresip
    phone.kill9()
    assert site.status(handset)["online"] is True, "nobody can know it yet"
    long_waits.powerless.append((handset, int(site.status_hash(handset)["expiresAt"])))


def test_the_local_address_is_the_phones_own_behind_its_nat(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip, source=("127.0.0.7", 0)) as phone:
        answer = phone.register(contact=f"<sip:{handset.account.username}@192.168.7.20:5070>")
        assert answer.status == 200
        status = site.status(handset)
        assert (status["localIpAddress"], status["publicIpAddress"]) == ("192.168.7.20", "127.0.0.7")
        assert status["publicPort"] == int(answer.header("via").partition("rport=")[2])


def _unregister(_site: Site, _handset: Handset, phone: UdpPhone) -> None:
    assert phone.register(0).status == 200


def _unregister_all(_site: Site, _handset: Handset, phone: UdpPhone) -> None:
    assert phone.register(0, contact="*").status == 200


def _call(method: str, path: str) -> Callable[[Site, Handset, UdpPhone], None]:
    def act(site: Site, handset: Handset, _phone: UdpPhone) -> None:
        assert site.api(method, f"/pbx/sipphone/{handset.id}{path}").status == 200

    return act


ENDS: Final[list[tuple[str, Callable[[Site, Handset, UdpPhone], None], str, str]]] = [
    ("un-REGISTER of its contact", _unregister, "unregistered", "unregistered"),
    ("un-REGISTER of all contacts", _unregister_all, "unregistered", "unregistered"),
    ("POST resetcredentials", _call("POST", "/resetcredentials"), "revoked", "revoked"),
    ("GET resetcredentials", _call("GET", "/resetcredentials"), "revoked", "revoked"),
]


@pytest.mark.parametrize(("act", "reason", "event"), [end[1:] for end in ENDS], ids=[end[0] for end in ENDS])
def test_the_end_of_a_registration_is_seen_within_a_second(
    act: Callable[[Site, Handset, UdpPhone], None],
    reason: str,
    event: str,
    site: Site,
    handset: Handset,
    report: Report,
) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200
        assert site.status(handset)["online"] is True
        began = time.monotonic()
        act(site, handset, phone)
        within(1 - (time.monotonic() - began), lambda: not site.status(handset)["online"], "offline")
        report(f"offline in the API after {1000 * (time.monotonic() - began):.0f} ms")
    status = site.status(handset)
    assert (status["online"], status["expires"], status["reason"]) == (False, -1, reason)
    assert site.status_hash(handset)["reason"] == reason
    _is_told_once(site, handset, event, reason)


def _is_told_once(site: Site, handset: Handset, event: str, reason: str) -> None:
    """One entry in the phone's journal and one in the stream of all, after that of the registration."""
    assert kinds(site.journal(handset)) == ["locked", "registered", event]
    within(1, lambda: event in kinds(site.events(handset)), f"{event} in registrar:events")
    events = site.events(handset)
    assert kinds(events) == ["locked", "registered", event]
    assert (events[-1]["reason"], events[-1]["customer"]) == (reason, site.demo()["customer"])


def test_a_deleted_phone_is_offline_within_a_second(site: Site, handset: Handset, report: Report) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200
        began = time.monotonic()
        assert site.api("DELETE", f"/pbx/sipphone/{handset.id}").status == 200
        left = 1 - (time.monotonic() - began)
        within(left, lambda: site.status_hash(handset)["online"] == "0", "offline in Redis")
        report(f"offline in Redis after {1000 * (time.monotonic() - began):.0f} ms")
        assert not site.contacts(handset)
        assert site.status_hash(handset)["reason"] == "revoked"
        _is_told_once(site, handset, "revoked", "revoked")
        assert site.api("GET", f"/pbx/sipphone/{handset.id}").status == 404
        assert phone.register().status == 401, "deleted like never made"


def test_reset_credentials_let_nobody_in_with_the_old_ones(site: Site, handset: Handset) -> None:
    fresh = site.api("POST", f"/pbx/sipphone/{handset.id}/resetcredentials").body
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 401
    account = type(handset.account)(fresh["username"], fresh["password"], handset.account.domain)
    with UdpPhone(account, site.sip) as phone:
        assert phone.register().status == 200
    assert site.status(handset)["online"] is True


def test_a_refresh_is_no_event_and_a_move_is_one(site: Site, handset: Handset) -> None:
    contact = f"<sip:{handset.account.username}@192.168.7.21>"
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register(contact=contact).status == 200
        assert phone.register(contact=contact, reuse=True).status == 200
    with UdpPhone(handset.account, site.sip, user_agent="another") as phone:
        assert phone.register(contact=contact).status == 200
    assert kinds(site.journal(handset)) == ["locked", "registered", "moved"]


def _runs_out(site: Site, handset: Handset, ends_at: int, report: Report) -> None:
    waits.until(ends_at - 2)
    shown = site.status(handset)
    if time.time() < ends_at - 0.5:
        assert shown["online"] is True
    waits.until(ends_at)
    within(1, lambda: not site.status(handset)["online"], "offline in the API")
    within(1, lambda: "expired" in kinds(site.journal(handset)), "the event of its end")
    status = site.status(handset)
    assert (status["online"], status["expires"], status["reason"]) == (False, -1, "expired")
    last = site.journal(handset)[-1]
    late = int(last["id"].partition("-")[0]) - 1000 * ends_at
    report(f"written to the journal {late} ms after the end of the binding")
    assert 0 <= late <= 1000
    assert site.status_hash(handset)["online"] == "0"
    _is_told_once(site, handset, "expired", "expired")
    assert not site.contacts(handset)


def test_in_the_end_a_silent_phone_has_run_out(site: Site, long_waits: Waits, report: Report) -> None:
    _runs_out(site, long_waits.silent, long_waits.silent_until, report)


def test_in_the_end_a_phone_without_power_has_run_out(site: Site, long_waits: Waits, report: Report) -> None:
    if not long_waits.powerless:
        pytest.skip("no baresip registered in this run")
    for handset, ends_at in long_waits.powerless:
        _runs_out(site, handset, ends_at, report)


def test_in_the_end_nothing_was_unhandled(site: Site) -> None:
    assert site.metric("registrar_unhandled_exceptions_total") == 0
    assert "Traceback" not in site.log_text
