"""registrar/logs.py: one line for each record, whatever a peer put into it."""

import asyncio
import io
import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.logs import (
    MAX_A_SECOND,
    MAX_LINES,
    REDACTED,
    SELDOM_SECONDS,
    Lines,
    RequestLines,
    Seldom,
    WrongPasswordLines,
    json_line,
    redacted,
    terminal_line,
)
from registrar.model import Epoch, Flow, IpMode, Phone
from registrar.sip import Request, parse

FLOW = Flow("udp", "192.0.2.10", 5060, "198.51.100.7", 5060)
PHONE = Phone("id", 1, "user", "acme.test", "acme", True, "200", "hunter2", 1, IpMode.OPEN)
EVIL = "a\nb\r\x1b[2Jc\x00d\u2028e\x9bf"


def request(call_id: str = "call-1") -> Request:
    message = parse(f"REGISTER sip:acme.test SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n".encode())
    assert isinstance(message, Request)
    return message


def record(message: str, *arguments: object, error: bool = False) -> logging.LogRecord:
    trace = None
    if error:
        try:
            raise ValueError(EVIL)
        except ValueError:
            trace = sys.exc_info()
    return logging.LogRecord("registrar.x", logging.WARNING, "", 1, message, arguments, trace)


def test_a_record_is_one_json_object() -> None:
    made = record("phone %s", "x")
    made.callId = "abc"
    line = json.loads(Lines(json_line).format(made))
    assert line["time"].endswith("+00:00")
    assert {name: line[name] for name in ("level", "logger", "message", "callId")} == {
        "level": "warning", "logger": "registrar.x", "message": "phone x", "callId": "abc",
    }  # fmt: skip


@pytest.mark.parametrize("error", [False, True])
def test_what_a_peer_wrote_cannot_begin_a_line_of_its_own(error: bool) -> None:
    line = Lines(json_line).format(record("phone %s", EVIL, error=error))
    assert line.isprintable()
    assert json.loads(line)["message"] == f"phone {EVIL}"
    assert ("exception" in json.loads(line)) is error


def test_a_terminal_shows_no_control_characters() -> None:
    line = Lines(terminal_line).format(record("phone %s", EVIL))
    assert line.isprintable()
    assert line.endswith("phone a?b??[2Jc?d?e?f")


def test_an_exception_moves_no_cursor_of_a_terminal() -> None:
    lines = Lines(terminal_line).format(record("oh", error=True)).split("\n")
    assert all(line.isprintable() for line in lines)
    assert "Traceback" in lines[1]


@given(text=st.text(max_size=100), name=st.text(max_size=20))
def test_any_text_is_one_line(text: str, name: str) -> None:
    for line in (json_line, terminal_line):
        written = line(0.0, "info", "x", text, {name: text, "source": name})
        assert "\n" not in written
        assert written.isprintable()


async def test_finished_requests_are_written_together() -> None:
    stream = io.StringIO()
    lines = RequestLines(json_line, stream)
    for number in range(3):
        lines.finished(request(f"call-{number}"), FLOW, PHONE, 200, Epoch(0), 0.0123)
    assert stream.getvalue() == ""
    await asyncio.sleep(0.25)
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["callId"] for line in written] == ["call-0", "call-1", "call-2"]
    assert written[0]["message"] == "REGISTER 200"
    assert written[0]["milliseconds"] == 12.3
    assert written[0]["source"] == "198.51.100.7:5060"
    assert "hunter2" not in stream.getvalue()


async def test_the_line_of_a_refusal_says_why() -> None:
    stream = io.StringIO()
    lines = RequestLines(json_line, stream)
    lines.finished(request(), FLOW, PHONE, 403, Epoch(0), 0.0, "this phone is locked to another address")
    lines.finished(request(), FLOW, PHONE, 200, Epoch(0), 0.0)
    lines.flush()
    refused, granted = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert refused["reason"] == "this phone is locked to another address"
    assert "reason" not in granted


@pytest.mark.parametrize(
    ("uri", "dialled"),
    [
        ("sip:201@acme.test", "201"),
        ("tel:+45-70;phone-context=x", "+45-70"),
        ("urn:service:SOS", "urn:service:sos"),
        (f"sip:{'9' * 300}@acme.test", "9" * 128),
        ("sip:acme.test", ""),
    ],
)
async def test_the_line_of_an_invite_has_the_number_that_was_dialled(uri: str, dialled: str) -> None:
    invite = parse(f"INVITE {uri} SIP/2.0\r\nCall-ID: c\r\n\r\n".encode())
    assert isinstance(invite, Request)
    stream = io.StringIO()
    lines = RequestLines(json_line, stream)
    lines.finished(invite, FLOW, PHONE, 404, Epoch(0), 0.0, "no such number here")
    lines.finished(request(), FLOW, PHONE, 200, Epoch(0), 0.0)
    lines.flush()
    called, registered = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (called["message"], called["dialled"], called["reason"]) == (
        "INVITE 404", dialled, "no such number here"
    )  # fmt: skip
    assert "dialled" not in registered


async def test_more_than_fit_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    lines = RequestLines(json_line, stream)
    for _ in range(MAX_LINES + 5):
        lines.finished(request(), FLOW, PHONE, 200, Epoch(0), 0.0)
    lines.flush()
    assert len(stream.getvalue().splitlines()) == MAX_LINES
    assert caplog.messages == ["5 finished requests have no line"]


async def test_lines_nobody_wants_are_not_made() -> None:
    stream = io.StringIO()
    lines = RequestLines(json_line, stream, enabled=False)
    lines.finished(request(), FLOW, PHONE, 200, Epoch(0), 0.0)
    lines.flush()
    assert stream.getvalue() == ""


def test_what_peers_may_cause_is_one_line_a_second() -> None:
    seldom = Seldom()

    def passes(at: float) -> str | None:
        said = record("connection %s", "closed")
        said.created = at
        return said.getMessage() if seldom.filter(said) else None

    assert passes(1_000.0) == "connection closed"
    assert [passes(1_000.0 + n / 10) for n in range(10)] == [None] * 10
    assert passes(1_000.0 + SELDOM_SECONDS) == "connection closed (10 more before it)"
    assert passes(1_000.5 + SELDOM_SECONDS) is None
    assert passes(2_000.0) == "connection closed (1 more before it)"
    assert passes(3_000.0) == "connection closed"


def test_a_wall_clock_that_is_set_back_silences_nobody() -> None:
    seldom = Seldom()
    for at in (5_000.0, 1_000.0):
        said = record("x")
        said.created = at
        assert seldom.filter(said)


async def test_twenty_wrong_passwords_a_second_have_a_line_and_the_rest_have_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = WrongPasswordLines()
    for number in range(MAX_A_SECOND + 30):
        lines.note(f"198.51.100.{number % 25}", "x" * 1_000, "udp", "Evil/1", "wrong-password")
    lines.flush()
    lines.note("198.51.100.7", "anna", "udp", "", "wrong-password")
    lines.flush()
    lines.flush()
    said = [record.getMessage() for record in caplog.records]
    assert said == ["wrong password"] * MAX_A_SECOND + ["more wrong passwords", "wrong password"]
    total = vars(caplog.records[MAX_A_SECOND])
    assert (total["count"], total["addresses"]) == (30, 25)
    assert len(vars(caplog.records[0])["account"]) == 128


def test_the_address_stands_before_what_a_peer_has_chosen() -> None:
    """deploy/fail2ban relies on it."""
    made = logging.makeLogRecord(
        {"levelname": "WARNING", "name": "registrar.passwords", "msg": "wrong password"}
    )
    for name, value in {
        "address": "192.0.2.7",
        "account": 'a", "address": "192.0.2.8',
        "reason": "x",
    }.items():
        setattr(made, name, value)
    head, _, rest = Lines(json_line).format(made).partition(', "account": ')
    assert head.endswith('"message": "wrong password", "address": "192.0.2.7"')
    assert '"address": "192.0.2.8' not in rest


SECRETS = ("hunter2", "aWNlIHB3ZA", "c3J0cCBrZXk", "bWlrZXk", "see you at noon")


@pytest.mark.parametrize(
    ("headers", "body", "shown"),
    [
        pytest.param(
            "Authorization: Digest x,\r\n response=hunter2", "", "authorization: <redacted>", id="digest"
        ),
        pytest.param(
            "proxy-AUTHORIZATION : Digest hunter2", "", "proxy-authorization: <redacted>", id="proxy"
        ),
        pytest.param(
            "Content-Type: application/sdp",
            "v=0\r\na=ice-ufrag:u1\r\na=ice-pwd:aWNlIHB3ZA\r\nm=audio 9 RTP/SAVP 0\r\n"
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c3J0cCBrZXk\r\nA=Key-Mgmt:mikey bWlrZXk\r\n"
            "k=base64:aWNlIHB3ZA\r\na=sendrecv\r\n",
            "v=0\na=ice-ufrag:u1\na=ice-pwd:<redacted>\nm=audio 9 RTP/SAVP 0\na=crypto:<redacted>\n"
            "A=Key-Mgmt:<redacted>\nk=<redacted>\na=sendrecv",
            id="SDP",
        ),
        pytest.param(
            "c: APPLICATION/SDP",
            "a=crypto:1 X inline:c3J0cCBrZXk\na=x",
            "a=crypto:<redacted>\na=x",
            id="compact",
        ),
        pytest.param(
            "Content-Type: text/plain", "see you at noon", "<redacted> (15 characters)", id="MESSAGE"
        ),
        pytest.param(
            "Content-Type: multipart/mixed;boundary=x",
            "--x\r\n\r\na=crypto:1 c3J0cCBrZXk\r\n--x--",
            "<redacted> (36 characters)",
            id="several parts",
        ),
        pytest.param("X: y", "see you at noon", "<redacted> (15 characters)", id="a body of no kind"),
    ],
)
def test_what_is_secret_is_not_in_a_trace(headers: str, body: str, shown: str) -> None:
    text = redacted(f"MESSAGE sip:a SIP/2.0\r\nVia: h\r\n{headers}\r\nCall-ID: c\r\n\r\n{body}".encode())
    assert not [secret for secret in SECRETS if secret in text]
    assert shown in text
    assert REDACTED in text and "Call-ID: c" in text and "Via: h" in text


def test_what_is_no_secret_is_shown_as_it_is() -> None:
    assert redacted(b"OPTIONS sip:a SIP/2.0\r\nVia: h\r\n\r\n") == "OPTIONS sip:a SIP/2.0\nVia: h\n\n"
