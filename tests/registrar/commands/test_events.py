"""registrar/commands/events.py: what one event looks like; the rest is tests/wire/test_watch.py."""

import json
import re

import pytest

from registrar.commands.events import Entry, visible

FIELDS = {
    "phone": "5f3a00000000000000000001",
    "customer": "5f3a00000000000000000002",
    "event": "registered",
    "reason": "registered",
    "time": "1900000000",
    "ip": "192.0.2.7",
    "port": "5062",
    "transport": "udp",
    "userAgent": "Desk Phone 3.1",
    "count": "1",
    "by": "",
}


def line(**fields: str) -> str:
    return Entry("1-0", FIELDS | fields).line("user1", "100")


def test_a_line_says_when_what_who_why_and_where_from() -> None:
    time, event, *rest = re.split(r"\s{2,}", line())
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", time)
    assert [event, *rest] == [
        "registered", "100/user1", "registered", "192.0.2.7:5062", "udp", "Desk Phone 3.1"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        pytest.param({"ip": "2001:db8::7"}, "[2001:db8::7]:5062  udp  Desk Phone 3.1", id="IPv6"),
        pytest.param({"port": "0", "transport": ""}, "192.0.2.7  Desk Phone 3.1", id="no port"),
        pytest.param({"count": "7"}, "Desk Phone 3.1  x7", id="several"),
        pytest.param({"by": "api"}, "Desk Phone 3.1  by api", id="somebody else did it"),
        pytest.param({"userAgent": "x" * 200}, "udp  " + "x" * 60, id="a long story"),
        pytest.param({"userAgent": "a\x1b[2Jb\r\n\u202ec"}, "udp  a[2Jbc", id="control characters"),
        pytest.param(
            {"reason": "\x07gone", "userAgent": ""}, "100/user1  gone  192.0.2.7:5062  udp", id="bell"
        ),
    ],
)
def test_a_line_ends(fields: dict[str, str], end: str) -> None:
    assert line(**fields).endswith("  " + end)


def test_a_phone_that_nobody_knows_is_its_id() -> None:
    assert f"  -/{FIELDS['phone']}  " in Entry("1-0", FIELDS).line("", "")


@pytest.mark.parametrize("time", ["", "soon", "9" * 30, "-1e9"])
def test_what_is_no_time_is_none(time: str) -> None:
    assert line(time=time).startswith("-  registered")


def test_an_entry_of_another_program_is_a_line_too() -> None:
    assert Entry("1-0", {}).line("", "")
    assert Entry("1-0", {}).phone == ""


def test_json_has_the_fields_of_the_stream_and_whose_phone_it_is() -> None:
    shown = Entry("7-1", FIELDS | {"userAgent": "a\x1b\nb"}).json("user1", "")
    assert shown == {
        **FIELDS,
        "id": "7-1",
        "time": 1900000000,
        "port": 5062,
        "count": 1,
        "username": "user1",
        "extensionNumber": None,
        "userAgent": "a\x1b\nb",
    }
    assert "\n" not in json.dumps(shown) and "\x1b" not in json.dumps(shown)


def test_letters_of_all_languages_are_visible() -> None:
    assert visible("Тел 電話 ü\x00\x85\u2028") == "Тел 電話 ü"


CALL = {
    "event": "call-ended",
    "reason": "hung-up",
    "time": "1900000000",
    "customer": "5f3a00000000000000000002",
    "phone": "5f3a00000000000000000001",
    "call": "ab" * 16,
    "callId": "dialog@phone",
    "caller": "100",
    "callee": "101",
    "calleePhone": "5f3a00000000000000000003",
    "status": "",
    "ringSeconds": "4.500",
    "talkSeconds": "59.750",
    "by": "100",
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {},
            ["to 101", "hung-up", "rang 4.500 s", "talked 59.750 s", "by 100"],
            id="a call that was answered",
        ),
        pytest.param(
            {"reason": "busy", "status": "486", "talkSeconds": "", "by": "", "calleePhone": ""},
            ["to 101", "busy", "486", "rang 4.500 s"],
            id="a call that nobody took",
        ),
        pytest.param(
            {"reason": "", "ringSeconds": "", "talkSeconds": "", "by": "", "callee": ""},
            ["to ?"],
            id="a call that begins",
        ),
    ],
)
def test_a_line_says_how_a_call_went(fields: dict[str, str], expected: list[str]) -> None:
    _, event, who, *rest = re.split(r"\s{2,}", Entry("1-0", CALL | fields).line("user1", "100"))
    assert (event, who) == ("call-ended", "100/user1")
    assert rest == expected


def test_json_has_the_times_of_a_call_as_numbers() -> None:
    shown = Entry("1-0", CALL | {"status": "486"}).json("user1", "100")
    assert (shown["status"], shown["ringSeconds"], shown["talkSeconds"]) == (486, 4.5, 59.75)
    assert (
        Entry("1-0", CALL | {"ringSeconds": "9" * 40 + ".1"}).json("", "")["ringSeconds"] == "9" * 40 + ".1"
    )


@pytest.mark.parametrize(
    ("word", "is_about"),
    [
        ("100", True),
        ("101", True),
        (CALL["phone"], True),
        (CALL["calleePhone"], True),
        ("10", False),
        ("", False),
    ],
)
def test_a_call_concerns_both_of_its_sides(word: str, is_about: bool) -> None:
    assert Entry("1-0", CALL).concerns([word]) is is_about


def test_nothing_concerns_a_phone_without_a_name() -> None:
    assert not Entry("1-0", CALL | {"calleePhone": ""}).concerns([""])
    assert Entry("1-0", CALL | {"calleePhone": ""}).phones == (CALL["phone"],)


QUEUE = {
    "event": "queue-answered",
    "reason": "",
    "time": "1900000000",
    "phone": "5f3a00000000000000000001",
    "caller": "100",
    "callee": "101",
    "via": "700",
    "place": "queue:5f3a00000000000000000004",
    "person": "5f3a00000000000000000005",
    "position": "2",
    "waitedSeconds": "4.500",
}
WISH = {"event": "forwarded", "reason": "cfu", "time": "1900000000", "person": QUEUE["person"], "phone": ""}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (QUEUE, ["queue-answered", "100/user1", "at 700", "to 101", "position 2", "waited 4.500 s"]),
        (QUEUE | {"callee": "", "position": ""}, ["queue-answered", "100/user1", "at 700", "waited 4.500 s"]),
        (WISH | {"callee": "201"}, ["forwarded", f"100/{QUEUE['person']}", "to 201", "cfu"]),
        (WISH | {"callee": ""}, ["forwarded", f"100/{QUEUE['person']}", "cfu"]),
    ],
    ids=["answered", "joined", "a new forward", "no forward"],
)
def test_a_line_says_who_waits_and_who_wants_what(fields: dict[str, str], expected: list[str]) -> None:
    username = "user1" if fields["phone"] else ""
    assert re.split(r"\s{2,}", Entry("1-0", fields).line(username, "100"))[1:] == expected


def test_an_event_of_a_queue_is_found_by_its_numbers_and_has_numbers() -> None:
    entry = Entry("1-0", QUEUE)
    assert all(entry.concerns([word]) for word in ("100", "101", "700", QUEUE["person"]))
    assert not entry.concerns(["", "702"])
    shown = entry.json("user1", "100")
    assert (shown["position"], shown["waitedSeconds"]) == (2, 4.5)
