"""The Update to write after a step, from the bindings before and after it (docs/redis.md)."""

from collections.abc import Sequence
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
"""The same refusal creates one event within this time (decision 15)."""
MAX_REFUSALS: Final = 8


def build_update(
    before: Snapshot,
    bindings: tuple[Binding, ...],
    events: tuple[Event, ...],
    now: Epoch,
    *,
    reason: Reason = Reason.UNREGISTERED,
    nonces: tuple[AcceptedNonce, ...] | None = None,
    customer: str = "",
) -> Update:
    """Return the update that writes `bindings`; `reason` is why the phone is offline if none remains.

    If `nonces` is None, those of `before` are kept.
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
    """Return the update for a request with a correct digest that the access rule refused.

    The refusal is recorded, but the status of an online phone stays online.
    """
    known = next((old for old in before.refusals if (old.ip, old.reason) == (ip, deny.reason)), None)
    others = tuple(old for old in before.refusals if old is not known and old.since + QUIET_SECONDS > now)
    events: tuple[Event, ...] = ()
    if known is not None and known.since + QUIET_SECONDS > now:
        noted = replace(known, count=known.count + 1)
    else:
        count = 1 + (known.count if known is not None else 0)
        events = (Event(EventKind.REJECTED, deny.reason, int(now), ip, port, count=count),)
        noted = Refusal(ip, deny.reason, int(now), 0)
    online = bool(before.heard(now))
    fields = status.rejected_fields(ip, deny.reason, now, online=online)
    said_online = _heard(before.bindings)
    if said_online and not online:  # they have expired, but the status does not show it yet
        fields["since"] = str(max(binding.expires_at for binding in said_online))
    after = Snapshot(
        next_version(before, now), before.bindings, nonces, (*others[-MAX_REFUSALS + 1 :], noted)
    )
    return Update(after, fields, events, phone.customer)


def noted(before: Snapshot, nonces: tuple[AcceptedNonce, ...], now: Epoch) -> Update:
    """Return the update for a request that changes no binding: it only records the used nonce."""
    return Update(replace(before, version=next_version(before, now), nonces=nonces))


def next_version(before: Snapshot, now: Epoch) -> int:
    """Return the next version: microseconds, and always higher than that of `before`.

    Versions also order writes from before a data loss.
    """
    return max(before.version + 1, int(now * 1e6))


def _status(before: Snapshot, bindings: tuple[Binding, ...], reason: Reason, now: Epoch) -> dict[str, str]:
    heard, said_online = _heard(bindings), _heard(before.bindings)
    was_online = [binding for binding in said_online if binding.expires_at > now]
    if not heard:
        if was_online:
            return _offline(bindings, reason, now)
        if said_online:  # they have expired, but the status does not show it yet
            ended = max(binding.expires_at for binding in said_online)
            return _offline(bindings, Reason.EXPIRED, Epoch(ended))
        return _still_offline(before, bindings, reason, now)
    if was_online:
        if _shown(said_online) == _shown(heard):
            return status.refreshed_fields(heard)
        fields = status.online_fields(heard, 0)
        del fields["since"]
        return fields
    if before.live(now):  # a silent phone was heard again
        return status.online_fields(heard, int(now))
    # Not `now`: a store that has lost all data gets the original time of the registration again.
    return status.online_fields(heard, min(binding.registered_at for binding in heard))


def _heard(bindings: tuple[Binding, ...]) -> list[Binding]:
    return [binding for binding in bindings if not binding.silent_since]


def _offline(bindings: tuple[Binding, ...], reason: Reason, since: Epoch) -> dict[str, str]:
    """Return the status of a phone that was online; any remaining bindings are silent."""
    if bindings:
        return status.silent_fields(bindings, since)
    return status.offline_fields(reason, since)


def _still_offline(
    before: Snapshot, bindings: tuple[Binding, ...], reason: Reason, now: Epoch
) -> dict[str, str]:
    """Return the status changes of a phone that was silent or not bound, and still has no live signal."""
    if not before.bindings:  # a store that has lost all data gets the silent bindings again, too
        since = max((binding.silent_since for binding in bindings), default=0)
        return status.silent_fields(bindings, Epoch(since)) if bindings else {}
    if bindings:
        return {"expiresAt": str(max(binding.expires_at for binding in bindings))}
    if reason is Reason.EXPIRED or not before.live(now):
        return {}  # reason and time remain: offline since it became silent
    fields = status.offline_fields(reason, now)
    del fields["since"]
    return fields


def _shown(bindings: Sequence[Binding]) -> tuple[object, ...]:
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
