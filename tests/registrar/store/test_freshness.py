"""Until when data from the database is used without a query, and until when it is believed."""

import pytest

from registrar.store.freshness import (
    BELIEVED_SECONDS,
    FOLLOWED_SECONDS,
    FRESH_SECONDS,
    LONGEST_SECONDS,
    Freshness,
)
from tests.contract.test_phones import Hands

HOUR = 3_600.0


@pytest.mark.parametrize(
    ("age", "polled_ago", "fresh"),
    [
        pytest.param(FRESH_SECONDS, None, True, id="a minute, and no poll"),
        pytest.param(FRESH_SECONDS + 1, None, False, id="more than a minute, and no poll"),
        pytest.param(HOUR, FOLLOWED_SECONDS, True, id="an hour, followed"),
        pytest.param(HOUR, FOLLOWED_SECONDS + 0.1, False, id="an hour, but the last poll is too old"),
        pytest.param(LONGEST_SECONDS, 0.0, True, id="a day, followed"),
        pytest.param(LONGEST_SECONDS + 1, 0.0, False, id="more than a day"),
    ],
)
def test_an_entry_is_fresh_for_a_minute_or_as_long_as_changes_are_followed(
    age: float, polled_ago: float | None, fresh: bool
) -> None:
    clock = Hands()
    freshness = Freshness(clock)
    read_at = clock()
    clock.now += age
    if polled_ago is not None:
        clock.now -= polled_ago
        freshness.followed(clock())
        clock.now += polled_ago
    assert freshness.is_fresh(read_at) == fresh


def test_after_a_gap_nothing_from_before_is_fresh_whatever_is_polled() -> None:
    clock = Hands()
    freshness = Freshness(clock)
    read_at = clock()
    clock.now += 1
    freshness.missed()
    freshness.followed(clock())
    assert not freshness.is_fresh(read_at)
    assert freshness.is_fresh(clock())


def test_what_was_right_at_the_last_poll_is_believed_from_then() -> None:
    clock = Hands()
    freshness = Freshness(clock)
    read_at = clock()
    clock.now += HOUR
    freshness.followed(clock())
    polled = clock()
    clock.now += BELIEVED_SECONDS
    assert freshness.right_at(read_at) == polled
    assert freshness.is_believed(freshness.right_at(read_at))
    clock.now += 1
    assert not freshness.is_believed(freshness.right_at(read_at))


def test_a_gap_takes_nothing_of_what_was_right_before_it() -> None:
    """Redis and the database go away together: the gap must not end what is known of the phones."""
    clock = Hands()
    freshness = Freshness(clock)
    oldest = clock()
    clock.now += HOUR
    freshness.followed(polled := clock())
    for _ in range(3):  # the subscription is tried again and again
        clock.now += 1
        freshness.missed()
    assert freshness.right_at(oldest) == polled
    between = clock()
    clock.now += 1
    freshness.followed(clock())
    assert freshness.right_at(between) == clock()
    freshness.missed()
    assert freshness.right_at(oldest) == oldest, "two gaps ago"
    assert freshness.right_at(between) == clock()
