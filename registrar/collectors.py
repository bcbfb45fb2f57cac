"""Figures that a request counts without a lock, and figures that are looked up when Prometheus asks.

The metrics of prometheus_client take a lock for each change. These are changed in the thread of the event
loop alone, and `/metrics` is made in the same thread.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

QUICK: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Bounds in seconds for what takes milliseconds."""


class Labelled(Collector):
    """A counter with labels. It is a plain number, because it is called twelve times for each phone call."""

    def __init__(self, name: str, text: str, labels: list[str], registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._counts: dict[tuple[str, ...], float] = {}
        registry.register(self)

    def __call__(self, *labels: str, by: float = 1) -> None:
        """Count `by` under these label values. Call it only in the thread of the event loop."""
        self._counts[labels] = self._counts.get(labels, 0.0) + by

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Yield the counts as Prometheus reads them."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, count in list(self._counts.items()):
            family.add_metric(labels, count)
        yield family


class Asked(Collector):
    """A gauge whose values are asked for when Prometheus reads them; without a source it has none."""

    def __init__(self, name: str, text: str, labels: list[str], registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._sources: list[Callable[[], Mapping[tuple[str, ...], float]]] = []
        registry.register(self)

    def ask(self, source: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
        """Ask `source` too, from now on: it returns values by the values of the labels."""
        self._sources.append(source)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the values as Prometheus reads them."""
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for source in self._sources:
            for labels, value in source().items():
                family.add_metric(labels, value)
        yield family


class Durations:
    """How long something took, counted in buckets."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = QUICK) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one more duration. A bucket includes its upper bound."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return the upper bound of each bucket with the count of all durations up to it."""
        names = [*map(str, self.bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self.counts)), strict=True))


class Histograms(Collector):
    """A histogram for each combination of labels."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: list[str],
        registry: CollectorRegistry,
        bounds: Sequence[float] = QUICK,
    ) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._bounds = bounds
        self._durations: dict[tuple[str, ...], Durations] = {}
        registry.register(self)

    def of(self, *labels: str) -> Durations:
        """Return the durations under these label values; they are empty at first."""
        found = self._durations.get(labels)
        return self.show(Durations(self._bounds), *labels) if found is None else found

    def show(self, durations: Durations, *labels: str) -> Durations:
        """Show durations that another part counts, under these label values, and return them."""
        self._durations[labels] = durations
        return durations

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Yield the histograms as Prometheus reads them."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for labels, durations in list(self._durations.items()):
            family.add_metric(labels, durations.buckets(), durations.total)
        yield family
