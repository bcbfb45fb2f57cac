"""registrar/rules/reconcile.py: what is written when a store comes back (decision 4)."""

from registrar.model import AcceptedNonce, Binding, EventKind, Snapshot, Update
from registrar.rules.nonces import MAX_KEPT
from registrar.rules.reconcile import reconcile

from .words import NOW, binding

SECOND = int(NOW)
PROMISE = binding(expires_at=SECOND + 30, refreshed_at=SECOND - 30, cseq=9)
"""A refresh of a minute that was granted half a minute ago."""
WRITTEN = binding(expires_at=SECOND + 2_000, refreshed_at=SECOND - 1_600)


def snapshot(version: int, *bindings: Binding, nonces: tuple[AcceptedNonce, ...] = ()) -> Snapshot:
    return Snapshot(version, bindings, nonces)


def written(stored: Snapshot, ours: Snapshot, *, promised: bool = False) -> Update:
    update = reconcile(stored, ours, NOW, promised=promised)
    assert update is not None
    assert update.after.version > max(stored.version, ours.version)
    return update


def test_a_store_that_knows_all_is_left_alone() -> None:
    ours = snapshot(5, binding())
    assert reconcile(ours, ours, NOW, promised=False) is None
    assert reconcile(snapshot(6), ours, NOW, promised=False) is None


def test_a_store_that_has_lost_all_is_told_all_that_lives() -> None:
    over = binding("10.0.0.8", expires_at=SECOND - 1)
    update = written(snapshot(0), snapshot(5, binding(), over, nonces=(AcceptedNonce(1, "m", 3),)))
    assert update.after.bindings == (binding(),)
    assert update.after.nonces == (AcceptedNonce(1, "m", 3),)
    assert update.events == (), "what was told once is not told again"
    assert update.status["online"] == "1"


def test_a_store_that_has_lost_the_last_write_keeps_what_it_has() -> None:
    other = binding("10.0.0.8")
    update = written(snapshot(4, other, WRITTEN), snapshot(5, binding()))
    assert set(update.after.bindings) == {other, binding()}


def test_a_promise_is_written_over_what_it_refreshed() -> None:
    update = written(snapshot(5, WRITTEN), snapshot(5, PROMISE), promised=True)
    assert update.after.bindings == (PROMISE,)
    assert update.status == {"expiresAt": str(SECOND + 30), "lastSeen": str(SECOND - 30)}


def test_a_later_refresh_by_another_node_stands() -> None:
    later = binding(expires_at=SECOND + 3_600, refreshed_at=SECOND - 1, node="b")
    update = written(snapshot(6, later), snapshot(5, PROMISE), promised=True)
    assert update.after.bindings == (later,)


def test_a_promise_does_not_bring_back_what_was_removed_meanwhile() -> None:
    update = written(snapshot(6), snapshot(5, PROMISE), promised=True)
    assert update.after.bindings == ()
    assert update.status == {}


def test_a_promise_that_was_not_refreshed_has_run_out() -> None:
    """The phone was told a minute and did not come back: the hour of before is void."""
    over = binding(expires_at=SECOND - 5, refreshed_at=SECOND - 65)
    update = written(snapshot(5, WRITTEN), snapshot(5, over), promised=True)
    assert update.after.bindings == ()
    assert [event.kind for event in update.events] == [EventKind.EXPIRED]
    assert (update.status["online"], update.status["reason"]) == ("0", "expired")


def test_what_had_run_out_in_the_store_is_told() -> None:
    over = binding("10.0.0.8", expires_at=SECOND - 5)
    update = written(snapshot(5, WRITTEN, over), snapshot(5, PROMISE), promised=True)
    assert update.after.bindings == (PROMISE,)
    assert [event.kind for event in update.events] == [EventKind.EXPIRED]


def test_nonces_are_joined_with_their_highest_counts() -> None:
    stored = snapshot(5, nonces=(AcceptedNonce(1, "a", 4), AcceptedNonce(2, "b", 1)))
    ours = snapshot(5, nonces=(AcceptedNonce(1, "a", 2), AcceptedNonce(3, "c", 1)))
    assert written(stored, ours, promised=True).after.nonces == (
        AcceptedNonce(1, "a", 4),
        AcceptedNonce(2, "b", 1),
        AcceptedNonce(3, "c", 1),
    )


def test_of_too_many_nonces_the_youngest_are_kept() -> None:
    stored = snapshot(5, nonces=tuple(AcceptedNonce(2 * n, "s", 1) for n in range(MAX_KEPT)))
    ours = snapshot(5, nonces=tuple(AcceptedNonce(2 * n + 1, "o", 1) for n in range(MAX_KEPT)))
    kept = written(stored, ours, promised=True).after.nonces
    assert [nonce.issued_us for nonce in kept] == list(range(MAX_KEPT, 2 * MAX_KEPT))


def test_a_store_that_has_lost_that_a_phone_fell_silent_is_told_so() -> None:
    silent = binding(silent_since=SECOND - 9)
    update = written(snapshot(4, binding()), snapshot(5, silent))
    assert update.after.bindings == (silent,)
    assert update.status["reason"] == "ping-timeout"


def test_a_store_that_has_lost_that_a_phone_was_heard_again_is_told_so() -> None:
    update = written(snapshot(4, binding(silent_since=SECOND - 9)), snapshot(5, binding()))
    assert update.after.bindings == (binding(),)
    assert update.status["online"] == "1"
