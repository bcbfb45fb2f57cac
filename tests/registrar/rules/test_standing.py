"""registrar/rules/standing.py: when an update changes the standing of a phone, and the entry of the index."""

import random

import pytest

from registrar.model import Deny, Epoch, Reason, Snapshot, Update
from registrar.rules.register import expire, hear, silence
from registrar.rules.standing import Entry, Standing, new_standing, parse_entry, standing
from registrar.rules.update import build_update, noted, refuse
from tests.every import every

from .words import NOW, PHONE, binding

NOTHING = Snapshot()
UDP, WSS = binding(), binding(transport="wss")
LATER = Epoch(NOW + 60)


def bound(*bindings: object) -> Snapshot:
    return Snapshot(1, bindings)  # type: ignore[arg-type]  # bindings


@every(
    ("before", "after", "expected"),
    [
        pytest.param((), (UDP,), Standing("registered", "udp"), id="registered"),
        pytest.param((UDP,), (UDP,), None, id="refreshed"),
        pytest.param((UDP,), (binding(public_port=5071),), None, id="moved"),
        pytest.param((UDP,), (WSS,), Standing("registered", "wss"), id="another transport"),
        pytest.param((WSS,), (), Standing("unregistered", "wss"), id="gone"),
        pytest.param(
            (UDP,), (binding(silent_since=int(NOW)),), Standing("ping-timeout", "udp"), id="fell silent"
        ),
        pytest.param(
            (binding(silent_since=int(NOW)),), (UDP,), Standing("registered", "udp"), id="heard again"
        ),
        pytest.param((), (), None, id="never there"),
    ],
)
def test_an_update_may_change_the_standing(
    before: tuple[object, ...], after: tuple[object, ...], expected: Standing | None
) -> None:
    stands = bound(*before)
    update = build_update(stands, bound(*after).bindings, (), NOW, reason=Reason.UNREGISTERED)
    assert new_standing(stands, update) == expected


def test_a_refusal_of_an_offline_phone_names_no_transport() -> None:
    refused = refuse(NOTHING, (), PHONE, "203.0.113.9", 5060, Deny("ip-locked"), NOW)
    assert new_standing(NOTHING, refused) == Standing("ip-rejected", "")
    recorded = refuse(NOTHING, (), PHONE, "203.0.113.9", 5060, Deny("bad-contact"), NOW)
    assert new_standing(NOTHING, recorded) is None


def test_a_refusal_leaves_an_online_phone_as_it_is() -> None:
    refused = refuse(bound(UDP), (), PHONE, "203.0.113.9", 5060, Deny("ip-locked"), LATER)
    assert new_standing(bound(UDP), refused) is None
    assert new_standing(bound(UDP), noted(bound(UDP), (), LATER)) is None


def test_a_phone_that_was_refused_after_its_expiry_is_online_again() -> None:
    """Its binding is still stored, but its status says that it was refused."""
    late = Epoch(NOW + 4_000)
    refused = refuse(bound(UDP), (), PHONE, "203.0.113.9", 5060, Deny("ip-locked"), late)
    assert new_standing(bound(UDP), refused) == Standing("ip-rejected", "udp")
    fresh = binding(expires_at=int(late) + 3_600, refreshed_at=int(late))
    back = build_update(refused.after, (fresh,), (), late)
    assert new_standing(refused.after, back) == Standing("registered", "udp")


def test_a_status_without_a_state_has_no_standing() -> None:
    assert standing({}) is standing({"lastRejectedReason": "wrong-password"}) is None
    assert standing({"online": "0", "reason": "expired"}) == Standing("expired")
    assert new_standing(NOTHING, Update(NOTHING)) is None


@pytest.mark.parametrize("entry", [Entry(7, Standing("expired", "udp")), Entry(0, Standing("revoked"))])
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    assert parse_entry(str(entry)) == entry


@pytest.mark.parametrize("text", ["", "7", "7 expired", "x expired udp", "-1 expired udp", " expired udp"])
def test_a_malformed_entry_is_none(text: str) -> None:
    assert parse_entry(text) is None


def test_after_any_life_the_index_says_what_the_status_says() -> None:
    """Steps in any order, with expiries that no sweep has seen yet."""
    chance = random.Random(87)
    for _ in range(300):
        stands, status, index, now = NOTHING, dict[str, str](), Standing(""), NOW
        for _ in range(12):
            now = Epoch(now + chance.choice([1, 30, 4_000]))
            update = _step(stands, now, chance)
            after = new_standing(stands, update)
            stands, status = update.after, {**status, **update.status}
            if after is not None:
                index = Standing(after.reason, after.transport or index.transport)
            assert index == (standing(status) or Standing("")), status


def _step(stands: Snapshot, now: Epoch, chance: random.Random) -> Update:
    live = list(stands.live(now))
    made = binding(
        transport=chance.choice(["udp", "wss"]),
        expires_at=int(now) + 3_600,
        refreshed_at=int(now),
        contact=chance.choice(["sip:200@10.0.0.7", "sip:200@10.0.0.8"]),
    )
    kept = tuple(one for one in live if one.contact != made.contact)
    match chance.randrange(7):
        case 0:
            why = chance.choice(["ip-locked", "bad-contact", "customer-inactive"])
            return refuse(stands, (), PHONE, "203.0.113.9", 5060, Deny(why), now)
        case 1:
            left = expire(stands, now)
            return build_update(stands, left.bindings, left.events, now, reason=Reason.EXPIRED)
        case 2:
            silent = silence(stands, [one for one in live if not one.silent_since], now)
            return build_update(stands, silent.bindings, (), now, reason=Reason.PING_TIMEOUT)
        case 3 if live:
            heard = hear(stands, [one for one in live if one.silent_since], "heard", now)
            return build_update(stands, heard.bindings, (), now, reason=Reason.UNREGISTERED)
        case 4:
            return build_update(stands, kept, (), now, reason=Reason.SOCKET_CLOSED)
        case 5:
            return noted(stands, (), now)
    return build_update(stands, (*kept, made), (), now)
