"""handlers/calls/habits.py: what is remembered of the media of phones."""

from registrar.handlers.calls.habits import MAX_KEPT, Habits
from registrar.model import Binding, LegKind, Snapshot

HOME, OFFICE = "198.51.100.7", "203.0.113.9"


def registered(local: str, public: str = HOME) -> Snapshot:
    return Snapshot(1, (Binding("sip:200@x", 1, "c", 1, local_ip=local, public_ip=public),))


def test_a_binding_gets_what_it_took() -> None:
    known = Habits()
    assert known.kind("p", "sip:a") is None
    known.took("p", "sip:a", LegKind.SRTP)
    assert known.kind("p", "sip:a") is LegKind.SRTP
    assert known.kind("p", "sip:b") is None and known.kind("q", "sip:a") is None


def test_what_a_description_says_counts_more_than_a_contact() -> None:
    known = Habits()
    known.registered("p", registered("10.0.0.7"))
    assert known.media_address("p", HOME) == "10.0.0.7"
    known.said("p", HOME, HOME)
    known.registered("p", registered("10.0.0.7"))
    assert known.media_address("p", HOME) == HOME


def test_a_phone_that_rewrites_its_contact_is_behind_its_router_still() -> None:
    """pjsip and linphone name their own address in the first REGISTER only."""
    known = Habits()
    known.registered("p", registered("10.0.0.7"))
    known.registered("p", registered(HOME))
    assert known.media_address("p", HOME) == "10.0.0.7"
    assert known.media_address("p", OFFICE) == ""


def test_what_says_nothing_changes_nothing() -> None:
    known = Habits()
    known.registered("p", registered(HOME))
    known.registered("p", registered(""))
    known.said("p", HOME, "")
    assert known.media_address("p", HOME) == ""


def test_the_oldest_is_forgotten() -> None:
    known = Habits()
    for number in range(MAX_KEPT + 1):
        known.said(str(number), HOME, "10.0.0.7")
    assert known.media_address("0", HOME) == ""
    assert known.media_address("1", HOME) == "10.0.0.7"
