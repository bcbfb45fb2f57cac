"""registrar/rules/standing.py: when an update changes the standing of a phone, and the entry of the index."""

import pytest

from registrar.model import Deny, Epoch, Reason, Snapshot, Update
from registrar.rules.standing import Entry, Standing, new_standing, parse_entry, standing
from registrar.rules.update import build_update, noted, refuse

from .words import NOW, PHONE, binding

NOTHING = Snapshot()
UDP, WSS = binding(), binding(transport="wss")
LATER = Epoch(NOW + 60)


def bound(*bindings: object) -> Snapshot:
    return Snapshot(1, bindings)  # type: ignore[arg-type]  # bindings


@pytest.mark.parametrize(
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
