"""What the limits of sources share in Redis: the phones behind a source, and what other nodes have seen."""

import json

from registrar.ports import Clock
from registrar.rules.guesses import GOOD_SECONDS
from registrar.rules.proxies import one_source

from . import keys
from .script_runner import Runner


class RedisSourcePhones:
    """The number of phones behind a source; implements ports.SourcePhones.

    They are the accounts that the budget of wrong passwords calls good there, so it costs no further write.
    """

    def __init__(self, runner: Runner, clock: Clock, ipv6_prefix: int) -> None:
        """`ipv6_prefix` is that of the sources of the budget."""
        self._runner = runner
        self._clock = clock
        self._ipv6_prefix = ipv6_prefix

    async def phones(self, ip: str) -> int:
        """See ports.SourcePhones."""
        source = one_source(ip, self._ipv6_prefix)
        since = f"{self._clock() - GOOD_SECONDS:.0f}"
        return int(await self._runner.ask("ZCOUNT", keys.good("sip", source), since, "+inf"))


def publish_spent(runner: Runner, process: str, spent: dict[str, int]) -> None:
    """Tell the other nodes what sources and phones have sent to this one since the last report."""
    runner.command("PUBLISH", keys.LIMITS, json.dumps([process, spent], separators=(",", ":")))


def read_spent(text: str, process: str) -> dict[str, int]:
    """Return a report of another node; empty if it is our own, or cannot be read."""
    try:
        sender, spent = json.loads(text)
        if sender == process:
            return {}
        return {str(name): int(count) for name, count in spent.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def publish_calls(runner: Runner, process: str, counts: dict[str, int]) -> None:
    """Tell the other nodes how many calls phones, extensions, callees and customers have at this one."""
    runner.command("PUBLISH", keys.CALL_COUNTS, json.dumps([process, counts], separators=(",", ":")))


def read_calls(text: str) -> tuple[str, dict[str, int]]:
    """Return a report of calls and the process that has sent it; empty if it cannot be read."""
    try:
        sender, counts = json.loads(text)
        return str(sender), {str(name): int(count) for name, count in counts.items()}
    except (ValueError, TypeError, AttributeError):
        return "", {}
