"""registrar/rules/update.py: what one step writes: bindings, status, events, refusals (docs/redis.md)."""

from dataclasses import replace
from typing import Any

import pytest

from registrar.model import AcceptedNonce, Deny, Epoch, Event, EventKind, Reason, Refusal, Snapshot, Update
from registrar.rules.update import (
    MAX_REFUSALS,
    QUIET_SECONDS,
    build_update,
    next_version,
    noted,
    refuse,
)

from .words import NOW, PHONE, binding

SECOND = int(NOW)
NONCES = (AcceptedNonce(1, "m", 2),)
EVENT = Event(EventKind.REGISTERED, "registered", SECOND)
EMPTY = Snapshot()
ONLINE = Snapshot(7, (binding(),))
OVER = Snapshot(7, (binding(expires_at=SECOND - 40),))
LOCKED = Deny("ip-locked")
ELSEWHERE = "203.0.113.9"

ALL_FIELDS = {
    "online": "1",
    "expiresAt": str(SECOND + 3_600),
    "userAgent": "Phone 1.0",
    "localIpAddress": "10.0.0.7",
    "publicIpAddress": "198.51.100.7",
    "publicPort": "5060",
    "transport": "udp",
    "node": "a",
    "generation": "g1",
    "state": "registered",
    "reason": "registered",
    "since": str(SECOND),
    "lastSeen": str(SECOND),
}


def test_a_phone_that_comes_online_has_its_whole_status_written() -> None:
    update = build_update(EMPTY, ONLINE.bindings, (EVENT,), NOW, nonces=NONCES, customer="c")
    assert update.status == ALL_FIELDS
    assert update.after == Snapshot(next_version(EMPTY, NOW), ONLINE.bindings, NONCES)
    assert (update.events, update.customer) == ((EVENT,), "c")


def test_a_mere_refresh_writes_two_fields() -> None:
    refreshed = binding(expires_at=SECOND + 7_200, refreshed_at=SECOND + 50)
    update = build_update(ONLINE, (refreshed,), (), NOW)
    assert update.status == {"expiresAt": str(SECOND + 7_200), "lastSeen": str(SECOND + 50)}


@pytest.mark.parametrize(
    "change",
    [
        {"user_agent": "Phone 2.0"},
        {"local_ip": "10.0.0.8"},
        {"public_ip": ELSEWHERE},
        {"public_port": 9},
        {"transport": "tcp"},
        {"node": "b"},
        {"generation": "g2"},
    ],
    ids=lambda change: "-".join(change),
)
def test_what_a_reader_sees_is_written_when_it_changes_but_not_since(change: dict[str, Any]) -> None:
    update = build_update(ONLINE, (binding(**change),), (), NOW)
    assert update.status.keys() == ALL_FIELDS.keys() - {"since"}


def test_the_newest_binding_is_shown_and_the_latest_expiry_counts() -> None:
    older = binding("10.0.0.8", user_agent="Old", refreshed_at=SECOND - 9, expires_at=SECOND + 9_000)
    status = build_update(EMPTY, (older, binding()), (), NOW).status
    assert (status["userAgent"], status["expiresAt"]) == ("Phone 1.0", str(SECOND + 9_000))


@pytest.mark.parametrize(
    ("before", "reason", "fields"),
    [
        pytest.param(
            ONLINE,
            Reason.UNREGISTERED,
            {"online": "0", "state": "offline", "reason": "unregistered", "since": str(SECOND)},
            id="the phone went",
        ),
        pytest.param(
            ONLINE,
            Reason.REVOKED,
            {"online": "0", "state": "offline", "reason": "revoked", "since": str(SECOND)},
            id="it was revoked",
        ),
        pytest.param(
            OVER,
            Reason.UNREGISTERED,
            {"online": "0", "state": "offline", "reason": "expired", "since": str(SECOND - 40)},
            id="it had run out before: that is why, and since then",
        ),
        pytest.param(EMPTY, Reason.UNREGISTERED, {}, id="there was nothing: the old reason stays"),
    ],
)
def test_a_phone_without_bindings(before: Snapshot, reason: Reason, fields: dict[str, str]) -> None:
    assert build_update(before, (), (), NOW, reason=reason).status == fields


def test_a_phone_whose_old_binding_ran_out_is_online_since_now() -> None:
    status = build_update(OVER, (binding(),), (), NOW).status
    assert status["since"] == str(SECOND)


def test_a_store_that_lost_the_status_is_told_since_when_the_phone_is_online() -> None:
    status = build_update(EMPTY, (binding(registered_at=SECOND - 500),), (), NOW).status
    assert status["since"] == str(SECOND - 500)


def test_nonces_stay_when_nothing_is_said_of_them() -> None:
    before = replace(ONLINE, nonces=NONCES)
    assert build_update(before, (), (), NOW).after.nonces == NONCES


@pytest.mark.parametrize(
    ("version", "now", "after"),
    [
        pytest.param(0, NOW, int(NOW * 1e6), id="microseconds"),
        pytest.param(int(NOW * 1e6), NOW, int(NOW * 1e6) + 1, id="never the same twice"),
        pytest.param(2**60, NOW, 2**60 + 1, id="never lower, whatever the clock says"),
    ],
)
def test_versions(version: int, now: Epoch, after: int) -> None:
    assert next_version(Snapshot(version), now) == after


def test_what_changes_no_binding_only_uses_its_nonce() -> None:
    update = noted(ONLINE, NONCES, NOW)
    assert update == Update(replace(ONLINE, version=next_version(ONLINE, NOW), nonces=NONCES))


# Phones over UDP that fell silent: bound, and not online

SILENT = binding(silent_since=SECOND - 30)
QUIET = Snapshot(7, (SILENT,))
OFFLINE_FIELDS = ALL_FIELDS | {"online": "0", "state": "offline", "reason": "ping-timeout"}


def test_a_phone_that_fell_silent_is_offline_and_its_status_says_until_when_it_is_bound() -> None:
    update = build_update(ONLINE, (SILENT,), (), NOW, reason=Reason.PING_TIMEOUT)
    assert update.status == OFFLINE_FIELDS
    assert update.after.bindings == (SILENT,)


def test_a_phone_that_is_heard_again_is_online_since_now() -> None:
    assert build_update(QUIET, (binding(registered_at=SECOND - 500),), (), NOW).status == ALL_FIELDS


def test_a_store_that_lost_the_status_is_told_since_when_a_phone_is_silent() -> None:
    status = build_update(EMPTY, (SILENT,), (), NOW).status
    assert status == OFFLINE_FIELDS | {"since": str(SECOND - 30)}


@pytest.mark.parametrize(
    ("before", "reason", "fields"),
    [
        pytest.param(QUIET, Reason.EXPIRED, {}, id="it ran out: it stays offline for its silence"),
        pytest.param(
            Snapshot(7, (replace(SILENT, expires_at=SECOND - 1),)),
            Reason.UNREGISTERED,
            {},
            id="it had run out before",
        ),
        pytest.param(
            QUIET,
            Reason.UNREGISTERED,
            {"online": "0", "state": "offline", "reason": "unregistered"},
            id="it went: offline it was before",
        ),
        pytest.param(
            QUIET,
            Reason.REVOKED,
            {"online": "0", "state": "offline", "reason": "revoked"},
            id="it was revoked",
        ),
    ],
)
def test_a_silent_phone_whose_bindings_end(before: Snapshot, reason: Reason, fields: dict[str, str]) -> None:
    assert build_update(before, (), (), NOW, reason=reason).status == fields


OTHER = binding("10.0.0.8", public_port=9, user_agent="Other", expires_at=SECOND + 60)


def test_of_two_devices_the_one_that_is_heard_is_shown() -> None:
    before = Snapshot(7, (binding(), OTHER))
    update = build_update(before, (SILENT, OTHER), (), NOW, reason=Reason.PING_TIMEOUT)
    assert (update.status["userAgent"], update.status["expiresAt"]) == ("Other", str(SECOND + 60))
    assert (update.status["online"], "since" in update.status) == ("1", False)
    refreshed = replace(OTHER, expires_at=SECOND + 90)
    again = build_update(Snapshot(8, (SILENT, OTHER)), (refreshed, SILENT), (), NOW)
    assert again.status == {"expiresAt": str(SECOND + 90), "lastSeen": str(SECOND)}


def test_when_the_last_that_is_heard_goes_the_silent_one_says_why() -> None:
    before = Snapshot(7, (SILENT, OTHER))
    status = build_update(before, (SILENT,), (), NOW, reason=Reason.UNREGISTERED).status
    assert (status["reason"], status["since"]) == ("ping-timeout", str(SECOND))
    over = Snapshot(7, (SILENT, replace(OTHER, expires_at=SECOND - 5)))
    assert build_update(over, (SILENT,), (), NOW, reason=Reason.EXPIRED).status["since"] == str(SECOND - 5)


def test_while_it_is_silent_only_until_when_can_change() -> None:
    before = Snapshot(7, (SILENT, replace(SILENT, contact="sip:x@y", expires_at=SECOND + 9_000)))
    assert build_update(before, (SILENT,), (), NOW).status == {"expiresAt": str(SECOND + 3_600)}


# Refusals (decision 15)


def test_a_refusal_says_why_a_silent_phone_stays_offline() -> None:
    status = refused(QUIET).status
    assert (status["online"], status["reason"], "since" in status) == ("0", "ip-rejected", False)


def refused(before: Snapshot, now: Epoch = NOW, ip: str = ELSEWHERE, reason: str = "ip-locked") -> Update:
    return refuse(before, NONCES, PHONE, ip, 5060, Deny(reason), now)


def test_a_refusal_does_not_spoil_a_healthy_status() -> None:
    update = refused(ONLINE)
    assert update.status == {
        "lastRejectedAt": str(SECOND),
        "lastRejectedIp": ELSEWHERE,
        "lastRejectedReason": "ip-locked",
    }
    assert update.after.bindings == ONLINE.bindings
    assert update.after.nonces == NONCES


@pytest.mark.parametrize("before", [EMPTY, OVER], ids=["never there", "run out"])
def test_a_refusal_says_why_a_phone_is_offline(before: Snapshot) -> None:
    status = refused(before).status
    assert (status["online"], status["state"], status["reason"]) == ("0", "offline", "ip-rejected")


def test_a_refusal_does_not_change_since_when_a_phone_is_offline() -> None:
    assert "since" not in refused(EMPTY).status
    assert refused(OVER).status["since"] == str(OVER.bindings[0].expires_at)


def test_a_refusal_is_an_event_with_its_source() -> None:
    update = refused(EMPTY)
    assert update.events == (Event(EventKind.REJECTED, "ip-locked", SECOND, ELSEWHERE, 5060),)
    assert update.customer == PHONE.customer


def test_the_same_refusal_makes_one_event_in_five_minutes_with_a_count() -> None:
    now, snapshot = NOW, EMPTY
    events: list[Event] = []
    for _ in range(1 + 2 * 59 + 2):
        update = refused(snapshot, now)
        snapshot, now = update.after, Epoch(now + 5)
        events += update.events
    assert [event.count for event in events] == [1, 60, 60]


@pytest.mark.parametrize(
    ("ip", "reason"),
    [
        pytest.param("203.0.113.10", "ip-locked", id="another address"),
        pytest.param(ELSEWHERE, "country-refused", id="another reason"),
    ],
)
def test_another_refusal_is_an_event_of_its_own(ip: str, reason: str) -> None:
    update = refused(refused(EMPTY).after, ip=ip, reason=reason)
    assert len(update.events) == 1
    assert len(update.after.refusals) == 2


def test_refusals_are_bounded_and_the_oldest_are_forgotten() -> None:
    snapshot = EMPTY
    for number in range(MAX_REFUSALS + 3):
        snapshot = refused(snapshot, ip=f"203.0.113.{number}").after
    assert [refusal.ip for refusal in snapshot.refusals] == [
        f"203.0.113.{n}" for n in range(3, MAX_REFUSALS + 3)
    ]


def test_old_refusals_go_with_the_next_step() -> None:
    old, young = Refusal("a", "x", SECOND - QUIET_SECONDS, 1), Refusal("b", "x", SECOND - 1, 1)
    before = replace(ONLINE, refusals=(old, young))
    assert build_update(before, ONLINE.bindings, (), NOW).after.refusals == (young,)
