"""Every metric, declared once; labels come from small closed sets, never an address or a username."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

KNOWN_METHODS = frozenset(
    "REGISTER OPTIONS INVITE ACK BYE CANCEL MESSAGE SUBSCRIBE NOTIFY REFER INFO PUBLISH PRACK UPDATE".split()
)


class Metrics:
    """What is counted and measured. A test makes its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.received = Counter("sip_rx", "SIP requests received", ["transport", "method"], registry=registry)
        self.answered = Counter("sip_resp", "SIP answers sent", ["method", "code"], registry=registry)
        self.dropped = Counter(
            "sip_drop", "Datagrams and messages that got no answer", ["reason"], registry=registry
        )
        self.parse_errors = Counter(
            "sip_parse_error", "Messages that are not SIP as we read it", ["layer"], registry=registry
        )
        self.auth = Counter("auth", "Digest verdicts", ["result"], registry=registry)
        self.access = Counter("iplock", "Verdicts of the access rule", ["result"], registry=registry)
        self.commits = Counter(
            "reg_commit", "Steps written to the location service", ["result"], registry=registry
        )
        self.expired = Counter("reg_expired", "Bindings that ran out", registry=registry)
        self.promises = Counter("reg_promised", "Refreshes granted while Redis was away", registry=registry)
        self.reconciled = Counter("reconcile", "Phones written again after Redis was away", registry=registry)
        self.rechecked = Counter(
            "recheck", "Phones re-checked after a change of the configuration", registry=registry
        )
        self.unhandled = Counter("unhandled_exceptions", "Faults of ours, answered 500", registry=registry)
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

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


def method_label(method: str) -> str:
    """The method as a label; what a peer invents is `other`."""
    return method if method in KNOWN_METHODS else "other"
