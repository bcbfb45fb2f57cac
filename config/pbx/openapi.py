"""What the documentation of the API shows of bodies and answers, built from the table of fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..operations.fields import Field
from ..operations.models import FUNCTIONS
from ..operations.phones.fields import FIELDS, PAYMENT_OPTIONS

if TYPE_CHECKING:
    from .resource import Resource

Schema = dict[str, object]


def _of(type: str, about: str = "", **more: object) -> Schema:
    return {"type": [type, "null"]} | ({"description": about} if about else {}) | more


def _object(properties: Mapping[str, object], **more: object) -> Schema:
    return {"type": "object", "properties": dict(properties)} | more


def _nest(flat: Mapping[str, Schema]) -> dict[str, object]:
    """Properties with dotted names as objects in objects."""
    nested: dict[str, object] = {}
    for path, schema in flat.items():
        head, _, rest = path.partition(".")
        if not rest:
            nested[head] = schema
    groups = dict.fromkeys(path.partition(".")[0] for path in flat if "." in path)
    for group in groups:
        inner = {path.removeprefix(f"{group}."): flat[path] for path in flat if path.startswith(f"{group}.")}
        nested[group] = _object(_nest(inner))
    return nested


_SOFTKEY: Final = _object(
    {
        "index": {"type": "integer", "minimum": 0, "description": "Position, unique in the phone"},
        "function": {
            "type": "string",
            "enum": list(FUNCTIONS),
            "description": "What the model can do of these",
        },
        "value": _of(
            "string",
            "SPEEDDIAL number; BLF extension id; URL http(s); PICKUPGROUP group id; QUEUE queue id; "
            "SWITCH name; DNDOTHER device id",
        ),
        "label": _of("string", "Shown beside the key, where the model can"),
    },
    required=["index", "function"],
)
_PANEL: Final = _object(
    {
        "serial": {"type": "string", "description": "Unique across all phones"},
        "paymentOption": _of("string", enum=[*PAYMENT_OPTIONS, None]),
        "orderId": _of("string"),
        "date": _of("string", format="date-time"),
        "product": _of("string", "Id of a product"),
    },
    required=["serial"],
)
_SETTINGS: Final[dict[str, Schema]] = {
    "sipPhoneModel": {"type": "string", "description": "Id of the model"},
    "extension": _of("string", "Id of the extension; null: not assigned"),
    "customer": {"type": "string", "description": "Id of the customer; read only after the creation"},
    "product": _of("string", "Id of a product"),
    "macAddress": _of("string", "12 hexadecimal digits"),
    **{field.path: _of(field.type, field.about, default=field.default) for field in FIELDS},
    "ringer.tone": {"type": ["integer", "string", "null"], "description": "Built-in index, or id"},
    "ip.mode": {"type": "string", "enum": ["OPEN", "LOCKED", "ROAMING"], "default": "OPEN"},
    "ip.countries": _of(
        "string", "Comma list of ISO 3166-1 alpha-2 codes; needed for ROAMING", example="DK,SE"
    ),
    "ip.address": _of("string", "Needed for LOCKED"),
    "softkeys": {"type": "array", "items": _SOFTKEY},
    "network.dhcp": {"type": "boolean", "default": True},
    "network.ipAddress": _of("string", "Needed without DHCP"),
    "network.subnet": _of("string", "Needed without DHCP"),
    "network.gateway": _of("string", "Needed without DHCP"),
    "network.dns1": _of("string", "Needed without DHCP"),
    "network.dns2": _of("string"),
    "purchaseInfo.sidePanels": {"type": "array", "items": _PANEL},
}
_READ_ONLY: Final[dict[str, Schema]] = {
    "_id": {"type": "string"},
    "handsetIndex": _of("integer", "Given by the system"),
    "username": {"type": "string", "description": "32 characters, made by the system"},
    "password": _of("string", "32 characters, made by the system; null: cannot be opened, see the log"),
    "status.configLoaded": _of("string", format="date-time"),
    "status.configSaved": _of("string", format="date-time"),
    "status.online": _of("boolean", "null: unknown, the live store is away"),
    "status.expires": _of("integer", "Seconds left; -1 when offline; null: unknown"),
    "status.localIpAddress": _of("string"),
    "status.publicIpAddress": _of("string"),
    "status.userAgent": _of("string"),
    "status.state": _of("string", "registered or offline; null: unknown"),
    "status.reason": _of("string", "Why it is in this state"),
    "status.since": _of("string", "Since when it is in this state", format="date-time"),
    "status.transport": _of("string"),
    "status.publicPort": _of("integer"),
    "status.lastSeen": _of("string", format="date-time"),
    "status.rttMs": _of("number"),
    "status.lastRejectedAt": _of("string", format="date-time"),
    "status.lastRejectedIp": _of("string"),
    "status.lastRejectedReason": _of("string"),
}
_LISTED: Final = _object(
    _nest(
        {
            "_id": {"type": "string"},
            "macAddress": _of("string"),
            "handsetIndex": _of("integer"),
            "handsetAddress": _of("string"),
            "sipPhoneModel._id": {"type": "string"},
            "sipPhoneModel.brand": {"type": "string"},
            "sipPhoneModel.brandName": {"type": "string"},
            "sipPhoneModel.model": {"type": "string"},
            "sipPhoneModel.picture": _of("string"),
            "extension._id": {"type": "string"},
            "extension.number": {"type": "string"},
            "extension.direct": _of("string"),
            "employee._id": {"type": "string"},
            "employee.name": {"type": "string"},
            "ip.mode": {"type": "string"},
            "ip.countries": {"type": "string"},
            "ip.address": _of("string"),
            "notes": _of("string"),
            "online": _of("boolean", "null: unknown, the live store is away"),
        }
    )
)

_FULL: Final = _object(_nest(_READ_ONLY | _SETTINGS))
_WRITTEN: Final = _object(_nest(_SETTINGS))
_PAGE: Final = _object(
    {
        "offset": {"type": "integer"},
        "limit": {"type": "integer"},
        "total": {"type": "integer", "description": "How many match, without offset and limit"},
        "sipPhones": {"type": "array", "items": {"anyOf": [_LISTED, _FULL]}},
    }
)
_PROBLEM: Final = {
    "code": {"type": "string", "description": "The property, or the kind of error"},
    "status": {"type": "integer"},
    "message": {"type": "string"},
    "path": {"type": "string", "description": "The property to blame"},
    "check": {
        "type": "string",
        "enum": ["required", "format", "range", "enum", "unique", "exists", "allowed"],
    },
}
_ERROR: Final = _object(
    {
        "error": _object(
            _PROBLEM | {"inner": {"type": "array", "items": _object(_PROBLEM)}},
            required=["code", "status", "message"],
        )
    }
)
_ERRORS: Final = {
    "400": "The body cannot be read",
    "401": "No token, or not a good one",
    "403": "Insufficient access level",
    "404": "Not found, or not yours",
    "409": "In conflict with another phone",
    "413": "The body is longer than 64 KiB",
    "422": "A property is not valid; `multiple` holds several errors in `inner`",
    "500": "Internal error",
    "503": "A store is away; try again after Retry-After seconds",
}


def _json(schema: Schema) -> Schema:
    return {"content": {"application/json": {"schema": schema}}}


def _operation(answer: Schema, errors: str, body: Schema | None = None, **more: object) -> Schema:
    responses: Schema = {"200": {"description": "Done"} | _json(answer)}
    responses |= {code: {"description": _ERRORS[code]} | _json(_ERROR) for code in errors.split()}
    request: Schema = {"requestBody": {"required": True} | _json(body)} if body else {}
    return {"responses": responses} | request | more


def _query(name: str, type: str, about: str, **more: object) -> Schema:
    return {"name": name, "in": "query", "description": about, "schema": {"type": type} | more}


_READ: Final = "401 403 404 500 503"
_WRITE: Final = "400 401 403 404 409 413 422 500 503"

PHONE: Final = _operation(_FULL, _READ)
CREATE: Final = _operation(_FULL, _WRITE, _WRITTEN | {"required": ["sipPhoneModel"]})
UPDATE: Final = _operation(_FULL, _WRITE, _WRITTEN)
DELETE: Final = _operation(_object({"success": {"type": "boolean"}}), _READ)
WEBRTC: Final = _operation(
    _object(
        {
            "_id": {"type": "string"},
            "servers": {"type": "array", "items": {"type": "string"}, "description": "host or host:port"},
            "server": {"type": "string", "description": "URL, when v2 was asked for"},
            "username": {"type": "string"},
            "password": {"type": "string"},
            "extensionNumber": {"type": "string"},
            "extensionName": {"type": "string"},
        }
    ),
    _WRITE,
    _object(
        {
            "instanceId": {
                "type": "string",
                "description": "Names this client; the same one gets the same phone",
            },
            "v2": {"type": "boolean", "default": False, "description": "true: `server`, false: `servers`"},
        },
        required=["instanceId"],
    ),
)
LIST: Final = _operation(
    _PAGE,
    _READ,
    parameters=[
        _query("offset", "integer", "Index of the first phone", default=0, minimum=0),
        _query("limit", "integer", "How many phones", default=50, minimum=1, maximum=1000),
        _query(
            "filter",
            "string",
            "Text in macAddress, ip.address, handsetAddress, notes, extension number, direct number or "
            "employee name",
        ),
        _query("full", "boolean", "All settings of each phone", default=False),
        _query("available", "boolean", "Only phones without an extension", default=False),
        _query("customer", "string", "Id of the customer; by default one's own"),
    ],
)


@dataclass(frozen=True, slots=True)
class ResourceDocs:
    """What the documentation shows of the routes of one resource."""

    list: Schema
    create: Schema
    show: Schema
    update: Schema
    delete: Schema


def resource(resource: "Resource") -> ResourceDocs:
    """The documentation of a resource, built from its table of fields."""
    references = {name: _of("string", about) for name, about in resource.references.items()}
    body = {field.path: _property(field) for field in resource.fields} | references
    read_only = {name: _of(type) for name, type in resource.read_only.items()}
    shown: dict[str, Schema] = {"_id": {"type": "string"}, **read_only}
    shown |= {name: schema for name, schema in body.items() if name not in resource.secrets}
    answer = _object(_nest(shown))
    required = [field.path for field in resource.fields if field.required]
    page = _object(
        {
            "offset": {"type": "integer"},
            "limit": {"type": "integer"},
            "total": {"type": "integer", "description": "How many match, without offset and limit"},
            resource.many: {"type": "array", "items": answer},
        }
    )
    sent = _object(_nest(body)) | {"example": dict(resource.examples)}
    limits = {"default": resource.default_limit, "minimum": 1, "maximum": resource.max_limit}
    parameters = [
        _query("offset", "integer", "Index of the first row", default=0, minimum=0),
        _query("limit", "integer", "How many rows", **limits),
        _query("filter", "string", f"Text in {resource.searched}"),
        _query("sort", "string", "Order", enum=list(resource.sorts), default=resource.sorts[0]),
        _query("customer", "string", "Id of the customer; by default one's own"),
    ]
    return ResourceDocs(
        list=_operation(page, _READ, parameters=parameters),
        create=_operation(answer, _WRITE, sent | ({"required": required} if required else {})),
        show=_operation(answer, _READ),
        update=_operation(answer, _WRITE, sent),
        delete=DELETE,
    )


def _property(field: Field) -> Schema:
    default: Schema = {} if field.default is None else {"default": field.default}
    kind: Schema = {"type": field.type} if field.required else _of(field.type)
    return kind | {"description": field.about} | default
