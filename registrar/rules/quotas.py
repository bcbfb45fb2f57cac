"""Quotas: how many calls and transactions phones, extensions and customers may have, and when to warn."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from registrar.model import Call, CallState, Destination, Devices, Group, Phone, Queue

from .buckets import Size

TRANSACTIONS: Final = 100_000
"""Half of the table of transactions: 3,125 authenticated requests a second over UDP."""
BURST_SECONDS: Final = 3
"""A second with more calls than usual is no abuse: that many seconds' worth of calls may come at once."""
NEARLY_USED: Final = "quota-near"
"""The event by which operators learn that a quota is nearly used up."""
NEAR: Final = 0.8
"""The share of a quota at which operators are told."""
MAX_TOLD: Final = 10_000
CALM: Final = 0.6
"""The share below which they are told again at the next time."""


class Quota(StrEnum):
    """The quotas: labels of metrics, and reasons of the event `quota-near`."""

    PHONE_CALLS = "phone-calls"
    PHONE_RINGING = "phone-ringing"
    PHONE_RATE = "phone-rate"
    EXTENSION_CALLS = "extension-calls"
    EXTENSION_RATE = "extension-rate"
    CALLEE_CALLS = "callee-calls"
    CALLEE_RATE = "callee-rate"
    CUSTOMER_CALLS = "customer-calls"
    CUSTOMER_RATE = "customer-rate"
    TRANSACTIONS = "transactions"


@dataclass(frozen=True, slots=True)
class Quotas:
    """The settings; a customer may have others (model.Terms)."""

    phone_calls: int = 100
    phone_ringing: int = 20
    phone_rate: int = 10
    extension_calls: int = 100
    extension_rate: int = 20
    callee_calls: int = 1_000
    callee_rate: int = 50
    customer_calls: int = 2_000
    customer_rate: int = 100
    transactions: int = TRANSACTIONS


Measured = tuple[Quota, str, int]
"""One quota: which one it is, the name under which its calls are counted, and how many there may be.

Names begin with what they are about: `p:` a phone, `r:` calls of a phone that ring, `e:` an extension, `c:` a
customer, `d:` a group or queue. Functions here are on the way of each call, so they call few others.
"""


def rates(quotas: Quotas, caller: Phone) -> list[Measured]:
    """Return the quotas of calls a second of a caller."""
    own = caller.terms.call_rate
    measured = [
        (Quota.PHONE_RATE, f"p:{caller.id}", quotas.phone_rate),
        (Quota.CUSTOMER_RATE, f"c:{caller.customer}", quotas.customer_rate if own is None else own),
    ]
    if caller.person:
        measured.append((Quota.EXTENSION_RATE, f"e:{caller.person}", quotas.extension_rate))
    return measured


def callee_rate(quotas: Quotas, caller: Phone, called: Destination) -> Measured | None:
    """Return the quota of calls a second to what is called, or None if it has no number."""
    if isinstance(called, Group | Queue):
        return Quota.CALLEE_RATE, f"d:{caller.customer}:{called.number}", quotas.callee_rate
    if isinstance(called, Devices) and called.person:
        return Quota.CALLEE_RATE, f"e:{called.person}", quotas.callee_rate
    return None


def at_once(quotas: Quotas, caller: Phone, called: Destination) -> list[Measured]:
    """Return the quotas of calls at once that one more call counts in."""
    terms = caller.terms
    phone, customer, extension = terms.phone_calls, terms.calls, terms.extension_calls
    of_extension = quotas.extension_calls if extension is None else extension
    of_customer = quotas.customer_calls if customer is None else customer
    measured = [
        (Quota.PHONE_CALLS, f"p:{caller.id}", quotas.phone_calls if phone is None else phone),
        (Quota.PHONE_RINGING, f"r:{caller.id}", quotas.phone_ringing),
        (Quota.CUSTOMER_CALLS, f"c:{caller.customer}", of_customer),
    ]
    if caller.person:
        measured.append((Quota.EXTENSION_CALLS, f"e:{caller.person}", of_extension))
    if isinstance(called, Devices):
        if called.person and called.person != caller.person:
            measured.append((Quota.EXTENSION_CALLS, f"e:{called.person}", of_extension))
    elif isinstance(called, Group | Queue):
        name = f"d:{caller.customer}:{called.number}"
        measured.append((Quota.CALLEE_CALLS, name, quotas.callee_calls))
    return measured


def names_of(call: Call) -> frozenset[str]:
    """Return the names that a call counts for, as long as it exists."""
    caller, callee = call.caller, call.callee
    names = [f"c:{call.customer}", f"p:{caller.phone}"]
    if caller.person:
        names.append(f"e:{caller.person}")
    if callee.person:
        names.append(f"e:{callee.person}")
    if callee.phone:
        names.append(f"p:{callee.phone}")
    if call.via:
        names.append(f"d:{call.customer}:{call.via}")
    if call.state is CallState.RINGING:
        names.append(f"r:{caller.phone}")
    return frozenset(names)


@lru_cache(1_024)
def size_of(rate: int) -> Size:
    """Return the token bucket of a number of calls a second."""
    return Size(rate, rate * BURST_SECONDS)


class Alarms:
    """Which quotas are nearly used up: each is told once, and again only after it was calm."""

    def __init__(self) -> None:
        self.told: set[tuple[str, str]] = set()

    def rises(self, quota: str, name: str, count: float, most: int) -> bool:
        """Note how much of a quota is used now, and return whether operators must be told."""
        key = (str(quota), name)
        if count >= most * NEAR:
            is_new = key not in self.told
            if len(self.told) >= MAX_TOLD:  # better told twice than not at all
                self.told.clear()
            self.told.add(key)
            return is_new
        if count < most * CALM:
            self.told.discard(key)
        return False
