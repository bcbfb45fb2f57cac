"""registrar/store/keyring.py: which key makes, which are read, and who is told about a change."""

from registrar.store.keyring import Keyring, fingerprint

ONE, TWO = "one secret of the tests, long enough", "two secrets of the tests, long enough"


def test_the_first_key_makes_until_another_is_named() -> None:
    ring = Keyring(ONE, TWO)
    assert (ring.secret, ring.secrets, ring.first) == (ONE, (ONE, TWO), fingerprint(ONE))
    ring.use(active=fingerprint(TWO))
    assert (ring.secret, ring.secrets, ring.first) == (TWO, (TWO, ONE), fingerprint(ONE))


def test_a_name_that_no_key_has_leaves_the_first_active() -> None:
    ring = Keyring(ONE)
    ring.use(active=fingerprint(TWO))
    assert ring.active == fingerprint(ONE)
    assert ring.named(fingerprint(TWO)) is None


def test_watchers_are_called_at_once_and_after_changes_only() -> None:
    ring, seen = Keyring(ONE, TWO), list[str]()
    ring.watch(lambda: seen.append(ring.secret))
    ring.use((ONE, TWO), fingerprint(ONE))
    ring.use((TWO, ONE), fingerprint(TWO), rotated=True)
    ring.use((TWO,), fingerprint(TWO), rotated=True)
    assert seen == [ONE, TWO, TWO]
    assert ring.secrets == (TWO,)


def test_a_fingerprint_tells_nothing() -> None:
    assert ONE not in fingerprint(ONE) != fingerprint(TWO)
