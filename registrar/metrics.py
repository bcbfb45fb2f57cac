"""Every metric, declared once; labels come from small closed sets, never an address or a username.

docs/metrics.md says of each what it counts and what to do about it.
"""

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from .collectors import Asked, Histograms, Labelled

KNOWN_METHODS = frozenset(
    "REGISTER OPTIONS INVITE ACK BYE CANCEL MESSAGE SUBSCRIBE NOTIFY REFER INFO PUBLISH PRACK UPDATE".split()
)


class Metrics:
    """All metrics. A test makes its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, that no one reads
        self.registry = registry = CollectorRegistry()
        self._describe_process()
        self._declare_workers()
        self._declare_stores()
        self._declare_http()
        self._declare_phone_files()
        self._declare_keys()
        self._declare_limits()
        self.phones = Asked(
            "registrar_phones", "Registered phones that this process serves", ["transport"], registry
        )
        self.phones_silent = Gauge(
            "registrar_phones_silent",
            "Bindings over UDP whose phone does not answer pings",
            registry=registry,
        )
        self.received = Labelled(
            "registrar_sip_requests", "SIP requests received", ["transport", "method"], registry
        )
        self.answered = Labelled(
            "registrar_sip_responses",
            "SIP answers sent",
            ["method", "code"],
            registry,
        )
        self.requested = Labelled(
            "registrar_sip_requests_sent",
            "SIP requests sent",
            ["method"],
            registry,
        )
        self.subscriptions_open = Gauge(
            "registrar_subscriptions_open",
            "Subscriptions whose NOTIFYs this process sends",
            registry=registry,
        )
        self.notifies = Labelled(
            "registrar_notifies", "NOTIFYs sent, and what became of each", ["result"], registry
        )
        self.ordered_notifies = Labelled(
            "registrar_ordered_notifies",
            "NOTIFYs by which the API reloads or restarts phones, and what became of each",
            ["outcome"],
            registry,
        )
        self.audit_waiting_seconds, self.audit_dropped, self.audit_deeds_dropped = _of_audit(registry)
        self.calls_open = Gauge(
            "registrar_calls_open",
            "Calls routed by this process",
            registry=registry,
        )
        self.hunts_open = Gauge(
            "registrar_hunts_open",
            "Calls of this process that ring or wait at groups and queues",
            registry=registry,
        )
        self.hunt_limits = Labelled(
            "registrar_hunt_limits", "How often a limit of groups and queues took effect", ["limit"], registry
        )
        self.calls = Labelled("registrar_calls", "Calls that ended, and why", ["cause"], registry)
        self.history = Labelled(
            "registrar_call_history", "Calls for the history, and what became of each", ["result"], registry
        )
        self.history_waiting = Gauge(
            "registrar_call_history_waiting", "Past calls that wait for the database", registry=registry
        )
        self.call_setup_seconds = Histogram(
            "registrar_call_setup_seconds",
            "From an authenticated INVITE to its 2xx",
            buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0),
            registry=registry,
        )
        self.dropped = Labelled(
            "registrar_sip_dropped", "Datagrams and messages that got no answer", ["reason"], registry
        )
        self.parse_errors = Labelled(
            "registrar_sip_parse_errors", "Messages that are not SIP as we read it", ["layer"], registry
        )
        self.auth = Labelled("registrar_digests", "Digest verdicts", ["result"], registry)
        self.access = Labelled(
            "registrar_access",
            "Verdicts of the access rule",
            ["result"],
            registry,
        )
        self.commits = Labelled(
            "registrar_commits", "Steps written to the location service", ["result"], registry
        )
        self.untraced = Counter(
            "registrar_wrong_passwords_untraced",
            "Wrong passwords that are in no status and no journal",
            registry=registry,
        )
        self.expired = Counter(
            "registrar_bindings_expired",
            "Bindings that ran out",
            registry=registry,
        )
        self.promises = Counter(
            "registrar_refreshes_promised", "Refreshes granted while Redis was away", registry=registry
        )
        self.reconciled = Counter(
            "registrar_phones_reconciled", "Phones written again after Redis was away", registry=registry
        )
        self.rechecked = Counter(
            "registrar_phones_rechecked",
            "Phones re-checked after a change of the configuration",
            registry=registry,
        )
        self.unhandled = Counter(
            "registrar_unhandled_exceptions", "Internal errors, answered 500", registry=registry
        )
        self.connections = Gauge(
            "registrar_connections_open",
            "Connections that are open",
            ["transport", "state"],
            registry=registry,
        )
        self.closed = Labelled(
            "registrar_connections_closed", "Connections that ended, and why", ["reason"], registry
        )
        self.lost = Labelled(
            "registrar_bindings_lost",
            "Bindings that ended with their connection or fell silent",
            ["reason"],
            registry,
        )
        self.pings = Labelled(
            "registrar_pings", "OPTIONS to phones over UDP, and what came of them", ["result"], registry
        )
        self.ping_seconds = Histogram(
            "registrar_ping_seconds",
            "From a ping over UDP to its answer",
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0),
            registry=registry,
        )
        self.store_up = Gauge(
            "registrar_store_up",
            "1 when the store answers",
            ["store"],
            registry=registry,
        )
        self.tasks = Gauge("registrar_tasks_open", "Requests being worked on", registry=registry)
        self.transactions = Gauge(
            "registrar_transactions_open", "Server transactions kept", registry=registry
        )
        self.loop_lag = Histogram(
            "registrar_loop_lag_seconds",
            "How late the event loop runs",
            buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0),
            registry=registry,
        )
        self.register_seconds = Histogram(
            "registrar_register_seconds",
            "From an authenticated REGISTER to its answer",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
            registry=registry,
        )

        self.media_commands = Labelled(
            "registrar_media_commands", "Commands to media engines", ["command", "result"], registry
        )
        self.media_sessions = Labelled(
            "registrar_media_sessions", "Relayed sessions begun and ended", ["event"], registry
        )
        self.media_engine_up = Gauge(
            "registrar_media_engine_up",
            "1 when the engine of the configuration answers",
            ["engine"],
            registry=registry,
        )
        self.media_seconds = Histogram(
            "registrar_media_command_seconds",
            "From a command to the media engine's answer",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
            registry=registry,
        )

    def _describe_process(self) -> None:
        ProcessCollector(namespace="registrar", registry=self.registry)
        build = Gauge(
            "registrar_build_info",
            "Always 1; the labels say what runs",
            ["version", "python"],
            registry=self.registry,
        )
        build.labels(release(), platform.python_version()).set(1)

    def _declare_stores(self) -> None:
        registry = self.registry
        self.redis_seconds = Histograms(
            "registrar_redis_seconds", "From a command to the answer of Redis", ["client"], registry
        )
        self.sql_seconds = Histograms(
            "registrar_sql_seconds", "From an SQL statement to its result", ["engine"], registry
        )
        self.sql_connections = Asked(
            "registrar_sql_connections", "Connections to the database", ["engine", "state"], registry
        )
        self.sql_limit = Asked(
            "registrar_sql_connections_limit", "The most connections to the database", ["engine"], registry
        )
        self.changes_unheard = Counter(
            "registrar_changes_unheard",
            "Changes of the configuration that were read from the database before they were announced",
            registry=registry,
        )
        self.changes_missed = Counter(
            "registrar_changes_missed",
            "Times at which changes were missed, so that all phones were read again",
            registry=registry,
        )

    def _declare_keys(self) -> None:
        registry = self.registry
        self.strange_responses = Counter(
            "registrar_responses_from_elsewhere",
            "Responses over UDP from another address than their request went to",
            registry=registry,
        )
        self.tls_suites = Counter(
            "registrar_tls_handshakes", "TLS handshakes of phones", ["transport", "suite"], registry=registry
        )
        self.sealed_old = Gauge(
            "registrar_secrets_sealed_with_old_key",
            "Stored secrets that are not sealed with the key in use",
            registry=registry,
        )

    def _declare_limits(self) -> None:
        registry = self.registry
        self.quotas = Labelled(
            "registrar_quota_refusals", "Calls and requests beyond a quota, by the quota", ["quota"], registry
        )
        self.limited = Labelled(
            "registrar_limited", "Messages and requests beyond a limit, by the limit", ["limit"], registry
        )
        self.bans = Asked("registrar_bans", "Bans and holds that are in force", ["kind"], registry)

    def _declare_http(self) -> None:
        registry = self.registry
        self.http_requests = Labelled(
            "registrar_http_requests",
            "HTTP requests that were answered",
            ["method", "route", "status"],
            registry,
        )
        self.http_seconds = Histograms(
            "registrar_http_request_seconds",
            "From an HTTP request to the headers of its response",
            ["method", "route"],
            registry,
        )
        self.http_open = Gauge(
            "registrar_http_requests_open", "HTTP requests that are being answered", registry=registry
        )
        self.http_connections = Gauge(
            "registrar_http_connections_open", "HTTP connections that are open", registry=registry
        )

    def _declare_phone_files(self) -> None:
        registry = self.registry
        self.prov_requests = Labelled(
            "registrar_prov_requests", "Requests for configurations of phones", ["outcome"], registry
        )
        self.prov_seconds = Histograms(
            "registrar_prov_request_seconds",
            "From a request for a configuration to its answer",
            ["outcome"],
            registry,
        )
        self.prov_limited = Counter(
            "registrar_prov_limited",
            "Requests for configurations whose source has guessed too often",
            registry=registry,
        )

    def certificate(self, expires_at: Callable[[], float]) -> None:
        """Add the metric that shows when the certificate expires; without TLS it does not exist."""
        gauge = Gauge(
            "registrar_tls_certificate_expiry_timestamp_seconds",
            "Epoch of the certificate's end",
            registry=self.registry,
        )
        gauge.set_function(expires_at)

    def _declare_workers(self) -> None:
        registry = self.registry
        self.handed_over = Counter(
            "registrar_handed_over",
            "Datagrams that came to this worker and were for another one",
            registry=registry,
        )
        self.starts = Gauge(
            "registrar_worker_starts",
            "How often this worker was started, the first start included",
            registry=registry,
        )

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def method_label(method: str) -> str:
    """Return the method as a label, or `other` if it is not a known method."""
    return method if method in KNOWN_METHODS else "other"


def release() -> str:
    """Return the version of the program, 0 if it is not installed as a package."""
    try:
        return version("sip-registrar")
    except PackageNotFoundError:
        return "0"


def _of_audit(registry: CollectorRegistry) -> tuple[Gauge, Gauge, Counter]:
    """Return what the audit log waits for, and what is missing in it."""
    return (
        Gauge(
            "registrar_audit_waiting_seconds",
            "Seconds since the oldest row of the audit log was written that is not chained",
            registry=registry,
        ),
        Gauge(
            "registrar_audit_notes_dropped",
            "Reads, exports and failed logins that are missing in the audit log",
            registry=registry,
        ),
        Counter(
            "registrar_audit_deeds_dropped",
            "Wishes switched by phones that are missing in the audit log",
            registry=registry,
        ),
    )
