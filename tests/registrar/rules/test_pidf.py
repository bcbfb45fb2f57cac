"""registrar/rules/pidf.py: what is shown of a person's presence, and its document."""

import xml.etree.ElementTree as ET

import pytest

from registrar.model import Published
from registrar.rules.pidf import Activity, Presence, document, presence
from tests.every import every

PIDF = "{urn:ietf:params:xml:ns:pidf}"
RPID = "{urn:ietf:params:xml:ns:pidf:rpid}"
PERSON = "{urn:ietf:params:xml:ns:pidf:data-model}person"


@pytest.mark.parametrize(
    ("about", "activity", "note"),
    [
        ({}, Activity.FREE, ""),
        ({"is_talking": True}, Activity.ON_THE_PHONE, "On the phone"),
        ({"is_talking": True, "dnd": True}, Activity.DO_NOT_DISTURB, "Do not disturb"),
        ({"is_away": True}, Activity.AWAY, "Away"),
        ({"is_away": True, "is_talking": True}, Activity.ON_THE_PHONE, "On the phone"),
        ({"is_online": False, "reason": "expired", "dnd": True}, Activity.OFFLINE, "Offline: expired"),
        ({"is_online": False}, Activity.OFFLINE, "Offline"),
    ],
)
def test_the_presence_of_a_person(about: dict[str, object], activity: Activity, note: str) -> None:
    known: dict[str, object] = {
        "is_online": True, "reason": "", "is_talking": False, "dnd": False, "is_away": False,
    }  # fmt: skip
    shown = presence(**{**known, **about})  # type: ignore[arg-type]  # the names are those of its arguments
    assert (shown.activity, shown.note) == (activity, note)


@every(
    ("about", "published", "basic", "note"),
    [
        ({}, Published(True, "Lunch"), "open", "Lunch"),
        ({}, Published(False), "closed", ""),
        ({}, Published(False, "Lunch"), "closed", "Lunch"),
        ({"is_away": True}, Published(True, "Lunch"), "open", "Lunch"),
        ({"is_away": True}, Published(False), "closed", "Away"),
        ({"is_talking": True}, Published(False, "Lunch"), "open", "On the phone"),
        ({"dnd": True}, Published(True, "Lunch"), "open", "Do not disturb"),
        ({"is_online": False, "reason": "expired"}, Published(True, "Lunch"), "closed", "Offline: expired"),
    ],
)
def test_what_is_known_wins_over_what_is_published(
    about: dict[str, object], published: Published, basic: str, note: str
) -> None:
    known: dict[str, object] = {
        "is_online": True, "reason": "", "is_talking": False, "dnd": False, "is_away": False,
    }  # fmt: skip
    shown = presence(**{**known, **about, "published": published})  # type: ignore[arg-type]  # as above
    (one,) = ET.fromstring(document(shown, entity="sip:a@d")).findall(f"{PIDF}tuple")
    assert one.findtext(f"{PIDF}status/{PIDF}basic") == basic
    assert (one.findtext(f"{PIDF}note") or "") == note


@pytest.mark.parametrize("activity", Activity)
def test_the_document(activity: Activity) -> None:
    root = ET.fromstring(document(Presence(activity), entity="sip:a&b@d"))
    assert root.attrib == {"entity": "sip:a&b@d"}
    (one,) = root.findall(f"{PIDF}tuple")
    assert [child.tag for child in one][:2] == [f"{PIDF}status", f"{PIDF}contact"]
    basic = one.findtext(f"{PIDF}status/{PIDF}basic")
    assert basic == ("closed" if activity is Activity.OFFLINE else "open")
    activities = [child.tag for child in root.iterfind(f"{PERSON}/{RPID}activities/*")]
    assert activities == ([f"{RPID}{activity}"] if activity not in (Activity.FREE, Activity.OFFLINE) else [])
    assert (one.find(f"{PIDF}note") is None) is (activity is Activity.FREE)
