"""Access control: the levels, and the one table of all routes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from starlette.routing import compile_path


class AccessLevel(IntEnum):
    """The permissions of a token, lowest first. Each level includes those of the levels before it."""

    NO_LOGIN = 0
    PERSONAL = 1
    VIEWER = 2
    MANAGER = 3
    OWNER = 4
    RESELLER = 5
    RESELLER_ADMIN = 6
    ADMIN = 7


class Scope(Enum):
    """The data that a route reads or changes."""

    PUBLIC = "public: no token needed"
    OWN_EXTENSION = "the primary extension of the token's employee"
    CUSTOMERS = "customers: one's own; from RESELLER on also those below it; from RESELLER_ADMIN on all"
    OWN = "customers as above; below VIEWER only the phones and extensions of the token's employee"
    TOKEN = "the token that the request carries, whatever its level"  # noqa: S105  # words, no secret


@dataclass(frozen=True, slots=True)
class Rule:
    """The conditions that a request must meet before a route handles it."""

    level: AccessLevel
    scope: Scope
    query_token: bool = False
    """Whether `?token=` may replace the header: only if nothing changes and no secret is made."""


_PUBLIC: Final = Rule(AccessLevel.NO_LOGIN, Scope.PUBLIC)
_READ: Final = Rule(AccessLevel.VIEWER, Scope.CUSTOMERS, query_token=True)
_ASK: Final = Rule(AccessLevel.VIEWER, Scope.CUSTOMERS)
_WRITE: Final = Rule(AccessLevel.MANAGER, Scope.CUSTOMERS)
_MANAGE_READ: Final = Rule(AccessLevel.MANAGER, Scope.CUSTOMERS, query_token=True)
_OWN: Final = Rule(AccessLevel.OWNER, Scope.CUSTOMERS)
_OWN_READ: Final = Rule(AccessLevel.OWNER, Scope.CUSTOMERS, query_token=True)
_RESELL: Final = Rule(AccessLevel.RESELLER, Scope.CUSTOMERS)
_OPERATE: Final = Rule(AccessLevel.ADMIN, Scope.CUSTOMERS)

_TOKEN: Final = Rule(AccessLevel.PERSONAL, Scope.TOKEN)

Rules = Mapping[tuple[str, str], Rule]

_UPDATES: Final = ("POST", "PUT", "PATCH")


def _resource(path: str, read: Rule, write: Rule) -> Rules:
    """Return the rules of the six routes of every resource of the JSON dialect."""
    one = path + "/{id}"
    changes = {(method, one): write for method in (*_UPDATES, "DELETE")}
    return {("GET", path): read, ("POST", path): write, ("GET", one): read} | changes


def _rows(path: str, one: str, *, update: bool = True) -> Rules:
    """Return the rules to list, create, read, update and delete in the row dialect, below one SIP domain."""
    path = f"{DOMAIN}/{path}"
    one = f"{path}/{{{one}}}"
    rules = {("GET", path): _ASK, ("POST", path): _WRITE, ("GET", one): _ASK, ("DELETE", one): _WRITE}
    return rules | ({("POST", one): _WRITE} if update else {})


DOMAINS: Final = "/config/v2/sip/domains"
DOMAIN: Final = DOMAINS + "/{domain}"

_PAGES: Final = (
    *("/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs", "/docs/oauth2-redirect"),
    *("/", "/base.css", "/board/style.css", "/board/page.js", "/board/licences.txt"),
    *("/phone", "/phone/", "/phone/style.css", "/phone/page.js", "/phone/licences.txt"),
    *("/selftest", "/selftest/", "/selftest/page.js", "/selftest/server"),
)
RULES: Final[Rules] = {
    **{("GET", path): _PUBLIC for path in _PAGES},
    **{
        ("POST", f"/auth/{path}"): _PUBLIC
        for path in ("login", "totp", "totp/confirm", "totp/codes", "totp/off")
    },
    ("GET", "/auth/validateToken"): Rule(AccessLevel.NO_LOGIN, Scope.TOKEN, query_token=True),
    ("GET", "/auth/session"): _TOKEN,
    ("DELETE", "/auth/session"): _TOKEN,
    ("DELETE", "/auth/session/{id}"): _TOKEN,
    # Phones
    **_resource("/pbx/sipphone", _READ, _WRITE),
    ("GET", "/pbx/sipphone/own"): Rule(AccessLevel.PERSONAL, Scope.OWN_EXTENSION),
    ("POST", "/pbx/sipphone/webrtc"): Rule(AccessLevel.PERSONAL, Scope.OWN_EXTENSION),
    ("POST", "/pbx/sipphone/status"): _ASK,
    ("GET", "/pbx/sipphone/summary"): _READ,
    ("GET", "/pbx/sipphone/refusals"): _READ,
    ("GET", "/pbx/sipphone/{id}/status"): _READ,
    ("GET", "/pbx/sipphone/{id}/events"): _READ,
    ("GET", "/pbx/sipphone/{id}/bindings"): _READ,
    ("GET", "/pbx/sipphone/{id}/account"): _ASK,
    ("GET", "/pbx/sipphone/{id}/resetcredentials"): _ASK,
    ("POST", "/pbx/sipphone/{id}/resetcredentials"): _ASK,
    ("GET", "/pbx/sipphone/{id}/provisioning"): _READ,
    ("POST", "/pbx/sipphone/{id}/provisioning"): _WRITE,
    ("GET", "/pbx/sipphone/{id}/configuration"): _READ,
    ("POST", "/pbx/sipphone/{id}/unlock"): _WRITE,
    ("POST", "/pbx/sipphone/{id}/acceptaddress"): _WRITE,
    **{
        ("POST", f"/pbx/sipphone/{path}"): _WRITE
        for path in ("configreload", "reboot", "{id}/configreload", "{id}/reboot")
    },
    **_resource("/pbx/sipphonemodels", _READ, _OPERATE),
    ("PUT", "/pbx/sipphonemodels/{id}/picture"): _OPERATE,
    ("GET", "/pbx/picture/{id}"): Rule(AccessLevel.PERSONAL, Scope.CUSTOMERS, query_token=True),
    ("GET", "/pbx/provisioning/redirects.csv"): _WRITE,
    ("GET", "/pbx/provisioning/dhcp"): _WRITE,
    # Calls
    ("GET", "/pbx/call"): _READ,
    ("GET", "/pbx/call/history"): Rule(AccessLevel.PERSONAL, Scope.OWN, query_token=True),
    ("GET", "/pbx/call/{id}"): _READ,
    ("DELETE", "/pbx/call/{id}"): _WRITE,
    ("GET", "/audit"): _OWN,
    ("GET", "/pbx/ban"): _OWN_READ,
    ("POST", "/pbx/ban"): _OWN,
    ("DELETE", "/pbx/ban/{id}"): _OWN,
    ("GET", "/webhook"): _OWN_READ,
    ("POST", "/webhook"): _OWN,
    ("GET", "/webhook/{id}"): _OWN_READ,
    ("PATCH", "/webhook/{id}"): _OWN,
    ("DELETE", "/webhook/{id}"): _OWN,
    ("POST", "/webhook/{id}/secret"): _OWN,
    ("POST", "/webhook/{id}/test"): _OWN,
    ("GET", "/webhook/{id}/deliveries"): _OWN_READ,
    ("GET", "/events"): Rule(AccessLevel.PERSONAL, Scope.OWN),
    # Resources that phones refer to
    **_resource("/pbx/extension", _MANAGE_READ, _WRITE),
    **_resource("/pbx/group", _MANAGE_READ, _WRITE),
    **_resource("/pbx/queue", _MANAGE_READ, _WRITE),
    **_resource("/employee", _MANAGE_READ, _WRITE),
    ("GET", "/employee/{id}/token"): _MANAGE_READ,
    ("POST", "/employee/{id}/token"): _WRITE,
    ("DELETE", "/employee/{id}/token/{token}"): _WRITE,
    ("GET", "/employee/{id}/session"): _MANAGE_READ,
    ("DELETE", "/employee/{id}/session"): _WRITE,
    ("DELETE", "/employee/{id}/totp"): _WRITE,
    **_resource("/customer", _MANAGE_READ, _RESELL),
    **_resource("/product", _MANAGE_READ, _RESELL),
    # The row dialect
    ("GET", DOMAINS): _ASK,
    ("POST", DOMAINS): _OPERATE,
    ("GET", DOMAIN): _ASK,
    ("POST", DOMAIN): _WRITE,
    ("DELETE", DOMAIN): _OPERATE,
    **_rows("users", "user"),
    **_rows("users/{user}/devices", "device", update=False),
    ("GET", f"{DOMAIN}/users/{{user}}/groups"): _ASK,
    ("POST", f"{DOMAIN}/users/{{user}}/groups"): _WRITE,
    **_rows("groups", "group"),
    ("GET", f"{DOMAIN}/groups/{{group}}/users"): _ASK,
    ("POST", f"{DOMAIN}/groups/{{group}}/users"): _WRITE,
    ("DELETE", f"{DOMAIN}/groups/{{group}}/users"): _WRITE,
    **_rows("queues", "queue"),
    ("PUT", f"{DOMAIN}/queues/{{queue}}/members/order"): _WRITE,
    **_rows("queues/{queue}/members", "member"),
    **_rows("trustedNetworks", "network"),
    **_rows("devices", "device"),
}
"""Every route of the application. A route that is missing here cannot be called."""

UNSAFE_GETS: Final = ("/pbx/sipphone/{id}/resetcredentials",)
"""Paths where GET changes something. HEAD does not call GET there (D17)."""

PURCHASE_LEVEL: Final = AccessLevel.RESELLER
"""From this level on `purchaseInfo` is shown and may be written."""

_PATTERNS: Final = {path: compile_path(path)[0] for _, path in RULES}


def allowed_methods(path: str) -> tuple[str, ...]:
    """Return the methods of `path`, in the order of the table; HEAD is included if GET is safe."""
    matching = {template for template, pattern in _PATTERNS.items() if pattern.match(path)}
    known = tuple(dict.fromkeys(method for method, template in RULES if template in matching))
    return (*known, "HEAD") if "GET" in known and is_safe(path) else known


def is_safe(path: str) -> bool:
    """Return whether GET changes nothing at this path."""
    return not any(_PATTERNS[template].match(path) for template in UNSAFE_GETS)
