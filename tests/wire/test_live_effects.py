"""What the API changes reaches every SIP process within a second: one phone over WSS, one over UDP."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.patience import limit
from tests.peers.phone import UdpPhone
from tests.wire.cluster import LIVE_SECONDS, Cluster, Tenant
from tests.wire.conftest import Report
from tests.wire.connected import ConnectedPhone, connect, registered
from tests.wire.site import Handset, within

pytestmark = pytest.mark.wire

POLICY: Final = 1008
"""The close code of a WebSocket whose phone may not be served any more."""


@dataclass(frozen=True)
class Online:
    """Two phones of one customer: one on a connection of process A, one over UDP at process B."""

    tenant: Tenant
    over_wss: Handset
    over_udp: Handset
    wss: ConnectedPhone
    udp: UdpPhone

    @property
    def handsets(self) -> tuple[Handset, Handset]:
        return self.over_wss, self.over_udp

    def close(self) -> None:
        self.wss.close()
        self.udp.close()


@pytest.fixture
def online(cluster: Cluster, tenant: Tenant) -> Iterator[Online]:
    one, other = cluster.new_phone(tenant), cluster.new_phone(tenant)
    wss = registered(cluster.a, one, "wss")
    udp = UdpPhone(other.account, cluster.b.sip)
    assert udp.register().status == 200
    made = Online(tenant, one, other, wss, udp)
    yield made
    made.close()


def reset(cluster: Cluster, online: Online) -> None:
    for handset in online.handsets:
        assert cluster.api.api("POST", f"/pbx/sipphone/{handset.id}/resetcredentials").status == 200


def delete(cluster: Cluster, online: Online) -> None:
    for handset in online.handsets:
        assert cluster.api.api("DELETE", f"/pbx/sipphone/{handset.id}").status == 200


def lock_elsewhere(cluster: Cluster, online: Online) -> None:
    for handset in online.handsets:
        cluster.api.patch(handset, ip={"mode": "LOCKED", "address": "127.0.0.9"})


def block(cluster: Cluster, online: Online) -> None:
    cluster.block(online.tenant)


Revoke = Callable[[Cluster, Online], None]


@pytest.mark.parametrize(
    ("revoke", "reason", "refused"),
    [
        pytest.param(reset, "revoked", 401, id="resetcredentials"),
        pytest.param(delete, "revoked", 401, id="deleted"),
        pytest.param(lock_elsewhere, "ip-rejected", 403, id="locked elsewhere"),
        pytest.param(block, "revoked", 403, id="customer blocked"),
    ],
)
def test_within_a_second_both_phones_are_gone_everywhere(
    revoke: Revoke, reason: str, refused: int, cluster: Cluster, online: Online, report: Report
) -> None:
    began = time.monotonic()
    revoke(cluster, online)
    answered = time.monotonic() - began
    after = [cluster.offline_after(handset.id, began) for handset in online.handsets]
    ending = online.wss.ending(limit(LIVE_SECONDS))
    assert ending is not None and (ending.how, ending.code) == ("fin", POLICY)
    closed = ending.at - began
    assert closed < limit(LIVE_SECONDS)
    report(
        f"{reason}: API {1000 * answered:.0f} ms, offline over WSS {1000 * after[0]:.0f} ms, "
        f"over UDP {1000 * after[1]:.0f} ms, WebSocket closed {1000 * closed:.0f} ms"
    )
    for handset, transport in zip(online.handsets, ("wss", "udp"), strict=True):
        _is_told(cluster, handset, online.tenant, reason, transport)
    assert online.udp.register(reuse=True).status == refused
    with connect(cluster.a, online.over_wss, "wss") as again:
        assert again.register().status == refused
    assert all(cluster.status(handset.id)["reason"] == reason for handset in online.handsets)


def _is_told(cluster: Cluster, handset: Handset, tenant: Tenant, reason: str, transport: str) -> None:
    """Status, journal and the stream of events say what became of the phone, and why."""
    status = cluster.status(handset.id)
    assert (status["online"], status["state"], status["reason"]) == ("0", "offline", reason)
    assert not cluster.api.contacts(handset)
    told = {"event": "revoked", "reason": reason, "transport": transport, "ip": "127.0.0.1"}
    last = cluster.journal(handset.id)[-1]
    assert {name: last[name] for name in told} == told
    within(1, lambda: cluster.events(handset.id)[-1]["event"] == "revoked", "the event for all")
    event = cluster.events(handset.id)[-1]
    assert {name: event[name] for name in told} == told
    assert event["customer"] == tenant.id


def test_a_change_that_takes_nothing_away_leaves_both_online(cluster: Cluster, online: Online) -> None:
    for handset in online.handsets:
        cluster.api.patch(handset, ip={"mode": "LOCKED", "address": "127.0.0.1"}, notes="the same address")
    cluster.publish(f"customer {online.tenant.id}")
    assert online.wss.ending(LIVE_SECONDS) is None
    assert online.wss.register(reuse=True).status == online.udp.register(reuse=True).status == 200
    assert all(cluster.status(handset.id)["online"] == "1" for handset in online.handsets)


def test_a_phone_whose_row_is_gone_and_whose_customer_alone_is_named_is_dropped(
    cluster: Cluster, online: Online, report: Report
) -> None:
    ids = ", ".join(f"'{handset.id}'" for handset in online.handsets)
    began = time.monotonic()
    cluster.sql(f"DELETE FROM sip_phone WHERE oid IN ({ids})")
    cluster.publish(f"customer {online.tenant.id}")
    after = [cluster.offline_after(handset.id, began) for handset in online.handsets]
    report(f"{1000 * after[0]:.0f} ms and {1000 * after[1]:.0f} ms")
    assert online.wss.ending(limit(LIVE_SECONDS)) is not None
    for handset, transport in zip(online.handsets, ("wss", "udp"), strict=True):
        _is_told(cluster, handset, online.tenant, "revoked", transport)
    assert online.udp.register(reuse=True).status == 401
