"""Every key of the Redis contract, and nothing else may spell one (docs/redis.md).

The braces are hash tags: all keys of one phone live in one cluster slot.
"""

from functools import lru_cache
from typing import Final
from zlib import crc32

from registrar.model import Process

SHARDS: Final = 64
EVENTS: Final = "registrar:events"
CHANGED: Final = "registrar:changed"
NODES: Final = "registrar:nodes"
HANGUP: Final = "registrar:hangup"
CALL_NEWS: Final = "registrar:call-news"
"""What a node tells the one that has a call; nobody else's business."""
CALLS: Final = "registrar:calls"
"""Every customer's calls, as `calls` has those of one."""
GUESSES: Final = "registrar:guesses"
"""What a process says of holds that it has begun; nobody else's business."""
WEAK: Final = "registrar:weak-passwords"
"""People whose password was seen to be weak when they logged in last."""
WEAK_LENGTH: Final = 10_000
WEAK_SECONDS: Final = 400 * 86_400
STATUS_SECONDS: Final = 30 * 86_400
"""How long the status and the journal outlive the phone's last registration."""
EVENTS_LENGTH: Final = 100_000
CALL_SECONDS: Final = 90
"""How long a call is kept after the last word of the process that has it."""


def status(phone: str) -> str:
    """The public status hash of a phone."""
    return "registrar:status:{" + phone + "}"


def location(phone: str) -> str:
    """The bindings and nonces of a phone."""
    return "registrar:loc:{" + phone + "}"


def journal(phone: str) -> str:
    """The stream of a phone's events."""
    return "registrar:journal:{" + phone + "}"


def expiry(phone: str) -> str:
    """The index in which a phone's earliest expiry stands."""
    return expiry_shard(crc32(phone.encode()) % SHARDS)


@lru_cache(SHARDS)
def expiry_shard(shard: int) -> str:
    """One of the 64 indexes of expiry."""
    return f"registrar:expiry:{shard}"


def flows(process: Process) -> str:
    """The phones with a binding on a connection of one process."""
    return f"registrar:flows:{process.node}:{process.generation}"


def node(name: str) -> str:
    """The lease of a living process."""
    return f"registrar:node:{name}"


def call(number: str) -> str:
    """A call that is there; no braces: it shares its slot with nothing."""
    return f"registrar:call:{number}"


def calls(customer: str) -> str:
    """The calls of a customer, by the moment at which each will be forgotten."""
    return f"registrar:calls:{customer}"


def node_calls(process: Process) -> str:
    """The calls that one process has."""
    return f"registrar:node-calls:{process.node}:{process.generation}"


def wrong(kind: str, source: str) -> str:
    """The wrong passwords of one source; `kind` is sip or api."""
    return "registrar:wrong:" + kind + ":{" + source + "}"


def wrong_account(kind: str, source: str, mark: str) -> str:
    """The wrong passwords for one account from one source."""
    return wrong(kind, source) + ":" + mark


def good(kind: str, source: str) -> str:
    """The accounts that have proved their password from one source."""
    return "registrar:good:" + kind + ":{" + source + "}"


def login(employee: str) -> str:
    """What is remembered of a person's wrong passwords."""
    return "registrar:login:{" + employee + "}"


def login_journal(employee: str) -> str:
    """The stream of the same."""
    return "registrar:login-journal:{" + employee + "}"
