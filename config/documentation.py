"""The OpenAPI description of the API, /openapi.json, completed with what the framework does not know.

The framework collects the routes. This module adds the accepted credentials of each route and its operation
id, a verb and a noun, from which generated clients name their methods. It puts every schema that has a title
into one place.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html, get_swagger_ui_oauth2_redirect_html
from fastapi.routing import iter_route_contexts
from starlette.responses import Response

from .access import DOMAINS, RULES, Rule, Scope
from .errors import speaks_rows

Json = dict[str, object]
Said = Mapping[tuple[str, str], Json]
"""Method and path -> the route's own OpenAPI properties."""

ETAG: Final[Json] = {"schema": {"type": "string"}, "description": "The version of the configuration"}
DATA: Final = ("example", "examples", "default", "enum")
"""Keys of a schema whose value is data, not a schema."""
PREFIX: Final = "#/components/schemas/"
SERVERS: Final = [{"url": "/", "description": "The server that this description comes from"}]
SECURITY: Final[dict[str, Json]] = {
    "HTTPBearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The token of a login, or a token of an employee",
    },
    "QueryToken": {"type": "apiKey", "in": "query", "name": "token", "description": "The same, in the query"},
    "HTTPBasic": {"type": "http", "scheme": "basic", "description": "E-mail address and password"},
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`ApiKey` and a token of an employee",
    },
}

NOUNS: Final = {"sipphone": "phone", "sipphonemodels": "model", "trustedNetworks": "trusted_network"}
"""Part of a path -> its noun, if removing a final `s` does not give it."""
OTHERS: Final[Mapping[tuple[str, str], str]] = {
    ("GET", "/health/live"): "show_liveness",
    ("GET", "/health/ready"): "show_readiness",
    ("GET", "/metrics"): "show_metrics",
    ("POST", "/auth/login"): "log_in",
    ("GET", "/auth/validateToken"): "validate_token",
    ("POST", "/auth/totp"): "begin_totp",
    ("POST", "/auth/totp/confirm"): "confirm_totp",
    ("POST", "/auth/totp/codes"): "renew_recovery_codes",
    ("POST", "/auth/totp/off"): "remove_totp",
    ("GET", "/auth/session"): "list_own_sessions",
    ("DELETE", "/auth/session"): "end_own_sessions",
    ("DELETE", "/auth/session/{id}"): "end_own_session",
    ("DELETE", "/employee/{id}/session"): "end_employee_sessions",
    ("DELETE", "/employee/{id}/totp"): "remove_employee_totp",
    ("GET", "/audit"): "list_audit_rows",
    ("POST", "/pbx/sipphone/webrtc"): "open_webrtc_phone",
    ("POST", "/pbx/sipphone/status"): "list_phone_statuses",
    ("GET", "/pbx/sipphone/{id}/status"): "show_phone_status",
    ("GET", "/pbx/sipphone/{id}/events"): "list_phone_events",
    ("POST", "/pbx/sipphone/{id}/resetcredentials"): "reset_credentials",
    ("GET", "/pbx/sipphone/{id}/resetcredentials"): "reset_credentials_by_get",
    ("POST", "/pbx/sipphone/{id}/configreload"): "reload_phone",
    ("POST", "/pbx/sipphone/{id}/reboot"): "reboot_phone",
    ("POST", "/pbx/sipphone/configreload"): "reload_phones",
    ("POST", "/pbx/sipphone/reboot"): "reboot_phones",
    ("GET", "/pbx/sipphone/own"): "list_own_phones",
    ("GET", "/pbx/sipphone/{id}/account"): "show_phone_account",
    ("PUT", "/pbx/sipphonemodels/{id}/picture"): "set_model_picture",
    ("GET", "/pbx/provisioning/redirects.csv"): "list_redirects_by_hand",
    ("GET", "/pbx/provisioning/dhcp"): "show_dhcp_options",
    ("DELETE", "/pbx/call/{id}"): "end_call",
    ("GET", "/events"): "follow_events",
    ("POST", "/webhook/{id}/secret"): "reset_webhook_secret",
    ("POST", "/webhook/{id}/test"): "test_webhook",
    ("GET", "/webhook/{id}/deliveries"): "list_webhook_deliveries",
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


def describe(app: FastAPI) -> dict[str, str]:
    """Make the application describe itself in this way. It is done once, at the first request for it.

    Return the content security policies of the pages of documentation, by path.
    """
    collect = app.openapi

    def openapi() -> Json:
        if app.openapi_schema is None:
            # The routes' own properties: the framework drops the nulls in them, and adds its own defaults.
            said = {
                (method, str(context.path)): getattr(context, "openapi_extra", None) or {}
                for context in iter_route_contexts(app.routes)
                for method in context.methods or ()
            }
            app.openapi_schema = finished(collect(), said)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI documents this assignment
    return {
        "/docs": _policy(_page(app)),
        "/docs/oauth2-redirect": _policy(get_swagger_ui_oauth2_redirect_html()),
    }


def _page(app: FastAPI) -> Response:
    """Return the page of documentation with the scripts that `fastapi_offline` puts into it."""
    return get_swagger_ui_html(
        openapi_url=app.openapi_url or "",
        title=app.title,
        oauth2_redirect_url=app.swagger_ui_oauth2_redirect_url,
        swagger_ui_parameters=app.swagger_ui_parameters,
    )


def _policy(page: Response) -> str:
    """Return the policy with which a page may run its own scripts, which are in it, and nothing else."""
    scripts = re.findall(rb"<script>(.*?)</script>", bytes(page.body), re.DOTALL)
    hashes = [f"'sha256-{b64encode(sha256(one).digest()).decode()}'" for one in scripts]
    return (
        f"default-src 'none'; script-src 'self' {' '.join(hashes)}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def finished(document: Json, said: Said) -> Json:
    """Return the framework's description, corrected and completed."""
    paths: Json = {
        path: {
            method: _operation(path, method, _dict(operation), said[method.upper(), path])
            for method, operation in _dict(item).items()
        }
        for path, item in _dict(document["paths"]).items()
    }
    schemas: Json = {}
    hoisted = _hoisted(paths, schemas)
    components = {"schemas": dict(sorted(schemas.items())), "securitySchemes": SECURITY}
    return {**document, "servers": SERVERS, "paths": hoisted, "components": components}


def _operation(path: str, method: str, found: Json, said: Json) -> Json:
    named: Json = {
        "operationId": operation_id(method.upper(), path),
        "security": _security(path, RULES[method.upper(), path]),
    }
    responses, rows = _dict(said.get("responses")), found.get("parameters")
    once = {(row["in"], row["name"]): row for row in map(_dict, rows if isinstance(rows, list) else [])}
    parameters = list(once.values())  # of equal ones the later: that of the route's documentation
    if "304" in responses:
        about = "ETags that the client has: 304 when the present one is among them"
        parameters.append(_header("If-None-Match", about))
        done = _dict(responses["200"])
        responses |= {"200": done | {"headers": {**_dict(done.get("headers")), "ETag": ETAG}}}
    elif "412" in responses:
        about = "ETag of what is to be changed: 412 when it is another one by now"
        parameters.append(_header("If-Match", about))
    completed = {"parameters": parameters, "responses": responses}
    return found | said | {name: value for name, value in completed.items() if value} | named


def _header(name: str, about: str) -> Json:
    return {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}


def _security(path: str, rule: Rule) -> list[Json]:
    if rule.scope is Scope.PUBLIC:
        return []
    names = ["HTTPBearer"]
    names += ["HTTPBasic", "ApiKey"] if speaks_rows(path) else []
    names += ["QueryToken"] if rule.query_token else []
    return [{name: []} for name in names]


def _hoisted(node: object, schemas: dict[str, object]) -> object:
    """Return `node` with references for object schemas that have a title, and put these into `schemas`.

    Raise ValueError if two different schemas have the same title.
    """
    if isinstance(node, list):
        return [_hoisted(item, schemas) for item in node]
    if not isinstance(node, dict):
        return node
    inner = {name: value if name in DATA else _hoisted(value, schemas) for name, value in node.items()}
    title = inner.get("title")
    if not isinstance(title, str) or inner.get("type") != "object":
        return inner
    name = re.sub(r"\W+", " ", title).title().replace(" ", "")
    if schemas.setdefault(name, inner) != inner:
        raise ValueError(f"two schemas have the title {title!r}")
    return {"$ref": PREFIX + name}


def _dict(value: object) -> Json:
    return value if isinstance(value, dict) else {}


# Operation ids


def operation_id(method: str, path: str) -> str:
    """Return `list_phones`, `update_phone`, `show_sip_queue_member`; unique for each route."""
    if (method, path) in OTHERS:
        return OTHERS[method, path]
    of_one = path.endswith("}")
    parts = [part for part in path.removeprefix(DOMAINS).split("/")[1:] if not part.startswith("{")]
    words = [NOUNS.get(part) or part.removesuffix("s") for part in parts]
    if path.startswith(DOMAINS):
        words = ["sip", *(words or ["domain"])]
    noun = "_".join(word for word in words if word != "pbx")
    verb = VERBS[method, of_one]
    # The JSON dialect accepts a change by three methods. The plain name belongs to the precise one, PATCH.
    ending = f"_by_{method.lower()}" if method in ("PUT", "POST") and of_one and words[0] != "sip" else ""
    return f"{verb}_{noun}{'s' if verb == 'list' else ''}{ending}"
