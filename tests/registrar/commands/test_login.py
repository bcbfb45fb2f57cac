"""registrar/commands/login.py: which level, which password."""

import io

import pytest

from config.access import AccessLevel
from registrar.commands.login import read_level, read_password
from registrar.errors import ConfigurationError


def test_a_level_is_read_in_any_case() -> None:
    assert read_level("manager") is AccessLevel.MANAGER


@pytest.mark.parametrize("word", ["", "BOSS", "NO_LOGIN"])
def test_a_level_that_cannot_log_in_is_refused(word: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--level: .* is none of PERSONAL, VIEWER"):
        read_level(word)


def test_generated_passwords_differ() -> None:
    made = {read_password(generate=True) for _ in range(100)}
    assert len(made) == 100 and {len(password) for password in made} == {20}


def test_a_script_gives_the_password_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery \nmore\n"))
    assert read_password(generate=False) == "correct horse battery "
