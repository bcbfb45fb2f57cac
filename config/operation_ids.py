"""The operation ids of /openapi.json: a verb and a noun, from which generated clients name their methods."""

from collections.abc import Mapping
from typing import Final

from .access import DOMAINS

NOUNS: Final[Mapping[str, str]] = {
    "sipphone": "phone",
    "sipphonemodels": "model",
    "trustedNetworks": "trusted_network",
    "token": "token",
}
"""Part of a path -> its noun, if removing a final `s` does not give it."""
OTHERS: Final[Mapping[tuple[str, str], str]] = {
    ("GET", "/health/live"): "show_liveness",
    ("GET", "/health/ready"): "show_readiness",
    ("GET", "/metrics"): "show_metrics",
    ("POST", "/auth/login"): "log_in",
    ("GET", "/auth/validateToken"): "validate_token",
    ("POST", "/pbx/sipphone/webrtc"): "open_webrtc_phone",
    ("POST", "/pbx/sipphone/status"): "list_phone_statuses",
    ("GET", "/pbx/sipphone/{id}/status"): "show_phone_status",
    ("GET", "/pbx/sipphone/{id}/events"): "list_phone_events",
    ("POST", "/pbx/sipphone/{id}/resetcredentials"): "reset_credentials",
    ("GET", "/pbx/sipphone/{id}/resetcredentials"): "reset_credentials_by_get",
    ("DELETE", "/pbx/call/{id}"): "end_call",
    ("PUT", DOMAINS + "/{domain}/queues/{queue}/members/order"): "order_sip_queue_members",
}
VERBS: Final[Mapping[tuple[str, bool], str]] = {
    ("GET", False): "list",
    ("GET", True): "show",
    ("POST", False): "create",
    ("POST", True): "update",
    ("PUT", True): "update",
    ("PATCH", True): "update",
    ("DELETE", True): "delete",
    ("DELETE", False): "remove",
}
"""Method, and whether the path ends with an id -> verb."""


def operation_id(method: str, path: str) -> str:
    """Return `list_phones`, `update_phone`, `show_sip_queue_member`; unique for each route."""
    if (method, path) in OTHERS:
        return OTHERS[method, path]
    of_one = path.endswith("}")
    words = [_noun(part) for part in path.removeprefix(DOMAINS).split("/")[1:] if not part.startswith("{")]
    if path.startswith(DOMAINS):
        words = ["sip", *(words or ["domain"])]
    noun = "_".join(word for word in words if word != "pbx")
    verb = VERBS[method, of_one]
    # The JSON dialect accepts a change by three methods. The plain name belongs to the precise one, PATCH.
    ending = f"_by_{method.lower()}" if method in ("PUT", "POST") and of_one and words[0] != "sip" else ""
    return f"{verb}_{noun}{'s' if verb == 'list' else ''}{ending}"


def _noun(part: str) -> str:
    return NOUNS.get(part) or part.removesuffix("s")
