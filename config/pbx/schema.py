"""The parts of the API documentation: schemas, their examples, parameters, responses and errors."""

from collections.abc import Collection, Mapping
from typing import Final, TypeVar

Schema = dict[str, object]

CHECKS: Final = ("required", "format", "range", "enum", "unique", "exists", "allowed", "level")
"""The kinds of errors of a property, or of a caller."""
ID: Final = "^[0-9a-fA-F]{24}$"
AN_ID: Final = "5f0c2e9b7a1d4c3e8b6f0a12"
A_MOMENT: Final = "2026-01-31T12:00:00Z"
MOMENT: Final[Schema] = {"type": "string", "format": "date-time", "example": A_MOMENT}
READ: Final = "400 401 403 404 413 500 503"
TAGGED: Final = f"304 {READ}"
"""Statuses of a read that has an ETag and no live data."""
WRITE: Final = "400 401 403 404 409 412 413 415 422 500 503"
REMOVE: Final = "401 403 404 409 412 413 500 503"
ASK: Final = "400 401 403 404 413 415 422 500 503"
"""Statuses of a request with a body that changes nothing."""
RESET: Final = "400 401 403 404 412 413 500 503"
"""Statuses of a change without a body."""

Value = TypeVar("Value")


def of(type: str, about: str = "", **more: object) -> Schema:
    """Return the schema of a value that may be null."""
    return {"type": [type, "null"]} | ({"description": about} if about else {}) | more


def sure(type: str, about: str = "", **more: object) -> Schema:
    """Return the schema of a value that is never null."""
    return {"type": type} | ({"description": about} if about else {}) | more


def an_id(about: str = "") -> Schema:
    """Return the schema of an id that is never null."""
    return sure("string", about, pattern=ID, example=AN_ID)


def some_id(about: str) -> Schema:
    """Return the schema of an id, or null."""
    return of("string", about, pattern=ID)


def or_null(schema: Schema, about: str = "") -> Schema:
    """Return an object's schema or null; client generators skip `type: [object, null]`, so it is an anyOf."""
    return {"anyOf": [schema, {"type": "null"}]} | ({"description": about} if about else {})


def moment(about: str = "") -> Schema:
    """Return the schema of a date and time in UTC, or null."""
    return of("string", about, format="date-time")


def array(items: Schema, about: str = "", **more: object) -> Schema:
    """Return the schema of an array."""
    return sure("array", about, items=items, **more)


def form(title: str, flat: Mapping[str, Schema], required: Collection[str] = (), **more: object) -> Schema:
    """Return the schema of a body's object; properties with dotted names become nested objects."""
    return {"title": title, **_nested(flat, required), **more}


def changes(schema: Schema) -> Schema:
    """Return the schema without any `default`: a client that sends defaults would change too much."""
    return {name: _without_default(value) for name, value in schema.items() if name != "default"}


def _without_default(value: object) -> object:
    if isinstance(value, list):
        return [_without_default(item) for item in value]
    return changes(value) if isinstance(value, dict) else value


def answer(title: str, flat: Mapping[str, Schema], optional: Collection[str] = ()) -> Schema:
    """Return the schema of a response's object, which has all its properties except the `optional` ones."""
    return {"title": title, **_nested(flat, [path for path in flat if path not in optional])}


def _nested(flat: Mapping[str, Schema], required: Collection[str]) -> Schema:
    properties: dict[str, object] = {}
    for path, schema in flat.items():
        head, _, rest = path.partition(".")
        if not rest:
            properties[head] = schema
        elif head not in properties:
            properties[head] = _nested(_below(head, flat), [*_below(head, dict.fromkeys(required))])
    names = list(dict.fromkeys(path.partition(".")[0] for path in required))
    nested: Schema = {"type": "object", "properties": properties}
    return nested | ({"required": names} if names else {})


def _below(head: str, flat: Mapping[str, Value]) -> dict[str, Value]:
    prefix = f"{head}."
    return {path.removeprefix(prefix): flat[path] for path in flat if path.startswith(prefix)}


def sample(schema: Schema) -> object:
    """Return a value that the schema allows: its example, its default, null, or a simple value."""
    for word in ("example", "default"):
        if word in schema:
            return schema[word]
    choices = schema.get("anyOf") or schema.get("enum")
    if isinstance(choices, list):
        return sample(choices[0]) if isinstance(choices[0], dict) else choices[0]
    kind = schema.get("type")
    if isinstance(kind, list):
        return None
    if kind == "object":
        properties = schema.get("properties")
        return (
            {name: sample(inner) for name, inner in properties.items()}
            if isinstance(properties, dict)
            else {}
        )
    if kind == "array":
        items = schema.get("items")
        return [sample(items)] if isinstance(items, dict) else []
    return {"integer": schema.get("minimum", 1), "boolean": True, "number": 1}.get(str(kind), "text")


_PROBLEM: Final[Mapping[str, Schema]] = {
    "code": sure("string", "The property, or the kind of error"),
    "status": sure("integer"),
    "message": sure("string"),
    "path": sure("string", "The property to blame"),
    "check": sure("string", enum=list(CHECKS)),
}
_SOMETIMES: Final = ("path", "check")
_ERROR: Final = answer(
    "Error",
    {
        "error": answer(
            "Problem",
            {
                **_PROBLEM,
                "inner": array(
                    answer("Inner problem", _PROBLEM, _SOMETIMES), "All, where `code` is multiple"
                ),
            },
            (*_SOMETIMES, "inner"),
        )
    },
)


def _problem(code: str, status: int, message: str, path: str = "", check: str = "") -> Schema:
    problem: Schema = {"code": code, "status": status, "message": message}
    return problem | ({"path": path, "check": check} if path else {})


_NUMBER: Final = _problem("number", 409, "The number 200 is in use by another group", "number", "unique")
_NAME: Final = _problem("name", 422, "name is missing", "name", "required")
_SEVERAL: Final = _problem("multiple", 422, "Multiple errors") | {"inner": [_NAME, _NUMBER]}
_AWAY: Final = "The service is temporarily unavailable, please try again"
_ERRORS: Final[Mapping[str, tuple[str, Mapping[str, Schema]]]] = {
    "400": (
        "The request cannot be read",
        {
            "bad_request": _problem("bad_request", 400, "The body is not valid JSON"),
            "limit": _problem("limit", 400, "limit must be a whole number", "limit", "enum"),
        },
    ),
    "401": (
        "No token, or not a good one",
        {
            "credentials_invalid": _problem("credentials_invalid", 401, "No credentials"),
            "expired": _problem("expired", 401, "The token has expired"),
            "invalid_token": _problem("invalid_token", 401, "Please login"),
        },
    ),
    "403": (
        "Not allowed: the level, the customer or a property is to blame",
        {
            "level": _problem("access_denied", 403, "Insufficient access level: MANAGER is needed")
            | {"check": "level"},
            "customer": _problem(
                "access_denied", 403, "The customer is not one that you may see", "customer", "allowed"
            ),
            "property": _problem(
                "access_denied", 403, "purchaseInfo needs the level RESELLER", "purchaseInfo", "allowed"
            ),
        },
    ),
    "404": (
        "It, or what a property names, is not found or not yours",
        {
            "not_found": _problem("not_found", 404, "SIP phone not found"),
            "extension": _problem("extension", 404, "Extension not found", "extension", "exists"),
        },
    ),
    "409": ("In conflict with something else", {"number": _NUMBER}),
    "412": (
        "If-Match or If-None-Match does not hold: it has been changed meanwhile",
        {"precondition_failed": _problem("precondition_failed", 412, "The ETag is another one by now")},
    ),
    "413": (
        "The body is longer than 64 KiB",
        {"too_large": _problem("too_large", 413, "The body is longer than 65536 bytes")},
    ),
    "415": (
        "The body is not JSON, is compressed, or is not in UTF-8",
        {
            "unsupported_media_type": _problem(
                "unsupported_media_type", 415, "The body must be application/json"
            )
        },
    ),
    "422": (
        "A property is not valid; `multiple` holds several errors in `inner`",
        {"name": _NAME, "multiple": _SEVERAL},
    ),
    "429": (
        "Too many of these; try again after Retry-After seconds",
        {
            "too_many": _problem("too_many", 429, "Too many wrong passwords, please try again later"),
            "too_many_connections": _problem(
                "too_many_connections", 429, "There are too many connections from this address"
            ),
        },
    ),
    "500": ("Internal error", {"internal_error": _problem("internal_error", 500, "Internal error")}),
    "503": ("A store is away; try again later", {"unavailable": _problem("unavailable", 503, _AWAY)}),
}
"""Status -> its meaning, and examples by code."""
_HEADERS: Final[Mapping[str, Schema]] = {
    code: {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    for code in ("429", "503")
}
ALWAYS: Final = "429"
"""The status that every route has: too many connections, or too many requests of a kind."""


def operation(shown: Schema, errors: str, body: Schema | None = None, **more: object) -> Schema:
    """Return a route that responds 200 with `shown`, or one of the `errors`; `body` is what it accepts."""
    responses: Schema = {"200": {"description": "Done"} | content(shown)}
    responses |= {code: _error(code) for code in sorted({*errors.split(), ALWAYS})}
    request: Schema = {"requestBody": {"required": True} | content(body)} if body else {}
    return {"responses": responses} | request | more


def content(schema: Schema) -> Schema:
    """Return JSON content with an example."""
    return {"content": {"application/json": {"schema": schema, "example": sample(schema)}}}


def _error(code: str) -> Schema:
    if code == "304":
        return {"description": "If-None-Match names its ETag: not modified"}
    about, examples = _ERRORS[code]
    shown = {name: {"value": {"error": problem}} for name, problem in examples.items()}
    headers: Schema = {"headers": _HEADERS[code]} if code in _HEADERS else {}
    body = {"application/json": {"schema": _ERROR, "examples": shown}}
    return {"description": about, "content": body} | headers


def query(name: str, type: str, about: str, **more: object) -> Schema:
    """Return a parameter of the query string."""
    return {"name": name, "in": "query", "description": about, "schema": {"type": type} | more}


def paging(default: int, maximum: int) -> list[Schema]:
    """Return the parameters `offset` and `limit`; values outside are clamped to these limits."""
    return [
        query("offset", "integer", "Index of the first row", default=0, minimum=0),
        query("limit", "integer", "How many rows", default=default, minimum=1, maximum=maximum),
    ]


def page(title: str, many: str, rows: Schema) -> Schema:
    """Return the schema of one page of a list."""
    return answer(
        title,
        {
            "offset": sure("integer", minimum=0),
            "limit": sure("integer", minimum=1),
            "total": sure("integer", "How many match, without offset and limit", minimum=0),
            many: array(rows),
        },
    )
