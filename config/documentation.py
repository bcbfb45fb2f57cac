"""The OpenAPI description of the API, /openapi.json, completed with what the framework does not know.

The framework collects the routes. This module adds operation ids and the accepted credentials of each route,
and puts every schema that has a title into one place.
"""

import re
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from .access import RULES, Rule, Scope
from .dialect import speaks_rows
from .operation_ids import operation_id

Json = dict[str, object]
Said = Mapping[tuple[str, str], Json]
"""Method and path -> the route's own OpenAPI properties."""

ETAG: Final[Json] = {"schema": {"type": "string"}, "description": "The version of the configuration"}
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


def describe(app: FastAPI) -> None:
    """Make the application describe itself in this way. It is done once, at the first request for it."""
    collect = app.openapi

    def openapi() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = finished(collect(), _said(app))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI documents this assignment


def _said(app: FastAPI) -> Said:
    """Return each route's own OpenAPI properties.

    The framework drops the nulls in them, and adds its own defaults.
    """
    return {
        (method, str(context.path)): getattr(context, "openapi_extra", None) or {}
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
    }


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
    responses = _dict(said.get("responses"))
    rows = [*_parameters(found.get("parameters")), *_conditions(responses)]
    parameters: Json = {"parameters": rows} if rows else {}
    return found | said | parameters | named | ({"responses": _with_etag(responses)} if responses else {})


def _conditions(responses: Json) -> list[object]:
    """Return the request headers that a 304 or a 412 depends on."""
    if "304" in responses:
        return [_header("If-None-Match", "ETags that the client has: 304 when the present one is among them")]
    if "412" in responses:
        return [_header("If-Match", "ETag of what is to be changed: 412 when it is another one by now")]
    return []


def _with_etag(responses: Json) -> Json:
    """Return the responses, with an ETag header at 200 if 304 is one of them."""
    if "304" not in responses:
        return responses
    done = _dict(responses["200"])
    return responses | {"200": done | {"headers": {**_dict(done.get("headers")), "ETag": ETAG}}}


def _header(name: str, about: str) -> Json:
    return {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}


def _parameters(found: object) -> list[object]:
    """Return the parameters, each once. The later definition wins: that of the route's documentation."""
    rows = [_dict(row) for row in found] if isinstance(found, list) else []
    return list({(row["in"], row["name"]): row for row in rows}.values())


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
    inner = {name: value if _is_data(name) else _hoisted(value, schemas) for name, value in node.items()}
    title = inner.get("title")
    if not isinstance(title, str) or inner.get("type") != "object":
        return inner
    name = re.sub(r"\W+", " ", title).title().replace(" ", "")
    if schemas.setdefault(name, inner) != inner:
        raise ValueError(f"two schemas have the title {title!r}")
    return {"$ref": PREFIX + name}


def _is_data(name: str) -> bool:
    """Return whether the value of this key is data, not a schema."""
    return name in ("example", "examples", "default", "enum")


def _dict(value: object) -> Json:
    return value if isinstance(value, dict) else {}
