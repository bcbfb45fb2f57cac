"""rules/diversion.py: where a call goes that a person has forwarded (RFC 5806)."""

import pytest

from registrar.model import PersonState
from registrar.rules.diversion import DiversionReason, Forward, after, at_once, diversion

ALL = PersonState(cfb="1", cfnr="2")


@pytest.mark.parametrize(
    ("wishes", "has_devices", "wanted"),
    [
        (PersonState(), True, None),
        (PersonState(), False, None),
        (PersonState(cfu="3", cfb="1", cfnr="2"), True, Forward("3", DiversionReason.UNCONDITIONAL)),
        (ALL, True, None),
        (ALL, False, Forward("2", DiversionReason.UNAVAILABLE)),
        (PersonState(cfb="1"), False, None),
    ],
)
def test_before_any_phone_rings(wishes: PersonState, has_devices: bool, wanted: Forward | None) -> None:
    assert at_once(wishes, has_devices=has_devices) == wanted


@pytest.mark.parametrize(
    ("statuses", "wanted"),
    [
        ({486}, Forward("1", DiversionReason.BUSY)),
        ({600}, Forward("1", DiversionReason.BUSY)),
        ({480, 486}, Forward("1", DiversionReason.BUSY)),
        ({486, 603}, None),
        ({603}, None),
        ({480}, Forward("2", DiversionReason.UNAVAILABLE)),
        ({408, 430}, Forward("2", DiversionReason.UNAVAILABLE)),
    ],
)
def test_after_all_phones_have_refused(statuses: set[int], wanted: Forward | None) -> None:
    assert after(ALL, statuses) == wanted
    assert after(PersonState(), statuses) is None


def test_a_busy_phone_is_not_forwarded_by_the_wish_for_no_answer() -> None:
    assert after(PersonState(cfnr="2"), {486}) is None


def test_the_header() -> None:
    name, value = diversion("201", "acme.test", DiversionReason.NO_ANSWER, 2)
    assert (name, value) == ("Diversion", "<sip:201@acme.test>;reason=no-answer;counter=2;privacy=off")
