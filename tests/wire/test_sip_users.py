"""SIP users: a name in one domain with a password of its own, bound to the trusted networks of the domain."""

import time
from pathlib import Path
from typing import Final

import pytest

from tests.patience import limit
from tests.peers.phone import Account, UdpPhone
from tests.peers.sipp import Pace, Scenario, run_sipp
from tests.wire.cluster import LIVE_SECONDS, Cluster, Tenant
from tests.wire.conftest import Report
from tests.wire.connected import registered
from tests.wire.need import need
from tests.wire.site import Handset, within

pytestmark = pytest.mark.wire

INSIDE, OUTSIDE = "127.0.0.2", "127.0.0.3"
PASSWORD: Final = "of-her-own"


@pytest.fixture
def anna(cluster: Cluster, tenant: Tenant) -> Handset:
    return cluster.new_user(tenant, "anna", "200", PASSWORD)


def register(cluster: Cluster, account: Account, source: str, expires: int = 3600) -> int:
    """The status of one registration at process B."""
    with UdpPhone(account, cluster.b.sip, source=(source, 0)) as phone:
        return phone.register(expires).status


def test_sipp_registers_a_sip_user_and_is_refused_outside_the_trusted_networks(
    cluster: Cluster, tenant: Tenant, anna: Handset, tmp_path: Path
) -> None:
    need("sipp")

    def sipp(address: str, expect: int) -> None:
        done = run_sipp(
            tmp_path,
            cluster.a.sip,
            [anna.account],
            Pace(1, local_ip=address, timeout=10),
            Scenario(expect=expect),
        )
        assert (done.succeeded, done.failed) == (1, 0), done.codes

    sipp(OUTSIDE, 200)
    status = cluster.status(anna.id)
    assert (status["online"], status["publicIpAddress"], status["transport"]) == ("1", OUTSIDE, "udp")
    assert [line["event"] for line in cluster.journal(anna.id)] == ["registered"], "nothing is locked"
    began = time.monotonic()
    cluster.trust(tenant, f"{INSIDE}/32")
    cluster.offline_after(anna.id, began)
    sipp(OUTSIDE, 403)
    status = cluster.status(anna.id)
    assert (status["online"], status["reason"]) == ("0", "ip-rejected")
    assert (status["lastRejectedIp"], status["lastRejectedReason"]) == (OUTSIDE, "untrusted-network")
    sipp(INSIDE, 200)
    assert cluster.status(anna.id)["online"] == "1"


def test_a_network_that_leaves_it_out_drops_a_sip_user_on_every_process(
    cluster: Cluster, tenant: Tenant, anna: Handset, report: Report
) -> None:
    bent = cluster.new_user(tenant, "bent", "201", PASSWORD)
    with (
        registered(cluster.a, anna, "wss", source=(OUTSIDE, 0)) as wss,
        UdpPhone(bent.account, cluster.b.sip, source=(OUTSIDE, 0)) as udp,
    ):
        assert udp.register().status == 200
        with UdpPhone(anna.account, cluster.b.sip, source=(INSIDE, 0)) as inside:
            assert inside.register().status == 200
        began = time.monotonic()
        network = cluster.trust(tenant, f"{INSIDE}/32")
        gone = cluster.offline_after(bent.id, began)
        ending = wss.ending(limit(LIVE_SECONDS))
        assert ending is not None and ending.code == 1008
        report(f"over UDP {1000 * gone:.0f} ms, WebSocket closed {1000 * (ending.at - began):.0f} ms")
        assert ending.at - began < limit(LIVE_SECONDS)
        assert udp.register(reuse=True).status == 403
    assert cluster.status(bent.id)["reason"] == "ip-rejected"
    assert [(line["event"], line["reason"]) for line in cluster.journal(bent.id)][1:] == [
        ("revoked", "ip-rejected"),
        ("rejected", "untrusted-network"),
    ]
    assert cluster.status(anna.id)["online"] == "1", "one of her contacts is inside"
    assert len(cluster.api.contacts(anna)) == 1
    cluster.ask("DELETE", network)
    assert _soon(cluster, bent.account, OUTSIDE, 200), "without networks she may come from anywhere"


def test_a_device_of_the_domain_is_bound_to_its_networks_and_never_locked(
    cluster: Cluster, tenant: Tenant
) -> None:
    """Whoever made it in the row dialect could not unlock it: its mode is one of the other dialect."""
    about = {"pbxDeviceName": "Desk", "deviceMacAddress": "4E:E8:A3:4B:56:F3"}
    made = cluster.ask("POST", f"{tenant.path}/devices", about)
    shown = cluster.ask("GET", f"/pbx/sipphone?full=true&customer={tenant.id}")["sipPhones"][0]
    account = Account(shown["username"], shown["password"], tenant.domain)
    assert register(cluster, account, OUTSIDE) == register(cluster, account, INSIDE) == 200
    began = time.monotonic()
    cluster.trust(tenant, "127.0.0.4/30")
    cluster.offline_after(shown["_id"], began)
    assert register(cluster, account, OUTSIDE) == 403
    assert register(cluster, account, "127.0.0.5") == 200
    again = cluster.ask("GET", f"/pbx/sipphone/{shown['_id']}")
    assert again["ip"] == {"mode": "OPEN", "countries": "", "address": None, "policy": "DOMAIN"}
    assert [line["event"] for line in cluster.journal(shown["_id"])].count("locked") == 0
    cluster.ask("DELETE", f"{tenant.path}/devices/{made['pbxDeviceId']}")
    cluster.offline_after(shown["_id"], time.monotonic())


def test_another_realm_lets_nobody_in(cluster: Cluster, tenant: Tenant, anna: Handset) -> None:
    """The same name and password: in a domain that she is not of; and her own realm at another domain."""
    rival = cluster.new_tenant()
    stranger = Account("anna", PASSWORD, rival.domain)
    assert register(cluster, stranger, OUTSIDE) == 401
    namesake = cluster.new_user(rival, "anna", "200", "another password")
    assert register(cluster, stranger, OUTSIDE) == 401
    with UdpPhone(anna.account, cluster.b.sip) as phone:
        first = phone.exchange(phone.caller.register())
        assert phone.caller.learn(first)
        foreign = f"sip:{rival.domain}"
        lines = [f"Contact: <{phone.caller.contact}>", phone.caller.credentials("REGISTER", foreign)]
        request = phone.caller.request("REGISTER", foreign, f"sip:anna@{rival.domain}", lines)
        assert phone.exchange(request).status == 403
    assert cluster.status(namesake.id).get("online") != "1"
    assert _soon(cluster, namesake.account, OUTSIDE, 200), "although nobody had that name a moment ago"
    assert cluster.status(anna.id).get("online") != "1"


def test_a_new_password_drops_what_was_made_with_the_old_one(
    cluster: Cluster, tenant: Tenant, anna: Handset, report: Report
) -> None:
    with registered(cluster.a, anna, "wss") as wss:
        began = time.monotonic()
        cluster.set_password(tenant, anna, "new-of-her-own")
        report(f"offline after {1000 * cluster.offline_after(anna.id, began):.0f} ms")
        assert wss.ending(limit(LIVE_SECONDS)) is not None
    assert cluster.status(anna.id)["reason"] == "revoked"
    assert register(cluster, anna.account, OUTSIDE) == 401
    assert register(cluster, Account("anna", "new-of-her-own", tenant.domain), OUTSIDE) == 200


@pytest.mark.parametrize("what", ["the user", "its domain", "its row alone"])
def test_a_user_who_is_deleted_is_dropped(
    what: str, cluster: Cluster, tenant: Tenant, anna: Handset, report: Report
) -> None:
    """With its domain, and with its row, the customer alone is announced."""
    with registered(cluster.a, anna, "wss") as wss:
        began = time.monotonic()
        if what == "the user":
            cluster.ask("DELETE", f"{tenant.path}/users/{anna.id[1:]}")
        elif what == "its domain":
            cluster.ask("DELETE", tenant.path)
        else:
            cluster.sql(f"UPDATE extension SET sip_ha1_md5 = NULL WHERE id = {anna.id[1:]}")
            cluster.publish(f"customer {tenant.id}")
        report(f"offline after {1000 * cluster.offline_after(anna.id, began):.0f} ms")
        assert wss.ending(limit(LIVE_SECONDS)) is not None
    assert cluster.status(anna.id)["reason"] == "revoked"
    within(1, lambda: cluster.events(anna.id)[-1]["event"] == "revoked", "the event for all")
    assert cluster.events(anna.id)[-1]["customer"] == tenant.id
    assert register(cluster, anna.account, OUTSIDE) == 401


def test_a_user_who_is_found_gone_is_dropped_although_nobody_named_it(
    cluster: Cluster, tenant: Tenant, anna: Handset
) -> None:
    with UdpPhone(anna.account, cluster.b.sip) as phone:
        assert phone.register().status == 200
        cluster.sql(f"UPDATE extension SET sip_ha1_md5 = NULL WHERE id = {anna.id[1:]}")
        cluster.publish("everybody")
        cluster.offline_after(anna.id, time.monotonic())
        assert phone.register(reuse=True).status == 401
    assert cluster.status(anna.id)["reason"] == "revoked"


def _soon(cluster: Cluster, account: Account, source: str, status: int) -> bool:
    """Whether a registration ends so within a second."""
    until = time.monotonic() + limit(LIVE_SECONDS)
    while (answer := register(cluster, account, source)) != status:
        if time.monotonic() > until:
            raise AssertionError(f"still {answer}")
    return True
