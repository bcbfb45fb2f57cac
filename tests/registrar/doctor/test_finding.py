"""registrar/doctor/finding.py: one line for people, one object for programs."""

from registrar.doctor import fail, ok, warn


def test_a_line_has_what_to_do_in_its_end() -> None:
    assert str(ok("clock", "0.0 s off")) == "ok    clock           0.0 s off"
    assert str(warn("clock", "3.0 s off", "NTP")) == "warn  clock           3.0 s off -> NTP"
    assert str(fail("data directory", "gone", "make it")) == "FAIL  data directory  gone -> make it"


def test_an_object_has_the_same() -> None:
    shown = fail("clock", "off", "NTP").json()
    assert shown == {"level": "FAIL", "what": "clock", "detail": "off", "advice": "NTP"}
