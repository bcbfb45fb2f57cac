"""NOTIFYs outside of a dialog that make a phone load its configuration, or restart: message, digest, pace.

RFC 6665 forbids them, and desk phones want them: `Event: check-sync` is older than that rule. The config API
orders them through Redis (docs/redis.md), and this module reads and writes what both sides say there.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Final

from registrar.errors import SipError
from registrar.model import Phone
from registrar.sip import (
    MD5,
    SHA256,
    Credentials,
    DigestChallenge,
    Headers,
    Request,
    Response,
    expected,
    ha1,
    parse_challenge,
)

from .pings import without_headers

ANSWER_SECONDS: Final = 8.0
"""How long a phone may take for its answer: five transmissions over UDP."""
KEPT_SECONDS: Final = 10
"""How long the result waits in Redis for the API."""
PER_SECOND: Final = 10.0
"""NOTIFYs of one process in a second: each makes a phone load files, and perhaps restart and register."""
JITTER: Final = 0.5
MAX_WAITING: Final = 10_000
"""Orders that wait in one process; with `PER_SECOND` they take 17 minutes."""
PATIENCE_SECONDS: Final = 2.0
"""If an order has to wait longer for its turn, its API request is told so, and not the phone's answer."""
MAX_ORDER: Final = 1_000
"""Characters of an order; ours have 200."""

AUTHORIZATIONS: Final = {
    401: ("www-authenticate", "Authorization"),
    407: ("proxy-authenticate", "Proxy-Authorization"),
}
"""Status of a challenge -> the header that has it, and the header that answers it."""
FLOW_FAILED: Final = 430
"""The answer of another node that has the flow no more (RFC 5626 section 5.3.1).

A 408 is the phone's own: another node gives up after 32 s, long after `ANSWER_SECONDS`.
"""
_EVENT: Final = re.compile(r"[a-z0-9_-]{1,32}+(?:;[a-z0-9_-]{1,32}+=[a-z0-9_-]{1,32}+)?")
_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True, slots=True)
class Order:
    """One NOTIFY that the API wants."""

    phone: str
    """Id of the phone whose binding is used."""
    event: str
    """The value of the Event header."""
    node: str
    """Name of the node that sends it."""
    device: str
    """Orders for one device are one: the handsets of a base have the same word here."""
    id: str = ""
    """Names the list for the result; empty: the API does not wait."""


class Outcome(StrEnum):
    """What became of an order; also a metric label."""

    ANSWERED = "answered"
    """The phone gave a final answer."""
    UNANSWERED = "unanswered"
    """There was a way to the phone, and no answer in time."""
    OFFLINE = "offline"
    """The phone has no binding, or no flow to it is left."""
    QUEUED = "queued"
    """The order waits for its turn for longer than the API does."""
    FULL = "full"
    """Too many orders wait, so this one is dropped."""
    UNAVAILABLE = "unavailable"
    """The phone or its bindings could not be read."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the API is told about an order."""

    outcome: Outcome
    status: int = 0
    """Status of the phone's answer."""
    reason: str = ""
    """Its reason phrase; the text comes from the phone."""
    seconds: int = 0
    """Seconds until a queued order has its turn."""

    @property
    def is_heard(self) -> bool:
        """Return whether the phone has accepted the NOTIFY."""
        return self.outcome is Outcome.ANSWERED and 200 <= self.status < 300


def order_text(order: Order) -> str:
    """Return an order as it is published."""
    return json.dumps(asdict(order), separators=(",", ":"))


def parse_order(text: str) -> Order | None:
    """Return a published order, or None for any other text: the channel is not trusted."""
    try:
        told = json.loads(text) if len(text) <= MAX_ORDER else None
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    order = Order(*(str(told.get(name, "")) for name in ("phone", "event", "node", "device", "id")))
    named = _ID.fullmatch(order.phone) and _ID.fullmatch(order.device) and _EVENT.fullmatch(order.event)
    return order if named and (not order.id or _ID.fullmatch(order.id)) else None


def result_text(result: Result) -> str:
    """Return a result as it is put into the list."""
    return json.dumps(asdict(result), separators=(",", ":"))


def parse_result(text: str) -> Result | None:
    """Return the result in an entry of the list, or None for any other text."""
    try:
        told = json.loads(text)
        outcome, status, seconds = Outcome(told["outcome"]), int(told["status"]), int(told["seconds"])
        return Result(outcome, status, str(told["reason"]), seconds)
    except (ValueError, TypeError, KeyError):
        return None


def gap(roll: float) -> float:
    """Return the seconds until the next NOTIFY; `roll` is in [0, 1)."""
    return (1 - JITTER + 2 * JITTER * roll) / PER_SECOND


def wait(ahead: int) -> float:
    """Return the seconds that an order waits with so many orders ahead of it."""
    return ahead / PER_SECOND


@dataclass(frozen=True, slots=True)
class Dialogless:
    """The headers that all transmissions to one device share."""

    aor: str
    """The phone's own address of record: some phones compare From and To with it."""
    event: str
    call_id: str
    tag: str


def aor(phone: Phone, service: str) -> str:
    """Return the address of record of a phone; `service` is our domain, for a customer without one."""
    return f"sip:{phone.username}@{phone.domain or service}"


def request(
    about: Dialogless,
    contact: str,
    via: str,
    our_contact: str,
    cseq: int,
    more: tuple[tuple[str, str], ...] = (),
) -> Request:
    """Return the NOTIFY for the Contact of a binding; `more` has the credentials after a challenge."""
    headers = Headers()
    for name, value in (
        ("Via", via),
        ("Max-Forwards", "70"),
        ("From", f"<{about.aor}>;tag={about.tag}"),
        ("To", f"<{about.aor}>"),
        ("Call-ID", about.call_id),
        ("CSeq", f"{cseq} NOTIFY"),
        ("Contact", our_contact),
        ("Event", about.event),
        ("Subscription-State", "terminated"),
        *more,
        ("Content-Length", "0"),
    ):
        headers.add(name, value)
    return Request("NOTIFY", without_headers(contact), headers)


def authorization(response: Response, phone: Phone, uri: str, cnonce: str) -> tuple[str, str] | None:
    """Return name and value of the header that answers a challenge of a phone, or None if there is none.

    The credentials are the phone's own. The digest is made for the method NOTIFY, so it opens nothing here:
    a phone or an eavesdropper that chooses the nonce cannot register with it. A challenge without `qop` is
    not answered: without a nonce of ours in the digest, a chosen nonce and a table would find the password.
    """
    if response.status not in AUTHORIZATIONS or not phone.password:
        return None
    asked, answered = AUTHORIZATIONS[response.status]
    for value in response.headers.all(asked):
        try:
            challenge = parse_challenge(value)
        except SipError:
            continue
        if challenge is not None and _is_known(challenge):
            return answered, str(_credentials(challenge, phone, uri, cnonce))
    return None


def best(results: Sequence[Result]) -> Result:
    """Return the result that the API is told if several devices have registered for one phone."""
    return min(results, key=_rank, default=Result(Outcome.OFFLINE))


def _rank(result: Result) -> tuple[bool, bool, bool]:
    outcome = result.outcome
    return not result.is_heard, outcome is not Outcome.ANSWERED, outcome is not Outcome.UNANSWERED


def _is_known(challenge: DigestChallenge) -> bool:
    return challenge.algorithm in (MD5, SHA256) and "auth" in challenge.qop


def _credentials(challenge: DigestChallenge, phone: Phone, uri: str, cnonce: str) -> Credentials:
    bare = Credentials(
        phone.username,
        challenge.realm,
        challenge.nonce,
        uri,
        "",
        challenge.algorithm,
        cnonce,
        "auth",
        "00000001",
        challenge.opaque,
    )
    key = ha1(phone.username, challenge.realm, phone.password, challenge.algorithm)
    return replace(bare, response=expected(bare, "NOTIFY", key))
