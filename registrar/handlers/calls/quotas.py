"""The quotas at work: a call of a phone is let through, or is refused with a reason (rules/quotas)."""

from collections.abc import Callable, Iterable
from typing import Final

from registrar.metrics import Metrics
from registrar.model import Destination, Devices, Mono, Notice, Phone
from registrar.ports import Clock
from registrar.rules.buckets import Bucket, Size
from registrar.rules.quotas import (
    NEAR,
    NEARLY_USED,
    Alarms,
    Measured,
    Quota,
    Quotas,
    at_once,
    callee_rate,
    rates,
    size_of,
)

from ..answers import RETRY_AFTER, Answer
from .counting import CallCounts

MAX_BUCKETS: Final = 100_000
_AT_ONCE: Final = "{what} has as many calls as it may have at once: {most}"
_A_SECOND: Final = "{what} begins more than {most} calls a second"
_WORDS: Final = {
    Quota.PHONE_CALLS: (_AT_ONCE, "this phone"),
    Quota.PHONE_RINGING: ("this phone has as many calls that ring as it may have: {most}", ""),
    Quota.PHONE_RATE: (_A_SECOND, "this phone"),
    Quota.EXTENSION_CALLS: (_AT_ONCE, "this extension"),
    Quota.EXTENSION_RATE: (_A_SECOND, "this extension"),
    Quota.CALLEE_CALLS: (_AT_ONCE, "this group or queue"),
    Quota.CALLEE_RATE: ("this number gets more than {most} calls a second", ""),
    Quota.CUSTOMER_CALLS: (_AT_ONCE, "the customer"),
    Quota.CUSTOMER_RATE: (_A_SECOND, "the customer"),
}


class CallQuotas:
    """The quotas of calls of one process."""

    def __init__(
        self,
        quotas: Quotas,
        counts: CallCounts,
        clock: Clock,
        mono: Callable[[], Mono],
        metrics: Metrics,
        note: Callable[[Notice], None],
    ) -> None:
        """Create the quotas; `note` writes an event to the stream of all events."""
        self._quotas = quotas
        self._counts = counts
        self._clock = clock
        self._mono = mono
        self._metrics = metrics
        self._note = note
        self._alarms = Alarms()
        self._buckets: dict[tuple[Quota, str], Bucket] = {}

    def too_fast(self, caller: Phone) -> Answer | None:
        """Return the answer to one more call of a phone that calls too often, or None."""
        return self._spend(caller, rates(self._quotas, caller))

    def too_many(self, caller: Phone, called: Destination) -> Answer | None:
        """Return the answer to one more call if there are too many calls, or None if there is room."""
        rate = callee_rate(self._quotas, caller, called)
        refused = self._spend(caller, [rate]) if rate is not None else None
        if refused is not None:
            return refused
        now, alarms = self._clock(), self._alarms
        for quota, name, most in at_once(self._quotas, caller, called):
            count = self._counts.count(name, now)
            is_near = count + 1 >= most * NEAR or alarms.told
            if is_near and alarms.rises(quota, name, count + 1, most):
                self._warn(quota, caller, called)
            if count >= most:
                return self._refused(quota, most)
        return None

    def crowded(self, customer: str, count: int, most: int) -> None:
        """Note that a customer has many SIP transactions."""
        if self._alarms.rises(Quota.TRANSACTIONS, customer, count, most):
            self._note(Notice(NEARLY_USED, self._clock(), Quota.TRANSACTIONS, customer))

    def _spend(self, caller: Phone, measured: Iterable[Measured]) -> Answer | None:
        """Take a token from each bucket; return the answer if one is empty."""
        now, alarms = self._mono(), self._alarms
        for quota, name, most in measured:
            size = size_of(most)
            bucket = self._buckets.get((quota, name)) or self._new_bucket(quota, name, size, now)
            has_room = bucket.take(size, now)
            spent = size.burst - bucket.tokens
            is_near = spent >= size.burst * NEAR or alarms.told
            if is_near and alarms.rises(quota, name, spent, int(size.burst)):
                self._warn(quota, caller, None)
            if not has_room:
                return self._refused(quota, most)
        return None

    def _new_bucket(self, quota: Quota, name: str, size: Size, now: Mono) -> Bucket:
        if len(self._buckets) >= MAX_BUCKETS:
            # A bucket that is forgotten is full again; those that were made first are mostly full anyway.
            for key in list(self._buckets)[: MAX_BUCKETS // 4]:
                del self._buckets[key]
        bucket = self._buckets[quota, name] = Bucket(size, now)
        return bucket

    def _refused(self, quota: Quota, most: int) -> Answer:
        self._metrics.quotas(quota)
        text, what = _WORDS[quota]
        why = text.format(what=what, most=most)
        if quota in (Quota.PHONE_RATE, Quota.EXTENSION_RATE, Quota.CALLEE_RATE, Quota.CUSTOMER_RATE):
            return Answer(503, "Too Many Calls", (("Retry-After", str(RETRY_AFTER)),), why)
        return Answer(486, "Too Many Calls", why=why)

    def _warn(self, quota: Quota, caller: Phone, called: Destination | None) -> None:
        """Write the event; it names the phone or extension if the quota is about one."""
        is_whole = quota in (Quota.CUSTOMER_CALLS, Quota.CUSTOMER_RATE)
        person = called.person if isinstance(called, Devices) else ""
        notice = Notice(
            NEARLY_USED,
            self._clock(),
            quota,
            caller.customer,
            "" if is_whole else caller.id,
            caller="" if is_whole else caller.extension,
            person="" if is_whole else person or caller.person,
        )
        self._note(notice)
