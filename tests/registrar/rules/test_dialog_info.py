"""registrar/rules/dialog_info.py: which call a lamp shows, and how (RFC 4235)."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from registrar.model import Call, CallState, Party
from registrar.rules.dialog_info import (
    IDLE,
    LAMP_ON,
    MAX_NAME,
    Line,
    LineState,
    Watched,
    document,
    line_of,
    opaque_id,
    xml,
)
from tests.every import every

KEY = bytes(range(32))
BOB = Watched("p-bob", "201", "Bob", "acme.test", frozenset({"id-b"}))
ANN = Party("id-a", "200", "Ann")
RINGING = Call(
    "1", "real-call-id", "acme", "acme.test", ANN, Party("", "201", "Bob"), CallState.RINGING, 10.0
)
TALKING = replace(
    RINGING, id="2", callee=Party("id-b", "201", "Bob"), state=CallState.ANSWERED, started_at=5.0
)
CALLING = Call(
    "3",
    "c",
    "acme",
    "acme.test",
    Party("id-b", "201", "Bob"),
    Party("", "202", "Cat"),
    CallState.RINGING,
    1.0,
)
NS = "{urn:ietf:params:xml:ns:dialog-info}"


def shown(*calls: Call, watched: Watched = BOB) -> tuple[str, str, bool]:
    line = line_of(watched, calls, KEY)
    return str(line.state), line.number, line.is_recipient


@every(
    ("calls", "line"),
    [
        pytest.param((), ("terminated", "", False), id="idle"),
        pytest.param((RINGING,), ("early", "200", True), id="it rings"),
        pytest.param((TALKING,), ("confirmed", "200", True), id="it talks"),
        pytest.param((CALLING,), ("confirmed", "202", False), id="who rings out is in a call"),
        pytest.param((CALLING, TALKING, RINGING), ("early", "200", True), id="what rings comes first"),
        pytest.param((TALKING, CALLING), ("confirmed", "202", False), id="of two the older"),
        pytest.param((replace(RINGING, callee=Party("", "202")),), ("terminated", "", False), id="of others"),
        pytest.param(
            (replace(TALKING, callee=Party("id-b", "600")),),
            ("confirmed", "200", True),
            id="taken for a group",
        ),
        pytest.param((replace(RINGING, is_private=True),), ("early", "", True), id="anonymous"),
    ],
)
def test_the_most_interesting_call_is_shown(calls: tuple[Call, ...], line: tuple[str, str, bool]) -> None:
    assert shown(*calls) == line
    assert shown(*reversed(calls)) == line


def test_a_call_of_a_group_is_that_of_a_member_while_it_rings() -> None:
    group = replace(RINGING, callee=Party("", "600", "All"))
    member = replace(BOB, calls=frozenset({"1"}))
    assert shown(group) == ("terminated", "", False)
    assert shown(group, watched=member) == ("early", "200", True)
    taken = replace(group, state=CallState.ANSWERED, callee=Party("id-x", "600"))
    assert shown(taken, watched=member) == ("terminated", "", False)


def test_of_two_that_ring_the_older_is_shown() -> None:
    later = replace(RINGING, id="0", caller=Party("id-c", "202"), started_at=11.0)
    assert shown(later, RINGING) == shown(RINGING, later) == ("early", "200", True)


def test_the_id_of_a_call_differs_for_each_person_and_says_nothing() -> None:
    ids = {opaque_id(KEY, call, person) for call in "12" for person in "ab"} | {opaque_id(b"k", "1", "a")}
    assert len(ids) == 5
    assert line_of(BOB, [RINGING], KEY).id == opaque_id(KEY, "1", "p-bob")


def test_the_document_has_one_dialog_with_both_parties() -> None:
    line = line_of(BOB, [RINGING, TALKING], KEY)
    text = document(line, BOB, entity="sip:201@acme.test", version=7)
    root = ET.fromstring(text)
    assert root.attrib == {"version": "7", "state": "full", "entity": "sip:201@acme.test"}
    (dialog,) = root
    assert dialog.attrib == {
        "id": line.id,
        "call-id": line.id,
        "local-tag": "l",
        "remote-tag": "r",
        "direction": "recipient",
    }
    assert [child.tag for child in dialog] == [f"{NS}state", f"{NS}local", f"{NS}remote"]
    sides = {
        side: (found.find(f"{NS}identity"), found.find(f"{NS}target"))
        for side in ("local", "remote")
        if (found := dialog.find(f"{NS}{side}")) is not None
    }
    said = {
        side: (identity.text, identity.attrib, target.attrib["uri"])
        for side, (identity, target) in sides.items()
        if identity is not None and target is not None
    }
    assert said == {
        "local": ("sip:201@acme.test", {"display": "Bob"}, "sip:201@acme.test"),
        "remote": ("sip:200@acme.test", {"display": "Ann"}, "sip:200@acme.test"),
    }
    assert b"real-call-id" not in text


@pytest.mark.parametrize(
    ("call", "marked"),
    [
        pytest.param(TALKING, [], id="not held"),
        pytest.param(replace(TALKING, callee=replace(TALKING.callee, holds=True)), ["local"], id="it holds"),
        pytest.param(replace(TALKING, caller=replace(ANN, holds=True)), ["remote"], id="it is held"),
        pytest.param(
            replace(CALLING, caller=replace(CALLING.caller, holds=True)), ["local"], id="it holds as caller"
        ),
        pytest.param(
            replace(TALKING, is_private=True, caller=replace(ANN, holds=True)), ["remote"], id="anonymous"
        ),
    ],
)
def test_the_party_that_holds_is_marked(call: Call, marked: list[str]) -> None:
    text = document(line_of(BOB, [call], KEY), BOB, entity="sip:201@acme.test", version=1)
    (dialog,) = ET.fromstring(text)
    about = {side: dialog.find(f"{NS}{side}/{NS}target/{NS}param") for side in ("local", "remote")}
    found = {side: param.attrib for side, param in about.items() if param is not None}
    assert found == {side: {"pname": "+sip.rendering", "pvalue": "no"} for side in marked}
    assert line_of(BOB, [call], KEY).state is LineState.CONFIRMED


def test_a_call_that_is_not_held_comes_first() -> None:
    held = replace(CALLING, caller=replace(CALLING.caller, holds=True))
    assert shown(held, TALKING) == shown(TALKING, held) == ("confirmed", "200", True)
    assert shown(held, RINGING) == ("early", "200", True)


@pytest.mark.parametrize(("line", "state"), [(IDLE, "terminated"), (LAMP_ON, "confirmed")])
def test_without_a_call_there_are_no_parties(line: Line, state: str) -> None:
    (dialog,) = ET.fromstring(document(line, BOB, entity="sip:*76@acme.test", version=0))
    assert [(child.tag, child.text) for child in dialog] == [(f"{NS}state", state)]


def test_names_are_escaped_and_cut() -> None:
    line = Line(LineState.EARLY, "1", True, "2 0&0", "\x00<\"A'&ß>\n" + "x" * 300)
    text = document(line, replace(BOB, name="", domain="a&b"), entity='sip:"<&>@d', version=1)
    remote = ET.fromstring(text).find(f"{NS}dialog/{NS}remote/{NS}identity")
    assert remote is not None
    assert remote.attrib["display"] == (" <\"A'&ß> " + "x" * 300)[:MAX_NAME]
    assert remote.text == "sip:2%200&0@a&b"
    assert b"<local><identity>sip:201@a&amp;b</identity>" in text
    assert len(text) < 1_200


def test_text_for_xml() -> None:
    assert xml("a<b>&\"'\x1b\u2028") == "a&lt;b&gt;&amp;&quot;&#x27;  "
