"""The update for a store that returned without data which phones were already told (decision 4)."""

from dataclasses import replace

from registrar.model import AcceptedNonce, Binding, Epoch, Reason, Snapshot, Update

from .nonces import MAX_KEPT
from .register import expire
from .update import build_update


def reconcile(stored: Snapshot, ours: Snapshot, now: Epoch, *, promised: bool) -> Update | None:
    """Return the update that stores what this node told the phone, or None if the store has it already.

    `ours` is the snapshot that this node last wrote, or promised while the store was unavailable. If the
    store has an older version than ours, it has lost acknowledged writes, and our live bindings are restored.
    Otherwise another node may have written since. Then only a binding that we refreshed later than the stored
    one wins, even if it has expired.
    """
    if stored.version < ours.version:
        bindings = _newer(stored.bindings, ours.live(now), add=True)
    elif promised:
        bindings = _newer(stored.bindings, ours.bindings, add=False)
    else:
        return None
    left = expire(replace(stored, bindings=bindings), now)
    nonces = _nonces(stored.nonces, ours.nonces)
    return build_update(stored, left.bindings, left.events, now, reason=Reason.EXPIRED, nonces=nonces)


def _newer(stored: tuple[Binding, ...], ours: tuple[Binding, ...], *, add: bool) -> tuple[Binding, ...]:
    result = {binding.contact: binding for binding in stored}
    for binding in ours:
        known = result.get(binding.contact)
        if add if known is None else _is_later(binding, known) or (add and _is_same_refresh(binding, known)):
            result[binding.contact] = binding
    return tuple(result.values())


def _is_later(one: Binding, other: Binding) -> bool:
    """Return whether `one` was refreshed later; within one second, the CSeq of the same Call-ID decides."""
    if one.refreshed_at == other.refreshed_at and one.call_id == other.call_id:
        return one.cseq > other.cseq
    return one.refreshed_at > other.refreshed_at


def _is_same_refresh(one: Binding, other: Binding) -> bool:
    """Return whether both are from the same REGISTER; they can then differ only in `silent_since`."""
    return (one.refreshed_at, one.call_id, one.cseq) == (other.refreshed_at, other.call_id, other.cseq)


def _nonces(stored: tuple[AcceptedNonce, ...], ours: tuple[AcceptedNonce, ...]) -> tuple[AcceptedNonce, ...]:
    """Return the nonces of both, each with its highest count.

    If there are too many, the youngest are kept, as in `nonces.use`.
    """
    result: dict[tuple[int, str], AcceptedNonce] = {}
    for nonce in (*stored, *ours):
        key = (nonce.issued_us, nonce.mark)
        if key not in result or result[key].count < nonce.count:
            result[key] = nonce
    return tuple(sorted(result.values(), key=lambda nonce: nonce.issued_us)[-MAX_KEPT:])
