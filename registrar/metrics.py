"""Every metric, declared once; labels come from small closed sets, never an address or a username."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

KNOWN_METHODS = frozenset(
    "REGISTER OPTIONS INVITE ACK BYE CANCEL MESSAGE SUBSCRIBE NOTIFY REFER INFO PUBLISH PRACK UPDATE".split()
)


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


class Metrics:
    """All metrics. A test makes its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.received = Labelled("sip_rx", "SIP requests received", ["transport", "method"], registry)
        self.answered = Labelled("sip_resp", "SIP answers sent", ["method", "code"], registry)
        self.requested = Labelled("sip_tx", "SIP requests sent", ["method"], registry)
        self.subscriptions_open = Gauge(
            "subscriptions_open", "Subscriptions whose NOTIFYs this process sends", registry=registry
        )
        self.notifies = Labelled("notify", "NOTIFYs sent, and what became of each", ["result"], registry)
        self.calls_open = Gauge("calls_open", "Calls routed by this process", registry=registry)
        self.hunts_open = Gauge(
            "hunts_open", "Calls of this process that ring or wait at groups and queues", registry=registry
        )
        self.hunt_limits = Labelled(
            "hunt_limit", "How often a limit of groups and queues took effect", ["limit"], registry
        )
        self.calls = Labelled("calls", "Calls that ended, and why", ["cause"], registry)
        self.history = Labelled(
            "call_history", "Calls for the history, and what became of each", ["result"], registry
        )
        self.history_waiting = Gauge(
            "call_history_waiting", "Past calls that wait for the database", registry=registry
        )
        self.call_setup_seconds = Histogram(
            "call_setup_seconds",
            "From an authenticated INVITE to its 2xx",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0),
            registry=registry,
        )
        self.dropped = Labelled("sip_drop", "Datagrams and messages that got no answer", ["reason"], registry)
        self.parse_errors = Labelled(
            "sip_parse_error", "Messages that are not SIP as we read it", ["layer"], registry
        )
        self.auth = Labelled("auth", "Digest verdicts", ["result"], registry)
        self.access = Labelled("iplock", "Verdicts of the access rule", ["result"], registry)
        self.commits = Labelled("reg_commit", "Steps written to the location service", ["result"], registry)
        self.untraced = Counter(
            "wrong_passwords_untraced",
            "Wrong passwords that are in no status and no journal",
            registry=registry,
        )
        self.expired = Counter("reg_expired", "Bindings that ran out", registry=registry)
        self.promises = Counter("reg_promised", "Refreshes granted while Redis was away", registry=registry)
        self.reconciled = Counter("reconcile", "Phones written again after Redis was away", registry=registry)
        self.rechecked = Counter(
            "recheck", "Phones re-checked after a change of the configuration", registry=registry
        )
        self.unhandled = Counter("unhandled_exceptions", "Internal errors, answered 500", registry=registry)
        self.connections = Gauge(
            "conn_open", "Connections that are open", ["transport", "state"], registry=registry
        )
        self.closed = Labelled("conn_closed", "Connections that ended, and why", ["reason"], registry)
        self.lost = Labelled(
            "reg_lost", "Bindings that ended with their connection or fell silent", ["reason"], registry
        )
        self.pings = Labelled(
            "sip_ping", "OPTIONS to phones over UDP, and what came of them", ["result"], registry
        )
        self.ping_seconds = Histogram(
            "sip_ping_seconds",
            "From a ping over UDP to its answer",
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0),
            registry=registry,
        )
        self.store_up = Gauge("store_up", "1 when the store answers", ["store"], registry=registry)
        self.tasks = Gauge("tasks_open", "Requests being worked on", registry=registry)
        self.transactions = Gauge("transactions_open", "Server transactions kept", registry=registry)
        self.loop_lag = Histogram(
            "loop_lag_seconds",
            "How late the event loop runs",
            buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0),
            registry=registry,
        )
        self.register_seconds = Histogram(
            "register_seconds",
            "From an authenticated REGISTER to its answer",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
            registry=registry,
        )

        self.media_commands = Labelled(
            "media_command", "Commands to media engines", ["command", "result"], registry
        )
        self.media_sessions = Labelled(
            "media_session", "Relayed sessions begun and ended", ["event"], registry
        )
        self.media_engine_up = Gauge(
            "media_engine_up", "1 when the engine of the configuration answers", ["engine"], registry=registry
        )
        self.media_seconds = Histogram(
            "media_command_seconds",
            "From a command to the media engine's answer",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
            registry=registry,
        )

    def certificate(self, expires_at: Callable[[], float]) -> None:
        """Add the metric that shows when the certificate expires; without TLS it does not exist."""
        gauge = Gauge(
            "tls_certificate_expires_seconds", "Epoch of the certificate's end", registry=self.registry
        )
        gauge.set_function(expires_at)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def method_label(method: str) -> str:
    """Return the method as a label, or `other` if it is not a known method."""
    return method if method in KNOWN_METHODS else "other"
