"""rules/caller_name.py: `callerNameFormat` of groups and queues."""

import pytest

from registrar.rules.caller_name import MAX_LENGTH, caller_name
from tests.every import every


@every(
    ("form", "made"),
    [
        pytest.param("{displayName} - {srcPhoneNumber}", "Sales Dept - 201", id="as the seed shows it"),
        pytest.param("{displayName}", "Sales Dept", id="name alone"),
        pytest.param("{srcPhoneNumber}", "201", id="number alone"),
        pytest.param("Call: {srcPhoneNumber}", "Call: 201", id="text"),
        pytest.param("{dgrpName} - {displayName}", "Sales Dept", id="empty at the beginning"),
        pytest.param("{displayName}: {dgrpName}", "Sales Dept", id="empty at the end"),
        pytest.param("{dgrpName}", "", id="nothing is left"),
        pytest.param("{displayName} {dgrpName} {srcPhoneNumber}", "Sales Dept 201", id="empty in the middle"),
        pytest.param("Größe \N{SNOWMAN} {srcPhoneNumber}", "Größe \N{SNOWMAN} 201", id="umlauts"),
        pytest.param("a\r\nVia: x\x00{srcPhoneNumber}", "a Via: x 201", id="control characters"),
        pytest.param("{other} {srcPhoneNumber}", "{other} 201", id="an unknown variable stays text"),
        pytest.param("x" * 300, "x" * MAX_LENGTH, id="300 characters"),
    ],
)
def test_a_format_makes_a_name(form: str, made: str) -> None:
    assert caller_name(form, display_name="Sales Dept", number="201") == made


def test_the_label_of_a_direct_number() -> None:
    assert (
        caller_name("{dgrpName}/{displayName}", display_name="Sales", number="201", direct="Ads")
        == "Ads/Sales"
    )


def test_a_value_is_no_format() -> None:
    assert caller_name("{displayName}", display_name="{srcPhoneNumber}!", number="1") == "{srcPhoneNumber}!"
