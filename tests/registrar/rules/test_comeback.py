"""registrar/rules/comeback.py: who comes back to a call, by its registration and by its answer."""

from typing import Any

import pytest

from registrar.model import Binding
from registrar.rules.comeback import MOVED_SECONDS, UNKNOWN, Return, has_fallen_silent, knows_dialog, returned
from registrar.rules.tokens import target_of
from tests.every import every

from .words import NOW, binding

LOST = target_of("p", binding(transport="wss", flow=3))
LONG_AGO = int(NOW) - 100


@every(
    ("changes", "registration", "what"),
    [
        pytest.param({"call_id": "mine"}, "mine", Return.HERE, id="the same program"),
        pytest.param(
            {"call_id": "mine", "refreshed_at": LONG_AGO}, "mine", Return.HERE, id="its second flow"
        ),
        pytest.param({"call_id": "new"}, "mine", Return.ASK, id="loaded anew"),
        pytest.param({"call_id": "new"}, UNKNOWN, Return.ASK, id="nobody knows what it was"),
        pytest.param(
            {"call_id": "new", "refreshed_at": LONG_AGO},
            UNKNOWN,
            Return.ASK,
            id="the same Contact, before the old connection was seen to close",
        ),
        pytest.param(
            {"call_id": "new", "contact": "sip:x@y", "refreshed_at": LONG_AGO},
            "mine",
            Return.OTHER,
            id="another device",
        ),
        pytest.param(
            {"call_id": "new", "refreshed_at": LONG_AGO}, "", Return.HERE, id="it is registered elsewhere"
        ),
        pytest.param({"call_id": "new"}, "", Return.ASK, id="it was not registered, and is now"),
    ],
)
def test_what_a_binding_says(changes: dict[str, Any], registration: str, what: Return) -> None:
    assert returned(binding(**changes), LOST, registration, NOW) is what


def test_an_instance_is_a_device_whatever_its_contact() -> None:
    lost = target_of("p", binding(transport="wss", flow=3, instance="i"))
    same = binding("10.0.0.99", instance="i", refreshed_at=LONG_AGO, call_id="new")
    other = binding(instance="j", refreshed_at=LONG_AGO, call_id="new")
    assert returned(same, lost, "mine", NOW) is Return.ASK
    assert returned(other, lost, "mine", NOW) is Return.OTHER


@every(
    ("status", "knows"),
    [
        (200, True),
        (405, True),
        (486, True),
        (500, True),
        (481, False),
        (404, False),
        (408, False),
        (604, False),
    ],
)
def test_what_an_answer_says(status: int, knows: bool) -> None:
    assert knows_dialog(status) is knows


HERE = target_of("p", binding())
QUIET = binding(silent_since=int(NOW), refreshed_at=LONG_AGO)


@pytest.mark.parametrize(
    ("live", "silent"),
    [
        pytest.param((binding(),), False, id="it answers"),
        pytest.param((QUIET,), True, id="it does not"),
        pytest.param((), False, id="nothing is bound there"),
        pytest.param((binding(public_port=9, silent_since=1),), False, id="another one"),
        pytest.param(
            (QUIET, binding("10.0.0.8", public_port=9, refreshed_at=LONG_AGO)), True, id="beside another"
        ),
        pytest.param(
            (QUIET, binding("10.0.0.8", public_port=9, refreshed_at=int(NOW) - MOVED_SECONDS)),
            False,
            id="it has registered elsewhere",
        ),
        pytest.param((QUIET, binding("10.0.0.8")), False, id="two at one place: one of them answers"),
    ],
)
def test_who_has_fallen_silent(live: tuple[Binding, ...], silent: bool) -> None:
    assert has_fallen_silent(live, HERE) is silent
