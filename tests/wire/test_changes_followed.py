"""Changes that no message announces, as the API died or Redis lost it: each process finds them in SQL."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

import pytest

from tests.patience import limit
from tests.peers.phone import UdpPhone
from tests.wire.cluster import Cluster, Tenant
from tests.wire.conftest import Report
from tests.wire.need import rounds
from tests.wire.site import within

pytestmark = pytest.mark.wire

REFUSED_SECONDS: Final = 6.0
"""Within which a change must have reached every process without a message."""
READY_SECONDS: Final = 5.0
HELD_SECONDS: Final = rounds(2, 10) + 0.5
"""How long a transaction stays open: longer than the pause between two polls."""
ROUNDS: Final = rounds(1, 50)
"""Of each kind, on each of two databases: 200 in the large rounds."""
NOTE: Final = "INSERT INTO change (what, id, at) VALUES ('{what}', '{id}', {at:.0f})"


class Trial:
    """A phone that is deleted, one that gets another username, and one whose customer is blocked."""

    def __init__(self, cluster: Cluster, tenant: Tenant) -> None:
        self._cluster = cluster
        self._blocked = cluster.new_tenant()
        self.handsets = [cluster.new_phone(whose) for whose in (tenant, tenant, self._blocked)]
        self._bystander = cluster.new_phone(tenant)

    @contextmanager
    def registered(self) -> Iterator[list[UdpPhone]]:
        """All of them, at one process or the other."""
        sites = self._cluster.a, self._cluster.b, self._cluster.a
        with ExitStack() as stack:
            phones = [
                stack.enter_context(UdpPhone(handset.account, site.sip))
                for handset, site in zip(self.handsets, sites, strict=True)
            ]
            register(phones)
            yield phones

    def statements(self) -> list[str]:
        """All changes, and the rows that note them."""
        deleted, reset, _ = (handset.id for handset in self.handsets)
        noted = (("phone", deleted), ("phone", reset), ("customer", self._blocked.id))
        return [
            f"DELETE FROM sip_phone WHERE oid = '{deleted}'",
            f"UPDATE sip_phone SET username = 'x{reset}', secret_version = secret_version + 1, "
            f"version = version + 1 WHERE oid = '{reset}'",
            f"UPDATE customer SET state = 'BLOCKED', version = version + 1 WHERE oid = '{self._blocked.id}'",
            *(NOTE.format(what=what, id=id, at=time.time()) for what, id in noted),
        ]

    def others_write(self) -> None:
        """Let rows with greater numbers be committed and read before."""
        if self._cluster.has_many_writers:
            self._cluster.api.patch(self._bystander, notes=f"{time.time()}")

    def are_offline(self) -> bool:
        """Whether one of the processes has ended all bindings."""
        return all(self._cluster.status(handset.id).get("online") == "0" for handset in self.handsets)


def register(phones: list[UdpPhone]) -> None:
    """Register each phone, and wait for a store that is late."""
    for phone in phones:
        within(READY_SECONDS, partial(answers, phone, 200), "registered")


def answers(phone: UdpPhone, status: int) -> bool:
    """Whether its own process answers a phone with this status."""
    return phone.register(reuse=True).status == status


def announced_nothing(_cluster: Cluster) -> None:
    """The API was killed after its commit."""


def cut(cluster: Cluster) -> None:
    """Nor is anything else announced for a moment."""
    cluster.cut_subscriptions()


@pytest.mark.parametrize("before_commit", [announced_nothing, cut])
def test_a_change_without_a_message_is_in_force_within_six_seconds(
    before_commit: Callable[[Cluster], None], cluster: Cluster, tenant: Tenant, report: Report
) -> None:
    took = []
    for _ in range(ROUNDS):
        trial = Trial(cluster, tenant)
        with trial.registered() as phones:
            with cluster.held(*trial.statements()):
                trial.others_write()
                time.sleep(HELD_SECONDS)
                register(phones)
                before_commit(cluster)
            began = time.monotonic()
            # Without the table a phone would stay online until it registers again.
            within(REFUSED_SECONDS, trial.are_offline, "all are offline")
            for phone, status in zip(phones, (401, 401, 403), strict=True):
                within(REFUSED_SECONDS, partial(answers, phone, status), f"refused with {status}")
            took.append(time.monotonic() - began)
            assert took[-1] < limit(REFUSED_SECONDS)
    report(f"{before_commit.__name__}: {len(took)} rounds, refused after {max(took):.2f} s at most")
