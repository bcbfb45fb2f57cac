"""registrar/collectors.py: figures as Prometheus reads them."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from registrar.collectors import Asked, Durations, Histograms, Labelled


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_a_counter_has_a_number_for_each_combination(registry: CollectorRegistry) -> None:
    counter = Labelled("a_thing", "Things", ["kind"], registry)
    counter("x")
    counter("x", by=2)
    counter("y")
    assert registry.get_sample_value("a_thing_total", {"kind": "x"}) == 3
    assert registry.get_sample_value("a_thing_total", {"kind": "y"}) == 1


def test_a_gauge_asks_each_of_its_sources_each_time(registry: CollectorRegistry) -> None:
    gauge = Asked("a_level", "Level", ["place"], registry)
    assert b"a_level{" not in generate_latest(registry)
    levels: dict[tuple[str, ...], float] = {("left",): 1.0}
    gauge.ask(lambda: levels)
    gauge.ask(lambda: {("right",): 5.0})
    assert registry.get_sample_value("a_level", {"place": "left"}) == 1
    levels["left",] = 2.0
    assert registry.get_sample_value("a_level", {"place": "left"}) == 2
    assert registry.get_sample_value("a_level", {"place": "right"}) == 5


def test_a_bucket_has_all_durations_up_to_its_bound() -> None:
    took = Durations((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 3.0):
        took.add(seconds)
    assert took.buckets() == [("0.1", 2.0), ("1.0", 3.0), ("+Inf", 4.0)]
    assert took.total == pytest.approx(3.65)


def test_a_histogram_has_durations_of_its_own_and_of_others(registry: CollectorRegistry) -> None:
    histograms = Histograms("a_seconds", "Seconds", ["who"], registry, (0.1, 1.0))
    histograms.of("we").add(0.5)
    histograms.of("we").add(0.05)
    others = histograms.show(Durations((2.0,)), "others")
    others.add(1.5)
    assert registry.get_sample_value("a_seconds_count", {"who": "we"}) == 2
    assert registry.get_sample_value("a_seconds_bucket", {"who": "we", "le": "0.1"}) == 1
    assert registry.get_sample_value("a_seconds_bucket", {"who": "others", "le": "2.0"}) == 1
    assert registry.get_sample_value("a_seconds_sum", {"who": "others"}) == 1.5
