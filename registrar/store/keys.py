"""All keys of the Redis contract (docs/redis.md). No other module may spell one.

The braces are hash tags: all keys of one phone are in one cluster slot.
"""

from functools import lru_cache
from typing import Final
from zlib import crc32

from registrar.model import Process

SHARDS: Final = 64
EVENTS: Final = "registrar:events"
CHANGED: Final = "registrar:changed"
NODES: Final = "registrar:nodes"
PERSON_NEWS: Final = "registrar:person-news"
"""What changed for a person: it is free, or has changed a wish."""
WATCH_SECONDS: Final = 5
"""How long a person counts as watched after a look (ports.People.states)."""
HANGUP: Final = "registrar:hangup"
NOTIFY: Final = "registrar:notify"
"""Orders of the API for NOTIFYs that reload or restart phones."""
CALL_NEWS: Final = "registrar:call-news"
"""What a node tells the node that has a call; for no other reader."""
PICKUP: Final = "registrar:pickup"
"""Questions between nodes about calls that are picked up, and the answers; for no other reader."""
CALLS: Final = "registrar:calls"
"""All customers' calls, in the format that `calls` has for one customer."""
GUESSES: Final = "registrar:guesses"
"""Holds that a process has begun, told to the other processes; for no other reader."""
BANS: Final = "registrar:{bans}"
"""All bans and holds, by id, and in the field `version` how often they changed."""
BAN_ENDS: Final = "registrar:{bans}:ends"
BAN_NEWS: Final = "registrar:ban-news"
"""Tells all processes that the bans have changed; for no other reader."""
LIMITS: Final = "registrar:limits"
CALL_COUNTS: Final = "registrar:call-counts"
"""What sources and phones have sent to one process, told to the others; for no other reader."""
WEAK: Final = "registrar:weak-passwords"
"""People whose password was weak when they last logged in."""
WEAK_LENGTH: Final = 10_000
WEAK_SECONDS: Final = 400 * 86_400
KEYS_KNOWN: Final = "registrar:keys"
"""Process -> when it last looked for keys, and the names of those that it knows."""
WRITABLE: Final = "registrar:writable"
"""Written by a reader that misses a lease: a Redis that takes no writes has lost them all."""
STATES_CHECKED: Final = "registrar:states-checked"
"""When the index of states was last compared with every phone, in epoch seconds; 0: a part is built again."""
STATES_WALK: Final = "registrar:states-walk"
"""The lease of the process that compares them now."""
REFUSALS_SECONDS: Final = 86_400
"""How long a source of refused requests is remembered after its last one."""
STATUS_SECONDS: Final = 30 * 86_400
"""How long the status and the journal outlive the phone's last registration."""
EVENTS_LENGTH: Final = 100_000
CALL_SECONDS: Final = 90
"""How long a call is kept after the last update from its process."""
SUBSCRIPTION_GRACE_SECONDS: Final = 60
"""How long a subscription is kept after it has expired."""


def status(phone: str) -> str:
    """Return the key of a phone's public status hash."""
    return "registrar:status:{" + phone + "}"


def location(phone: str) -> str:
    """Return the key of a phone's bindings and nonces."""
    return "registrar:loc:{" + phone + "}"


def journal(phone: str) -> str:
    """Return the key of the stream of a phone's events."""
    return "registrar:journal:{" + phone + "}"


def states(customer: str) -> tuple[str, str, str]:
    """Return the keys of a customer's index of states: phone -> entry, words in order, word -> number."""
    name = "registrar:states:{" + customer + "}"
    return name, name + ":order", name + ":counts"


def refusals(customer: str) -> tuple[str, str, str]:
    """Return the keys of a customer's refusals: address -> entry, addresses by time, numbers by minute."""
    name = "registrar:refusals:{" + customer + "}"
    return name, name + ":order", name + ":minutes"


def expiry(phone: str) -> str:
    """Return the key of the index that has a phone's earliest expiry."""
    return expiry_shard(crc32(phone.encode()) % SHARDS)


@lru_cache(SHARDS)
def expiry_shard(shard: int) -> str:
    """Return the key of one of the 64 indexes of expiry."""
    return f"registrar:expiry:{shard}"


def flows(process: Process) -> str:
    """Return the key of the set of phones that have a binding on a connection of one process."""
    return f"registrar:flows:{process.node}:{process.generation}"


def node(name: str) -> str:
    """Return the key of the lease of a living process."""
    return f"registrar:node:{name}"


def call(number: str) -> str:
    """Return the key of an active call. It has no braces: no other key needs to share its slot."""
    return f"registrar:call:{number}"


def calls(customer: str) -> str:
    """Return the key of a customer's calls, scored by the time at which each will be forgotten."""
    return f"registrar:calls:{customer}"


def node_calls(process: Process) -> str:
    """Return the key of the calls of one process."""
    return f"registrar:node-calls:{process.node}:{process.generation}"


def notified(order: str) -> str:
    """Return the key of the list for the result of an order for a NOTIFY."""
    return f"registrar:notified:{order}"


def subscription(id: str) -> str:
    """Return the key of one subscription of a phone at this service."""
    return f"registrar:sub:{id}"


def watch(target: str) -> str:
    """Return the key of the list of a target's subscriptions."""
    return "registrar:watch:{" + target + "}"


def node_subscriptions(process: Process) -> str:
    """Return the key of the set of subscriptions whose NOTIFYs one process sends."""
    return f"registrar:node-subs:{process.node}:{process.generation}"


def wrong(kind: str, source: str) -> str:
    """Return the key of the wrong passwords of one source; `kind` is sip or api."""
    return "registrar:wrong:" + kind + ":{" + source + "}"


def wrong_account(kind: str, source: str, mark: str) -> str:
    """Return the key of the wrong passwords for one account from one source."""
    return wrong(kind, source) + ":" + mark


def good(kind: str, source: str) -> str:
    """Return the key of the accounts that have proved their password from one source."""
    return "registrar:good:" + kind + ":{" + source + "}"


def login(employee: str) -> str:
    """Return the key of the hash about a person's wrong passwords."""
    return "registrar:login:{" + employee + "}"


def login_journal(employee: str) -> str:
    """Return the key of the stream about a person's wrong passwords."""
    return "registrar:login-journal:{" + employee + "}"


def person(extension: str) -> str:
    """Return the key of the hash about what a person is doing and wants."""
    return "registrar:person:{" + extension + "}"


def line(extension: str) -> str:
    """Return the key of a person's calls, scored by the time at which each will be forgotten."""
    return "registrar:line:{" + extension + "}"


def waiting(place: str) -> str:
    """Return the key of the calls that wait at `queue:<id>` or `group:<id>`, scored by their arrival."""
    kind, _, id = place.partition(":")
    return "registrar:" + kind + ":{" + id + "}:waiting"


def stages(place: str) -> str:
    """Return the key of the stages of the calls that wait at a place."""
    kind, _, id = place.partition(":")
    return "registrar:" + kind + ":{" + id + "}:stages"


def prov_miss(source: str) -> str:
    """Return the key of the number of guesses that one source has made at the listener for phones."""
    return "registrar:prov:miss:" + source


def prov_seen(source: str) -> str:
    """Return the key that exists if a phone has loaded its configuration from a source."""
    return "registrar:prov:seen:" + source


def prov_told(phone: str, source: str) -> str:
    """Return the key that exists while a refusal of this phone at the listener is in its journal already."""
    return "registrar:prov:told:{" + phone + "}:" + source
