"""REGISTER as RFC 3261 section 10 has it, and what may be seen of it in logs and answers."""

import hashlib
import json
import re

import pytest

from tests.peers.phone import Account, UdpPhone, branch_of
from tests.wire.line import Line
from tests.wire.registering import INSTANCE, contact, send, uris
from tests.wire.site import Handset, Site, within

pytestmark = pytest.mark.wire


# Expiry


@pytest.mark.parametrize(
    ("lines", "granted"),
    [
        (["Contact: <sip:a@192.168.7.10>"], 3600),
        (["Contact: <sip:a@192.168.7.10>", "Expires: 60"], 60),
        (["Contact: <sip:a@192.168.7.10>", "Expires: 99999"], 7200),
        (["Contact: <sip:a@192.168.7.10>;expires=120", "Expires: 600"], 120),
        (["Contact: <sip:a@192.168.7.10>", "Expires: soon"], 3600),
        (["Contact: <sip:a@192.168.7.10>;expires=soon", "Expires: 600"], 3600),
    ],
    ids=["none", "the least", "too long", "parameter and header", "malformed header", "malformed parameter"],
)
def test_what_is_granted(lines: list[str], granted: int, site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        answer = send(phone, *lines)
        assert answer.status == 200
        assert uris(answer) == {"sip:a@192.168.7.10": granted}
    shown = site.status(handset)["expires"]
    assert granted - 2 <= shown <= granted


@pytest.mark.parametrize(
    "lines",
    [("Contact: <sip:a@192.168.7.10>", "Expires: 59"), ("Contact: <sip:a@192.168.7.10>;expires=1",)],
    ids=["header", "parameter"],
)
def test_too_brief(lines: tuple[str, ...], site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        answer = send(phone, *lines)
    assert (answer.status, answer.header("min-expires")) == (423, "60")
    assert not site.contacts(handset)
    assert site.status(handset)["online"] is False


# Contacts


def test_several_contacts_in_one_request(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        answer = send(
            phone, f"Contact: {contact('a')}, {contact('b', params=';expires=90')}", "m: <sip:c@192.168.7.10>"
        )
        assert uris(answer) == {
            "sip:a@192.168.7.10:5060": 3600,
            "sip:b@192.168.7.10:5060": 90,
            "sip:c@192.168.7.10": 3600,
        }
        asked = phone.register(None, contact="")
        assert asked.status == 200
        assert uris(asked).keys() == uris(answer).keys(), "a REGISTER without Contact lists them all"
    assert site.contacts(handset) == uris(answer).keys()


def test_one_contact_of_several_leaves(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        send(phone, f"Contact: {contact('a')}, {contact('b')}")
        answer = send(phone, f"Contact: {contact('a')}", "Expires: 0")
    assert uris(answer).keys() == {"sip:b@192.168.7.10:5060"}
    assert site.status(handset)["online"] is True


def test_six_contacts_in_one_request_change_nothing(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        send(phone, f"Contact: {contact('first')}")
        answer = send(phone, "Contact: " + ", ".join(contact(name) for name in "abcdef"))
    assert answer.status == 403
    assert site.contacts(handset) == {"sip:first@192.168.7.10:5060"}


def test_beyond_five_the_oldest_goes(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        for name in "abcdefg":
            answer = send(phone, f"Contact: {contact(name)}")
            assert answer.status == 200
    left = {f"sip:{name}@192.168.7.10:5060" for name in "cdefg"}
    assert uris(answer).keys() == left
    assert site.contacts(handset) == left


def test_the_same_uri_is_replaced(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        send(phone, "Contact: <sip:a@PHONE.example;transport=udp>")
        answer = send(phone, "Contact: <sip:%61@phone.example;transport=UDP>")
    assert len(uris(answer)) == 1


def test_the_same_instance_and_flow_is_replaced(site: Site, handset: Handset) -> None:
    one, other = INSTANCE.format(1), INSTANCE.format(2)
    known = "Supported: outbound"  # without it a reg-id says nothing
    with UdpPhone(handset.account, site.sip) as phone:
        send(phone, known, f"Contact: {contact('a', params=f';{one};reg-id=1')}")
        answer = send(phone, known, f"Contact: {contact('a', port=5080, params=f';{one};reg-id=1')}")
        assert uris(answer).keys() == {"sip:a@192.168.7.10:5080"}
        answer = send(phone, known, f"Contact: {contact('a', port=5081, params=f';{one};reg-id=2')}")
        assert len(uris(answer)) == 2, "another flow of the same phone"
        answer = send(phone, known, f"Contact: {contact('a', port=5082, params=f';{other};reg-id=1')}")
        assert len(uris(answer)) == 3, "another phone"


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("Contact: *", "Expires: 0"), 200),
        (("Contact: *", "Expires: 60"), 400),
        (("Contact: *",), 400),
        (("Contact: *", "Expires: 00"), 200),
    ],
    ids=["zero", "not zero", "no Expires", "two zeros"],
)
def test_the_wildcard_needs_expires_0(
    lines: tuple[str, ...], status: int, site: Site, handset: Handset
) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        send(phone, f"Contact: {contact('a')}, {contact('b')}")
        assert send(phone, *lines).status == status
    assert len(site.contacts(handset)) == (0 if status == 200 else 2)


def test_the_wildcard_stands_alone(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        request = phone.caller.register(0, contact=f"*, {contact('a')}")
        assert phone.exchange(request).status == 400


# Addresses of record


def test_a_third_party_is_not_registered(site: Site, handset: Handset) -> None:
    victim = site.new_phone()
    with UdpPhone(handset.account, site.sip) as phone:
        assert send(phone, f"Contact: {contact('a')}", to=victim.account.uri).status == 403
        assert send(phone, f"Contact: {contact('a')}", to="sip:900@elsewhere.example").status == 403
    assert site.stored(victim) == ({}, {})
    assert not site.contacts(handset)


def test_the_own_extension_is_an_address_of_record(site: Site, handset: Handset) -> None:
    number = site.demo()["extensions"][0]["number"]
    with UdpPhone(handset.account, site.sip) as phone:
        answer = send(phone, f"Contact: {contact('a')}", to=f"sip:{number}@{handset.account.domain}")
    assert answer.status == 200


def test_the_servers_address_may_stand_for_the_domain(site: Site, handset: Handset) -> None:
    host, port = site.sip
    with UdpPhone(handset.account, site.sip) as phone:
        answer = send(
            phone,
            f"Contact: {contact('a')}",
            uri=f"sip:{host}:{port}",
            to=f"sip:{handset.account.username}@{host}:{port}",
        )
    assert answer.status == 200


# Transport and form


def test_a_retransmission_gets_the_same_bytes_and_one_commit(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200
        first = phone.register()
        request, commits = phone.sent[-1], site.metric("registrar_commits_total")
        before = site.stored(handset)
        again = [phone.exchange(request) for _ in range(3)]
        assert [answer.raw for answer in again] == [first.raw] * 3
        assert site.stored(handset) == before
        assert site.metric("registrar_commits_total") == commits
    assert len(site.bindings(handset)) == 1


def test_retransmissions_that_arrive_together_make_one_commit(site: Site, handset: Handset) -> None:
    """The first of them waits for the database: the phone was never seen."""
    with UdpPhone(handset.account, site.sip) as phone:
        challenge = phone.exchange(phone.caller.register())
        phone.caller.learn(challenge)
        line = phone.caller.credentials("REGISTER", f"sip:{handset.account.domain}")
        request = phone.caller.register(extra=[line])
        for _ in range(5):
            phone.send(request)
        assert phone.exchange(request).status == 200
    assert [entry["event"] for entry in site.journal(handset)] == ["locked", "registered"]
    assert len(json.loads(site.location(handset)["n"])) == 1


@pytest.mark.parametrize("rport", [b";rport", b""], ids=["rport", "no rport"])
def test_the_answer_goes_to_where_the_packet_came_from(rport: bytes, site: Site) -> None:
    with Line(site.sip, ("127.0.0.5", 0)) as line:
        via = b"SIP/2.0/UDP 10.9.8.7:5099;branch=z9hG4bKnat1" + rport
        answer = line.ask(re.sub(rb"(?<=Via: ).*?(?=\r\n)", via, line.next_probe()))
        seen = answer.header("via")
        assert seen.startswith("SIP/2.0/UDP 10.9.8.7:5099;branch=z9hG4bKnat1")
        assert ";received=127.0.0.5" in seen
        assert (f";rport={line.address[1]}" in seen) is bool(rport)


def test_compact_names_and_folded_lines_are_read(site: Site, handset: Handset) -> None:
    compact = {
        b"Via:": b"v :",
        b"From:": b"F:\r\n ",
        b"To:": b"t:",
        b"Call-ID:": b"I:",
        b"Contact:": b"m:\r\n\t",
        b"Content-Length:": b"l:",
        b"Authorization: Digest": b"aUTHORIZATION:\r\n  Digest\r\n ",
    }
    with UdpPhone(handset.account, site.sip) as phone:
        phone.caller.learn(phone.exchange(phone.caller.register()))
        line = phone.caller.credentials("REGISTER", f"sip:{handset.account.domain}")
        request = phone.caller.register(extra=[line])
        for name, short in compact.items():
            assert name in request
            request = request.replace(name, short)
        answer = phone.exchange(request)
        assert answer.status == 200
        assert branch_of(answer.raw) == branch_of(request)
    assert site.status(handset)["online"] is True


def test_what_is_copied_into_an_answer_is_copied_exactly(site: Site) -> None:
    with Line(site.sip) as line:
        probe = line.next_probe().replace(b"<sip:probe@", b'"A \\"b\\", <c>" <sip:probe@', 1)
        answer = line.ask(probe)
    copied = {name.strip().lower(): value.strip() for name, value in _lines(probe)}
    for name in ("from", "call-id", "cseq"):
        assert answer.header(name) == copied[name]
    assert re.fullmatch(re.escape(copied["to"]) + r";tag=[0-9a-zA-Z.\-]{8,}", answer.header("to"))


def _lines(message: bytes) -> list[tuple[str, str]]:
    head = message.decode().partition("\r\n\r\n")[0].split("\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(":") for line in head)]


# Logs


def _finished(site: Site, handset: Handset) -> list[dict[str, object]]:
    """The lines about finished registrations of a phone."""
    lines = [json.loads(line) for line in site.log_text.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("phone") == handset.id and "callId" in line]


def test_each_finished_registration_is_one_line(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        for expires in (3600, 600, 0, 30):
            phone.register(expires)
        phone.exchange(phone.sent[-3])
        within(2, lambda: len(_finished(site, handset)) >= 4, "the lines are written")
        call_id = phone.caller.call_id
    lines = _finished(site, handset)
    assert [line["message"] for line in lines] == [
        "REGISTER 200",
        "REGISTER 200",
        "REGISTER 200",
        "REGISTER 423",
    ]
    assert {line["callId"] for line in lines} == {call_id}
    assert {line["customer"] for line in lines} == {site.demo()["customer"]}


def test_no_secret_is_written_anywhere(site: Site, handset: Handset) -> None:
    account = handset.account
    wrong = Account(account.username, "thewrongpasswordthewrongpassword", account.domain)
    told: list[str] = []
    with UdpPhone(account, site.sip) as phone, UdpPhone(wrong, site.sip) as stranger:
        assert phone.register().status == 200
        assert phone.register(reuse=True).status == 200
        assert stranger.register().status == 401
        assert phone.exchange(phone.sent[1].replace(branch_of(phone.sent[1]), b"z9hG4bKagain")).status == 401
        sent = b"".join([*phone.sent, *stranger.sent]).decode()
    within(2, lambda: len(_finished(site, handset)) >= 3, "the lines are written")
    for method, path, body in (
        ("GET", f"/pbx/sipphone/{account.password}", None),
        ("POST", "/pbx/sipphone", {"password": account.password, "ip": {"mode": account.password}}),
        ("PATCH", f"/pbx/sipphone/{handset.id}", {"ip": {"mode": account.password}}),
    ):
        reply = site.api(method, path, body)
        assert reply.status >= 400
        told.append(json.dumps(reply.body))
    refused = site.api("GET", "/pbx/sipphone", token="canary." + site.demo()["token"])
    assert refused.status == 401
    told.append(json.dumps(refused.body))
    told += [site.api("GET", "/metrics", token="").body, site.log_text, site.out]
    text = "\n".join(told)
    for what, secret in _secrets(account, wrong, sent, site).items():
        assert secret not in text, what


def _secrets(account: Account, wrong: Account, sent: str, site: Site) -> dict[str, str]:
    secrets = {
        "the password": account.password,
        "a wrong password": wrong.password,
        "the token": site.demo()["token"],
    }
    for name in ("nonce", "response", "cnonce"):
        for number, value in enumerate(re.findall(rf'\b{name}="([^"]+)"', sent)):
            secrets[f"{name} {number}"] = value
    for one in (account, wrong):
        text = f"{one.username}:{one.domain}:{one.password}".encode()
        secrets[f"HA1 of {one.password[:3]}"] = hashlib.md5(text).hexdigest()
    assert len(secrets) > 10
    return secrets
