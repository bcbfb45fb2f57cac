"""registrar/rules/register.py: RFC 3261 section 10.3, case by case, and against a small model."""

import os
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from registrar.errors import SipError
from registrar.model import Binding, Epoch, EventKind, Snapshot
from registrar.rules.register import (
    MAX_CONTACTS,
    MAX_EXPIRES,
    Accepted,
    Outcome,
    Registration,
    Rejected,
    contact_values,
    drop,
    expire,
    hear,
    local_address,
    names_phone,
    printable,
    read,
    register,
    silence,
)
from registrar.sip import parse_name_addrs, parse_uri
from tests.every import every
from tests.patience import SOAK

from .words import NOW, ORIGIN, asked, binding, request

A, B, C = "sip:200@10.0.0.7", "sip:200@10.0.0.8", "sip:200@10.0.0.9"
INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"'
UUID = "urn:uuid:00000000-0000-1000-8000-000a95a0e128"
ONE = Snapshot(1, (binding(),))
EMPTY = Snapshot()
OUT_OF_ORDER = Rejected(400, "CSeq Out Of Order", label="cseq-out-of-order")


def after(before: Snapshot, *contacts: str, now: Epoch = NOW, **more: object) -> Accepted:
    outcome = outcome_of(before, *contacts, now=now, **more)
    assert isinstance(outcome, Accepted), outcome
    return outcome


def outcome_of(before: Snapshot, *contacts: str, now: Epoch = NOW, **more: object) -> Outcome:
    what = asked(*contacts, **({"cseq": 2} | more))  # type: ignore[arg-type]  # names of `asked`
    return register(before, what, ORIGIN, now)


def at(outcome: Accepted) -> list[str]:
    return [kept.contact for kept in outcome.bindings]


def kinds(outcome: Accepted) -> list[EventKind]:
    return [event.kind for event in outcome.events]


# What is asked for


@every(
    ("contact", "header", "seconds"),
    [
        pytest.param(f"<{A}>", None, 3_600, id="nothing: the default"),
        pytest.param(f"<{A}>", "600", 600, id="the header"),
        pytest.param(f"<{A}>;expires=600", None, 600, id="the parameter"),
        pytest.param(f"<{A}>;expires=600", "1200", 600, id="the parameter over the header"),
        pytest.param(f"<{A}>;expires=0", "1200", 0, id="a parameter of 0 over the header"),
        pytest.param(f"<{A}>", "0", 0, id="0 removes"),
        pytest.param(f"<{A}>", "000", 0, id="000 removes"),
        pytest.param(f"<{A}>", "60", 60, id="the least"),
        pytest.param(f"<{A}>", "7200", 7_200, id="the most"),
        pytest.param(f"<{A}>", "7201", 7_200, id="more than the most"),
        pytest.param(f"<{A}>", "4294967295", 7_200, id="2^32-1"),
        pytest.param(f"<{A}>", "4294967296", 7_200, id="2^32"),
        pytest.param(f"<{A}>", "9" * 400, 7_200, id="400 digits"),
        pytest.param(f"<{A}>", "0" * 40 + "600", 600, id="40 zeros before the number"),
        pytest.param(f"<{A}>", "soon", 3_600, id="a word"),
        pytest.param(f"<{A}>", "-1", 3_600, id="a negative number"),
        pytest.param(f"<{A}>", "3600.5", 3_600, id="a fraction"),
        pytest.param(f"<{A}>", "١٢٣", 3_600, id="digits of another script"),
        pytest.param(f"<{A}>;expires=", None, None, id="an empty parameter"),
        pytest.param(f"<{A}>;expires", "600", 3_600, id="a parameter without a value"),
        pytest.param(f'<{A}>;expires="600"', None, 3_600, id="a quoted number"),
        pytest.param(f"<{A}>;expires=soon", "600", 3_600, id="a word as parameter"),
    ],
)
def test_expires(contact: str, header: str | None, seconds: int | None) -> None:
    """Statements 13 to 15: the parameter wins, nonsense is an hour, too much is cut."""
    if seconds is None:
        with pytest.raises(SipError):
            asked(contact, expires=header)
        return
    assert asked(contact, expires=header).contacts[0].expires == seconds


@pytest.mark.parametrize("seconds", [1, 30, 59])
@pytest.mark.parametrize("place", ["header", "parameter"])
def test_too_brief_is_423_with_min_expires(seconds: int, place: str) -> None:
    contact = f"<{A}>;expires={seconds}" if place == "parameter" else f"<{A}>"
    refused = read(request(contact, expires=str(seconds) if place == "header" else None))
    assert refused == Rejected(423, "Interval Too Brief", (("Min-Expires", "60"),))


@every(
    ("contacts", "expires", "status"),
    [
        pytest.param(["*"], None, 400, id="* without Expires"),
        pytest.param(["*"], "3600", 400, id="* with an Expires that is not 0"),
        pytest.param(["*"], "soon", 400, id="* with an Expires that is no number"),
        pytest.param([f"<{A}>;q=2"], None, 400, id="a q over 1"),
        pytest.param([f"<{A}>;q=0.1234"], None, 400, id="a q of four decimals"),
        pytest.param(["<sip:200@224.0.0.1>"], None, 400, id="a multicast address"),
        pytest.param(["<sip:200@[ff02::1]>"], None, 400, id="a multicast address of IPv6"),
        pytest.param(["<sip:200@[::ffff:224.0.0.1]>"], None, 400, id="a multicast address, mapped"),
        pytest.param(["<sip:200@0.0.0.0>"], None, 400, id="the unspecified address"),
        pytest.param(["<sip:200@[::]>"], None, 400, id="the unspecified address of IPv6"),
        pytest.param(["<sip:200@[::ffff:0.0.0.0]>"], None, 400, id="the unspecified address, mapped"),
        pytest.param(["<sip:200@255.255.255.255>"], None, 400, id="the broadcast address"),
        pytest.param([f"<sip:200@10.0.0.{n}>" for n in range(1, 7)], None, 403, id="six contacts"),
        pytest.param([f"<sip:200@10.0.0.{n}>" for n in range(1, 7)], "0", 403, id="six contacts to remove"),
        pytest.param([f"<{A}>", f"<{B}>;expires=30"], None, 423, id="one of two too brief"),
        pytest.param([f"<{A}>;q=7", f"<{B}>"], None, 400, id="one of two bad"),
    ],
)
def test_it_cannot_be_granted_with(contacts: list[str], expires: str | None, status: int) -> None:
    refused = read(request(*contacts, expires=expires))
    assert isinstance(refused, Rejected)
    assert refused.status == status


@pytest.mark.parametrize(
    "contacts",
    [
        pytest.param(["*", f"<{A}>"], id="* before another"),
        pytest.param([f"<{A}>", "*"], id="* after another"),
        pytest.param(["*", "*"], id="* twice"),
        pytest.param(["*;expires=0"], id="* with a parameter"),
    ],
)
def test_it_is_malformed_with(contacts: list[str]) -> None:
    with pytest.raises(SipError):
        request(*contacts, expires="0")


@pytest.mark.parametrize("q", ["0", "0.5", "0.123", "1", "1.0", "1.000"])
def test_q_is_kept_as_written(q: str) -> None:
    assert asked(f"<{A}>;q={q}").contacts[0].q == q


@pytest.mark.parametrize(
    ("parameters", "instance", "reg_id"),
    [
        pytest.param("", "", 0, id="nothing"),
        pytest.param(f";{INSTANCE}", UUID, 0, id="an instance"),
        pytest.param(f";{INSTANCE};reg-id=1", UUID, 1, id="an instance and a flow"),
        pytest.param(";reg-id=1", "", 0, id="a flow of no instance is none"),
        pytest.param(f";{INSTANCE};reg-id=x", UUID, 0, id="a flow that is no number"),
        pytest.param(f";{INSTANCE};reg-id={'9' * 40}", UUID, 0, id="a flow that is too big"),
    ],
)
def test_instance_and_flow(parameters: str, instance: str, reg_id: int) -> None:
    contact = asked(f"<{A}>{parameters}").contacts[0]
    assert (contact.instance, contact.reg_id) == (instance, reg_id)


def test_a_uri_that_stands_twice_means_what_was_said_last() -> None:
    twice = asked(f"<{A}>;expires=600", f"<{B}>", f"<{A};lr>;expires=0")
    assert [(str(contact.uri), contact.expires) for contact in twice.contacts] == [(B, 3_600), (f"{A};lr", 0)]


@pytest.mark.parametrize(
    ("contacts", "expires", "binds"),
    [
        pytest.param([], None, False, id="no contact"),
        pytest.param(["*"], "0", False, id="*"),
        pytest.param([f"<{A}>"], None, True, id="a contact"),
        pytest.param([f"<{A}>"], "0", False, id="a contact to remove"),
        pytest.param([f"<{A}>;expires=0", f"<{B}>"], None, True, id="one of each"),
    ],
)
def test_what_is_a_first_contact(contacts: list[str], expires: str | None, binds: bool) -> None:
    assert asked(*contacts, expires=expires).binds == binds


# What becomes of the bindings


def test_a_first_contact_is_added() -> None:
    outcome = after(EMPTY, f"<{A}>;q=0.5;{INSTANCE};reg-id=2", expires="600", call_id="x", cseq=7)
    assert outcome.bindings == (
        binding(expires_at=int(NOW) + 600, call_id="x", cseq=7, q="0.5", instance=UUID, reg_id=2),
    )
    assert kinds(outcome) == [EventKind.REGISTERED]
    assert outcome.touched == {A}


def test_a_refresh_moves_the_expiry_and_nothing_else() -> None:
    later = Epoch(NOW + 100)
    outcome = after(ONE, f"<{A}>", now=later)
    assert outcome.bindings == (
        binding(expires_at=int(later) + 3_600, cseq=2, registered_at=int(NOW), refreshed_at=int(later)),
    )
    assert outcome.events == ()


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param("<sip:200@10.0.0.7;lr>", id="a parameter that does not tell"),
        pytest.param("<SIP:200@10.0.0.7>", id="another case of the scheme"),
        pytest.param("<sip:%32%30%30@10.0.0.7>", id="escapes"),
        pytest.param(f'"Anna" <{A}>', id="a display name"),
        pytest.param(A, id="no brackets"),
    ],
)
def test_a_uri_is_the_same_in_another_spelling(spelling: str) -> None:
    assert len(after(ONE, spelling).bindings) == 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param("<sip:200@10.0.0.7:5060>", id="an explicit port"),
        pytest.param("<sips:200@10.0.0.7>", id="another scheme"),
        pytest.param("<sip:200@10.0.0.7;transport=tcp>", id="another transport"),
        pytest.param("<sip:201@10.0.0.7>", id="another user"),
        pytest.param("<sip:10.0.0.7>", id="no user"),
        pytest.param("<sip:%00@10.0.0.7>", id="an escaped NUL"),
    ],
)
def test_a_uri_is_another_with(other: str) -> None:
    assert len(after(ONE, other).bindings) == 2


def test_contacts_of_any_scheme_are_stored() -> None:
    assert at(after(EMPTY, "<tel:+4570305050>", "<mailto:anna@acme.test>")) == [
        "tel:+4570305050",
        "mailto:anna@acme.test",
    ]


@pytest.mark.parametrize(
    ("contacts", "expires", "left"),
    [
        pytest.param([f"<{A}>;expires=0"], None, [B], id="the parameter"),
        pytest.param([f"<{A}>"], "0", [B], id="the header"),
        pytest.param([f"<{C}>"], "0", [A, B], id="one that is not there"),
        pytest.param([f"<{A}>", f"<{B}>"], "0", [], id="both"),
        pytest.param(["*"], "0", [], id="*"),
        pytest.param([f"<{A}>;expires=0", f"<{C}>"], None, [C, B], id="one goes, one comes"),
    ],
)
def test_removal_by(contacts: list[str], expires: str | None, left: list[str]) -> None:
    both = Snapshot(1, (binding(), binding("10.0.0.8")))
    outcome = after(both, *contacts, expires=expires)
    assert at(outcome) == left
    assert kinds(outcome).count(EventKind.UNREGISTERED) == len({A, B} - set(left))


def test_no_contact_leaves_all_as_it_is() -> None:
    both = Snapshot(1, (binding(), binding("10.0.0.8")))
    outcome = after(both, cseq=1)
    assert outcome.bindings == both.bindings
    assert outcome.events == ()


@every(
    ("contacts", "expires", "call_id", "cseq", "refused"),
    [
        pytest.param([f"<{A}>"], None, "call-1", 1, True, id="the same CSeq"),
        pytest.param([f"<{A}>"], None, "call-1", 0, True, id="a lower CSeq"),
        pytest.param([f"<{A}>"], None, "call-1", 2, False, id="a higher CSeq"),
        pytest.param([f"<{A}>"], None, "call-2", 1, False, id="another Call-ID: it has restarted"),
        pytest.param([f"<{A}>"], "0", "call-1", 1, True, id="a removal of the same CSeq"),
        pytest.param(["*"], "0", "call-1", 1, True, id="* of the same CSeq"),
        pytest.param(["*"], "0", "call-1", 2, False, id="* of a higher CSeq"),
        pytest.param(["*"], "0", "call-2", 1, False, id="* of another Call-ID"),
        pytest.param([f"<{B}>"], None, "call-1", 1, False, id="another contact of the same CSeq"),
        pytest.param([f"<{C}>", f"<{A}>"], None, "call-1", 1, True, id="one of two: nothing is applied"),
        pytest.param([f"<{C}>;expires=0", f"<{A}>"], None, "call-1", 1, True, id="one refused, one removed"),
    ],
)
def test_order(contacts: list[str], expires: str | None, call_id: str, cseq: int, refused: bool) -> None:
    """Statements 12, 19, 20; section 10.3 steps 6 and 7."""
    outcome = outcome_of(ONE, *contacts, expires=expires, call_id=call_id, cseq=cseq)
    assert (outcome == OUT_OF_ORDER) is refused


def test_an_expired_binding_orders_nothing() -> None:
    late = Epoch(NOW + 3_600)
    outcome = after(ONE, f"<{A}>", cseq=1, now=late)
    assert kinds(outcome) == [EventKind.EXPIRED, EventKind.REGISTERED]
    assert outcome.bindings[0].registered_at == int(late)


# RFC 5626 and decision 10


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        pytest.param((UUID, 1), f";{INSTANCE};reg-id=1", 1, id="the same flow: replaced"),
        pytest.param((UUID, 0), f";{INSTANCE}", 1, id="the same instance, both without a flow: replaced"),
        pytest.param((UUID, 1), f";{INSTANCE};reg-id=2", 2, id="another flow stands beside"),
        pytest.param((UUID, 1), f";{INSTANCE}", 2, id="no flow is another one"),
        pytest.param(("urn:uuid:other", 0), f";{INSTANCE}", 2, id="another instance stands beside"),
        pytest.param(("", 0), "", 2, id="no instance is no match"),
    ],
)
def test_an_instance_replaces(old: tuple[str, int], new: str, count: int) -> None:
    before = Snapshot(1, (binding(instance=old[0], reg_id=old[1]),))
    outcome = after(before, f"<{B}>{new}")
    assert at(outcome) == [B, A][:count]


@pytest.mark.parametrize(
    ("flow", "left"),
    [
        pytest.param("", [B], id="the instance alone: the newer Contact stays"),
        pytest.param(";reg-id=1", [], id="the instance and its flow are the key"),
    ],
)
@pytest.mark.parametrize("header", [True, False])
def test_a_late_removal_of_the_old_contact(flow: str, left: list[str], header: bool) -> None:
    """pjsip/pjproject#1086: which of the two came last decided whether the phone could be reached."""
    before = after(Snapshot(), f"<{B}>;{INSTANCE}{flow}")
    gone = f"<{A}>;{INSTANCE}{flow}" + ("" if header else ";expires=0")
    expires = "0" if header else None
    outcome = after(Snapshot(1, before.bindings), gone, expires=expires, call_id="old")
    assert at(outcome) == left
    assert kinds(outcome) == ([] if left else [EventKind.UNREGISTERED])


def test_an_instance_that_comes_by_another_address_has_moved() -> None:
    before = Snapshot(1, (binding(instance=UUID, public_ip="203.0.113.9", registered_at=5),))
    outcome = after(before, f"<{B}>;{INSTANCE}")
    assert kinds(outcome) == [EventKind.MOVED]
    assert outcome.bindings[0].registered_at == 5


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"public_ip": "203.0.113.9"}, id="another address"),
        pytest.param({"transport": "tcp"}, id="another transport"),
        pytest.param({"user_agent": "Phone 2.0"}, id="another user agent"),
    ],
)
def test_it_has_moved_with(change: dict[str, str]) -> None:
    assert kinds(after(Snapshot(1, (binding(**change),)), f"<{A}>")) == [EventKind.MOVED]


def test_another_port_is_no_move() -> None:
    assert after(Snapshot(1, (binding(public_port=9),)), f"<{A}>").events == ()


def test_bindings_of_one_request_do_not_replace_each_other() -> None:
    both = after(EMPTY, f"<{A}>;{INSTANCE}", f"<{B}>;{INSTANCE}")
    assert at(both) == [A, B]
    again = after(Snapshot(1, both.bindings), f"<{A}>;{INSTANCE}", f"<{B}>;{INSTANCE}", cseq=3)
    assert at(again) == [A, B]
    assert again.events == (), "a mere refresh is no event"
    assert [kept.registered_at for kept in again.bindings] == [int(NOW)] * 2


@pytest.mark.parametrize(
    "contacts",
    [
        pytest.param([f"<{A}>;{INSTANCE};expires=0", f"<{B}>;{INSTANCE}"], id="the old address first"),
        pytest.param([f"<{B}>;{INSTANCE}", f"<{A}>;{INSTANCE};expires=0"], id="the new address first"),
    ],
)
def test_a_phone_that_names_its_old_address_with_the_new_has_moved(contacts: list[str]) -> None:
    before = Snapshot(1, (binding(instance=UUID, public_ip="203.0.113.9"),))
    outcome = after(before, *contacts)
    assert at(outcome) == [B]
    assert kinds(outcome) == [EventKind.MOVED]


def test_a_contact_that_stands_twice_in_a_refresh_is_no_event() -> None:
    assert after(ONE, f"<{A}>", f"<{A}>").events == ()


def test_beyond_five_the_one_refreshed_longest_ago_goes() -> None:
    old = tuple(binding(f"10.0.1.{n}", refreshed_at=int(NOW) - n) for n in range(MAX_CONTACTS))
    outcome = after(Snapshot(1, old), f"<{A}>")
    assert at(outcome) == [A, *(f"sip:200@10.0.1.{n}" for n in range(MAX_CONTACTS - 1))]
    assert [(event.kind, event.reason) for event in outcome.events] == [
        (EventKind.REGISTERED, "registered"),
        (EventKind.LOST, "too-many-contacts"),
    ]


@pytest.mark.parametrize("most", [1, 3])
def test_a_phone_may_have_fewer_contacts_than_five(most: int) -> None:
    old = tuple(binding(f"10.0.1.{n}", refreshed_at=int(NOW) - n) for n in range(MAX_CONTACTS))
    one = register(Snapshot(1, old), asked(f"<{A}>"), ORIGIN, NOW, most=most)
    assert isinstance(one, Accepted)
    assert at(one) == [A, *(f"sip:200@10.0.1.{n}" for n in range(most - 1))]
    many = [f"<sip:200@10.0.2.{n}>" for n in range(most + 1)]
    refused = register(Snapshot(), asked(*many), ORIGIN, NOW, most=most)
    assert isinstance(refused, Rejected) and (refused.status, refused.label) == (403, "too-many-contacts")
    assert refused.why == f"Contact: {most + 1} contacts, and a phone may have {most}"
    gone = register(Snapshot(1, old), asked(*(f"{one};expires=0" for one in many)), ORIGIN, NOW, most=most)
    assert isinstance(gone, Accepted), "removals are no contacts"


def test_removals_of_the_same_request_make_room_first() -> None:
    old = tuple(binding(f"10.0.1.{n}") for n in range(MAX_CONTACTS))
    outcome = after(Snapshot(1, old), f"<{A}>", "<sip:200@10.0.1.0>;expires=0")
    assert len(outcome.bindings) == MAX_CONTACTS
    assert EventKind.LOST not in kinds(outcome)


# Connections: what is bound to one that is closed, and browsers that were reloaded


def connected(host: str, **changes: object) -> Binding:
    """A binding over WSS."""
    return binding(host, **({"transport": "wss", "flow": 1} | changes))


def browser(before: Snapshot, *contacts: str, one_device: bool = True, transport: str = "wss") -> Accepted:
    """What becomes of a REGISTER over a new connection of a phone that is one browser."""
    origin = replace(ORIGIN, transport=transport, flow=9, one_device=one_device)
    outcome = register(before, asked(*contacts, call_id="call-9"), origin, NOW)
    assert isinstance(outcome, Accepted), outcome
    return outcome


def test_a_binding_is_over_the_connection_its_request_came_by() -> None:
    (made,) = browser(EMPTY, f"<{A}>").bindings
    assert (made.transport, made.flow, made.connected) == ("wss", 9, True)
    (refreshed,) = browser(Snapshot(1, (connected("10.0.0.7"),)), f"<{A}>").bindings
    assert refreshed.flow == 9, "a refresh moves it there"


def test_a_browser_that_was_reloaded_is_where_it_is_now() -> None:
    """SIP.js makes up another contact, and another instance, at each start."""
    before = Snapshot(1, (connected("10.0.0.8", instance="urn:uuid:before", registered_at=5),))
    outcome = browser(before, f"<{A}>;{INSTANCE}")
    assert at(outcome) == [A]
    assert outcome.events == (), "neither gone nor new: the same browser at the same place"
    assert outcome.bindings[0].registered_at == 5


@pytest.mark.parametrize(
    ("old", "contact"),
    [
        pytest.param(connected("10.0.0.8"), f"<{A}>", id="neither has an instance"),
        pytest.param(connected("10.0.0.8", instance=UUID), f"<{A}>", id="it had one"),
        pytest.param(connected("10.0.0.8"), f"<{A}>;{INSTANCE}", id="it has one now"),
        pytest.param(connected("10.0.0.8", transport="ws"), f"<{A}>", id="without TLS"),
        pytest.param(
            connected("10.0.0.8", instance="urn:uuid:before", reg_id=1),
            f"<{A}>;{INSTANCE};reg-id=1",
            id="another instance with the same flow",
        ),
    ],
)
def test_a_browsers_newest_registration_replaces_its_other(old: Binding, contact: str) -> None:
    assert at(browser(Snapshot(1, (old,)), contact)) == [A]
    assert len(browser(Snapshot(1, (old,)), contact, one_device=False).bindings) == 2


@pytest.mark.parametrize(
    ("old", "contact"),
    [
        pytest.param(binding("10.0.0.8"), f"<{A}>", id="what stands over UDP"),
        pytest.param(connected("10.0.0.8", transport="tls"), f"<{A}>", id="what stands over TLS"),
        pytest.param(
            connected("10.0.0.8", instance=UUID, reg_id=1), f"<{A}>;{INSTANCE};reg-id=2", id="a second flow"
        ),
    ],
)
def test_a_browsers_newest_registration_leaves_alone(old: Binding, contact: str) -> None:
    """RFC 5626 section 4.2: two flows of one instance stand beside each other on purpose."""
    assert len(browser(Snapshot(1, (old,)), contact).bindings) == 2


def test_a_browser_that_leaves_takes_nobody_with_it() -> None:
    """What it says goodbye to may be its last connection, and the newest has come already."""
    before = Snapshot(1, (connected("10.0.0.8"),))
    assert at(browser(before, f"<{A}>;expires=0")) == [B]


def test_a_browser_may_have_two_contacts_in_one_request() -> None:
    before = Snapshot(1, (connected("10.0.0.9"),))
    assert at(browser(before, f"<{A}>", f"<{B}>")) == [A, B]


def test_beyond_five_those_on_closed_connections_go_first() -> None:
    """Decision 10: closed flow first, then the oldest refresh."""
    numbers = range(1, MAX_CONTACTS + 1)
    old = tuple(connected(f"10.0.1.{n}", flow=n, refreshed_at=int(NOW) - n) for n in numbers)
    before, closed = Snapshot(1, old), {1, 3}
    left: list[int] = []
    for _ in range(3):
        what = asked(f"<sip:200@10.0.2.{len(left)}>", call_id="call-9")
        outcome = register(
            before, what, ORIGIN, Epoch(NOW + len(left) + 1), lambda binding: binding.flow in closed
        )
        assert isinstance(outcome, Accepted)
        (gone,) = set(before.bindings) - set(outcome.bindings)
        assert outcome.events[-1].reason == "too-many-contacts"
        left.append(gone.flow)
        before = Snapshot(2, outcome.bindings)
    assert left == [3, 1, 5], "of the closed ones the older first, then the oldest"


def test_what_this_request_made_never_goes() -> None:
    old = tuple(connected(f"10.0.1.{n}", flow=n) for n in range(MAX_CONTACTS))
    what = asked(*(f"<sip:200@10.0.2.{n}>" for n in range(MAX_CONTACTS)), call_id="call-9")
    outcome = register(Snapshot(1, old), what, ORIGIN, NOW, lambda binding: binding.flow == 0)
    assert isinstance(outcome, Accepted)
    assert at(outcome) == [f"sip:200@10.0.2.{n}" for n in range(MAX_CONTACTS)]


def test_a_closed_connection_alone_ends_nothing() -> None:
    """Its phone has a grace to come back in."""
    before = Snapshot(1, (connected("10.0.0.8"),))
    outcome = register(before, asked(f"<{A}>", call_id="call-9"), ORIGIN, NOW, lambda _: True)
    assert isinstance(outcome, Accepted)
    assert at(outcome) == [A, B]


# What the phone is told


def test_every_binding_is_listed_the_requests_own_first() -> None:
    bindings = (binding(q="0.5"), binding("10.0.0.8", instance=UUID, reg_id=1))
    assert contact_values(bindings, frozenset({B}), Epoch(NOW + 600)) == [
        f"<{B}>;{INSTANCE};reg-id=1;expires=3000",
        f"<{A}>;q=0.5;expires=3000",
    ]


@pytest.mark.parametrize(
    "instance",
    [
        pytest.param('urn:x";expires=9,<sip:evil@evil.test>;x="', id="a quote and another contact"),
        pytest.param("urn:x\\", id="a backslash at the end"),
        pytest.param("urn:ø", id="a letter outside ASCII"),
    ],
)
def test_an_instance_cannot_leave_its_quotes(instance: str) -> None:
    (value,) = contact_values((binding(instance=instance),), frozenset(), NOW)
    (address,) = parse_name_addrs(value)
    assert asked(value).contacts[0].instance == instance
    assert dict(address.params)["expires"] == "3600"


@settings(max_examples=200 if SOAK else 40, deadline=None)
@given(
    part=st.floats(0, 1, exclude_max=True) | st.sampled_from([0.0, 0.25, 0.5, 0.75]),
    seconds=st.integers(60, MAX_EXPIRES),
    pauses=st.lists(st.floats(0.001, 50), min_size=100, max_size=100),
)
def test_a_hundred_refreshes_are_granted_exactly_what_they_ask(
    part: float, seconds: int, pauses: list[float]
) -> None:
    now, bindings = Epoch(NOW + part), ONE.bindings
    what = Registration(asked(f"<{A}>", expires=str(seconds)).contacts, False, "call-9", 0)
    for cseq, pause in enumerate(pauses, start=1):
        now = Epoch(now + pause)
        outcome = register(Snapshot(cseq, bindings), replace(what, cseq=cseq), ORIGIN, now)
        assert isinstance(outcome, Accepted)
        bindings = outcome.bindings
        assert contact_values(bindings, outcome.touched, now)[0].endswith(f";expires={seconds}")


def test_what_is_told_of_another_binding_runs_down_to_one() -> None:
    shown = [
        int(contact_values(ONE.bindings, frozenset(), Epoch(NOW + passed))[0].rpartition("=")[2])
        for passed in (0, 1, 3_598, 3_599, 3_599.9)
    ]
    assert shown == [3_600, 3_599, 2, 1, 1]


# What ends without the phone


def test_what_has_run_out_ends() -> None:
    before = Snapshot(1, (binding(), binding("10.0.0.8", expires_at=int(NOW))))
    outcome = expire(before, NOW)
    assert at(outcome) == [A]
    assert [(event.kind, event.reason, event.at) for event in outcome.events] == [
        (EventKind.EXPIRED, "expired", int(NOW))
    ]


def test_a_drop_ends_what_has_run_out_too() -> None:
    """Else a phone whose last live binding was revoked would be shown by one that is no more."""
    before = Snapshot(1, (binding(), binding("10.0.0.8", expires_at=int(NOW) - 5)))
    outcome = drop(before, [binding()], EventKind.REVOKED, "revoked", NOW)
    assert outcome.bindings == ()
    assert kinds(outcome) == [EventKind.EXPIRED, EventKind.REVOKED]


# Who and where


@pytest.mark.parametrize(
    ("to", "own"),
    [
        pytest.param("sip:200@acme.test", True, id="the extension"),
        pytest.param("sip:%3200@acme.test;user=phone", True, id="the extension, escaped"),
        pytest.param("sip:username@acme.test", True, id="the username"),
        pytest.param("sip:USERNAME@acme.test", False, id="users are told by case"),
        pytest.param("sip:201@acme.test", False, id="another extension"),
        pytest.param("sip:acme.test", False, id="no user"),
    ],
)
def test_to_names_the_phone(to: str, own: bool) -> None:
    assert names_phone(parse_uri(to), "username", "200") is own


def test_a_phone_without_extension_is_not_named_by_nothing() -> None:
    assert not names_phone(parse_uri("sip:acme.test"), "username", "")


@pytest.mark.parametrize(
    ("contacts", "address"),
    [
        pytest.param(["<sip:200@192.168.1.5:5062>"], "192.168.1.5", id="that of the Contact"),
        pytest.param(["<sip:200@[2001:DB8::5]>"], "2001:db8::5", id="that of the Contact, IPv6"),
        pytest.param(["<sip:200@phone.invalid>"], "10.0.0.7", id="else that of Via"),
        pytest.param([], "10.0.0.7", id="that of Via without a Contact"),
    ],
)
def test_the_local_address_is(contacts: list[str], address: str) -> None:
    assert local_address(request(*contacts)) == address


def test_a_browser_has_no_local_address() -> None:
    message = request("<sip:x@y.invalid;transport=ws>")
    message.headers.replace("via", "SIP/2.0/WSS z.invalid;branch=z9hG4bKa")
    message._via = None
    assert local_address(message) == ""


@given(text=st.text(max_size=400))
def test_what_others_will_show_has_no_control_characters(text: str) -> None:
    shown = printable(text, 256)
    assert len(shown) <= 256
    assert not [c for c in shown if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000]


# The registrar against a small model


@dataclass(frozen=True)
class Entry:
    """What the model knows of one binding."""

    until: float
    call_id: str
    cseq: int
    refreshed: tuple[float, int]
    """When, and of several contacts of one request the first counts as the latest."""


class Model:
    """RFC 3261 section 10.3 over addresses that cannot be confused."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def expire(self, now: float) -> None:
        self.entries = {uri: entry for uri, entry in self.entries.items() if entry.until > now}

    def register(self, wanted: dict[str, int], call_id: str, cseq: int, now: float) -> bool:
        self.expire(now)
        if any(self.blocks(uri, call_id, cseq) for uri in wanted):
            return False
        for position, (uri, seconds) in enumerate(wanted.items()):
            self.entries.pop(uri, None)
            if seconds:
                self.entries[uri] = Entry(now + seconds, call_id, cseq, (now, -position))
        own = {uri for uri, seconds in wanted.items() if seconds}
        others = sorted(self.entries.keys() - own, key=lambda uri: self.entries[uri].refreshed)
        for uri in others[: max(0, len(self.entries) - MAX_CONTACTS)]:
            del self.entries[uri]
        return True

    def clear(self, call_id: str, cseq: int, now: float) -> bool:
        self.expire(now)
        if any(self.blocks(uri, call_id, cseq) for uri in self.entries):
            return False
        self.entries.clear()
        return True

    def blocks(self, uri: str, call_id: str, cseq: int) -> bool:
        entry = self.entries.get(uri)
        return entry is not None and entry.call_id == call_id and cseq <= entry.cseq


URIS = st.sampled_from([f"sip:200@10.0.0.{n}" for n in range(1, 9)])
WANTED = st.dictionaries(URIS, st.sampled_from([0, 60, 600, 3_600]), min_size=1, max_size=MAX_CONTACTS)
CALLS = st.tuples(st.sampled_from(["x", "y"]), st.integers(1, 6))


class Registrar(RuleBasedStateMachine):
    """Both take the same requests; no two of them in one second."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.bindings: tuple[Binding, ...] = ()
        self.now = NOW

    @rule(seconds=st.sampled_from([1, 30, 59, 60, 600, 3_600]))
    def wait(self, seconds: int) -> None:
        self.now = Epoch(self.now + seconds)

    @rule(wanted=WANTED, call=CALLS)
    def register(self, wanted: dict[str, int], call: tuple[str, int]) -> None:
        self.now = Epoch(self.now + 1)
        values = [f"<{uri}>;expires={seconds}" for uri, seconds in wanted.items()]
        self.apply(
            asked(*values, call_id=call[0], cseq=call[1]), self.model.register(wanted, *call, self.now)
        )

    @rule(call=CALLS)
    def wildcard(self, call: tuple[str, int]) -> None:
        self.now = Epoch(self.now + 1)
        what = asked("*", expires="0", call_id=call[0], cseq=call[1])
        self.apply(what, self.model.clear(*call, self.now))

    @rule()
    def sweep(self) -> None:
        self.bindings = expire(Snapshot(1, self.bindings), self.now).bindings

    def apply(self, what: Registration, accepted: bool) -> None:
        outcome = register(Snapshot(1, self.bindings), what, ORIGIN, self.now)
        assert isinstance(outcome, Accepted) is accepted
        if isinstance(outcome, Accepted):
            self.bindings = outcome.bindings

    @invariant()
    def they_agree(self) -> None:
        self.model.expire(self.now)
        live = Snapshot(1, self.bindings).live(self.now)
        assert len(live) <= MAX_CONTACTS
        assert {kept.contact: (kept.expires_at, kept.call_id, kept.cseq) for kept in live} == {
            uri: (entry.until, entry.call_id, entry.cseq) for uri, entry in self.model.entries.items()
        }


RUNS = int(os.environ.get("MODEL_RUNS", "150" if SOAK else "50"))
STEPS = int(os.environ.get("MODEL_STEPS", "30"))


def test_the_registrar_does_what_the_model_does() -> None:
    run_state_machine_as_test(
        Registrar, settings=settings(max_examples=RUNS, stateful_step_count=STEPS, deadline=None)
    )


# Who is silent over UDP


SILENT_SINCE = int(NOW) - 60


def silent(host: str = "10.0.0.7", **changes: object) -> Binding:
    return binding(host, **{"silent_since": SILENT_SINCE, "registered_at": int(NOW) - 900, **changes})


def test_whoever_falls_silent_stays_bound() -> None:
    one, other = binding(), binding("10.0.0.8", public_port=5062)
    outcome = silence(Snapshot(1, (one, other)), [one], NOW)
    assert outcome.bindings == (replace(one, silent_since=int(NOW)), other)
    assert [(event.kind, event.reason, event.port) for event in outcome.events] == [
        (EventKind.LOST, "ping-timeout", 5060)
    ]


def test_whoever_is_heard_again_is_told_of() -> None:
    one, other = silent(), silent("10.0.0.8", public_port=5062)
    outcome = hear(Snapshot(1, (one, other)), [other], "ping-answered", NOW)
    assert outcome.bindings == (one, replace(other, silent_since=0))
    assert [(event.kind, event.reason, event.port) for event in outcome.events] == [
        (EventKind.REGISTERED, "ping-answered", 5062)
    ]


def test_a_silent_phone_that_registers_is_registered_anew() -> None:
    outcome = after(Snapshot(1, (silent(),)), f"<{A}>", call_id="call-9")
    (made,) = outcome.bindings
    assert (made.silent_since, made.registered_at) == (0, int(NOW) - 900)
    assert [(event.kind, event.reason) for event in outcome.events] == [(EventKind.REGISTERED, "registered")]


def test_a_silent_phone_that_comes_from_elsewhere_has_moved() -> None:
    outcome = after(Snapshot(1, (silent(public_ip="203.0.113.9"),)), f"<{A}>", call_id="call-9")
    assert kinds(outcome) == [EventKind.MOVED]


def test_whatever_comes_from_the_place_of_a_silent_binding_shows_that_its_phone_is_there() -> None:
    before = Snapshot(1, (silent("10.0.0.8"), silent("10.0.0.9", public_port=5062)))
    outcome = after(before, call_id="call-9")
    assert [one.silent_since for one in outcome.bindings] == [0, SILENT_SINCE]
    assert [(event.kind, event.reason) for event in outcome.events] == [(EventKind.REGISTERED, "heard")]


def test_beyond_five_the_silent_go_before_the_others() -> None:
    old = tuple(binding(f"10.0.1.{n}", public_port=n, refreshed_at=int(NOW) - n) for n in range(MAX_CONTACTS))
    quiet = replace(old[0], silent_since=SILENT_SINCE)
    outcome = after(Snapshot(1, (quiet, *old[1:])), f"<{A}>")
    assert quiet.contact not in at(outcome)
