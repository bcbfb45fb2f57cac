"""Statements 42 to 60, 66 and 67 of docs/rfc.md: messages, transactions and transports (RFC 3261, 5626)."""

import re
import socket
import struct
import time
from typing import Final

import pytest

from tests.methods import INSIDE, SERVED
from tests.patience import limit
from tests.peers.phone import Account, Answer, BlockingPhone, Caller, UdpPhone, branch_of, parse_answer
from tests.peers.ports import has_ipv6
from tests.peers.process import frozen
from tests.peers.redis import RedisServer
from tests.wire.credentials import anew, authorized, signed_again, stale
from tests.wire.line import Line, TcpLine
from tests.wire.registering import (
    INSTANCE,
    contact,
    on_connections,
    on_every_transport,
    on_streams,
    phone_on,
    send,
    uris,
)
from tests.wire.site import Handset, Site, within
from tests.wire.trial import line

pytestmark = pytest.mark.wire

SILENCE_SECONDS: Final = 0.3
ANYBODY: Final = Account("anybody", "", "registrar.localhost")
BEYOND: Final = "sip:somebody@elsewhere.example"
STUN: Final = struct.pack("!HHI12s", 0x0001, 0, 0x2112A442, b"transaction!")
"""A binding request, RFC 5389 section 6."""


def tag(answer: Answer) -> str:
    """The To tag of an answer."""
    found = re.findall(r";tag=([^;]+)", answer.header("to"))
    assert len(found) == 1, answer
    return str(found[0])


def without_hops(request: bytes) -> bytes:
    return request.replace(b"Max-Forwards: 70", b"Max-Forwards: 0")


def invitation(phone: BlockingPhone, target: str, method: str = "INVITE") -> bytes:
    """A request to another phone, with a right digest."""
    lines = [f"Contact: <{phone.caller.contact}>"]
    assert phone.caller.learn(phone.exchange(phone.caller.request(method, target, target, lines)))
    return phone.caller.request(method, target, target, [*lines, phone.caller.credentials(method, target)])


def new_extension(site: Site) -> dict[str, str]:
    """An extension without phones."""
    number = str(time.time_ns())[-8:]
    reply = site.api("POST", "/pbx/extension", {"number": number, "name": "Away"})
    assert reply.status == 200
    return {"_id": str(reply.body["_id"]), "number": number}


def ringing(phone: BlockingPhone) -> bytes:
    """What comes to a phone that waits."""
    message = phone.pipe.receive(5)
    assert message is not None
    return message


# Answers and transactions


@on_every_transport
def test_42_every_answer_has_the_same_tag_each_time(transport: str, streams: Site) -> None:
    """RFC 3261 sections 8.2.6.2 and 8.2.7: also a stateless answer, which derives it from the request."""
    target = f"sip:somebody@{ANYBODY.domain}"
    with line(streams, transport) as opened:
        caller = Caller(ANYBODY, opened.address, transport=transport.upper())

        def requests() -> dict[int, bytes]:
            return {
                200: caller.options(),
                400: caller.options().replace(b"Max-Forwards: 70", b"Max-Forwards: x"),
                401: caller.register(),
                407: caller.request("INVITE", target, target),
                416: caller.request("REGISTER", "tel:200", target),
                420: caller.register(extra=["Require: never-heard-of"]),
                481: caller.request("CANCEL", target, target),
                483: without_hops(caller.options(BEYOND)),
                501: caller.request("FOO", target, target),
                505: caller.register().replace(b" SIP/2.0\r\n", b" SIP/7.0\r\n", 1),
            }

        for (status, request), other in zip(requests().items(), requests().values(), strict=True):
            answers = [opened.ask(request), opened.ask(request), opened.ask(other)]
            assert [answer.status for answer in answers] == [status] * 3
            assert tag(answers[0]) == tag(answers[1]) != tag(answers[2])
        within_a_dialog = caller.options().replace(b"To: <sip:registrar.localhost>", b"To: <sip:a@b>;tag=own")
        assert opened.ask(within_a_dialog).header("to") == "<sip:a@b>;tag=own"


def test_43_a_retransmission_over_udp_gets_the_same_answer(streams: Site, device: Handset) -> None:
    """RFC 3261 section 17.2.2: for 64*T1 the same bytes, and nothing is done twice."""
    with phone_on(streams, "udp", device.account) as phone:
        first = phone.register()
        before, commits = streams.stored(device), streams.metric("registrar_commits_total")
        again = [phone.exchange(phone.sent[-1]) for _ in range(3)]
        assert [answer.raw for answer in again] == [first.raw] * 3
        assert streams.metric("registrar_commits_total") == commits
        assert streams.stored(device) == before


@on_connections
def test_43_over_a_connection_nothing_is_retransmitted(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 17.2.2: timer J is zero, so the same bytes are another request, with a spent nonce."""
    with phone_on(streams, transport, device.account) as phone:
        assert phone.register().status == 200
        before, commits = streams.stored(device), streams.metric("registrar_commits_total")
        assert stale(phone.exchange(phone.sent[-1])) is True
        assert streams.metric("registrar_commits_total") == commits
        assert streams.stored(device) == before


def test_44_a_transaction_is_branch_sent_by_and_method(streams: Site, device: Handset) -> None:
    """RFC 3261 section 17.2.3: when one of them is another, it is another request."""
    with phone_on(streams, "udp", device.account) as phone:
        first = phone.register()
        request = phone.sent[-1]
        port = phone.pipe.address[1]
        elsewhere = request.replace(b"127.0.0.1:%d;branch" % port, b"127.0.0.1:%d;branch" % (port + 1))
        assert elsewhere != request
        assert stale(phone.exchange(elsewhere)) is True
        assert stale(phone.exchange(anew(request))) is True
        options = phone.caller.options()
        answer = phone.exchange(options.replace(branch_of(options), branch_of(request)))
        assert (answer.status, answer.header("cseq").split()[1]) == (200, "OPTIONS")
        assert phone.exchange(request).raw == first.raw


@pytest.mark.parametrize("branch", [b";branch=1", b""], ids=["without the cookie", "no branch"])
def test_44_an_old_branch_is_matched_by_everything_else(
    branch: bytes, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 17.2.3, for clients of RFC 2543: Request-URI, tags, Call-ID, CSeq and top Via."""

    def old(request: bytes) -> bytes:
        return request.replace(b";branch=" + branch_of(request), branch)

    with phone_on(streams, "udp", device.account) as phone:
        challenge = phone.exchange(old(phone.caller.register()))
        requests = [old(authorized(phone, challenge)) for _ in range(2)]
        answers = [phone.exchange(request) for request in requests]
        assert [answer.status for answer in answers] == [200, 200]
        assert answers[0].header("cseq") != answers[1].header("cseq")
        assert [phone.exchange(request).raw for request in requests] == [answer.raw for answer in answers]


@pytest.mark.parametrize(
    ("sent_by", "params", "received", "rport"),
    [
        ("{here}", "", False, False),
        ("{host}", "", False, False),
        ("phone.example:5060", "", True, False),
        ("a1b2c3.invalid", "", True, False),
        ("10.9.8.7:5099", "", True, False),
        ("{here}", ";rport", True, True),
        ("10.9.8.7", ";rport", True, True),
        ("10.9.8.7", ";rport=9;received=1.2.3.4", True, True),
        ("10.9.8.7", ";received=1.2.3.4", True, False),
    ],
    ids=[
        "its address",
        "its address without a port",
        "a name",
        "a name that is none",
        "another address",
        "its address, rport",
        "another address, rport",
        "what it wrote there itself",
        "only received",
    ],
)
@on_every_transport
def test_45_received_and_rport_say_where_a_request_came_from(
    transport: str, sent_by: str, params: str, received: bool, rport: bool, streams: Site
) -> None:
    """RFC 3261 section 18.2.1 and RFC 3581 section 4; the answer comes from the socket that was asked."""
    with line(streams, transport) as opened:
        host, port = opened.address
        by = sent_by.format(here=f"{host}:{port}", host=host)
        via = f"Via: SIP/2.0/{transport.upper()} {by};branch=z9hG4bK{time.monotonic_ns()}"
        answer = opened.ask(re.sub(rb"Via: [^\r]*", f"{via}{params}".encode(), opened.next_probe()))
    seen = answer.header("via")
    assert answer.status == 200
    assert seen.startswith(via.removeprefix("Via: "))
    assert re.findall(r";received=([^;]+)", seen) == ([host] if received else [])
    assert re.findall(r";rport(?:=(\d+))?", seen) == ([str(port)] if rport else [])


@on_connections
def test_46_answers_go_back_by_the_same_connection_and_by_no_other(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 18.2.2 would let us connect to the sent-by; we never do (decision 17)."""
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        phone_on(streams, transport, device.account) as phone,
    ):
        other.settimeout(SILENCE_SECONDS)
        caller = Caller(device.account, other.getsockname(), transport=transport.upper())
        elsewhere = BlockingPhone(caller, phone.pipe)
        assert elsewhere.register().status == 200
        asked = streams.metric("registrar_sip_requests_total", method="REGISTER")
        for _ in range(5):
            elsewhere.send(caller.register())
        phone.close()
        within(
            2,
            lambda: streams.metric("registrar_sip_requests_total", method="REGISTER") > asked,
            "some are read",
        )
        with pytest.raises(TimeoutError):
            other.accept()


# Framing


def test_47_the_length_of_a_datagram_and_of_its_body(streams: Site) -> None:
    """RFC 3261 section 18.3: octets beyond Content-Length are not there; with too few it is a 400."""
    with Line(streams.sip) as opened:

        def probe(length: int, body: bytes) -> bytes:
            named = f"Content-Length: {length}".encode()
            return opened.next_probe().replace(b"Content-Length: 0", named) + body

        for length, body, status in ((0, b"more", 200), (2, b"hello", 200), (5, b"hello", 200)):
            assert opened.ask(probe(length, body)).status == status
        assert opened.ask(probe(6, b"hello")).status == 400
        errors = streams.metric("registrar_sip_parse_errors_total")
        response = re.sub(rb"^OPTIONS [^\r]*", b"SIP/2.0 200 OK", probe(6, b"hello"))
        assert opened.answers_until_probed(response) == []
        assert streams.metric("registrar_sip_parse_errors_total") == errors + 1


@on_streams
def test_48_a_stream_needs_content_length_and_may_begin_with_empty_lines(
    transport: str, streams: Site
) -> None:
    """RFC 3261 sections 7.5, 18.3 and 20.14: nobody knows where a message without it ends."""
    with line(streams, transport) as opened:
        for empty in (b"\r\n", b"\r\n\r\n\r\n"):
            assert opened.ask(empty + opened.next_probe()).status == 200
        opened.send(opened.next_probe() + opened.next_probe())
        assert [parse_answer(opened.receive() or b"").status for _ in range(2)] == [200, 200]
        opened.send(opened.next_probe().replace(b"Content-Length: 0\r\n", b""))
        answers, end = opened.answers_until_closed()
        assert [answer.status for answer in answers] == [400]
        assert end is not None


def test_48_a_datagram_needs_no_content_length(streams: Site) -> None:
    """RFC 3261 section 18.3: without it the body ends where the datagram does."""
    with Line(streams.sip) as opened:
        probe = opened.next_probe().replace(b"Content-Length: 0\r\n", b"")
        assert opened.ask(probe + b"a body").status == 200


COMPACT: Final = {
    b"Via:": b"v :",
    b"From:": b"F:\r\n ",
    b"To:": b"t\t:",
    b"Call-ID:": b"I:",
    b"Contact:": b"m:\r\n\t",
    b"Content-Type:": b"C:",
    b"Content-Length:": b"l :\r\n ",
    b"Subject:": b"s:",
    b"Supported:": b"k:",
    b"CSeq:": b"cSEQ:",
    b"Authorization: Digest": b"aUTHORIZATION :\r\n  Digest\r\n ",
}


@on_every_transport
def test_49_compact_names_blanks_and_folded_lines_are_legal(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 sections 7.3.1 and 7.3.3, with RFC 4475 section 3.1.1.1: all spellings mean the same."""
    uri = f"sip:{device.account.domain}"
    binding = contact("a", params=f";{INSTANCE.format(1)};reg-id=1")
    with phone_on(streams, transport, device.account) as phone:
        phone.caller.learn(phone.exchange(phone.caller.register()))
        lines = [
            phone.caller.credentials("REGISTER", uri),
            f"Contact: {binding}",
            "Supported: path, outbound",
            "Content-Type: text/plain",
            "Subject: nothing",
        ]
        request = phone.caller.request("REGISTER", uri, device.account.uri, lines, body="two\r\n\r\nlines")
        for name, short in COMPACT.items():
            assert name in request
            request = request.replace(name, short)
        answer = phone.exchange(request)
        assert answer.status == 200
        assert uris(answer).keys() == {"sip:a@192.168.7.10:5060"}
        assert ";reg-id=1" in answer.header("contact"), "what Supported says was read"
        assert phone.exchange(phone.caller.options()).status == 200, "and the body to its end"


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"REGISTER", b"register", 501),
        (b" REGISTER\r\n", b" register\r\n", 400),
        (b" SIP/2.0\r\n", b" sip/2.0\r\n", 401),
        (b"Via: SIP/2.0/UDP", b"VIA: sip/2.0/udp", 401),
        (b";branch=", b";BRANCH=", 401),
        (b";tag=", b";TAG=", 401),
        (b"Max-Forwards:", b"mAX-fORWARDS:", 401),
        (b"REGISTER sip:registrar", b"REGISTER SIP:REGISTRAR", 401),
        (b"Max-Forwards:", b"Require: OUTBOUND\r\nMax-Forwards:", 401),
        (b"Max-Forwards:", b"REQUIRE: gruu\r\nMax-Forwards:", 420),
    ],
    ids=[
        "method",
        "method of CSeq",
        "version",
        "protocol of Via",
        "branch",
        "tag",
        "name of a header",
        "scheme and host",
        "option tag",
        "name of Require",
    ],
)
def test_50_methods_have_their_case_and_most_else_has_not(
    old: bytes, new: bytes, status: int, streams: Site
) -> None:
    """RFC 3261 sections 7.1 and 7.3.1: methods are case-sensitive; names, tokens and hosts are not."""
    with Line(streams.sip) as opened:
        request = Caller(ANYBODY, opened.address).register()
        assert old in request
        answer = opened.ask(request.replace(old, new))
        assert answer.status == status
        if status == 401:
            assert answer.challenges[0].realm == "registrar.localhost"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Authorization: Digest", b"AUTHORIZATION: dIGEST"),
        (b"algorithm=MD5", b"Algorithm=md5"),
        (b"qop=auth", b"QOP=auth"),
        (b"username=", b"USERNAME="),
        (b">\r\nExpires: 3600", b">;EXPIRES=90;Q=0.5\r\neXPIRES: 3600"),
    ],
    ids=["scheme", "algorithm", "name of qop", "name of username", "parameters of Contact"],
)
def test_50_names_and_tokens_of_credentials_and_contacts_have_no_case(
    old: bytes, new: bytes, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 7.3.1: parameter names and tokens are compared without it."""
    with phone_on(streams, "udp", device.account) as phone:
        request = authorized(phone, phone.exchange(phone.caller.register()))
        assert old in request
        answer = phone.exchange(request.replace(old, new))
        assert answer.status == 200
        assert list(uris(answer).values()) == [90 if b"EXPIRES" in new else 3600]


def test_50_the_value_of_qop_is_a_token(streams: Site, device: Handset) -> None:
    """RFC 3261 section 7.3.1: AUTH is auth; the digest is over what was sent."""
    with phone_on(streams, "udp", device.account) as phone:
        request = authorized(phone, phone.exchange(phone.caller.register()))
        assert phone.exchange(signed_again(phone, request, qop="AUTH")).status == 200


# Requests that are not served


@on_every_transport
def test_51_without_hops_only_what_has_arrived_is_served(transport: str, streams: Site) -> None:
    """RFC 3261 section 16.3: Max-Forwards 0 is 483 when it is for another; the header may be absent."""
    here = "sip:{}:{}".format(*streams.listeners[transport])
    inside = f"sip:somebody@{ANYBODY.domain}"
    with line(streams, transport) as opened:
        caller = Caller(ANYBODY, opened.address, transport=transport.upper())
        for request, status in (
            (without_hops(caller.options(BEYOND)), 483),
            (without_hops(caller.options(inside)), 483),
            (without_hops(caller.request("INVITE", BEYOND, BEYOND)), 483),
            (without_hops(caller.request("MESSAGE", inside, inside)), 483),
            (without_hops(caller.options()), 200),
            (without_hops(caller.options(here)), 200),
            (without_hops(caller.register()), 401),
            (caller.options().replace(b"Max-Forwards: 70\r\n", b""), 200),
            (caller.register().replace(b"Max-Forwards: 70\r\n", b""), 401),
        ):
            assert opened.ask(request).status == status


@on_every_transport
def test_52_a_method_is_unknown_or_belongs_to_a_call(transport: str, streams: Site) -> None:
    """RFC 3261 sections 8.2.1, 12.2.2 and 21.5.2: 501 with Allow; 481 for what belongs to no call of ours."""
    target = f"sip:somebody@{ANYBODY.domain}"
    with line(streams, transport) as opened:
        caller = Caller(ANYBODY, opened.address, transport=transport.upper())
        for method in INSIDE:
            if method != "ACK":
                assert opened.ask(caller.request(method, target, target)).status == 481
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE"):
            outside = caller.request(method, target, target)
            inside = outside.replace(b"To: <%s>" % target.encode(), b"To: <%s>;tag=own" % target.encode())
            assert opened.ask(inside).status == 481
        for method in ("FOO", "RE%GISTER", "Register"):
            answer = opened.ask(caller.request(method, target, target))
            assert answer.status == 501
            assert set(answer.header("allow").split(", ")) == set(SERVED)


@pytest.mark.parametrize("version", [b"SIP/7.0", b"SIP/1.0", b"SIP/2.1"])
@on_every_transport
def test_53_another_version_is_refused_and_the_connection_kept(
    transport: str, version: bytes, streams: Site
) -> None:
    """RFC 3261 section 21.5.6, with RFC 4475 section 3.1.2.16."""
    with line(streams, transport) as opened:
        caller = Caller(ANYBODY, opened.address, transport=transport.upper())
        answer = opened.ask(caller.register().replace(b" SIP/2.0\r\n", b" %s\r\n" % version, 1))
        assert answer.status == 505
        assert answer.raw.startswith(b"SIP/2.0 505 ")
        assert opened.alive() == []


@pytest.mark.parametrize("transport", ["udp", "tcp", "ws"])
def test_54_a_store_that_hangs_makes_no_408(
    transport: str, spare: Site, spare_redis: RedisServer, device: Handset
) -> None:
    """RFC 4320 section 4.2: never a 408 to what is no INVITE; 503 while the client still listens."""
    with frozen(spare_redis.pid), phone_on(spare, transport, device.account) as phone:
        began = time.monotonic()
        answer = phone.register()
        assert (answer.status, answer.header("retry-after")) == (503, "5")
        assert time.monotonic() - began < limit(4)
    within(5, spare.ready, "ready again")


def test_54_in_the_end_nobody_was_told_408(site: Site, streams: Site, spare: Site) -> None:
    """RFC 4320 section 4.2: since each of these servers was started."""
    for server in (site, streams, spare):
        with Line(server.sip) as opened:
            opened.alive()
        assert server.metric("registrar_sip_responses_total", code="200") > 0
        assert server.metric("registrar_sip_responses_total", code="408") == 0


@on_every_transport
def test_55_options_tell_what_this_server_can(transport: str, streams: Site, device: Handset) -> None:
    """RFC 3261 section 11.2: Allow, Accept and Supported, and no body; about a user only who may ask."""
    here = "sip:{}:{}".format(*streams.listeners[transport])
    user = f"sip:somebody@{ANYBODY.domain}"
    with phone_on(streams, transport, device.account) as phone:
        challenge = phone.exchange(phone.caller.options(user))
        assert challenge.status == 401
        phone.caller.learn(challenge)
        credentials = phone.caller.credentials("OPTIONS", user)
        assert phone.exchange(phone.caller.options(user, extra=[credentials])).status == 404
        for request in (phone.caller.options(), phone.caller.options(here)):
            answer = phone.exchange(request)
            assert answer.status == 200
            assert set(answer.header("allow").split(", ")) == set(SERVED)
            assert answer.header("accept") == "application/sdp"
            assert answer.header("supported") == "outbound, path, timer"
            assert answer.raw.endswith(b"\r\nContent-Length: 0\r\n\r\n")


@on_every_transport
def test_56_too_many_contacts_are_403_and_never_503(transport: str, streams: Site, device: Handset) -> None:
    """RFC 3261 section 21.5.4: a 503 would send the phone away, and means that a part of ours is down."""
    many = ", ".join(contact("a", port=port) for port in range(1, 7))
    with phone_on(streams, transport, device.account) as phone:
        answer = send(phone, f"Contact: {many}")
        assert (answer.status, answer.header("retry-after")) == (403, "")


@on_every_transport
def test_57_who_is_unknown_and_who_is_away(transport: str, streams: Site, device: Handset) -> None:
    """RFC 3261 sections 21.4.5 and 21.4.18: 404 and 480; before the password is right all are alike."""
    number = new_extension(streams)["number"]
    with phone_on(streams, transport, device.account) as phone:
        assert phone.register().status == 200
        for user, status in (("nobody-has-this-name", 404), (number, 480)):
            target = f"sip:{user}@{device.account.domain}"
            bare = phone.caller.request("MESSAGE", target, target)
            assert phone.exchange(bare).status == 407
            assert phone.exchange(invitation(phone, target, "MESSAGE")).status == status
            assert phone.exchange(invitation(phone, target)).status == status


# Outbound


@pytest.mark.parametrize(
    ("lines", "params", "kept"),
    [
        (["Supported: path, outbound"], f";{INSTANCE.format(1)};reg-id=1", True),
        (["Supported: path"], f";{INSTANCE.format(1)};reg-id=1", False),
        ([], f";{INSTANCE.format(1)};reg-id=1", False),
        (["Supported: outbound"], ";reg-id=1", False),
        (["Supported: outbound"], f";{INSTANCE.format(1)}", False),
        (["Supported: outbound"], f";{INSTANCE.format(1)};reg-id=0", False),
    ],
    ids=["all", "another option", "no Supported", "no instance", "no reg-id", "a reg-id of 0"],
)
@on_connections
def test_58_a_flow_is_kept_for_who_supports_outbound(
    transport: str, lines: list[str], params: str, kept: bool, streams: Site, device: Handset
) -> None:
    """RFC 5626 section 6: then the 200 requires outbound; else a reg-id says nothing."""
    with phone_on(streams, transport, device.account) as phone:
        answer = send(phone, f"Contact: {contact('a', params=params)}", *lines)
    assert answer.status == 200
    assert answer.all("require") == (["outbound"] if kept else [])
    assert (";reg-id=" in answer.header("contact")) is kept


def test_58_over_udp_no_flow_is_promised(streams: Site, device: Handset) -> None:
    """RFC 5626 sections 4.4.2 and 6: a flow over UDP lives by STUN, which is not offered here."""
    with phone_on(streams, "udp", device.account) as phone:
        binding = contact("a", params=f";{INSTANCE.format(1)};reg-id=1")
        answer = send(phone, f"Contact: {binding}", "Supported: outbound")
    assert (answer.status, answer.all("require")) == (200, [])


@pytest.mark.parametrize(
    ("lines", "params", "status"),
    [
        (["Supported: outbound"], f";{INSTANCE.format(1)};reg-id=1", 439),
        (["Supported: outbound", "Path: <sip:edge.example;lr>"], f";{INSTANCE.format(1)};reg-id=1", 403),
        (["Supported: outbound", "Path: <sip:edge.example;lr;ob>"], f";{INSTANCE.format(1)};reg-id=1", 403),
        (["Supported: outbound"], f";{INSTANCE.format(1)}", 200),
        ([], f";{INSTANCE.format(1)};reg-id=1", 200),
    ],
    ids=["no Path", "no ob", "ob", "no reg-id", "no Supported"],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_58_behind_a_proxy_no_flow_is_ours(
    transport: str, lines: list[str], params: str, status: int, streams: Site, device: Handset
) -> None:
    """RFC 5626 section 6: 439 when the proxy does not know outbound; and Path is refused."""
    with phone_on(streams, transport, device.account) as phone:
        answer = send(
            phone,
            f"Contact: {contact('a', params=params)}",
            *lines,
            old=b"\r\nMax-Forwards:",
            new=b"\r\nVia: SIP/2.0/TCP 192.168.7.10;branch=z9hG4bKbehind\r\nMax-Forwards:",
        )
    assert (answer.status, answer.all("require")) == (status, [])
    assert ";reg-id=" not in answer.header("contact")
    assert len(streams.bindings(device)) == (1 if status == 200 else 0)


@on_connections
def test_59_another_reg_id_is_another_flow_of_the_same_phone(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 5626 sections 4.2 and 6: the same instance and reg-id replace, whatever the contact is."""
    flows = [f"Contact: {contact('a', port=port, params=f';{INSTANCE.format(1)}')}" for port in (1, 2, 3)]
    with (
        phone_on(streams, transport, device.account) as one,
        phone_on(streams, transport, device.account) as other,
        phone_on(streams, transport, device.account) as again,
    ):
        supported = "Supported: outbound"
        assert len(uris(send(one, f"{flows[0]};reg-id=1", supported))) == 1
        assert len(uris(send(other, f"{flows[1]};reg-id=2", supported))) == 2
        answer = send(again, f"{flows[2]};reg-id=1", supported)
        assert uris(answer).keys() == {"sip:a@192.168.7.10:2", "sip:a@192.168.7.10:3"}
        assert streams.contacts(device) == uris(answer).keys()


@on_connections
def test_59_an_invite_tries_one_flow_at_a_time(transport: str, streams: Site) -> None:
    """RFC 5626 section 7: never two flows of one instance at once; the newest first, then the other."""
    supported = "Supported: outbound"
    flows = [f"Contact: {contact('a', port=port, params=f';{INSTANCE.format(1)}')}" for port in (1, 2)]
    device = streams.new_phone(extension=new_extension(streams)["_id"])
    with (
        phone_on(streams, transport, device.account) as one,
        phone_on(streams, transport, device.account) as other,
        phone_on(streams, transport, streams.new_phone().account) as caller,
    ):
        assert len(uris(send(one, f"{flows[0]};reg-id=1", supported))) == 1
        time.sleep(1.1)  # a second is the finest that bindings are ordered by
        assert len(uris(send(other, f"{flows[1]};reg-id=2", supported))) == 2
        assert caller.register().status == 200
        target = f"sip:{device.account.username}@{device.account.domain}"
        caller.send(invitation(caller, target))
        assert ringing(other).startswith(b"INVITE sip:a@192.168.7.10:2 ")
        assert one.pipe.receive(SILENCE_SECONDS) is None
        other.close()
        assert ringing(one).startswith(b"INVITE sip:a@192.168.7.10:1 ")


@on_streams
def test_60_each_ping_of_two_empty_lines_has_its_pong(transport: str, streams: Site) -> None:
    """RFC 5626 section 4.4.1: one CRLF for two, between messages and nowhere else."""
    with TcpLine(streams.listeners[transport], secure=transport == "tls") as opened:
        opened.alive()
        for _ in range(3):
            opened.send(b"\r\n\r\n")
        _pongs_arrive(opened)
        assert opened.pipe.pongs == 3
        opened.send(b"\r\n")
        opened.send(b"\r\n")
        _pongs_arrive(opened)
        assert opened.pipe.pongs == 4, "also when it comes in pieces"


def _pongs_arrive(opened: TcpLine) -> None:
    """An answer may overtake the pongs for what came before it; the next one cannot."""
    opened.alive()
    opened.alive()


def test_60_over_udp_keep_alives_are_counted_and_not_answered(streams: Site, device: Handset) -> None:
    """RFC 5626 sections 3.5 and 6: no STUN is offered, so no Flow-Timer is given (decision 17)."""
    with Line(streams.sip) as opened:
        seen = streams.metric("registrar_sip_dropped_total", reason="keep_alive")
        for datagram in (STUN, b"\r\n\r\n", b"\0"):
            assert opened.answers_until_probed(datagram) == []
        assert streams.metric("registrar_sip_dropped_total", reason="keep_alive") == seen + 3
    with phone_on(streams, "udp", device.account) as phone:
        answer = send(phone, f"Contact: {contact('a')}", "Supported: outbound")
    assert (answer.status, answer.all("flow-timer")) == (200, [])


# IPv6


@pytest.mark.parametrize("received", ["2001:db8::9:255", "[2001:db8::9:255]"], ids=["bare", "in brackets"])
@on_every_transport
def test_66_received_may_have_brackets(transport: str, received: str, streams: Site) -> None:
    """RFC 5118 section 4.5: it is read both ways, and what another hop wrote is not changed."""
    below = f"SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKbelow"
    with line(streams, transport) as opened:
        probe = opened.next_probe().replace(b"\r\nMax-", f"\r\nVia: {below}\r\nMax-".encode(), 1)
        probe = re.sub(rb" [^ ;]+;branch", b" [2001:db8::9:1]:5060;branch", probe, count=1)
        answer = opened.ask(probe)
    assert answer.status == 200
    top, bottom = answer.all("via")
    assert bottom == below
    assert " [2001:db8::9:1]:5060;" in top
    assert ";received=127.0.0.1;" in top


def test_66_an_ipv6_address_is_sent_without_brackets(spare: Site, device: Handset) -> None:
    """RFC 5118 section 4.5 and RFC 3261 section 25.1: in brackets only as the host of a URI or sent-by."""
    if not has_ipv6():
        pytest.skip("no ::1 on this machine")
    port = spare.sip[1]
    with UdpPhone(device.account, ("::1", port), source=("::1", 0)) as phone:
        assert phone.exchange(phone.caller.options(f"sip:[::1]:{port}")).status == 200
        answer = send(phone, f"Contact: <{phone.caller.contact}>", uri=f"sip:[::1]:{port}")
        assert answer.status == 200
        assert f" [::1]:{phone.pipe.address[1]};" in answer.header("via")
        assert re.findall(r";received=([^;]+)", answer.header("via")) == ["::1"]
        assert uris(answer).keys() == {phone.caller.contact}
        assert "[::1]" in phone.caller.contact
        status = spare.status_hash(device)
        assert (status["publicIpAddress"], status["localIpAddress"]) == ("::1", "::1")


def test_67_what_stands_in_brackets_is_an_address_without_a_port(streams: Site, device: Handset) -> None:
    """RFC 5118 section 4.3: `[2001:db8::10:5070]` names no port, `[2001:db8::10]:5070` does."""
    whole, with_port = "sip:a@[2001:db8::10:5070]", "sip:a@[2001:db8::10]:5070"
    with phone_on(streams, "udp", device.account) as phone:
        assert uris(send(phone, f"Contact: <{whole}>")).keys() == {whole}
        assert streams.status(device)["localIpAddress"] == "2001:db8::10:5070"
        assert uris(send(phone, f"Contact: <{with_port}>")).keys() == {whole, with_port}
        assert streams.status(device)["localIpAddress"] == "2001:db8::10"
    with Line(streams.sip) as opened:
        probe = re.sub(rb" [^ ;]+;branch", b" [2001:db8::10:5070];branch", opened.next_probe(), count=1)
        answer = opened.ask(probe)
    assert (answer.status, answer.header("via").split(";")[0]) == (200, "SIP/2.0/UDP [2001:db8::10:5070]")
