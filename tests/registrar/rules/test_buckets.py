"""Token buckets are exact to one request, by a clock that is turned by hand."""

import random

import pytest

from registrar.model import Mono
from registrar.rules.buckets import Bucket, Size
from tests.every import every

TWENTY = Size(rate=20, burst=60)


def taken(bucket: Bucket, size: Size, at: float, tries: int = 1_000) -> int:
    """How many of so many requests at one moment are let through."""
    return sum(bucket.take(size, Mono(at)) for _ in range(tries))


def test_a_full_bucket_lets_its_burst_through_and_not_one_more() -> None:
    bucket = Bucket(TWENTY, Mono(0.0))
    assert taken(bucket, TWENTY, 0.0) == 60
    assert taken(bucket, TWENTY, 0.0) == 0


@pytest.mark.parametrize(
    ("seconds", "more"), [(0.049, 0), (0.05, 1), (0.099, 1), (1.0, 20), (3.0, 60), (1e6, 60)]
)
def test_an_empty_bucket_gains_with_time(seconds: float, more: int) -> None:
    bucket = Bucket(TWENTY, Mono(7.0))
    taken(bucket, TWENTY, 7.0)
    assert taken(bucket, TWENTY, 7.0 + seconds) == more


@every("size", [TWENTY, Size(200, 600), Size(500, 20_000), Size(2, 10)])
@every("at", [0.0, 1_790_000_000.0])
def test_any_hour_lets_the_burst_and_what_it_gains_through_to_one_request(size: Size, at: float) -> None:
    """However the requests lie in time, also if the clock began long ago and has few bits left."""
    draw, bucket, now, let = random.Random(3), Bucket(size, Mono(at)), at, 0
    while now < at + 60:
        let += bucket.take(size, Mono(now))
        now += draw.random() / 2 / size.rate  # four times as many as it gains
    assert abs(let - (size.burst + 60 * size.rate)) <= 1


def test_a_bucket_that_grows_keeps_what_was_spent() -> None:
    bucket, office = Bucket(TWENTY, Mono(0.0)), Size(500, 20_000)
    taken(bucket, TWENTY, 0.0, 60)
    bucket.grow(office.burst - TWENTY.burst)
    assert taken(bucket, office, 0.0, 30_000) == 19_940


def test_what_other_nodes_have_seen_empties_a_bucket_and_never_owes() -> None:
    bucket = Bucket(TWENTY, Mono(0.0))
    bucket.grow(-1_000)
    assert taken(bucket, TWENTY, 0.0) == 0
    assert taken(bucket, TWENTY, 1.0) == 20


def test_a_full_bucket_may_be_forgotten() -> None:
    bucket = Bucket(TWENTY, Mono(0.0))
    taken(bucket, TWENTY, 0.0, 20)
    assert not bucket.is_full(TWENTY, Mono(0.99))
    assert bucket.is_full(TWENTY, Mono(1.01))
