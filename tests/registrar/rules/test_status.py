"""registrar/rules/status.py: what a reader may conclude from the status hash (docs/redis.md)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.model import Epoch, Reason
from registrar.rules.status import (
    LiveStatus,
    live_status,
    needed_lease,
    offline_fields,
    online_fields,
    rejected_fields,
    silent_fields,
)
from tests.every import every

from .words import NOW, binding

SECOND = int(NOW)
UDP = online_fields((binding(),), SECOND - 100)
WSS = online_fields((binding(transport="wss"),), SECOND - 100)
LIVING = {"a": "g1"}
ONLINE = LiveStatus(
    online=True,
    expires=3_600,
    local_ip_address="10.0.0.7",
    public_ip_address="198.51.100.7",
    public_port=5060,
    user_agent="Phone 1.0",
    transport="udp",
    node="a",
    generation="g1",
    expires_at=SECOND + 3_600,
    state="registered",
    reason="registered",
    since=SECOND - 100,
    last_seen=SECOND,
)


SILENT = silent_fields((binding(),), Epoch(SECOND - 50))


def gone(status: LiveStatus, reason: str, since: int) -> LiveStatus:
    return replace(status, online=False, expires=-1, state="offline", reason=reason, since=since)


@every(
    ("fields", "leases", "now", "status"),
    [
        pytest.param({}, {}, NOW, LiveStatus(), id="a phone that never was there"),
        pytest.param(UDP, {}, NOW, ONLINE, id="UDP needs no lease"),
        pytest.param(UDP, {}, Epoch(NOW + 3_599.9), replace(ONLINE, expires=1), id="to the last moment"),
        pytest.param(
            UDP, {}, Epoch(NOW + 3_600), gone(ONLINE, "expired", SECOND + 3_600), id="run out, not yet swept"
        ),
        pytest.param(
            SILENT,
            {},
            NOW,
            replace(gone(ONLINE, "ping-timeout", SECOND - 50), silent=True),
            id="over UDP, silent, and bound yet",
        ),
        pytest.param(
            SILENT,
            {},
            Epoch(NOW + 3_600),
            gone(ONLINE, "ping-timeout", SECOND - 50),
            id="silent, and run out",
        ),
        pytest.param(
            SILENT | {"transport": "tcp"},
            {},
            NOW,
            replace(gone(ONLINE, "ping-timeout", SECOND - 50), transport="tcp"),
            id="a connection that fell silent: nothing is bound to it any more",
        ),
        pytest.param(WSS, LIVING, NOW, replace(ONLINE, transport="wss"), id="a connection of a living node"),
        pytest.param(
            WSS, {}, NOW, gone(replace(ONLINE, transport="wss"), "node-lost", SECOND), id="no lease"
        ),
        pytest.param(
            WSS,
            {"a": "g2"},
            NOW,
            gone(replace(ONLINE, transport="wss"), "node-lost", SECOND),
            id="the node was started anew",
        ),
        pytest.param(
            WSS,
            {},
            Epoch(NOW + 3_600),
            gone(replace(ONLINE, transport="wss"), "expired", SECOND + 3_600),
            id="run out on a node that is gone",
        ),
        pytest.param(
            UDP | offline_fields(Reason.UNREGISTERED, NOW),
            {},
            NOW,
            gone(ONLINE, "unregistered", SECOND),
            id="offline by its own wish, addresses stay",
        ),
        pytest.param(
            rejected_fields("203.0.113.9", "ip-locked", NOW, online=False),
            {},
            NOW,
            LiveStatus(
                online=False,
                reason="ip-rejected",
                last_rejected_at=SECOND,
                last_rejected_ip="203.0.113.9",
                last_rejected_reason="ip-locked",
            ),
            id="refused at its first contact",
        ),
        pytest.param(
            UDP | rejected_fields("203.0.113.9", "ip-locked", NOW, online=True),
            {},
            NOW,
            replace(
                ONLINE,
                last_rejected_at=SECOND,
                last_rejected_ip="203.0.113.9",
                last_rejected_reason="ip-locked",
            ),
            id="somebody else was refused: the status is as healthy as before",
        ),
        pytest.param(
            {"online": "1", "expiresAt": "soon"},
            {},
            NOW,
            LiveStatus(reason="expired", since=0),
            id="nonsense",
        ),
    ],
)
def test_a_reader_concludes(
    fields: dict[str, str], leases: dict[str, str], now: Epoch, status: LiveStatus
) -> None:
    assert live_status(fields, leases, now) == status


@pytest.mark.parametrize(
    ("fields", "node"),
    [
        pytest.param(UDP, None, id="UDP needs none"),
        pytest.param(WSS, "a", id="a connection needs its node's"),
        pytest.param(WSS | offline_fields(Reason.EXPIRED, NOW), None, id="an offline phone needs none"),
        pytest.param({}, None, id="nobody needs none"),
    ],
)
def test_the_lease_that_decides(fields: dict[str, str], node: str | None) -> None:
    assert needed_lease(fields) == node


def test_no_value_is_over_64_bytes_for_an_ordinary_phone() -> None:
    """A longer one costs twice the memory (docs/redis.md)."""
    assert max(map(len, online_fields((binding(user_agent="y" * 64),), SECOND).values())) <= 64


@given(
    fields=st.dictionaries(
        st.sampled_from([*UDP, "rttMs", "lastRejectedAt", "more"]),
        st.text(max_size=12) | st.sampled_from(["0", "1", "nan", "1e9", "-1", "wss"]),
    )
)
def test_any_hash_can_be_read(fields: dict[str, str]) -> None:
    status = live_status(fields, {}, NOW)
    assert status.online is (status.state == "registered")
    assert (status.expires == -1) is not status.online
