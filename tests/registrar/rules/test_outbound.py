"""registrar/rules/outbound.py, and what `read` makes of it: when a reg-id is a flow (RFC 5626 section 6)."""

from ipaddress import ip_network

import pytest

from registrar.model import Snapshot
from registrar.rules.outbound import OUTBOUND, came_by_proxy, supports
from registrar.rules.register import Accepted, Registration, Rejected, read, register

from .words import NOW, ORIGIN, request

CONTACT = '<sip:200@10.0.0.7>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"'
PROXY = "Via: SIP/2.0/TCP 10.0.0.8;branch=z9hG4bKbelow\r\n"
PATH = "Path: <sip:edge.test;lr;ob>\r\n"
LACKING = Rejected(439, "First Hop Lacks Outbound Support")


def test_a_phone_says_that_it_supports_outbound() -> None:
    asked = request(CONTACT)
    assert supports(asked, OUTBOUND)
    asked.headers.replace("supported", "path , OUTBOUND")
    assert supports(asked, OUTBOUND)
    asked.headers.replace("supported", "path, outbounds")
    assert not supports(asked, OUTBOUND)


@pytest.mark.parametrize(
    ("more", "by_proxy"),
    [
        pytest.param("", False, id="one hop"),
        pytest.param(PROXY, True, id="two, in two rows"),
        pytest.param('X-Via: "a, b"\r\n', False, id="another header"),
    ],
)
def test_more_than_one_via_is_a_proxy(more: str, by_proxy: bool) -> None:
    assert came_by_proxy(request(CONTACT, more=more)) is by_proxy


def test_two_hops_in_one_row_are_two() -> None:
    asked = request(CONTACT)
    asked.headers.replace("via", "SIP/2.0/TCP a;branch=z9hG4bK1, SIP/2.0/TCP b;branch=z9hG4bK2")
    assert came_by_proxy(asked)
    asked.headers.replace("via", 'SIP/2.0/TCP a;branch=z9hG4bK1;x="a, b"')
    assert not came_by_proxy(asked)


@pytest.mark.parametrize("more", [PATH, PROXY + PATH, "Path: <<<\r\n"], ids=["alone", "with its Via", "bad"])
@pytest.mark.parametrize("reg_id", ["", ";reg-id=1"])
def test_a_proxy_that_stays_between_is_refused_with_the_reason(more: str, reg_id: str) -> None:
    """Its calls could not be ended: what it says of itself in Record-Route is not kept (RFC 3327)."""
    refused = read(request(CONTACT + reg_id, more=more))
    assert isinstance(refused, Rejected)
    assert (refused.status, refused.reason, refused.label) == (403, "Path Not Supported", "edge-proxy")
    assert refused.why.startswith("Path: ")


@pytest.mark.parametrize(
    ("reg_id", "more", "kept"),
    [
        pytest.param(";reg-id=1", "", 1, id="directly"),
        pytest.param("", PROXY, 0, id="no reg-id, nothing asked"),
    ],
)
def test_a_flow_is_the_phones_own_connection(reg_id: str, more: str, kept: int) -> None:
    asked = read(request(CONTACT + reg_id, more=more))
    assert isinstance(asked, Registration)
    (contact,) = asked.contacts
    assert (contact.reg_id, bool(contact.instance)) == (kept, True)


def test_a_flow_through_a_proxy_that_keeps_none_is_refused() -> None:
    assert read(request(f"{CONTACT};reg-id=1", more=PROXY)) == LACKING
    assert read(request("<sip:200@10.0.0.9>", f"{CONTACT};reg-id=1", more=PROXY)) == LACKING
    without = request(f"{CONTACT};reg-id=1", more=PROXY)
    without.headers.replace("supported", "path")
    assert isinstance(read(without), Registration)


EDGES = (ip_network("203.0.113.0/24"),)
EDGE = "Path: <sip:203.0.113.9;lr{}>\r\n"


def test_a_path_of_an_edge_is_stored_with_the_binding() -> None:
    asked = read(request(CONTACT, more=PROXY + EDGE.format("")), EDGES, by_edge=True)
    assert isinstance(asked, Registration)
    assert asked.path == "<sip:203.0.113.9;lr>"
    outcome = register(Snapshot(), asked, ORIGIN, NOW)
    assert isinstance(outcome, Accepted)
    assert [binding.path for binding in outcome.bindings] == ["<sip:203.0.113.9;lr>"]


@pytest.mark.parametrize(("ob", "kept"), [(";ob", 1), ("", 0)], ids=["ob", "no ob"])
def test_a_flow_behind_an_edge_is_kept_if_the_edge_keeps_it(ob: str, kept: int) -> None:
    """RFC 5626 section 6: the proxy next to the phone says so by `ob`; else 439."""
    asked = read(request(f"{CONTACT};reg-id=1", more=PROXY + EDGE.format(ob)), EDGES, by_edge=True)
    if not kept:
        assert asked == LACKING
        return
    assert isinstance(asked, Registration)
    assert [contact.reg_id for contact in asked.contacts] == [1]


@pytest.mark.parametrize(
    ("more", "status", "reason"),
    [
        pytest.param(PROXY, 403, "Path Missing", id="none"),
        pytest.param(PROXY + PATH, 400, "Bad Path", id="a name, and no address"),
        pytest.param("Path: <<<\r\n", 400, "Bad Path", id="malformed"),
        pytest.param("Path: <sip:198.51.100.66;lr>\r\n", 400, "Bad Path", id="of another proxy"),
    ],
)
def test_an_edge_must_add_a_path_that_leads_to_it(more: str, status: int, reason: str) -> None:
    refused = read(request(CONTACT, more=more), EDGES, by_edge=True)
    assert isinstance(refused, Rejected)
    assert (refused.status, refused.reason, refused.label) == (status, reason, "bad-path")
    assert refused.why.startswith("Path: ")
