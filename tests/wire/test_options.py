"""Methods: what is served, what is known, what is not; who may ask without credentials."""

from typing import Final

import pytest

from tests.peers.phone import Account, Answer, Caller
from tests.wire.line import Line
from tests.wire.site import Handset, Site

pytestmark = pytest.mark.wire

TO_OTHERS: Final = "INVITE MESSAGE SUBSCRIBE REFER PUBLISH".split()
OF_CALLS: Final = "BYE UPDATE PRACK INFO NOTIFY CANCEL".split()
UNKNOWN: Final = ("FOO", "register", "*strange.Method")
SILENCE_SECONDS: Final = 0.5


def ask(site: Site, method: str, uri: str, *lines: str) -> Answer:
    """The answer to one request without credentials."""
    with Line(site.sip) as line:
        return line.ask(_caller(site, line).request(method, uri, uri, lines))


def _caller(site: Site, line: Line) -> Caller:
    return Caller(Account("anybody", "", site.demo()["domain"]), line.address)


def names(answer: Answer) -> set[str]:
    return {name for name, _ in answer.headers}


@pytest.mark.parametrize("target", ["domain", "address", "unknown domain"])
def test_options_without_a_user_needs_no_credentials(target: str, site: Site) -> None:
    uris = {
        "domain": f"sip:{site.demo()['domain']}",
        "address": "sip:{}:{}".format(*site.sip),
        "unknown domain": "sip:unknown.example",
    }
    answer = ask(site, "OPTIONS", uris[target])
    assert answer.status == 200
    assert names(answer) >= {"allow", "accept", "supported"}
    assert {"REGISTER", "OPTIONS"} <= set(answer.header("allow").replace(",", " ").split())


def test_options_to_any_user_is_challenged_alike(site: Site, handset: Handset) -> None:
    domain = site.demo()["domain"]
    users = (handset.account.username, "x" * 32, site.demo()["extensions"][0]["number"], "nobody")
    answers = [ask(site, "OPTIONS", f"sip:{user}@{domain}") for user in users]
    assert {(answer.status, answer.reason) for answer in answers} == {(401, "Unauthorized")}
    assert len({tuple(name for name, _ in answer.headers) for answer in answers}) == 1
    assert len({answer.challenges[0].realm for answer in answers}) == 1


def test_options_with_no_hops_left_is_answered_by_us(site: Site) -> None:
    with Line(site.sip) as line:
        caller = _caller(site, line)
        here = "sip:{}:{}".format(*site.sip)
        mine = caller.request("OPTIONS", here, here).replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
        assert line.ask(mine).status == 200
        beyond = f"sip:anybody@{site.demo()['domain']}"
        others = caller.request("OPTIONS", beyond, beyond).replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
        assert line.ask(others).status == 483


@pytest.mark.parametrize("method", TO_OTHERS)
def test_what_is_for_another_phone_is_challenged(method: str, site: Site) -> None:
    """SUBSCRIBE and PUBLISH are served here, so what they require must be understood here."""
    lines = ["Require: never-heard-of"] if method not in ("SUBSCRIBE", "PUBLISH") else []
    answer = ask(site, method, f"sip:anybody@{site.demo()['domain']}", *lines)
    assert answer.status == 407
    assert answer.challenges[0].realm == site.demo()["domain"]


def test_a_subscription_that_requires_what_is_unknown_is_refused(site: Site) -> None:
    answer = ask(site, "SUBSCRIBE", f"sip:anybody@{site.demo()['domain']}", "Require: eventlist")
    assert (answer.status, answer.header("unsupported")) == (420, "eventlist")


@pytest.mark.parametrize("method", OF_CALLS)
def test_what_belongs_to_no_call_is_refused(method: str, site: Site) -> None:
    assert ask(site, method, f"sip:anybody@{site.demo()['domain']}").status == 481


@pytest.mark.parametrize("method", UNKNOWN)
def test_an_unknown_method_is_not_implemented(method: str, site: Site) -> None:
    answer = ask(site, method, f"sip:anybody@{site.demo()['domain']}")
    assert answer.status == 501
    assert {"REGISTER", "INVITE", "BYE"} <= set(answer.header("allow").replace(",", " ").split())


@pytest.mark.parametrize("lines", [(), ("Require: never-heard-of",)], ids=["alone", "with Require"])
def test_cancel_of_nothing(lines: tuple[str, ...], site: Site) -> None:
    assert ask(site, "CANCEL", f"sip:anybody@{site.demo()['domain']}", *lines).status == 481


@pytest.mark.parametrize("lines", [(), ("Require: never-heard-of",)], ids=["alone", "with Require"])
def test_ack_is_never_answered(lines: tuple[str, ...], site: Site) -> None:
    with Line(site.sip) as line:
        target = f"sip:anybody@{site.demo()['domain']}"
        line.send(_caller(site, line).request("ACK", target, target, lines))
        assert line.receive(SILENCE_SECONDS) is None
        assert line.alive() == []


@pytest.mark.parametrize("keep_alive", [b"\r\n\r\n", b"\r\n", b"\0", b"\0\0\0\0"], ids=repr)
def test_keep_alives_are_never_answered(keep_alive: bytes, site: Site) -> None:
    with Line(site.sip) as line:
        line.send(keep_alive)
        assert line.receive(SILENCE_SECONDS) is None
        assert line.alive() == []


@pytest.mark.parametrize(
    ("method", "header"),
    [
        ("REGISTER", "Require"),
        ("REGISTER", "Proxy-Require"),
        ("OPTIONS", "Require"),
        ("OPTIONS", "Proxy-Require"),
        ("INVITE", "Proxy-Require"),
        ("MESSAGE", "Proxy-Require"),
    ],
)
def test_what_is_required_and_unknown_is_named(method: str, header: str, site: Site) -> None:
    answer = ask(site, method, f"sip:{site.demo()['domain']}", f"{header}: never-heard-of, nor-of-this")
    assert answer.status == 420
    tags = {tag.strip() for tag in answer.header("unsupported").split(",")}
    assert tags == {"never-heard-of", "nor-of-this"}
