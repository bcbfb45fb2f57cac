"""registrar/rules/routing.py: from bindings to devices, each with its flows, best first."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.model import Binding, Flow, Process, Snapshot
from registrar.rules.routing import (
    MAX_CARRIED,
    can_be_carried,
    devices,
    folded_contact,
    has_moved,
    is_on,
    is_same_flow,
    named_by,
    named_of,
    reroute,
    same_device,
    target_by,
    unfolded_contact,
    way_of,
)
from registrar.rules.tokens import Target, instance_mark, target_of
from tests.every import every

from .words import NOW

LATER = int(NOW) + 60
UDP = Binding(
    "sip:a@10.0.0.7",
    LATER,
    "c",
    1,
    public_ip="198.51.100.7",
    public_port=5060,
    node="n",
    generation="g",
    refreshed_at=10,
)
TCP = replace(UDP, contact="sip:b@10.0.0.7", transport="tcp", flow=3)
FLOW_UDP = Flow("udp", "192.0.2.10", 5060, "198.51.100.7", 5060)
FLOW_TCP = Flow("tcp", "192.0.2.10", 5060, "198.51.100.7", 40_000, 3)


def rung(*found: tuple[str, Snapshot], caller: Target | None = None) -> list[list[tuple[str, str]]]:
    """The devices, each as phone and contact of its flows."""
    return [[(one.phone, one.contact) for one in row] for row in devices(found, NOW, caller)]


def test_every_device_of_every_phone_is_rung() -> None:
    one, other = Snapshot(1, (UDP, TCP)), Snapshot(1, (UDP,))
    assert rung(("p", one), ("q", other)) == [
        [("p", "sip:a@10.0.0.7")],
        [("p", "sip:b@10.0.0.7")],
        [("q", "sip:a@10.0.0.7")],
    ]


def test_what_has_run_out_is_not() -> None:
    assert rung(("p", Snapshot(1, (replace(UDP, expires_at=int(NOW)),)))) == []


def test_the_flows_of_one_instance_are_one_device_the_youngest_first() -> None:
    """RFC 5626 section 7: never two flows of one instance at once."""
    flows = tuple(
        replace(
            TCP, instance="urn:uuid:1", reg_id=number, contact=f"sip:{number}@a", refreshed_at=at, flow=flow
        )
        for number, at, flow in ((1, 10, 5), (2, 30, 6), (3, 30, 7))
    )
    assert rung(("p", Snapshot(1, flows))) == [[("p", "sip:3@a"), ("p", "sip:2@a"), ("p", "sip:1@a")]]


def test_one_instance_of_two_phones_is_two_devices() -> None:
    same = Snapshot(1, (replace(TCP, instance="urn:uuid:1"),))
    assert len(rung(("p", same), ("q", same))) == 2


def test_the_device_that_calls_does_not_ring() -> None:
    both = Snapshot(1, (UDP, TCP))
    assert rung(("p", both), caller=target_of("p", TCP)) == [[("p", "sip:a@10.0.0.7")]]
    assert rung(("p", both), caller=target_of("p", UDP)) == [[("p", "sip:b@10.0.0.7")]]
    assert len(rung(("p", both), caller=target_of("q", UDP))) == 2


def test_the_device_that_calls_does_not_ring_by_its_other_flow_either() -> None:
    older = replace(TCP, instance="urn:uuid:1", refreshed_at=1)
    newer = replace(older, reg_id=2, flow=4, refreshed_at=2)
    assert rung(("p", Snapshot(1, (older, newer))), caller=target_of("p", older)) == []


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        pytest.param({}, True, id="the same"),
        pytest.param({"contact": "sip:x@y"}, True, id="by another name"),
        pytest.param({"node": "m"}, True, id="over UDP, to another node"),
        pytest.param({"public_port": 5061}, False, id="another port"),
        pytest.param({"public_ip": "198.51.100.8"}, False, id="another address"),
        pytest.param({"transport": "tcp"}, False, id="a connection"),
    ],
)
def test_one_flow_over_udp_is_an_address(changes: dict[str, object], same: bool) -> None:
    other = replace(UDP, **changes)  # type: ignore[arg-type]  # the table names fields that exist
    assert is_same_flow(target_of("p", UDP), target_of("p", other)) is same
    assert not is_same_flow(target_of("p", UDP), target_of("q", other))


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        pytest.param({"public_port": 5061}, True, id="whatever its address"),
        pytest.param({"flow": 4}, False, id="another connection"),
        pytest.param({"node": "m"}, False, id="of another node"),
        pytest.param({"generation": "h"}, False, id="of an earlier process"),
    ],
)
def test_one_flow_of_a_connection_is_its_number_in_its_process(
    changes: dict[str, object], same: bool
) -> None:
    other = replace(TCP, **changes)  # type: ignore[arg-type]  # the table names fields that exist
    assert is_same_flow(target_of("p", TCP), target_of("p", other)) is same


@every(
    ("binding", "flow", "process", "on"),
    [
        pytest.param(UDP, FLOW_UDP, Process("n", "g"), True, id="UDP"),
        pytest.param(UDP, FLOW_UDP, Process("m", "h"), True, id="UDP, registered by another node"),
        pytest.param(UDP, replace(FLOW_UDP, remote_port=1), Process("n", "g"), False, id="UDP, another port"),
        pytest.param(
            UDP, replace(FLOW_UDP, remote_ip="a"), Process("n", "g"), False, id="UDP, another address"
        ),
        pytest.param(
            UDP, replace(FLOW_UDP, transport="tcp"), Process("n", "g"), False, id="UDP, from a connection"
        ),
        pytest.param(TCP, FLOW_TCP, Process("n", "g"), True, id="TCP"),
        pytest.param(TCP, replace(FLOW_TCP, id=4), Process("n", "g"), False, id="TCP, another connection"),
        pytest.param(TCP, FLOW_TCP, Process("n", "h"), False, id="TCP, of an earlier process"),
        pytest.param(TCP, FLOW_TCP, Process("m", "g"), False, id="TCP, of another node"),
        pytest.param(TCP, FLOW_UDP, Process("n", "g"), False, id="TCP, a datagram"),
    ],
)
def test_on_which_flow_a_phone_is_registered(
    binding: Binding, flow: Flow, process: Process, on: bool
) -> None:
    assert is_on(binding, flow, process) is on


def test_a_lost_device_is_looked_for_by_its_instance_then_by_its_contact_then_by_age() -> None:
    lost = named_of(target_of("p", replace(TCP, instance="urn:uuid:1", contact="sip:old@a")))
    there = [
        replace(TCP, contact="sip:1@a", refreshed_at=5),
        replace(TCP, contact="sip:2@a", refreshed_at=9),
        replace(TCP, contact="sip:old@a", refreshed_at=1),
        replace(TCP, contact="sip:4@a", refreshed_at=1, instance="urn:uuid:1"),
    ]
    assert [one.contact for one in reroute(there, lost)] == ["sip:4@a", "sip:old@a", "sip:2@a", "sip:1@a"]
    without = replace(lost, instance=instance_mark(""))
    assert reroute(there, without)[0].contact == "sip:old@a"
    assert reroute([], lost) == []
    assert named_by(there, lost) == there[2]
    assert named_by(there[:2], lost) is None


def test_the_device_that_calls_by_another_flow_than_its_own_does_not_ring() -> None:
    """An INVITE that is too large for UDP goes by TCP (RFC 3261 section 18.1.1)."""
    caller = replace(target_of("p", TCP), contact=UDP.contact, registered=UDP.contact)
    assert rung(("p", Snapshot(1, (UDP,))), caller=caller) == []
    assert len(rung(("q", Snapshot(1, (UDP,))), caller=caller)) == 1


def test_a_token_finds_its_device_among_those_to_ring() -> None:
    one, other = replace(TCP, instance="urn:uuid:1"), replace(TCP, contact="sip:c@a", instance="urn:uuid:2")
    rows = devices([("p", Snapshot(1, (one, other, UDP)))], NOW, None)
    for binding in (one, other, UDP):
        (row,) = same_device(rows, named_of(target_of("p", binding)))
        assert [target.contact for target in row] == [binding.contact]
    assert same_device(rows, named_of(target_of("p", replace(UDP, contact="sip:x@y")))) == []


@pytest.mark.parametrize(
    ("contact", "registered", "folded"),
    [
        pytest.param("sip:a@b", "sip:a@b", "", id="as it is registered"),
        pytest.param("sip:a@b;ob", "sip:a@b", "7 ;ob", id="and more"),
        pytest.param("sip:a@b", "sip:a@b;ob", "7 ", id="and less"),
        pytest.param("sip:a@c", "sip:a@b;ob", "6 c", id="another way"),
        pytest.param("sip:a@b", "", "0 sip:a@b", id="registered nowhere"),
    ],
)
def test_a_contact_is_carried_as_far_as_no_binding_says_it(
    contact: str, registered: str, folded: str
) -> None:
    target = replace(target_of("p", UDP), contact=contact, registered=registered)
    assert folded_contact(target) == folded
    assert unfolded_contact(folded, registered) == contact


@given(st.text(max_size=20), st.text(max_size=20))
def test_whatever_a_phone_calls_itself_is_read_again(contact: str, registered: str) -> None:
    target = replace(target_of("p", UDP), contact=contact, registered=registered)
    assert unfolded_contact(folded_contact(target), registered) == contact


@pytest.mark.parametrize(
    ("contact", "registered", "fits"),
    [
        pytest.param("x" * MAX_CARRIED, "", True, id="as long as may be"),
        pytest.param("x" * (MAX_CARRIED + 1), "", False, id="longer"),
        pytest.param("x" * 1_024, "x" * 1_024, True, id="registered so"),
        pytest.param("x" * 1_000 + ";ob", "x" * 1_000, True, id="registered nearly so"),
        pytest.param("y" + "x" * 1_000, "x" * 1_000, False, id="registered otherwise"),
    ],
)
def test_what_can_be_carried(contact: str, registered: str, fits: bool) -> None:
    assert can_be_carried(contact, registered) is fits


def test_a_flow_that_no_binding_has_is_carried() -> None:
    target = Target("p", "sip:a@b", "tcp", "node 1", "g", 7, "2001:db8::1", 5060)
    assert target_by(way_of(target), named_of(target), "sip:a@b") == target
    assert way_of(target_of("p", TCP)) == "" and target_by("", named_of(target), "") is None


MOVED = replace(UDP, public_port=6000)
OTHER = replace(UDP, public_port=6001, contact="sip:other@a", instance="urn:uuid:2")
KNOWN = replace(UDP, instance="urn:uuid:1")


@every(
    ("live", "binding", "moved"),
    [
        pytest.param([UDP], UDP, False, id="it is where it was"),
        pytest.param([], UDP, False, id="nobody knows"),
        pytest.param([MOVED], UDP, True, id="its contact has another address"),
        pytest.param([UDP, MOVED], UDP, False, id="it is still there too"),
        pytest.param([OTHER], UDP, False, id="somebody else"),
        pytest.param([replace(MOVED, instance="urn:uuid:1")], KNOWN, True, id="its instance has another one"),
        pytest.param([replace(MOVED, instance="urn:uuid:2")], KNOWN, False, id="another instance"),
        pytest.param([TCP], TCP, False, id="a connection is there or not"),
        pytest.param([replace(TCP, contact=UDP.contact)], UDP, True, id="it came back by a connection"),
    ],
)
def test_whether_a_device_on_udp_has_moved(live: list[Binding], binding: Binding, moved: bool) -> None:
    assert has_moved(live, target_of("p", binding)) is moved


def test_a_silent_device_is_rung_and_its_silent_flow_last() -> None:
    silent = replace(UDP, instance="i", refreshed_at=99, silent_since=50)
    older = replace(TCP, instance="i", refreshed_at=20)
    assert rung(("p", Snapshot(1, (silent,)))) == [[("p", "sip:a@10.0.0.7")]]
    assert rung(("p", Snapshot(1, (silent, older)))) == [[("p", "sip:b@10.0.0.7"), ("p", "sip:a@10.0.0.7")]]


def test_a_silent_binding_is_the_last_to_look_for_who_is_lost() -> None:
    silent = replace(UDP, contact="sip:c@10.0.0.7", refreshed_at=99, silent_since=50)
    other = replace(TCP, contact="sip:d@10.0.0.7", refreshed_at=20)
    found = reroute([silent, other], named_of(target_of("p", TCP)))
    assert [target.contact for target in found] == ["sip:d@10.0.0.7", "sip:c@10.0.0.7"]
