"""store/limits_redis.py: what nodes tell each other of their calls."""

import pytest

from registrar.store import keys
from registrar.store.limits_redis import publish_calls, read_calls


class Runner:
    """Keeps the commands."""

    def __init__(self) -> None:
        self.commands: list[tuple[object, ...]] = []

    def command(self, *words: object) -> None:
        self.commands.append(words)


def test_a_report_is_read_as_it_was_sent() -> None:
    runner = Runner()
    publish_calls(runner, "a 1", {"c:acme": 7, "p:one": 3})  # type: ignore[arg-type]  # all that is used of it
    ((command, channel, text),) = runner.commands
    assert (command, channel) == ("PUBLISH", keys.CALL_COUNTS)
    assert read_calls(str(text)) == ("a 1", {"c:acme": 7, "p:one": 3})


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '["a"]', '["a", [1]]', '["a", {"c": "many"}]', "7"])
def test_any_other_text_is_no_report(text: str) -> None:
    assert read_calls(text) == ("", {})
