"""registrar/commands/status.py: what comes from phones is text."""

import pytest

from config.operations.phones.overview import Overview
from registrar.commands.status import _print_table
from registrar.rules.status import LiveStatus

WORDS = [
    "[/x]", "[bold red]Phone[/bold red]", "[link=http://x.test]y[/link]", ":warning:", "[", "\\[/]",
    "a\x1b[2Jb\u202ec",
]  # fmt: skip


@pytest.mark.parametrize("words", WORDS)
def test_a_user_agent_is_shown_as_it_is(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = LiveStatus(online=True, user_agent=words, local_ip_address=words, reason=words)
    _print_table([Overview("id", "name", words, status)])
    shown = "".join(letter for letter in words if letter.isprintable())
    assert capsys.readouterr().out.count(shown) == 4
