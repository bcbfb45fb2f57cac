"""Who may call what: the levels, and the one table of all routes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from starlette.routing import compile_path


class AccessLevel(IntEnum):
    """What a token may do, lowest first; each level may do what those before it may."""

    NO_LOGIN = 0
    PERSONAL = 1
    VIEWER = 2
    MANAGER = 3
    OWNER = 4
    RESELLER = 5
    RESELLER_ADMIN = 6
    ADMIN = 7


class Scope(Enum):
    """Whose data a route touches."""

    PUBLIC = "nobody's: no token needed"
    OWN_EXTENSION = "the primary extension of the token's employee"
    CUSTOMERS = "customers: one's own; from RESELLER on also those below it; from RESELLER_ADMIN on all"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a request needs before a route looks at it."""

    level: AccessLevel
    scope: Scope
    query_token: bool = False
    """Whether `?token=` does instead of the header: only where nothing changes and nothing secret is made."""


_PUBLIC: Final = Rule(AccessLevel.NO_LOGIN, Scope.PUBLIC)
_READ: Final = Rule(AccessLevel.VIEWER, Scope.CUSTOMERS, query_token=True)
_RESET: Final = Rule(AccessLevel.VIEWER, Scope.CUSTOMERS)
_WRITE: Final = Rule(AccessLevel.MANAGER, Scope.CUSTOMERS)

RULES: Final[Mapping[tuple[str, str], Rule]] = {
    ("GET", "/health/live"): _PUBLIC,
    ("GET", "/health/ready"): _PUBLIC,
    ("GET", "/metrics"): _PUBLIC,
    ("GET", "/openapi.json"): _PUBLIC,
    ("GET", "/docs"): _PUBLIC,
    ("GET", "/docs/oauth2-redirect"): _PUBLIC,
    ("GET", "/phone"): _PUBLIC,
    ("GET", "/phone/"): _PUBLIC,
    ("GET", "/phone/style.css"): _PUBLIC,
    ("GET", "/phone/page.js"): _PUBLIC,
    ("GET", "/phone/licences.txt"): _PUBLIC,
    ("GET", "/pbx/sipphone"): _READ,
    ("POST", "/pbx/sipphone"): _WRITE,
    ("POST", "/pbx/sipphone/webrtc"): Rule(AccessLevel.PERSONAL, Scope.OWN_EXTENSION),
    ("GET", "/pbx/sipphone/{id}"): _READ,
    ("POST", "/pbx/sipphone/{id}"): _WRITE,
    ("PUT", "/pbx/sipphone/{id}"): _WRITE,
    ("PATCH", "/pbx/sipphone/{id}"): _WRITE,
    ("DELETE", "/pbx/sipphone/{id}"): _WRITE,
    ("GET", "/pbx/sipphone/{id}/resetcredentials"): _RESET,
    ("POST", "/pbx/sipphone/{id}/resetcredentials"): _RESET,
}
"""Every route of the application; a route that is not here answers nobody."""

PURCHASE_LEVEL: Final = AccessLevel.RESELLER
"""From this level on `purchaseInfo` is shown and may be written."""

_PATTERNS: Final = {path: compile_path(path)[0] for _, path in RULES}


def allowed_methods(path: str) -> tuple[str, ...]:
    """The methods that `path` knows, in the order of the table."""
    matching = {template for template, pattern in _PATTERNS.items() if pattern.match(path)}
    return tuple(dict.fromkeys(method for method, template in RULES if template in matching))
