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
    """Return the schema of a value that may be null; so null is in its `enum`, too."""
    options = more.get("enum")
    more |= {"enum": [*options, None]} if isinstance(options, list) else {}
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
        inside = schema.get("properties")
        return {name: sample(one) for name, one in inside.items()} if isinstance(inside, dict) else {}
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


def _problem(status: int, code: str, message: str, path: str = "", check: str = "") -> Schema:
    problem: Schema = {"code": code, "status": status, "message": message}
    return problem | ({"path": path} if path else {}) | ({"check": check} if check else {})


_NUMBER: Final = _problem(409, "number", "The number 200 is in use by another group", "number", "unique")
_NAME: Final = _problem(422, "name", "name is missing", "name", "required")
_STATUSES: Final = {
    "400": "The request cannot be read",
    "401": "No token, or not a good one",
    "403": "Not allowed: the level, the customer or a property is to blame",
    "404": "It, or what a property names, is not found or not yours",
    "409": "In conflict with something else",
    "410": "What was asked for is no longer kept",
    "412": "If-Match or If-None-Match does not hold: it has been changed meanwhile",
    "413": "The body is longer than 64 KiB",
    "415": "The body is not JSON, is compressed, or is not in UTF-8",
    "422": "A property is not valid; `multiple` holds several errors in `inner`",
    "429": "Too many of these; try again after Retry-After seconds",
    "500": "Internal error",
    "502": "The phone has refused it; the message has its status",
    "503": "A store is away; try again later",
    "504": "No answer in time, of a phone or of a process",
}
_PROBLEMS: Final = (
    _problem(400, "bad_request", "The body is not valid JSON"),
    _problem(400, "limit", "limit must be a whole number", "limit", "enum"),
    _problem(401, "credentials_invalid", "No credentials"),
    _problem(401, "expired", "The token has expired"),
    _problem(401, "invalid_token", "Please login"),
    _problem(403, "level", "Insufficient access level: MANAGER is needed", check="level"),
    _problem(403, "customer", "The customer is not one that you may see", "customer", "allowed"),
    _problem(403, "property", "purchaseInfo needs the level RESELLER", "purchaseInfo", "allowed"),
    _problem(404, "not_found", "SIP phone not found"),
    _problem(404, "extension", "Extension not found", "extension", "exists"),
    _NUMBER,
    _problem(410, "gone", "Events after this id are no longer kept", "Last-Event-ID", "range"),
    _problem(412, "precondition_failed", "The ETag is another one by now"),
    _problem(413, "too_large", "The body is longer than 65536 bytes"),
    _problem(415, "unsupported_media_type", "The body must be application/json"),
    _NAME,
    _problem(422, "multiple", "Multiple errors") | {"inner": [_NAME, _NUMBER]},
    _problem(429, "too_many", "Too many wrong passwords, please try again later"),
    _problem(429, "too_many_connections", "There are too many connections from this address"),
    _problem(500, "internal_error", "Internal error"),
    _problem(502, "phone_refused", "The phone answered 489 Bad Event"),
    _problem(504, "timeout", "The call is still there: its process has not ended it yet"),
    _problem(504, "phone_timeout", "The phone is registered, but it has not answered"),
    _problem(503, "unavailable", "The service is temporarily unavailable, please try again"),
)
"""Examples by their code. Each 403 has the code access_denied."""
_BARE: Final = {
    "304": "If-None-Match names its ETag: not modified",
}
"""Status without a documented body -> its meaning."""
_HEADERS: Final[Mapping[str, Schema]] = {
    code: {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    for code in ("429", "503")
}
ALWAYS: Final = "429"
"""The status that every route has: too many connections, or too many requests of a kind."""


def operation(
    shown: Schema,
    errors: str,
    body: Schema | None = None,
    headers: Schema | None = None,
    also: Schema | None = None,
    **more: object,
) -> Schema:
    """Return a route that responds 200 with `shown`, or one of the `errors`; `body` is what it accepts.

    `also` are other media types of the response.
    """
    done = {"description": "Done"} | content(shown, also) | ({"headers": headers} if headers else {})
    responses = {"200": done} | refusals(errors)
    request: Schema = {"requestBody": {"required": True} | content(body)} if body else {}
    return {"responses": responses} | request | more


def refusals(errors: str) -> Schema:
    """Return the responses with these statuses, and those that every route has."""
    return {code: _error(code) for code in sorted({*errors.split(), ALWAYS})}


def content(schema: Schema, also: Schema | None = None) -> Schema:
    """Return JSON content with an example, and other media types."""
    return {"content": {"application/json": {"schema": schema, "example": sample(schema)}} | (also or {})}


def _error(code: str) -> Schema:
    if code in _BARE:
        return {"description": _BARE[code]}
    shown = {
        str(problem["code"]): {
            "value": {"error": problem | ({"code": "access_denied"} if code == "403" else {})}
        }
        for problem in _PROBLEMS
        if problem["status"] == int(code)
    }
    headers: Schema = {"headers": _HEADERS[code]} if code in _HEADERS else {}
    body = {"application/json": {"schema": _ERROR, "examples": shown}}
    return {"description": _STATUSES[code], "content": body} | headers


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
