"""registrar/handlers/methods.py: each method has the facts that its RFC gives it, in each place."""

import pytest

from registrar.handlers.method import Method, Tags
from registrar.handlers.methods import ALLOW, CAPABILITIES, TABLE, inside, is_served, outside
from tests.every import every
from tests.methods import INSIDE, OUTSIDE, SERVED

from .world import DOMAIN, request


def facts(method: str, uri: str = f"sip:201@{DOMAIN}") -> Method:
    row = outside(request(method, uri))
    assert row is not None
    return row.method


def named(fact: str) -> set[str]:
    return {row.method.name for row in TABLE if getattr(row.method, fact)}


def test_what_is_served_is_what_allow_names() -> None:
    assert ("Allow", ", ".join(SERVED)) == ALLOW
    assert [method for method in (*SERVED, "FOO") if is_served(method)] == list(SERVED)
    assert dict(CAPABILITIES.headers) == {
        "Allow": ", ".join(SERVED), "Accept": "application/sdp", "Supported": "outbound, path, timer",
        "Allow-Events": "dialog, presence, message-summary, refer",
    }  # fmt: skip


@every("method", [*INSIDE, "FOO"])
def test_no_row_serves_outside_a_dialog_what_belongs_into_one(method: str) -> None:
    assert outside(request(method, f"sip:201@{DOMAIN}")) is None


@pytest.mark.parametrize("method", OUTSIDE)
def test_a_request_to_another_phone_is_challenged_as_by_a_proxy(method: str) -> None:
    assert (facts(method).challenge, facts(method).may_lock) == (407, True)
    assert not facts(method).is_for_server


def test_what_is_served_here_must_be_understood_here() -> None:
    proxied = {method for method in OUTSIDE if facts(method).tags is Tags.OF_PROXIES}
    assert proxied == set(OUTSIDE) - {"SUBSCRIBE", "PUBLISH"}


def test_a_request_to_this_server_is_challenged_as_by_a_server_or_not_at_all() -> None:
    assert (facts("REGISTER", f"sip:{DOMAIN}").challenge, facts("REGISTER").challenge) == (401, 401)
    assert (facts("OPTIONS", f"sip:{DOMAIN}").challenge, facts("OPTIONS").challenge) == (0, 401)
    assert facts("REGISTER").is_for_server
    assert [facts("OPTIONS", f"sip:{DOMAIN}").is_for_server, facts("OPTIONS").is_for_server] == [True, False]


@every(
    ("fact", "methods"),
    [
        pytest.param("records_route", {"INVITE", "REFER"}, id="RFC 3261 section 12.1"),
        pytest.param("has_timer", {"INVITE", "UPDATE"}, id="RFC 4028 section 3"),
        pytest.param("describes", {"INVITE", "ACK", "PRACK", "UPDATE"}, id="RFC 6337 section 2.2"),
        pytest.param("needs_contact", {"INVITE", "SUBSCRIBE", "REFER"}, id="RFC 3261 8.1.1.8"),
        pytest.param("ends", {"ACK", "BYE", "CANCEL"}, id="while the service stops"),
        pytest.param("hangs_up", {"BYE"}, id="RFC 3261 section 15"),
        pytest.param("notifies", {"NOTIFY"}, id="RFC 6665 section 4.1.3"),
        pytest.param("trickles", {"INFO"}, id="RFC 8840"),
        pytest.param("is_hop_by_hop", {"CANCEL", "REGISTER"}, id="what no Route leads on"),
        pytest.param("subscribes", {"SUBSCRIBE"}, id="RFC 6665 section 4.1.2"),
        pytest.param("is_invite", {"INVITE"}, id="what makes a call"),
    ],
)
def test_which_methods_have_a_fact(fact: str, methods: set[str]) -> None:
    assert named(fact) == methods


def test_an_ack_alone_is_never_answered() -> None:
    assert {row.method.name for row in TABLE if not row.method.is_answered} == {"ACK"}


@pytest.mark.parametrize("method", ["FOO", "OPTIONS", "PUBLISH"])
def test_any_method_passes_inside_a_dialog(method: str) -> None:
    assert (inside(method).challenge, inside(method).is_hop_by_hop, inside(method).is_answered) == (
        407,
        False,
        True,
    )
