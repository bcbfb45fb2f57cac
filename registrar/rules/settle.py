"""From the bindings before and after a step to all that is written of it: one Update (design.md 4.3)."""

from dataclasses import replace
from typing import Final

from registrar.model import (
    AcceptedNonce,
    Binding,
    Deny,
    Epoch,
    Event,
    EventKind,
    Phone,
    Reason,
    Refusal,
    Snapshot,
    Update,
)

from . import status

QUIET_SECONDS: Final = 300
"""The same refusal makes one event in this time (decision 15)."""
MAX_REFUSALS: Final = 8


def settle(
    before: Snapshot,
    bindings: tuple[Binding, ...],
    events: tuple[Event, ...],
    now: Epoch,
    *,
    reason: Reason = Reason.UNREGISTERED,
    nonces: tuple[AcceptedNonce, ...] | None = None,
    customer: str = "",
) -> Update:
    """The update that leaves `bindings`; `reason` is why the phone is offline when none is left.

    `nonces` None keeps those of `before`.
    """
    kept = tuple(refusal for refusal in before.refusals if refusal.since + QUIET_SECONDS > now)
    after = Snapshot(next_version(before, now), bindings, before.nonces if nonces is None else nonces, kept)
    return Update(after, _status(before, bindings, reason, now), events, customer)


def refuse(
    before: Snapshot,
    nonces: tuple[AcceptedNonce, ...],
    phone: Phone,
    ip: str,
    port: int,
    deny: Deny,
    now: Epoch,
) -> Update:
    """The update of a right digest that the access rule refused: noted, without spoiling a healthy status."""
    known = next((old for old in before.refusals if (old.ip, old.reason) == (ip, deny.reason)), None)
    others = tuple(old for old in before.refusals if old is not known and old.since + QUIET_SECONDS > now)
    events: tuple[Event, ...] = ()
    if known is not None and known.since + QUIET_SECONDS > now:
        noted = replace(known, count=known.count + 1)
    else:
        count = 1 + (known.count if known is not None else 0)
        events = (Event(EventKind.REJECTED, deny.reason, int(now), ip, port, count=count),)
        noted = Refusal(ip, deny.reason, int(now), 0)
    online = bool(before.live(now))
    fields = status.rejected_fields(ip, deny.reason, now, online=online)
    if before.bindings and not online:  # they have run out, and nobody has said so yet
        fields["since"] = str(max(binding.expires_at for binding in before.bindings))
    after = Snapshot(
        next_version(before, now), before.bindings, nonces, (*others[-MAX_REFUSALS + 1 :], noted)
    )
    return Update(after, fields, events, phone.customer)


def noted(before: Snapshot, nonces: tuple[AcceptedNonce, ...], now: Epoch) -> Update:
    """The update of a request that changes no binding: its nonce is used, and that is all."""
    return Update(replace(before, version=next_version(before, now), nonces=nonces))


def next_version(before: Snapshot, now: Epoch) -> int:
    """Versions are microseconds, but never twice the same: they also order what was written before a loss."""
    return max(before.version + 1, int(now * 1e6))


def _status(before: Snapshot, bindings: tuple[Binding, ...], reason: Reason, now: Epoch) -> dict[str, str]:
    live = before.live(now)
    if not bindings:
        if not before.bindings:
            return {}
        if not live:
            ended = Epoch(max(binding.expires_at for binding in before.bindings))
            return status.offline_fields(Reason.EXPIRED, ended)
        return status.offline_fields(reason, now)
    # Not `now`: a store that has lost everything is told again since when the phone is there.
    fields = status.online_fields(bindings, min(binding.registered_at for binding in bindings))
    if not live:
        return fields
    del fields["since"]
    if _shown(before.bindings) == _shown(bindings):
        return status.refreshed_fields(bindings)
    return fields


def _shown(bindings: tuple[Binding, ...]) -> tuple[object, ...]:
    shown = status.newest(bindings)
    return (
        shown.user_agent,
        shown.local_ip,
        shown.public_ip,
        shown.public_port,
        shown.transport,
        shown.node,
        shown.generation,
    )
