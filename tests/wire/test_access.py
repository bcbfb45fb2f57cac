"""Every phone is bound to where it may be: first contact, lock, country; and what a refusal leaves behind."""

import os
import time
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers.phone import Account, Answer, UdpPhone
from tests.wire.conftest import COUNTRIES, Report, write_countries
from tests.wire.need import rounds
from tests.wire.site import Handset, Site, kinds, within

pytestmark = pytest.mark.wire

HOME: Final = ("127.0.0.2", 0)
AWAY: Final = ("127.0.0.3", 0)
RACES: Final = 50
"""Rounds of one test; more of them are more tests."""


def register(site: Site, account: Account, source: tuple[str, int], expires: int | None = 3600) -> Answer:
    """One registration from one address, on a socket of its own."""
    with UdpPhone(account, site.sip, source=source) as phone:
        return phone.register(expires, deadline=8)


def wrong(account: Account) -> Account:
    """The same account with another password."""
    return Account(account.username, "x" * 32, account.domain)


def ip(site: Site, handset: Handset) -> dict[str, Any]:
    """The `ip` group of the phone in the API."""
    group: dict[str, Any] = site.phone(handset)["ip"]
    assert group.pop("policy") == "PHONE", "none of them belongs to trusted networks"
    return group


def test_the_first_contact_locks_an_open_phone(site: Site, handset: Handset) -> None:
    assert ip(site, handset)["mode"] == "OPEN"
    assert register(site, handset.account, HOME).status == 200
    assert ip(site, handset) == {"mode": "LOCKED", "countries": "", "address": "127.0.0.2"}
    assert kinds(site.journal(handset)) == ["locked", "registered"]
    assert register(site, handset.account, HOME).status == 200


def test_a_locked_phone_is_refused_elsewhere_only_when_its_password_is_right(
    site: Site, handset: Handset
) -> None:
    assert register(site, handset.account, HOME).status == 200
    refused = register(site, handset.account, AWAY)
    assert (refused.status, refused.reason) == (403, "Forbidden")
    assert b"127.0.0.2" not in refused.raw, "it does not say where the phone may be"
    assert register(site, wrong(handset.account), AWAY).status == 401


def test_a_wrong_password_never_locks(site: Site, handset: Handset) -> None:
    assert register(site, wrong(handset.account), HOME).status == 401
    assert ip(site, handset) == {"mode": "OPEN", "countries": "", "address": None}
    location, status = site.stored(handset)
    assert location == {}
    assert all(field.startswith(("lastRejected", "wrongPasswords")) for field in status), "its trace at most"
    assert register(site, handset.account, AWAY).status == 200
    assert ip(site, handset)["address"] == "127.0.0.3"


@pytest.mark.parametrize(("expires", "contact"), [(0, None), (0, "*"), (None, "")], ids=["0", "*", "query"])
def test_what_binds_nothing_locks_nothing(
    expires: int | None, contact: str | None, site: Site, handset: Handset
) -> None:
    with UdpPhone(handset.account, site.sip, source=HOME) as phone:
        assert phone.register(expires, contact=contact).status == 200
    assert ip(site, handset)["mode"] == "OPEN"


def test_a_refusal_does_not_spoil_a_healthy_status_and_makes_one_event(site: Site, handset: Handset) -> None:
    assert register(site, handset.account, HOME).status == 200
    before = site.status(handset)
    for _ in range(3):
        assert register(site, handset.account, AWAY).status == 403
    after = site.status(handset)
    healthy = ("online", "state", "reason", "since", "publicIpAddress", "publicPort", "userAgent")
    assert {name: after[name] for name in healthy} == {name: before[name] for name in healthy}
    assert (after["lastRejectedIp"], after["lastRejectedReason"]) == ("127.0.0.3", "ip-locked")
    assert after["lastRejectedAt"]
    assert kinds(site.journal(handset)) == ["locked", "registered", "rejected"]
    assert kinds(site.events(handset)) == ["locked", "registered", "rejected"]
    assert register(site, handset.account, ("127.0.0.4", 0)).status == 403
    assert kinds(site.journal(handset))[2:] == ["rejected", "rejected"], "another address is another refusal"


def test_an_offline_phone_says_why_it_was_refused(site: Site) -> None:
    handset = site.new_phone(ip={"mode": "LOCKED", "address": "127.0.0.2"})
    assert register(site, handset.account, AWAY).status == 403
    status = site.status(handset)
    assert (status["online"], status["expires"], status["reason"]) == (False, -1, "ip-rejected")
    assert (status["lastRejectedIp"], status["lastRejectedReason"]) == ("127.0.0.3", "ip-locked")
    assert register(site, handset.account, HOME).status == 200
    assert site.status(handset)["reason"] == "registered"


def test_a_new_lock_elsewhere_drops_the_binding_within_a_second(
    site: Site, handset: Handset, report: Report
) -> None:
    assert register(site, handset.account, HOME).status == 200
    began = time.monotonic()
    site.patch(handset, ip={"mode": "LOCKED", "address": "127.0.0.3"})
    left = 1 - (time.monotonic() - began)
    within(left, lambda: not site.status(handset)["online"], "the binding is dropped")
    report(f"dropped after {1000 * (time.monotonic() - began):.0f} ms")
    assert site.status(handset)["reason"] == "ip-rejected"
    assert not site.contacts(handset)
    assert kinds(site.journal(handset)) == ["locked", "registered", "revoked"]
    within(1, lambda: len(site.events(handset)) == 3, "the event for all")
    assert register(site, handset.account, HOME).status == 403
    assert register(site, handset.account, AWAY).status == 200


def test_a_new_lock_here_leaves_the_binding_alone(site: Site, handset: Handset) -> None:
    assert register(site, handset.account, HOME).status == 200
    rechecked = site.metric("registrar_phones_rechecked_total")
    site.patch(handset, ip={"mode": "LOCKED", "address": "127.0.0.2"})
    within(1, lambda: site.metric("registrar_phones_rechecked_total") > rechecked, "the phone is re-checked")
    assert site.status(handset)["online"] is True


@pytest.mark.parametrize("batch", range(rounds(1, 10)))
def test_of_two_first_contacts_exactly_one_wins(batch: int, site: Site, second: Site, report: Report) -> None:
    winners = [_race(site, second, warm=number % 2 == 1) for number in range(RACES)]
    report(f"{RACES} races, {winners.count('127.0.0.2')} won by the first server")


def _race(one: Site, other: Site, *, warm: bool) -> str:
    """Two first contacts at once, on two servers; `warm`: both have read the open phone already."""
    handset = one.new_phone()
    if warm:
        for site, source in ((one, HOME), (other, AWAY)):
            assert register(site, wrong(handset.account), source).status == 401
    with (
        UdpPhone(handset.account, one.sip, source=HOME) as left,
        UdpPhone(handset.account, other.sip, source=AWAY) as right,
    ):
        requests = [_challenged(phone) for phone in (left, right)]
        for phone, request in zip((left, right), requests, strict=True):
            phone.send(request)
        answers = [
            phone.exchange(request, deadline=8)
            for phone, request in zip((left, right), requests, strict=True)
        ]
    assert sorted(answer.status for answer in answers) == [200, 403], answers
    winner = "127.0.0.2" if answers[0].status == 200 else "127.0.0.3"
    expected = {"mode": "LOCKED", "countries": "", "address": winner}
    assert ip(one, handset) == ip(other, handset) == expected
    rows = one.sql("SELECT ip_mode, ip_address FROM sip_phone WHERE oid = ?", handset.id)
    assert rows == [("LOCKED", winner)]
    status = one.status(handset)
    assert (status["online"], status["publicIpAddress"]) == (True, winner)
    assert kinds(one.journal(handset)).count("locked") == 1
    return winner


def _challenged(phone: UdpPhone) -> bytes:
    """The REGISTER with credentials, not yet sent."""
    steps = phone.caller.registration()
    answer = phone.exchange(next(steps))
    assert answer.status == 401
    return steps.send(answer)


@pytest.mark.parametrize(
    ("source", "status", "reason"),
    [
        ("127.10.0.1", 200, None),
        ("127.20.0.1", 403, "country-refused"),
        ("127.30.0.1", 403, "country-unknown"),
    ],
    ids=["its country", "another country", "no country"],
)
def test_a_roaming_phone_is_served_in_its_countries(
    source: str, status: int, reason: str | None, site: Site
) -> None:
    handset = site.new_phone(ip={"mode": "ROAMING", "countries": "DK"})
    assert register(site, handset.account, (source, 0)).status == status
    shown = site.status(handset)
    assert shown["online"] is (status == 200)
    assert shown.get("lastRejectedReason") == reason
    assert ip(site, handset) == {"mode": "ROAMING", "countries": "DK", "address": None}


def test_without_a_country_file_only_roaming_phones_are_refused(site: Site, second: Site) -> None:
    roaming = site.new_phone(ip={"mode": "ROAMING", "countries": "DK"})
    assert register(second, roaming.account, ("127.10.0.1", 0)).status == 403
    assert second.status(roaming)["lastRejectedReason"] == "no-country-file"
    assert register(second, site.new_phone().account, ("127.10.0.1", 0)).status == 200
    assert second.health("ready") == 200
    assert second.api("GET", "/health/ready").body["degraded"]


def test_a_country_file_is_taken_up_and_a_broken_one_is_not(site: Site, second: Site, tmp_path: Path) -> None:
    roaming = site.new_phone(ip={"mode": "ROAMING", "countries": "DK"})
    place = Path(second.settings["data_dir"]) / "geoip.mmdb"
    fresh = tmp_path / "fresh.mmdb"
    write_countries(fresh, COUNTRIES)
    try:
        _put(fresh.read_bytes(), place)
        within(10, lambda: not second.api("GET", "/health/ready").body["degraded"], "the file is read")
        assert register(second, roaming.account, ("127.10.0.1", 0)).status == 200
        _put(fresh.read_bytes()[:-200], place)
        within(10, lambda: second.api("GET", "/health/ready").body["degraded"], "the file is found broken")
        assert register(second, roaming.account, ("127.10.0.1", 0)).status == 200
        assert register(second, roaming.account, ("127.20.0.1", 0)).status == 403
        assert second.status(roaming)["lastRejectedReason"] == "country-refused"
    finally:
        place.unlink(missing_ok=True)


def _put(content: bytes, place: Path) -> None:
    """Replace a file in one step, as updaters do."""
    temporary = place.with_suffix(".new")
    temporary.write_bytes(content)
    os.replace(temporary, place)


def test_a_phone_of_a_blocked_customer_is_refused(site: Site) -> None:
    handset = site.new_blocked_phone()
    assert register(site, wrong(handset.account), HOME).status == 401
    assert register(site, handset.account, HOME).status == 403
    assert site.status_hash(handset)["lastRejectedReason"] == "customer-inactive"
