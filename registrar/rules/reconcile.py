"""What to write when a store has come back and knows less than a phone was told (decision 4)."""

from dataclasses import replace

from registrar.model import AcceptedNonce, Binding, Epoch, Reason, Snapshot, Update

from .nonces import MAX_KEPT
from .register import expire
from .settle import settle


def reconcile(stored: Snapshot, ours: Snapshot, now: Epoch, *, promised: bool) -> Update | None:
    """The update that makes the store know what this node told the phone; None when it knows already.

    `ours` is what this node last wrote, or promised while the store was away. A store with an older version
    than ours has lost what it had acknowledged: then our bindings stand. Otherwise somebody may have written
    since, and only a binding that we refreshed later than what is stored wins, also when it has run out.
    """
    if stored.version < ours.version:
        bindings = _newer(stored.bindings, ours.live(now), add=True)
    elif promised:
        bindings = _newer(stored.bindings, ours.bindings, add=False)
    else:
        return None
    left = expire(replace(stored, bindings=bindings), now)
    nonces = _nonces(stored.nonces, ours.nonces)
    return settle(stored, left.bindings, left.events, now, reason=Reason.EXPIRED, nonces=nonces)


def _newer(stored: tuple[Binding, ...], ours: tuple[Binding, ...], *, add: bool) -> tuple[Binding, ...]:
    result = {binding.contact: binding for binding in stored}
    for binding in ours:
        known = result.get(binding.contact)
        if add if known is None else _is_later(binding, known) or (add and _is_same_refresh(binding, known)):
            result[binding.contact] = binding
    return tuple(result.values())


def _is_later(one: Binding, other: Binding) -> bool:
    """By the second of the refresh; within one second, by the sequence of one and the same phone."""
    if one.refreshed_at == other.refreshed_at and one.call_id == other.call_id:
        return one.cseq > other.cseq
    return one.refreshed_at > other.refreshed_at


def _is_same_refresh(one: Binding, other: Binding) -> bool:
    """Whether both are of one REGISTER: then they differ in whether its phone is silent, if at all."""
    return (one.refreshed_at, one.call_id, one.cseq) == (other.refreshed_at, other.call_id, other.cseq)


def _nonces(stored: tuple[AcceptedNonce, ...], ours: tuple[AcceptedNonce, ...]) -> tuple[AcceptedNonce, ...]:
    """All that either knows, each with its highest count; of too many the youngest, as `nonces.use` does."""
    result: dict[tuple[int, str], AcceptedNonce] = {}
    for nonce in (*stored, *ours):
        key = (nonce.issued_us, nonce.mark)
        if key not in result or result[key].count < nonce.count:
            result[key] = nonce
    return tuple(sorted(result.values(), key=lambda nonce: nonce.issued_us)[-MAX_KEPT:])
