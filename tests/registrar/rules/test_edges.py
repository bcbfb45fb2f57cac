"""rules/edges.py: where a phone behind an edge proxy is, and the Path to it (RFC 3327, RFC 5626)."""

from dataclasses import replace
from ipaddress import ip_network
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import MalformedMessage
from registrar.model import Flow
from registrar.rules.edges import (
    MAX_HOPS,
    MAX_PATH,
    behind,
    hop_of,
    keeps_flows,
    path_of,
    recorded,
    route_to,
    routes,
)
from registrar.sip import Request
from tests.every import every

from .words import request

EDGES: Final = (ip_network("203.0.113.0/24"), ip_network("2001:db8:e::/48"))
EDGE: Final = Flow("udp", "192.0.2.1", 5060, "203.0.113.9", 5060)
CONTACT: Final = "<sip:200@10.0.0.7>"
OURS: Final = "SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKedge"
INNER: Final = "SIP/2.0/UDP 203.0.113.8;branch=z9hG4bKinner"


def through(*hops: str) -> Request:
    """A REGISTER with these Vias, the newest first."""
    asked = request(CONTACT)
    asked.headers.replace("via", ", ".join(hops))
    return asked


def phone(rest: str, host: str = "10.0.0.7:5062") -> str:
    return f"SIP/2.0/TLS {host};branch=z9hG4bKphone{rest}"


@every(
    ("hops", "source"),
    [
        ((OURS, phone(";received=198.51.100.7;rport=40000")), ("198.51.100.7", 40_000)),
        ((OURS, phone(";rport=40000;received=198.51.100.7")), ("198.51.100.7", 40_000)),
        ((OURS, phone(";received=198.51.100.7")), ("198.51.100.7", 5_062)),
        ((OURS, phone(";received=198.51.100.7;rport", "phone.invalid")), ("198.51.100.7", 5_060)),
        ((OURS, phone("")), ("10.0.0.7", 5_062)),
        ((OURS, phone("", "[2001:db8::7]:5062")), ("2001:db8::7", 5_062)),
        ((OURS, phone(";received=2001:db8::7;rport=1")), ("2001:db8::7", 1)),
        ((OURS, phone(";received=[2001:db8::7];rport=1")), ("2001:db8::7", 1)),
        ((OURS, phone(";RECEIVED=198.51.100.7")), ("198.51.100.7", 5_062)),
        ((OURS, phone(";received=::ffff:198.51.100.7;rport=1")), ("198.51.100.7", 1)),
        ((OURS, phone(";received=198.51.100.7;received=198.51.100.7;rport=1")), ("198.51.100.7", 1)),
        ((OURS, INNER, phone(";received=198.51.100.7;rport=1")), ("198.51.100.7", 1)),
        ((OURS, phone(";received=198.51.100.7;rport=1"), phone(";received=192.0.2.99")), ("198.51.100.7", 1)),
    ],
)  # fmt: skip
def test_the_phone_is_where_the_edge_got_its_request_from(
    hops: tuple[str, ...], source: tuple[str, int]
) -> None:
    flow = behind(through(*hops), EDGE, EDGES)
    assert (flow.remote_ip, flow.remote_port) == source
    assert (flow.hop_ip, flow.hop_port) == ("203.0.113.9", 5060), "it is reached by the edge"
    assert replace(flow, remote_ip=EDGE.remote_ip, remote_port=5060, hop_ip="", hop_port=0) == EDGE


def test_an_edge_that_asks_for_itself_is_itself() -> None:
    assert behind(through(OURS), EDGE, EDGES) == EDGE
    assert behind(through(OURS, INNER), EDGE, EDGES) == EDGE
    assert behind(through(*[OURS] * (MAX_HOPS + 2), phone("")), EDGE, EDGES) == EDGE


def test_anyone_else_is_not_believed() -> None:
    stranger = replace(EDGE, remote_ip="198.51.100.66")
    assert behind(through(OURS, phone(";received=192.0.2.99;rport=1")), stranger, EDGES) is stranger


@every(
    "rest",
    [
        ";received=198.51.100.7;received=192.0.2.99",
        ";rport=1;rport=2",
        ";received=phone.example",
        ";received=198.51.100",
        ";received=fe80::1%eth0",
        ";received=198.51.100.7;rport=0",
        ";received=198.51.100.7;rport=65536",
        ";received=198.51.100.7;rport=x",
        ";received=198.51.100.7;rport=123456",
        ";rport",
    ],
)
def test_an_edge_that_does_not_say_where_a_phone_is_gets_a_400(rest: str) -> None:
    with pytest.raises(MalformedMessage, match="Via: the edge proxy"):
        behind(through(OURS, phone(rest, "phone.example")), EDGE, EDGES)


def test_a_hop_that_is_cut_at_any_octet_is_read_or_refused() -> None:
    whole = phone(";received=198.51.100.7;rport=40000")
    read: dict[str, set[int]] = {}
    for cut in range(1, len(whole) + 1):
        try:
            flow = behind(through(OURS, whole[:cut]), EDGE, EDGES)
        except MalformedMessage:
            continue
        read.setdefault(flow.remote_ip, set()).add(flow.remote_port)
    assert set(read) == {"10.0.0.7", "198.51.100.7"}
    assert read["198.51.100.7"] == {5_062, 4, 40, 400, 4_000, 40_000}


FIRST: Final = "<sip:203.0.113.9;lr>"
PATHS: Final = {
    "one": (FIRST, ("203.0.113.9", 5_060), False),
    "a port, a token": ("<sip:token@203.0.113.9:5070;lr;ob>", ("203.0.113.9", 5_070), True),
    "udp": ("<sip:203.0.113.9;transport=UDP;lr>", ("203.0.113.9", 5_060), False),
    "IPv6": ("<sip:[2001:db8:e::9]:5070;lr>", ("2001:db8:e::9", 5_070), False),
    "two, ob at the phone": (f"{FIRST},<sip:x@in.example;transport=tcp;lr;ob>", ("203.0.113.9", 5_060), True),
    "two, ob at ours": ("<sip:203.0.113.9;lr;ob>,<sip:in.example;lr>", ("203.0.113.9", 5_060), False),
    "what Kamailio writes": (
        "<sip:203.0.113.9:5070;r2=on;lr>,<sip:203.0.113.9:5070;transport=tcp;r2=on;lr;"
        "received=sip:198.51.100.7:40000%3Btransport%3Dtcp;ob>",
        ("203.0.113.9", 5_070),
        True,
    ),
}  # fmt: skip


def registered(*rows: str) -> Request:
    return request(CONTACT, more="".join(f"Path: {row}\r\n" for row in rows))


@every(("path", "hop", "keeps"), PATHS.values(), ids=list(PATHS))
def test_a_path_leads_to_the_edge_next_to_us(path: str, hop: tuple[str, int], keeps: bool) -> None:
    assert path_of(registered(path), EDGES) == path
    assert hop_of(path) == hop
    assert keeps_flows(path) is keeps
    assert ",".join(value for _, value in routes(path)) == path
    assert {name for name, _ in routes(path)} == {"Route"}


def test_a_path_of_several_rows_is_one_in_their_order() -> None:
    path = path_of(registered(FIRST, "<sip:b;lr> , <sip:c;lr>"), EDGES)
    assert [value for _, value in routes(path)] == [FIRST, "<sip:b;lr>", "<sip:c;lr>"]
    assert path_of(registered(), EDGES) == ""


@every(
    "path",
    [
        "<sip:198.51.100.66;lr>",
        f"<sip:198.51.100.66;lr>, {FIRST}",
        "<sip:edge.example;lr>",
        "<sip:203.0.113.9>",
        "<sip:203.0.113.9;transport=tcp;lr>",
        "<sips:203.0.113.9;lr>",
        "<tel:+4512345678;lr>",
        f"{FIRST}, <sip:b>",
        f"{FIRST}, <tel:112;lr>",
        "<<<",
        f"{FIRST},",
        FIRST + f",{FIRST}" * MAX_HOPS,
        f"<sip:{'t' * MAX_PATH}@203.0.113.9;lr>",
    ],
)
def test_a_path_that_leads_elsewhere_or_nowhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="Path: "):
        path_of(registered(path), EDGES)


@given(st.text("<>;,=:@ lrobsip203.113.9[]", max_size=60))
def test_any_text_is_a_path_that_can_be_used_or_refused(text: str) -> None:
    asked = request(CONTACT)
    asked.headers.add("Path", text)
    try:
        path = path_of(asked, EDGES)
    except ValueError as error:
        assert str(error).startswith("Path: ")
        return
    if path:
        assert hop_of(path)[0].startswith("203.0.113.")
        assert keeps_flows(path) in (True, False)


def test_a_phone_that_is_not_registered_is_reached_by_the_edge_that_it_came_by() -> None:
    flow = behind(through(OURS, phone(";received=198.51.100.7;rport=1")), EDGE, EDGES)
    assert route_to(flow) == "<sip:203.0.113.9:5060;lr>"
    assert route_to(replace(flow, hop_ip="2001:db8:e::9")) == "<sip:[2001:db8:e::9]:5060;lr>"
    assert route_to(EDGE) == ""


def test_the_record_route_of_an_edge_goes_back_and_of_no_one_else() -> None:
    more = "Record-Route: <sip:203.0.113.9;lr>\r\nRecord-Route: <sip:b;lr>\r\n"
    asked = request(CONTACT, more=more, method="INVITE")
    flow = replace(EDGE, hop_ip="203.0.113.9", hop_port=5060)
    rows = (("Record-Route", "<sip:203.0.113.9;lr>"), ("Record-Route", "<sip:b;lr>"))
    assert recorded(asked, flow) == rows
    assert recorded(asked, EDGE) == ()
    assert recorded(request(CONTACT, more=more), flow) == (), "a REGISTER makes no dialog"
