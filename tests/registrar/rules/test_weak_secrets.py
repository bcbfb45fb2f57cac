"""registrar/rules/weak_secrets.py: what is refused as a key, and that no random key is."""

import re
import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import ConfigurationError
from registrar.rules.weak_secrets import LEAST_DIFFERENT, PLACEHOLDERS, weakness
from registrar.settings import read

EXAMPLE = Path(__file__).parents[3] / "deploy" / "env.example"


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        pytest.param("", "", id="none is given"),
        pytest.param("k" * 40, "different characters", id="one character"),
        pytest.param("0123" * 8, "different characters", id="four characters"),
        pytest.param("01234" * 8, "", id="five characters"),
        pytest.param("another-32-characters-of-your-own-randomness", "placeholder", id="a placeholder"),
        pytest.param(" another-32-characters-of-your-own-randomness\n", "placeholder", id="with blanks"),
    ],
)
def test_a_key_is_refused_when_it_is_no_secret(secret: str, problem: str) -> None:
    assert bool(weakness(secret)) is bool(problem)
    assert problem in weakness(secret)


@given(st.binary(min_size=16, max_size=64))
def test_what_has_different_characters_is_a_key(octets: bytes) -> None:
    assert bool(weakness(octets.hex())) is (len(set(octets.hex())) < LEAST_DIFFERENT)


def test_a_generated_key_is_one() -> None:
    assert [weakness(secrets.token_hex(32)) for _ in range(1_000)] == [""] * 1_000


def given_in_the_example() -> dict[str, str]:
    """The settings of deploy/env.example that hold a secret, commented out or not."""
    found = re.findall(r"^#?(REGISTRAR_[A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    return {name: value for name, value in found if re.search("SECRET|KEY$", name) or "PASSWORD" in value}


def test_every_secret_of_the_example_is_refused_at_the_start() -> None:
    example = {name: value for name, value in given_in_the_example().items() if name != "REGISTRAR_TLS_KEY"}
    assert {"REGISTRAR_SECRET_KEY", "REGISTRAR_JWT_SECRET", "REGISTRAR_TURN_SECRET"} < example.keys()
    for name, value in example.items():
        with pytest.raises(ConfigurationError) as caught:
            read({name: value})
        assert str(caught.value).startswith(f"{name}: "), name
        assert "placeholder" in str(caught.value)
        assert value not in str(caught.value)
    assert set(example.values()) >= PLACEHOLDERS
