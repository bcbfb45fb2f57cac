"""handlers/calls/reach.py: over our own flow, or by the node that holds it."""

from dataclasses import replace

import pytest

from registrar.handlers.calls.reach import PLACE, Way
from registrar.model import Flow
from registrar.rules.tokens import Target
from tests.every import every

from ..world import World, request

UDP = Target("id-b", "sip:201@10.0.0.8", "udp", "a", "g-a", 0, "198.51.100.8", 5070)
TCP = Target("id-b", "sip:201@10.0.0.8", "tcp", "a", "g-a", 1, "198.51.100.8", 40_001)


def target(like: Target, **changes: object) -> Target:
    values = {name: getattr(like, name) for name in Target.__slots__} | changes
    return Target(**values)


@every(
    ("wanted", "node", "is_there"),
    [
        pytest.param(UDP, "", True, id="UDP, here"),
        pytest.param(target(UDP, generation="old"), "", True, id="UDP, from before a restart"),
        pytest.param(target(UDP, node="b"), "192.0.2.11:5060", True, id="UDP, at another node"),
        pytest.param(target(UDP, node="gone"), "", True, id="UDP, of a node that is gone: from here"),
        pytest.param(
            target(UDP, node="b", generation="old"), "192.0.2.11:5060", True, id="UDP, its new process"
        ),
        pytest.param(TCP, "", True, id="TCP, here"),
        pytest.param(target(TCP, flow=9), "", False, id="TCP, closed"),
        pytest.param(target(TCP, generation="old"), "", False, id="TCP, from before a restart"),
        pytest.param(
            target(TCP, node="b", generation="g-b"), "192.0.2.11:5060", True, id="TCP, at another node"
        ),
        pytest.param(target(TCP, node="b", generation="old"), "", False, id="TCP, of its earlier process"),
        pytest.param(target(TCP, node="gone"), "", False, id="TCP, of a node that is gone"),
    ],
)
def test_the_way_to_a_target(wanted: Target, node: str, is_there: bool) -> None:
    world = World()
    world.lines.dial("tcp")
    world.neighbours["b"] = ("g-b", "192.0.2.11:5060")
    way = world.reach.way(wanted)
    assert (way is not None) is is_there
    if way is not None:
        assert way.node == node
        there = ("192.0.2.11", 5060) if node else (way.flow.remote_ip, way.flow.remote_port)
        assert (way.flow.remote_ip, way.flow.remote_port) == there
        assert wanted.transport != "udp" or node or there == ("198.51.100.8", 5070)


def test_a_worker_sends_udp_to_the_phones_of_its_siblings_itself() -> None:
    """Both have the same port. A connection is in one process only, and a sibling that is gone has none."""
    world = World(siblings=frozenset({"a/2", "a/3"}))
    world.neighbours["a/2"] = ("g-2", "192.0.2.10:40001")
    for node in ("a/2", "a/3"):
        way = world.reach.way(target(UDP, node=node, generation="g-2"))
        assert way is not None and (way.node, way.flow.remote_port) == ("", 5070)
    relayed = world.reach.way(target(TCP, node="a/2", generation="g-2"))
    assert relayed is not None and relayed.node == "192.0.2.10:40001"
    assert world.reach.way(target(TCP, node="a/3", generation="g-2")) is None


def test_over_our_own_flow_no_leave_is_needed() -> None:
    reach = World().reach
    way = reach.way(UDP)
    assert way is not None
    assert reach.permit(way, "id-a", request()) == ()
    assert reach.place(way) == "192.0.2.10:5060"


def test_a_phone_behind_an_edge_is_reached_from_here_along_its_path() -> None:
    """Whichever node it registered at: the edge takes requests of all of them."""
    world = World()
    world.neighbours["b"] = ("g-b", "192.0.2.11:5060")
    path = "<sip:192.0.2.201;lr>,<sip:192.0.2.201;transport=tcp;lr;ob>"
    for node in ("a", "b", "gone"):
        way = world.reach.way(target(UDP, node=node, path=path))
        assert way is not None and way.node == ""
        assert world.reach.permit(way, "id-a", request()) == tuple(("Route", uri) for uri in path.split(","))


def test_another_node_gets_leave_for_one_request_and_room_for_the_address() -> None:
    world = World()
    world.neighbours["b"] = ("g-b", "192.0.2.11:5060")
    reach = world.reach
    way = reach.way(target(UDP, node="b"))
    assert way is not None
    asked = request("INVITE", "sip:201@acme.test")
    ((name, value),) = reach.permit(way, "id-a", asked)
    assert name == "Route" and value.endswith("@192.0.2.11:5060;lr>")
    token = value[len("<sip:") :].partition("@")[0]
    permit = world.codec.read_permit(token, asked.call_id, "1 INVITE", world.clock.now)
    assert permit is not None and (permit.target, permit.caller) == (replace(way.target, contact=""), "id-a")
    assert reach.place(way) == PLACE


def test_each_via_has_a_branch_of_its_own() -> None:
    reach = World().reach
    way = Way(UDP, Flow("udp", "192.0.2.10", 5060, "198.51.100.8", 5070))
    one, other = reach.via(way, "z9hG4bKmark"), reach.via(way, "z9hG4bKmark")
    assert one != other
    assert all(via.startswith("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKmark") for via in (one, other))
