"""registrar/rules/nonces.py: what we issue comes back once with each count, and nothing else does."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registrar.model import AcceptedNonce, Epoch
from registrar.rules import nonces
from registrar.rules.nonces import LIFETIME_SECONDS, MAX_KEPT, Nonce
from tests.patience import SOAK

from .words import NOW

KEY = bytes(range(33))
SALT = b"saltsalt"
HERE, REALM = "198.51.100.7", "acme.test"
NOBODY: tuple[AcceptedNonce, ...] = ()


def issued(seconds_ago: float = 0.0, mark: str = "00") -> Nonce:
    return Nonce(int((NOW - seconds_ago) * 1e6), mark, True)


def after(seconds: float) -> Epoch:
    return Epoch(NOW + seconds)


def test_what_was_issued_is_read_again() -> None:
    text = nonces.issue(KEY, NOW, SALT, HERE, REALM)
    nonce = nonces.read(KEY, text, HERE, REALM)
    assert nonce == Nonce(int(NOW * 1e6), SALT.hex(), True)
    assert nonce.usable(NOW)


def test_a_nonce_issued_to_another_address_is_ours_but_not_usable() -> None:
    nonce = nonces.read(KEY, nonces.issue(KEY, NOW, SALT, "203.0.113.9", REALM), HERE, REALM)
    assert nonce is not None
    assert not nonce.here
    assert not nonce.usable(NOW)


@pytest.mark.parametrize(
    ("key", "realm"),
    [
        pytest.param(bytes(33), REALM, id="made with another key"),
        pytest.param(KEY, "rival.test", id="made for another realm"),
    ],
)
def test_a_nonce_is_not_ours_when_it_was(key: bytes, realm: str) -> None:
    assert nonces.read(KEY, nonces.issue(key, NOW, SALT, HERE, realm), HERE, REALM) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("a" * 42, id="one character short"),
        pytest.param("a" * 44, id="one character long"),
        pytest.param("a" * 43, id="the right length"),
        pytest.param("æ" * 43, id="characters outside ASCII"),
        pytest.param("!" * 43, id="no base64 at all"),
    ],
)
def test_other_texts_are_not_ours(text: str) -> None:
    assert nonces.read(KEY, text, HERE, REALM) is None


@given(position=st.integers(0, 31), bit=st.integers(0, 7))
def test_no_bit_can_be_turned(position: int, bit: int) -> None:
    data = bytearray(base64.urlsafe_b64decode(nonces.issue(KEY, NOW, SALT, HERE, REALM) + "="))
    data[position] ^= 1 << bit
    text = base64.urlsafe_b64encode(bytes(data)).rstrip(b"=").decode()
    nonce = nonces.read(KEY, text, HERE, REALM)
    assert nonce is None or not nonce.usable(NOW)


@given(text=st.text(max_size=60))
def test_any_text_is_a_nonce_or_none(text: str) -> None:
    assert nonces.read(KEY, text, HERE, REALM) is None


@pytest.mark.parametrize(
    ("seconds", "usable"),
    [
        pytest.param(-5.5, False, id="from the future"),
        pytest.param(-4.5, True, id="from a clock that is a little ahead"),
        pytest.param(0, True, id="fresh"),
        pytest.param(LIFETIME_SECONDS - 0.001, True, id="in its last moment"),
        pytest.param(LIFETIME_SECONDS, False, id="expired"),
    ],
)
def test_a_nonce_is_usable_for_its_lifetime(seconds: float, usable: bool) -> None:
    assert issued().usable(after(seconds)) is usable


def test_a_count_must_be_higher_than_any_before() -> None:
    once = nonces.use(NOBODY, issued(), 3, NOW)
    assert once == (AcceptedNonce(issued().issued_us, "00", 3),)
    assert nonces.use(once, issued(), 3, NOW) is None
    assert nonces.use(once, issued(), 2, NOW) is None
    assert nonces.use(once, issued(), 0xFFFFFFFF, NOW) == (
        AcceptedNonce(issued().issued_us, "00", 2**32 - 1),
    )


def test_a_nonce_whose_time_ended_since_it_was_read_is_spent() -> None:
    assert nonces.use(NOBODY, issued(), 1, after(LIFETIME_SECONDS)) is None


def test_a_used_nonce_is_kept_longer_than_it_lives_for_the_node_whose_clock_is_behind() -> None:
    kept = nonces.use(NOBODY, issued(), 1, NOW)
    assert kept is not None
    later = nonces.use(
        kept, Nonce(issued().issued_us + 10_000_000, "01", True), 1, after(LIFETIME_SECONDS + 1)
    )
    assert later is not None
    assert nonces.use(later, issued(), 1, after(LIFETIME_SECONDS - 1)) is None


def test_beyond_eight_the_oldest_goes_and_is_spent() -> None:
    kept = NOBODY
    for number in range(MAX_KEPT + 1):
        used = nonces.use(kept, issued(100 - number, f"{number:02}"), 1, NOW)
        assert used is not None
        kept = used
    assert len(kept) == MAX_KEPT
    assert nonces.use(kept, issued(100, "00"), 1, NOW) is None
    assert nonces.use(kept, issued(200, "99"), 1, NOW) is None


def test_expired_ones_make_room() -> None:
    kept = tuple(AcceptedNonce(issued(400).issued_us + n, str(n), 1) for n in range(MAX_KEPT))
    assert nonces.use(kept, issued(299), 1, NOW) == (AcceptedNonce(issued(299).issued_us, "00", 1),)


@settings(max_examples=200 if SOAK else 60, deadline=None)
@given(
    uses=st.lists(st.tuples(st.integers(0, 19), st.integers(1, 4), st.integers(0, 40)), max_size=80),
    ages=st.lists(st.integers(0, 500), min_size=20, max_size=20),
)
def test_no_nonce_and_count_is_accepted_twice(uses: list[tuple[int, int, int]], ages: list[int]) -> None:
    """20 nonces in any order, with time going by between the uses."""
    accepted: set[tuple[int, int]] = set()
    kept, now = NOBODY, NOW
    for number, count, seconds in uses:
        now = Epoch(now + seconds)
        nonce = issued(-ages[number], f"{number:02}")
        if not nonce.usable(now):
            continue
        used = nonces.use(kept, nonce, count, now)
        if used is None:
            continue
        assert (number, count) not in accepted
        accepted.add((number, count))
        assert len(used) <= MAX_KEPT
        kept = used
