"""The settings of the SIP side, as `registrar serve` hands them to it."""

from pathlib import Path

from registrar.app import SipSettings
from registrar.handlers.calls.hunting import Patience
from registrar.handlers.events.notifier import Limits as SubscriptionLimits
from registrar.listeners import Addresses, Shared
from registrar.rules.quotas import Quotas
from registrar.settings import Settings

from .installation import Installation


def sip_settings(installation: Installation, media_sessions: str, shared: Shared | None) -> SipSettings:
    """Return the settings of the SIP side. Each worker takes another port for TLS between nodes."""
    settings = installation.settings
    node = settings.node_tls[0] if settings.node_tls else None
    if node is not None and shared is not None:
        node = (node[0], node[1] + shared.number - 1)
    return SipSettings(
        addresses=Addresses(
            udp=settings.sip_udp,
            tcp=settings.sip_tcp,
            tls=settings.sip_tls,
            ws=settings.sip_ws,
            wss=settings.sip_wss,
            node=node,
        ),
        ws_origins=settings.ws_origins,
        domain=settings.domain,
        public_host=settings.public_host,
        digest=settings.digest,
        keys=installation.secret_keys,
        media_sessions=media_sessions,
        geoip_database=installation.country_file,
        trusted_proxies=settings.trusted_proxies,
        proxy_protocol=tuple(
            name.removeprefix("sip_") for name in settings.proxy_protocol if name.startswith("sip_")
        ),
        edges=settings.edges,
        limits=settings.limits.is_on,
        exempt=settings.limits.exempt,
        lock_ipv6_prefix=settings.lock_ipv6_prefix,
        pbx_cluster=settings.pbx_cluster,
        node=settings.node,
        node_sip=settings.node_sip,
        node_files=_node_files(settings),
        redis_url=installation.redis_url,
        ping_seconds=settings.ping_seconds,
        ring_seconds=settings.ring_seconds,
        patience=Patience(
            settings.group_seconds,
            settings.wait_seconds,
            settings.no_answer_seconds,
            settings.group_callers,
            settings.queue_callers,
            settings.group_devices,
        ),
        subscriptions=SubscriptionLimits(
            settings.phone_subscriptions, settings.watchers, settings.node_subscriptions
        ),
        quotas=Quotas(
            phone_calls=settings.phone_calls,
            phone_ringing=settings.phone_ringing,
            phone_rate=settings.phone_call_rate,
            extension_calls=settings.extension_calls,
            extension_rate=settings.extension_call_rate,
            callee_calls=settings.callee_calls,
            callee_rate=settings.callee_call_rate,
            customer_calls=settings.customer_calls,
            customer_rate=settings.customer_call_rate,
            transactions=settings.customer_transactions,
        ),
        alert_info=settings.alert_info,
        wrap_up_seconds=settings.wrap_up_seconds,
        rtpengine=settings.rtpengine,
        media=settings.media,
        reserved=installation.reserved,
        keeps_history=settings.call_history_days > 0,
    )


def _node_files(settings: Settings) -> tuple[Path, Path, Path] | None:
    files = settings.node_cert, settings.node_key, settings.node_ca
    return (files[0], files[1], files[2]) if files[0] and files[1] and files[2] else None
