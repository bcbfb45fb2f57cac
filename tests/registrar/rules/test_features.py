"""registrar/rules/features.py: feature codes with their arguments, and the numbers that they reserve."""

import pytest

from registrar.model import Emergency, Feature, FeatureKind
from registrar.rules.features import CODES, EMERGENCY_NUMBERS, Family, ReservedWords, reserved_words
from tests.every import every

ALL = reserved_words()


@every(
    ("word", "kind", "code", "argument"),
    [
        pytest.param("*8", FeatureKind.PICKUP_GROUP, "*8", "", id="pick up in the own groups"),
        pytest.param("*8#", FeatureKind.PICKUP_GROUP, "*8", "", id="an end mark without an argument"),
        pytest.param("*8600", FeatureKind.PICKUP_GROUP, "*8", "600", id="pick up in one group"),
        pytest.param("**201", FeatureKind.PICKUP, "**", "201", id="pick up at one extension"),
        pytest.param("*76", FeatureKind.DND_TOGGLE, "*76", "", id="do not disturb, on or off"),
        pytest.param("*78#", FeatureKind.DND_ON, "*78", "", id="do not disturb, on"),
        pytest.param("*79", FeatureKind.DND_OFF, "*79", "", id="do not disturb, off"),
        pytest.param("*72201#", FeatureKind.CFU_ON, "*72", "201", id="the end mark is no digit"),
        pytest.param("*72201##", FeatureKind.CFU_ON, "*72", "201#", id="only one end mark"),
        pytest.param("*72+442079460018", FeatureKind.CFU_ON, "*72", "+442079460018", id="outside"),
        pytest.param("*73", FeatureKind.CFU_OFF, "*73", "", id="no forwarding"),
        pytest.param("*90201", FeatureKind.CFB_ON, "*90", "201", id="forwarding when busy"),
        pytest.param("*91", FeatureKind.CFB_OFF, "*91", "", id="none when busy"),
        pytest.param("*92201", FeatureKind.CFNR_ON, "*92", "201", id="forwarding without an answer"),
        pytest.param("*93", FeatureKind.CFNR_OFF, "*93", "", id="none without an answer"),
        pytest.param("*45700", FeatureKind.QUEUE, "*45", "700", id="join or leave a queue"),
    ],
)
def test_a_code_is_read_with_its_argument(word: str, kind: FeatureKind, code: str, argument: str) -> None:
    assert ALL.destination(word) == Feature(kind, code, argument)


@every(
    "word",
    [
        pytest.param("*", id="the beginning of codes"),
        pytest.param("*7", id="the beginning of some codes"),
        pytest.param("**", id="a pickup without an extension"),
        pytest.param("*72", id="a forwarding without a number"),
        pytest.param("*72#", id="a forwarding with an end mark alone"),
        pytest.param("*761", id="a number after a code that takes none"),
        pytest.param("*98", id="no code"),
        pytest.param("#76", id="a code of another system"),
        pytest.param("*72anna", id="a name is no number"),
        pytest.param("*72+", id="a sign is no number"),
        pytest.param("*72" + "1" * 33, id="too long"),
        pytest.param("200", id="an extension"),
    ],
)
def test_another_word_is_left_to_the_dial_plan(word: str) -> None:
    assert ALL.destination(word) is None


def test_each_kind_has_one_code_and_no_code_has_two_meanings() -> None:
    assert sorted(code.kind for code in CODES) == sorted(FeatureKind)
    assert len({code.text for code in CODES}) == len(CODES)
    assert {code.family for code in CODES} == set(Family)


@pytest.mark.parametrize("family", Family)
def test_a_family_is_enabled_alone(family: Family) -> None:
    enabled = reserved_words([family]).codes.values()
    assert [code for code in CODES if code.family is family] == list(enabled)


@pytest.mark.parametrize("number", sorted(EMERGENCY_NUMBERS))
def test_emergency_numbers_are_there_in_each_installation(number: str) -> None:
    assert reserved_words([]).destination(number) == Emergency(number)


@every(
    ("reserved", "number", "message"),
    [
        pytest.param(ALL, "112", "The number 112 is an emergency number", id="an emergency number"),
        pytest.param(
            reserved_words([], ["114"]), "114", "The number 114 is an emergency number", id="one more"
        ),
        pytest.param(ALL, "*76", "The number *76 begins like the feature code *76", id="a code"),
        pytest.param(ALL, "*8600", "The number *8600 begins like the feature code *8", id="with more digits"),
        pytest.param(ALL, "*761", "The number *761 begins like the feature code *76", id="with any digits"),
        pytest.param(reserved_words(["queue"]), "*76", "", id="a code that is off"),
        pytest.param(ALL, "1120", "", id="longer than an emergency number"),
        pytest.param(ALL, "*98", "", id="no code"),
        pytest.param(ALL, "*7", "", id="the beginning of some codes"),
        pytest.param(ALL, "200", "", id="a plain number"),
    ],
)
def test_reserved_numbers_are_refused(reserved: ReservedWords, number: str, message: str) -> None:
    assert reserved.refusal(number) == message
