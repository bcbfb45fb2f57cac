"""API documentation of this dialect, built from the tables of columns and fields."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ..properties import Field
from ..request import JSON, MULTIPART, URLENCODED
from .answers import MEDIA
from .asking import FORMATS, MAX_OFFSET, MAX_ROWS
from .rows import COMPARISONS, LIKES, Shape

Schema = dict[str, object]

ERRORS: Final = {
    "400": ("The request cannot be read, or a parameter is not valid", "displayName is missing"),
    "401": ("No credentials, or not good ones", "auth required"),
    "403": ("Not allowed", "access denied: Insufficient access level: MANAGER is needed"),
    "404": ("Not there, or not yours", "not found: userSpec 999999"),
    "412": ("If-Match or If-None-Match does not hold", "The ETag is another one by now"),
    "409": ("In conflict with another row", "The number 200 is in use by another extension"),
    "413": ("The body is longer than 64 KiB", "The body is longer than 65536 bytes"),
    "415": (
        "The body is of another type, is compressed, or is not in UTF-8",
        f"The body must be {URLENCODED}, {MULTIPART} or {JSON}",
    ),
    "429": (
        "Too many wrong passwords, or connections; try again after Retry-After seconds",
        "Too many wrong passwords, please try again later",
    ),
    "500": ("Internal error", "Internal error"),
    "503": (
        "A store is away; try again after Retry-After seconds",
        "The service is temporarily unavailable, please try again",
    ),
}
READ: Final = "400 401 403 404 429 500 503"
WRITE: Final = "400 401 403 404 409 412 413 415 429 500 503"
REMOVE: Final = "400 401 403 404 412 413 415 429 500 503"
RETRY_AFTER: Final = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
PLACES: Final = {
    "domain": "Number of the SIP domain",
    "user": "Number of the user",
    "group": "Number of the group",
    "queue": "Number of the queue",
    "member": "Number of the member of the queue",
    "network": "Number of the trusted network",
    "device": "Number of the device",
}
DONE: Final = {"204": {"description": "Done"}}


def rows(shape: Shape, more: Sequence[Schema] = ()) -> Schema:
    """Return the documentation of a list: one JSON object per line, or as `format` says.

    `more` are further parameters.
    """
    row, example = _row(shape), _example(shape)
    line = json.dumps(example, separators=(",", ":")) + "\n"
    content = {
        MEDIA["json"]: {"schema": {"type": "string"}, "example": line},
        MEDIA["jsonarray"]: {"schema": {"type": "array", "items": row}, "example": [example]},
        "text/csv": _csv(shape),
    }
    filters = (
        f"field-operand-value-..., field-null or field-notnull; all must hold. Operands: "
        f"{', '.join((*COMPARISONS, *LIKES))}. Fields: {', '.join(shape.names)}"
    )
    parameters = [
        _array("filter[]", filters, f"{shape.names[0]}-gte-value-1"),
        _array("sort[]", "field-asc or field-desc, applied in turn", f"{shape.names[0]}-desc"),
        parameter("limit", "integer", "How many rows; by default all", minimum=0, maximum=MAX_ROWS),
        parameter(
            "offset", "integer", "How many rows to pass over", default=0, minimum=0, maximum=MAX_OFFSET
        ),
        *more,
        *_shown(shape),
    ]
    count = {"schema": {"type": "integer"}, "description": "How many rows match, without offset and limit"}
    about = f"{shape.title} rows; an array also when Accept names {JSON} and neither */* nor {MEDIA['json']}"
    answer = {"200": {"description": about, "headers": {"X-Total-Count": count}, "content": content}}
    return {"parameters": parameters, "responses": answer | _errors(READ)}


def row(shape: Shape, *, is_live: bool = False) -> Schema:
    """Return the documentation of a single row; `format=jsonarray` makes it an array of one."""
    row = _row(shape)
    if is_live:  # a list has fewer properties, and each title names one schema
        row |= {"title": f"{row['title']} with its state"}
    schema = {"anyOf": [row, {"type": "array", "items": row, "minItems": 1, "maxItems": 1}]}
    content = {MEDIA["jsonarray"]: {"schema": schema, "example": _example(shape)}, "text/csv": _csv(shape)}
    answer = {"200": {"description": f"{shape.title} row", "content": content}}
    if not is_live:  # a live row has an ETag, and values that change without it
        answer["304"] = {"description": "If-None-Match names its ETag: not modified"}
    return {"parameters": _shown(shape), "responses": answer | _errors(READ)}


def create(fields: Sequence[Field], example: Mapping[str, object], *ids: str) -> Schema:
    """Return the documentation of a create: a 201 with the ids of the created row."""
    required = [field.path for field in fields if field.required]
    answer: Schema = {
        "type": "object",
        "properties": {id: {"type": "string"} for id in ids},
        "required": list(ids),
    }
    response = {
        "description": "Created",
        "headers": {"Location": {"schema": {"type": "string"}, "description": "Path of what was made"}},
        "content": {JSON: {"schema": answer, "example": dict.fromkeys(ids, "7")}},
    }
    body = _body(_properties(fields), example, required)
    return {"requestBody": body, "responses": {"201": response} | _errors(WRITE)}


def update(fields: Iterable[Field], example: Mapping[str, object]) -> Schema:
    """Return the documentation of an update: a 204; only properties that are sent change."""
    properties = {
        path: {word: value for word, value in schema.items() if word != "default"}
        for path, schema in _properties(fields).items()
    }
    body = _body(properties, example)
    return {"requestBody": body, "responses": DONE | _errors(WRITE)}


def ids(name: str, about: str) -> Schema:
    """Return the documentation of a 204; the body is a list of numbers."""
    array: Schema = {"type": "array", "items": {"type": "integer"}, "minItems": 1, "description": about}
    body = _body({name: array}, {name: [1, 2]}, [name])
    return {"requestBody": body, "responses": DONE | _errors(WRITE)}


def delete() -> Schema:
    """Return the documentation of a delete: a 204; later requests for the row get a 404."""
    return {"responses": DONE | _errors(REMOVE)}


def places(path: str) -> list[Schema]:
    """Return the parameters for the numbers in a path."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PLACES[name],
            "schema": {"type": "string", "description": PLACES[name], "title": name.title()},
        }
        for name in names
    ]


def _row(shape: Shape) -> Schema:
    units = {"flag": " (1 or 0)", "moment": " (UTC)"}
    properties = {
        column.name: {"type": ["string", "null"], "description": column.about + units.get(column.kind, "")}
        for column in shape.columns
    }
    return {"title": f"{shape.title} row", "type": "object", "properties": properties}


def _example(shape: Shape) -> Schema:
    return {column.name: column.example or None for column in shape.columns}


def _csv(shape: Shape) -> Schema:
    name, value = next(iter(_example(shape).items()))
    return {"schema": {"type": "string"}, "example": f"{name}\r\n{value}\r\n"}


def _shown(shape: Shape) -> list[Schema]:
    return [
        _array("display[]", "Fields to show, in this order; field-alias shows it as alias", shape.names[0]),
        parameter("format", "string", "csv needs display[]", enum=list(FORMATS), default=FORMATS[0]),
    ]


def _properties(fields: Iterable[Field]) -> dict[str, Schema]:
    return {
        field.path: (
            {"type": "integer", "enum": [0, 1], "default": int(field.default)}
            if isinstance(field.default, bool)
            else {"type": field.kind.type}
        )
        | {"description": field.about}
        for field in fields
    }


def _body(
    properties: Mapping[str, Schema], example: Mapping[str, object], required: Sequence[str] = ()
) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties)}
    schema |= {"required": list(required)} if required else {}
    content = {"schema": schema, "example": dict(example)}
    return {
        "description": "Parameters may stand in the query string as well; those of the body win",
        "content": dict.fromkeys((URLENCODED, MULTIPART, JSON), content),
    }


def _errors(codes: str) -> dict[str, object]:
    return {
        code: {
            "description": ERRORS[code][0],
            "content": {JSON: {"schema": {"type": "string"}, "example": ERRORS[code][1]}},
        }
        | ({"headers": RETRY_AFTER} if code in ("429", "503") else {})
        for code in codes.split()
    }


def parameter(name: str, type: str, about: str, **more: object) -> Schema:
    """Return a parameter of the query string."""
    return {"name": name, "in": "query", "description": about, "schema": {"type": type} | more}


def _array(name: str, about: str, example: str) -> Schema:
    schema = {"type": "array", "items": {"type": "string"}}
    return {
        "name": name, "in": "query", "description": about, "schema": schema, "explode": True,
        "example": [example],
    }  # fmt: skip
