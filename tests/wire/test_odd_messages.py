"""What real phones send and RFC 3261 does not foresee: it is understood, or answered with what is wrong."""

import json
import re
import time
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, Final

import pytest

from tests.peers.phone import Account, Answer, Caller, parse_answer
from tests.wire.callers import Callers
from tests.wire.conftest import MANY_STRANGERS
from tests.wire.line import AnyLine, Line
from tests.wire.site import Handset, Site, within
from tests.wire.trial import line

pytestmark = pytest.mark.wire

Bend = Callable[[bytes], bytes]
INSTANCE: Final = '+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"'
EITHER: Final = pytest.mark.parametrize("transport", ["udp", "tcp"])
TRIES: Final = 10


def via(bend: Callable[[str], str]) -> Bend:
    """What changes the topmost Via of a message."""

    def bent(message: bytes) -> bytes:
        found = re.search(r"\r\nVia: ([^\r]+)", message.decode())
        assert found is not None
        return message.replace(found[1].encode(), bend(found[1]).encode(), 1)

    return bent


def more(*lines: str) -> Bend:
    """What puts lines behind the first one of a message."""
    return lambda message: message.replace(b"\r\n", ("\r\n" + "\r\n".join(lines) + "\r\n").encode(), 1)


VIAS: Final = {
    "an empty rport": via(lambda hop: re.sub(r";rport(=\d+)?", ";rport=", hop)),
    "a final semicolon": via(lambda hop: hop + ";"),
    "two semicolons": via(lambda hop: hop.replace(";", ";;", 1)),
    "an empty received": via(lambda hop: re.sub(r";received=[^;]*", "", hop) + ";received="),
}
LINES: Final = {
    "a To without quotes": lambda message: re.sub(rb"\r\nTo: ", b"\r\nTo: Bob, B ", message, count=1),
    "a zone": via(lambda hop: re.sub(r" \S+?;", " [fe80::1%eth0]:5060;", hop, count=1)),
    "an open quote": via(lambda hop: hop + ';x="'),
    "a line without colon": more("What a phone"),
    "a blank in a name": more("X Odd: y"),
    "a control character": more("X-Odd: \x01"),
    "a folded odd line": more("What a phone", " and more of it"),
}


@EITHER
@pytest.mark.parametrize("bend", {**VIAS, **LINES}.values(), ids={**VIAS, **LINES}.keys())
async def test_an_odd_answer_of_a_phone_is_heard(bend: Bend, transport: str, callers: Callers) -> None:
    """It is matched by branch and method (RFC 3261 section 17.1.3)."""
    a, b, _, bert = await callers.pair("udp", transport)
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.server.bend = bend
    incoming.ring()
    await outgoing.provisional(180)
    incoming.answer()
    assert (await outgoing.answered()).body == b.sdp()
    await incoming.acknowledged()
    assert (await outgoing.bye()).status == 200


@EITHER
@pytest.mark.parametrize("bend", VIAS.values(), ids=VIAS.keys())
def test_an_odd_via_of_a_request_is_no_matter(
    bend: Bend, transport: str, device: Handset, streams: Site
) -> None:
    with line(streams, transport) as opened:
        caller = Caller(device.account, opened.address, transport=transport.upper())
        assert caller.learn(opened.ask(bend(caller.register())))
        assert opened.ask(bend(caller.register(extra=[_proof(caller)]))).status == 200


@EITHER
@pytest.mark.parametrize(
    ("bend", "says"),
    [
        pytest.param(LINES["an open quote"], "Via", id="an open quote in Via"),
        pytest.param(
            LINES["a line without colon"], "not a header line: 'What a phone'", id="a line without colon"
        ),
        pytest.param(more("Expires: 1", "Expires: 2"), "more than once: expires", id="a header twice"),
        pytest.param(more("Max-Forwards: many"), "max-forwards", id="a number that is none"),
        pytest.param(more("Contact: <sip:@>"), "Contact: bad URI: 'sip:@'", id="a bad address"),
    ],
)
def test_a_request_that_cannot_be_read_hears_why_and_where(
    bend: Bend, says: str, transport: str, device: Handset, streams: Site
) -> None:
    with line(streams, transport) as opened:
        caller = Caller(device.account, opened.address, transport=transport.upper())
        answer = opened.ask(bend(caller.options()))
        assert answer.status == 400
        assert re.fullmatch(r'399 127\.0\.0\.1 ".+"', answer.header("warning"))
        assert says.lower() in answer.header("warning").lower()
        opened.alive()


@EITHER
@pytest.mark.parametrize("expires", ["header", "parameter"])
def test_a_late_removal_of_an_old_contact_leaves_the_new_one(
    expires: str, transport: str, device: Handset, streams: Site
) -> None:
    """pjsip/pjproject#1086: two sessions of one instance, and the removal comes last."""
    with line(streams, transport) as one, line(streams, transport) as other:
        old = Caller(device.account, one.address, transport=transport.upper())
        new = Caller(device.account, other.address, transport=transport.upper())
        for caller, opened in ((old, one), (new, other)):
            assert registered(caller, opened, f"<{caller.contact}>;{INSTANCE}").status == 200
        assert streams.contacts(device) == {new.contact}
        gone = f"<{old.contact}>;{INSTANCE}" + (";expires=0" if expires == "parameter" else "")
        assert registered(old, one, gone, 0 if expires == "header" else None).status == 200
        assert streams.contacts(device) == {new.contact}
        assert streams.status(device)["online"] is True


@EITHER
@pytest.mark.parametrize(
    "value",
    [
        "",
        "Digest",
        'Digest username="{user}"',
        'Digest username="{user}",realm="{domain}",uri="sip:{domain}"',
        'Digest username="{user}", realm="{domain}", nonce="", uri="sip:{domain}", algorithm=MD5',
        'Digest username="{user}", realm="{domain}", nonce="n", uri="sip:{domain}", response="", qop=auth',
    ],
)
def test_who_only_says_who_it_is_gets_a_challenge(
    value: str, transport: str, device: Handset, streams: Site
) -> None:
    account = device.account
    with line(streams, transport) as opened:
        caller = Caller(account, opened.address, transport=transport.upper())
        early = f"Authorization: {value.format(user=account.username, domain=account.domain)}"
        answer = opened.ask(caller.register(extra=[early]))
        assert answer.status == 401 and caller.learn(answer)
        assert opened.ask(caller.register(extra=[_proof(caller)])).status == 200


@EITHER
@pytest.mark.parametrize("written", ["{0}", "{1}", "{0};phone-context=x", "{1};isub=7", "({0})", "-{0}."])
async def test_a_number_with_a_hash_rings_as_phones_write_it(
    written: str, transport: str, callers: Callers
) -> None:
    called = callers.extension(code=True)
    assert called.number.startswith("*") and called.number.endswith("#")
    b = await callers.phone(called.handset, transport)
    a = await callers.phone(callers.extension().handset, transport)
    outgoing = await a.call(written.format(called.number, called.number.replace("#", "%23")))
    incoming = await b.incoming()
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    assert (await outgoing.bye()).status == 200


@EITHER
def test_a_contact_with_a_hash_registers(transport: str, device: Handset, streams: Site) -> None:
    with line(streams, transport) as opened:
        caller = Caller(device.account, opened.address, transport=transport.upper())
        contact = caller.contact.replace(device.account.username, "PBX#1000")
        answer = registered(caller, opened, f"<{contact}>")
        assert answer.status == 200 and answer.granted(contact) == 3_600
        assert streams.contacts(device) == {contact}


@pytest.mark.parametrize(("first", "second"), [("udp", "udp"), ("tcp", "udp"), ("udp", "tcp"), ("ws", "ws")])
async def test_a_cancel_right_behind_its_invite_ends_the_call(
    first: str, second: str, callers: Callers
) -> None:
    """The user has put the handset down, and the phone did not wait for a 100 (section 9.1 says it must)."""
    for _ in range(TRIES):
        a, b, _, bert = await callers.pair(first, second)
        outgoing = await a.call(bert.number)
        cancel = outgoing.cancel()
        assert (await cancel.final(5)).status == 200
        assert (await outgoing.final()).status == 487
        b.forget("whether it rang for a moment or not")


# Who it is


def test_a_right_password_for_another_host_is_refused_with_the_reason(device: Handset, streams: Site) -> None:
    with Line(streams.sip) as opened:
        caller = Caller(device.account, opened.address)
        assert caller.learn(opened.ask(caller.register()))
        elsewhere = caller.credentials("REGISTER", "sip:registrar.elsewhere.example")
        answer = opened.ask(caller.register(extra=[elsewhere]))
        assert answer.status == 403
        assert "names another host than this service" in answer.header("warning")
    assert streams.status_hash(device)["lastRejectedReason"] == "foreign-uri"
    events = streams.api("GET", f"/pbx/sipphone/{device.id}/events").body
    assert "names another host than this registrar" in events["summary"]
    assert [event["reason"] for event in events["events"] if event["event"] == "rejected"] == ["foreign-uri"]


def test_a_phone_without_an_extension_registers_and_shows_why_it_does_not_call(streams: Site) -> None:
    bare = streams.new_phone(extension=None)
    with Line(streams.sip) as opened:
        caller = Caller(bare.account, opened.address)
        assert registered(caller, opened, f"<{caller.contact}>").status == 200
        number = streams.demo()["extensions"][0]["number"]
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE", "REFER"):
            answer = asked(caller, opened, method, f"sip:{number}@{bare.account.domain}")
            assert (answer.status, answer.reason) == (403, "No Extension")
            assert "has no extension" in answer.header("warning")
    assert streams.status(bare)["online"] is True
    assert streams.status_hash(bare)["lastRejectedReason"] == "no-extension"


def test_a_phone_without_an_extension_is_not_called(device: Handset, streams: Site) -> None:
    bare = streams.new_phone(extension=None)
    with Line(streams.sip) as opened, Line(streams.sip) as other:
        assert registered(Caller(bare.account, other.address), other).status == 200
        answer = asked(
            Caller(device.account, opened.address),
            opened,
            "INVITE",
            f"sip:{bare.account.username}@{bare.account.domain}",
        )
        assert answer.status == 404
        assert other.answers_within(0.3) == []


def test_only_who_has_proved_who_it_is_hears_who_is_there(device: Handset, streams: Site) -> None:
    domain = device.account.domain
    with Line(streams.sip) as opened:
        caller = Caller(device.account, opened.address)
        assert registered(caller, opened).status == 200
        number = f"77{time.time_ns() % 10**8}"
        about = {"number": number, "name": "Away", "customer": streams.demo()["customer"]}
        assert streams.api("POST", "/pbx/extension", about).status == 200
        here = streams.demo()["extensions"][0]["number"]
        for user, status in ((here, 200), (number, 480), ("99999", 404)):
            uri = f"sip:{user}@{domain}"
            stranger = Caller(Account("anybody", "", domain), opened.address)
            assert opened.ask(stranger.request("OPTIONS", uri, uri)).status == 401
            assert asked(caller, opened, "OPTIONS", uri).status == status
        assert asked(caller, opened, "PUBLISH", f"sip:{here}@{domain}").header("allow-events") == "presence"


# What a forged address may be sent


@pytest.mark.parametrize(
    "tiny",
    [
        pytest.param("A {number:05} SIP/2.0\r\nv:SIP/2.0/UDP a\r\n\r\n", id="what cannot be read"),
        pytest.param(
            "OPTIONS sip:a SIP/2.0\r\nv:SIP/2.0/UDP a;branch={number}\r\nf:<sip:a>;tag=a\r\n"
            "t:sip:a\r\ni:a\r\nCSeq:1 OPTIONS\r\n\r\n",
            id="OPTIONS",
        ),
        pytest.param(
            "REGISTER sip:a SIP/2.0\r\nv:SIP/2.0/UDP a;branch={number}\r\nf:<sip:a>;tag=a\r\n"
            "t:sip:a\r\ni:a\r\nCSeq:1 REGISTER\r\n\r\n",
            id="REGISTER",
        ),
    ],
)
def test_small_datagrams_of_a_stranger_are_answered_within_bounds(
    tiny: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Twice what came, and 2,000 octets in each second."""
    with Site(tmp_path_factory.mktemp("strangers"), limits=MANY_STRANGERS) as site:
        site.demo()
        sent = 0
        with Line(site.sip) as opened:
            opened.alive()
            began = time.monotonic()
            for number in range(300):
                data = tiny.format(number=number).encode()
                opened.send(data)
                sent += len(data)
            answers = opened.answers_within(2.0)
            seconds = ceil(time.monotonic() - began)
        got = sum(len(answer.raw) for answer in answers)
        within(
            5.0,
            lambda: site.metric("registrar_sip_dropped_total", reason="amplification") > 0,
            "some were dropped",
        )
        assert 0 < len(answers) < 300
        assert got <= 2 * sent + 2_000 * seconds
        with Line(site.sip) as opened:
            handset = site.new_phone()
            caller = Caller(handset.account, opened.address)
            assert registered(caller, opened).status == 200, "who proves who it is does not pay for it"


# What a log shows


def test_a_debug_log_has_reasons_and_no_secrets(tmp_path_factory: pytest.TempPathFactory) -> None:
    secret, said = "inline:c2VjcmV0LWtleS1vZi1tZWRpYQ", "meet me at the old oak"
    with Site(tmp_path_factory.mktemp("debug"), log_level="debug") as site:
        handset = site.new_phone()
        with Line(site.sip) as opened:
            caller = Caller(handset.account, opened.address)
            assert registered(caller, opened).status == 200
            uri = f"sip:{site.demo()['extensions'][0]['number']}@{handset.account.domain}"
            sdp = f"v=0\r\nm=audio 4000 RTP/SAVP 8\r\na=crypto:1 X {secret}\r\na=ice-pwd:c2VjcmV0\r\n"
            asked(
                caller,
                opened,
                "INVITE",
                uri,
                ["Content-Type: application/sdp"],
                sdp + "a=ice-pwd:c2VjcmV0\r\n",
            )
            asked(caller, opened, "MESSAGE", uri, ["Content-Type: text/plain"], said)
            opened.send(caller.options().replace(b"Via:", b"X-Via:"))
            opened.alive()
        within(5.0, lambda: '"drop": "malformed"' in site.log_text, "the dropped one has its line")
        text = site.log_text
    assert '"logger": "registrar.trace"' in text and "a=crypto:<redacted>" in text
    for word in (secret, said, "c2VjcmV0", handset.account.password):
        assert word not in text
    dropped = [json.loads(one) for one in text.splitlines() if '"drop": "malformed"' in one]
    assert [(one["message"], one["reason"]) for one in dropped] == [("dropped: OPTIONS", "via is missing")]


def registered(
    caller: Caller, opened: AnyLine[Any], contact: str | None = None, expires: int | None = 3600
) -> Answer:
    """The answer to a REGISTER that is challenged once."""
    answer = opened.ask(caller.register(expires, contact=contact))
    if answer.status != 401:
        return answer
    assert caller.learn(answer)
    return opened.ask(caller.register(expires, contact=contact, extra=[_proof(caller)]))


def asked(
    caller: Caller, opened: Line, method: str, uri: str, lines: Sequence[str] = (), body: str = ""
) -> Answer:
    """The final answer to any other request, whose challenge is answered."""
    about = [f"Contact: <{caller.contact}>", *lines]
    answer = opened.ask(caller.request(method, uri, uri, about, body))
    assert answer.status in (401, 407) and caller.learn(answer)
    proof = caller.credentials(method, uri)
    opened.send(caller.request(method, uri, uri, [*about, proof], body))
    while (raw := opened.receive()) is not None:
        if not raw.startswith(b"SIP/2.0 1"):
            return parse_answer(raw)
    raise AssertionError(f"no answer to {method}")


def _proof(caller: Caller) -> str:
    return caller.credentials("REGISTER", f"sip:{caller.account.domain}")
