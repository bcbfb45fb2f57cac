"""Which passwords are worth one, what is said of the others, and what it costs to find out."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.operations.passwords import JUDGED, common_passwords, weakness
from tests.every import every

LEAST = 10
ABOUT = ("joe.blogs@acme.test", "Joe Blogs", "200", "Acme")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "Xq7-vRt2zP",
        "a secret of his",
        "password" * 3 + "x7$Qz19!kW",
        "ærlige små ænder",
    ],
)
def test_a_good_password_is_good(password: str) -> None:
    assert weakness(password, LEAST, ABOUT) is None


@pytest.mark.parametrize("password", ["", "1234", "Xq7-vRt2z", "pässword"])
def test_a_short_one_is_told_how_long_it_must_be(password: str) -> None:
    assert weakness(password, LEAST) == "The password needs at least 10 characters"
    assert weakness("Xq7-vRt2zP", 12) == "The password needs at least 12 characters"


@every(
    "password",
    [
        "1234567890",
        "password123",
        "P@ssw0rd123",
        "qwertyuiop",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "passwordpasswordpassword",
        "joe.blogs1",
        "Acme200200",
    ],
)
def test_what_is_guessed_first_is_refused(password: str) -> None:
    assert "guessed first" in (weakness(password, LEAST, ABOUT) or "")


def test_the_list_begins_with_the_owner_and_has_an_end() -> None:
    tried = list(common_passwords(("joe", "", "200")))
    assert tried[:3] == ["joe", "200", "123456"]
    assert {"letmein", "0000", "4711", "7"} <= set(tried)
    assert len(tried) < 25_000


@settings(deadline=None, max_examples=30)
@given(st.text(alphabet="4@8({[<36091!|$5+7%2aeo", min_size=200, max_size=1_000))
def test_odd_characters_cost_no_more_than_a_moment(password: str) -> None:
    """The estimator alone takes minutes for these."""
    begin = time.process_time()
    weakness(password, LEAST)
    assert time.process_time() - begin < 10
    assert JUDGED <= 16
