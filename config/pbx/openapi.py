"""API documentation of phones, their status, logins and tokens, built from the table of fields."""

from collections.abc import Mapping
from typing import Final

from ..access import AccessLevel
from ..models import FUNCTIONS
from ..operations.phones.draft import FIELDS
from ..operations.phones.find import SORTS
from ..operations.phones.unlock import DEFAULT_MINUTES, MAX_MINUTES
from ..tables.phones import PAYMENT_OPTIONS
from . import registrations
from .resource import shown, written
from .schema import (
    A_MOMENT,
    AN_ID,
    ASK,
    MOMENT,
    READ,
    RESET,
    TAGGED,
    WRITE,
    Schema,
    an_id,
    answer,
    array,
    changes,
    form,
    moment,
    of,
    operation,
    or_null,
    page,
    paging,
    query,
    some_id,
    sure,
)
from .sipphone_json import COUNTRY, STATUS_ROUTE
from .sipphone_json import STATUS as STATUS_LINES

# Phones

_SOFTKEY: Final[Mapping[str, Schema]] = {
    "index": sure("integer", "Position, unique in the phone", minimum=0, maximum=1_000, example=0),
    "function": sure("string", "What the model can do of these", enum=list(FUNCTIONS), example="SPEEDDIAL"),
    "value": of(
        "string",
        "SPEEDDIAL number; BLF extension id; URL http(s); PICKUPGROUP group id; QUEUE queue id; "
        "SWITCH name; DNDOTHER device id",
        example="112",
    ),
    "label": of("string", "Shown beside the key, where the model can", example="Emergency"),
}
_PANEL: Final[Mapping[str, Schema]] = {
    "serial": sure("string", "Unique across all phones", example="1234"),
    "paymentOption": of("string", enum=list(PAYMENT_OPTIONS)),
    "orderId": of("string"),
    "date": moment(),
    "product": some_id("Id of a product"),
}
_OWN: Final[Mapping[str, Schema]] = {
    "sipPhoneModel": an_id("Id of the model"),
    "extension": some_id("Id of the extension; null: not assigned"),
    "customer": an_id("Id of the customer, by default one's own; read only after the creation"),
    "product": some_id("Id of a product of the type PBX_SIP_PHONE"),
    "ringer.tone": {
        "type": ["integer", "string", "null"],
        "description": "Index of a built-in tone, or id of a custom one",
    },
}
_PANELS: Final = "purchaseInfo.sidePanels"
_SENT: Final[Mapping[str, Schema]] = {
    **{field.path: written(field) for field in FIELDS},
    **_OWN,
    "softkeys": array(form("New softkey", _SOFTKEY, ("index", "function"))),
    _PANELS: array(form("New side panel", _PANEL, ("serial",)), "RESELLER and up"),
}
_CONFIG: Final[Mapping[str, Schema]] = {
    "configLoaded": moment("When it last fetched its configuration"),
    "configSaved": moment("When its configuration was last changed"),
}
_MADE: Final[Mapping[str, Schema]] = {
    "_id": an_id(),
    "handsetIndex": of("integer", "Given by the system"),
    "username": sure(
        "string", "32 characters, made by the system", example="0f3k9x2m7q5w8r1t6y4u0p3a9s2d7g5h"
    ),
    "password": of(
        "string",
        "32 characters, made by the system; null: cannot be opened, see the log",
        example="c6v1b8n3m0k5j2h9g4f7d1s8a3q6w0e5",
    ),
}
_UNLOCKED: Final = sure(
    "string",
    "If it is unlocked for a time: until then; afterwards it is locked as before",
    format="date-time",
    example=A_MOMENT,
)
_ALL: Final[Mapping[str, Schema]] = {
    **_MADE,
    **{field.path: shown(field) for field in FIELDS},
    "ip.unlockedUntil": _UNLOCKED,
    **_OWN,
    "softkeys": array(answer("Softkey", _SOFTKEY)),
    _PANELS: array(answer("Side panel", _PANEL), "RESELLER and up"),
    **{f"status.{name}": schema for name, schema in _CONFIG.items()},
    **{f"status.{line.path}": line.schema for line in STATUS_LINES},
}
_NOT_ALWAYS: Final = (
    "password",
    "ip.unlockedUntil",
    *(path for path in _SENT if path.startswith("purchaseInfo.")),
    *(f"status.{line.path}" for line in STATUS_LINES if line.optional),
)
FULL: Final = answer("SIP phone", _ALL, _NOT_ALWAYS)
_NEXT: Final = sure("string", "Only if the phone loads its configuration from here: what to do now")
_RESET: Final = answer(
    "SIP phone with new credentials", {**_ALL, "nextStep": _NEXT}, (*_NOT_ALWAYS, "nextStep")
)
_EXTENSION: Final[Mapping[str, Schema]] = {
    "_id": an_id(),
    "number": sure("string", example="200"),
    "direct": of("string", example="+4570305050"),
}
_ROW: Final[Mapping[str, Schema]] = {
    "_id": an_id(),
    "macAddress": of("string", example="4EE8A34B56F3"),
    "handsetIndex": of("integer"),
    "handsetAddress": of("string"),
    "sipPhoneModel._id": an_id(),
    "sipPhoneModel.brand": sure("string", example="YEALINK"),
    "sipPhoneModel.brandName": sure("string", example="Yealink"),
    "sipPhoneModel.model": sure("string", example="T46U"),
    "sipPhoneModel.picture": of("string"),
    "extension": or_null(answer("Extension of a phone", _EXTENSION)),
    "employee": or_null(
        answer("Employee of a phone", {"_id": an_id(), "name": sure("string", example="Anna Andersen")})
    ),
    "ip.mode": sure("string", enum=["OPEN", "LOCKED", "ROAMING"]),
    "ip.countries": sure("string", example=""),
    "ip.address": of("string"),
    "ip.policy": sure("string", enum=["PHONE", "DOMAIN"]),
    "ip.unlockedUntil": _UNLOCKED,
    "notes": of("string"),
}
_LISTED: Final = answer(
    "Listed SIP phone",
    {**_ROW, "online": of("boolean", "null: unknown, the live store is away", example=True)},
    optional=("ip.unlockedUntil",),
)
_STATED: Final = answer(
    "Listed SIP phone with its status",
    {
        **_ROW,
        "extension": or_null(answer("Named extension of a phone", {**_EXTENSION, "name": sure("string")})),
        "customer": answer("Customer of a phone", {"_id": an_id(), "name": sure("string", example="Acme")}),
        **{f"status.{line.path}": line.schema for line in STATUS_LINES},
        "status.country": COUNTRY,
    },
    optional=("ip.unlockedUntil", *(f"status.{line.path}" for line in STATUS_LINES if line.optional)),
)
_X_STATUS: Final[Schema] = {
    "X-Status": {
        "schema": {"type": "string", "enum": ["unavailable"]},
        "description": "Present when the live store is away: what is live is null",
    }
}
_NEW_EXAMPLE: Final[Schema] = {
    "sipPhoneModel": AN_ID,
    "extension": AN_ID,
    "macAddress": "4EE8A34B56F3",
    "notes": "Reception",
    "ip": {"mode": "ROAMING", "countries": "DK,SE"},
    "softkeys": [{"index": 0, "function": "SPEEDDIAL", "value": "112", "label": "Emergency"}],
}

_TAGGED: Final = _X_STATUS | {
    "ETag": {"schema": {"type": "string"}, "description": "The version of the configuration"},
}
_CHANGE_EXAMPLE: Final = {"notes": "Reception", "ip": {"mode": "OPEN"}}

PHONE: Final = operation(FULL, READ, headers=_TAGGED)
RESET_PHONE: Final = operation(
    _RESET,
    RESET,
    headers=_TAGGED,
    parameters=[
        query(
            "keepProvisioning",
            "boolean",
            "Keep the secrets with which the phone loads its configuration: only if nothing has leaked",
            default=False,
        )
    ],
)
CREATE: Final = operation(
    FULL, WRITE, form("New SIP phone", _SENT, ("sipPhoneModel",), example=_NEW_EXAMPLE), _TAGGED
)
UPDATE: Final = operation(
    FULL, WRITE, changes(form("SIP phone change", _SENT, example=_CHANGE_EXAMPLE)), _TAGGED
)
UNLOCK: Final = operation(
    FULL,
    WRITE,
    form(
        "Unlock",
        {"minutes": sure("integer", "For how long", minimum=1, maximum=MAX_MINUTES, default=DEFAULT_MINUTES)},
        example={"minutes": 15},
    ),
    _TAGGED,
)
ACCEPT: Final = operation(
    FULL,
    f"{WRITE} 503",
    form(
        "Address",
        {"address": sure("string", "`lastRejectedIp` as it was seen: a newer refusal is not accepted")},
        example={"address": "192.0.2.7"},
    ),
    _TAGGED,
)
_ICE_SERVER: Final = answer(
    "ICE server",
    {
        "urls": array(sure("string", example="turn:turn.example.com:3478?transport=udp")),
        "username": sure("string", "TURN: good until the moment that it begins with, epoch seconds"),
        "credential": sure("string", "TURN"),
    },
    optional=("username", "credential"),
)
WEBRTC: Final = operation(
    answer(
        "WebRTC phone",
        {
            "_id": an_id(),
            "servers": array(sure("string", example="sip.example.com:8443"), "host or host:port"),
            "server": sure("string", "URL, when v2 was asked for", example="wss://sip.example.com:8443"),
            "username": sure("string"),
            "password": sure("string"),
            "extensionNumber": sure("string", example="200"),
            "extensionName": sure("string", example="Anna"),
            "iceServers": array(_ICE_SERVER, "For `RTCPeerConnection`, where STUN or TURN is configured"),
        },
        optional=("servers", "server", "iceServers"),
    ),
    WRITE,
    form(
        "WebRTC client",
        {
            "instanceId": sure(
                "string", "Names this client; the same one gets the same phone", maxLength=255
            ),
            "v2": sure("boolean", "true: `server`, false: `servers`", default=False),
        },
        ("instanceId",),
        example={"instanceId": "browser-1", "v2": True},
    ),
)
LIST: Final = operation(
    page("SIP phones", "sipPhones", {"anyOf": [_LISTED, _STATED, FULL]}),
    READ,
    headers=_X_STATUS,
    parameters=[
        *paging(50, 1_000),
        query(
            "filter",
            "string",
            "Text in macAddress, ip.address, handsetAddress, notes, extension number, direct number or "
            "employee name",
        ),
        query("full", "boolean", "All settings of each phone", default=False),
        query("status", "boolean", "The usual rows with the live status and the customer", default=False),
        query("sort", "string", "By default the oldest first", enum=list(SORTS)),
        query("available", "boolean", "Only phones without an extension", default=False),
        *registrations.FILTERS,
        registrations.CUSTOMER,
    ],
)

# Status of phones

_STATUS: Final = answer(
    "Status",
    {"_id": an_id(), **_CONFIG, **{line.path: line.schema for line in STATUS_ROUTE}, "country": COUNTRY},
)
_EVENT: Final = answer(
    "Event",
    {
        "time": MOMENT,
        "event": sure(
            "string",
            "registered, moved, unregistered, expired, lost, rejected, locked, revoked, configured, "
            "config-refused; created, updated, reset, unlocked, accepted, locked-again, rearmed, expected, "
            "rotated, linked",
            example="registered",
        ),
        "source": sure("string", "Journal, or deed of a person", enum=["sip", "api"]),
        "reason": of("string"),
        "ip": of("string", "Where it came from", example="192.0.2.7"),
        "port": of("integer"),
        "transport": of("string"),
        "userAgent": of("string"),
        "count": sure("integer", "How often, where equal ones are told once", example=1),
        "by": of("string", "Who did it"),
        "level": of("string", "Access level of that person"),
        "employee": some_id("Id of that person"),
    },
)
STATUS: Final = operation(_STATUS, READ)
STATUSES: Final = operation(
    answer(
        "Statuses",
        {
            "sipPhones": array(_STATUS),
            "notFound": array({"example": "0123456789abcdef01234567"}, "As they were sent"),
        },
    ),
    ASK,
    form(
        "Ids",
        {"ids": array(sure("string", "Id of a phone"), maxItems=1_000)},
        ("ids",),
        example={"ids": [AN_ID]},
    ),
)
EVENTS: Final = operation(
    answer(
        "Events",
        {
            "_id": an_id(),
            "summary": sure("string", "Why it is offline, or how it is online", example="Online by UDP."),
            "limit": sure("integer", minimum=1),
            "status": _STATUS,
            "events": array(_EVENT, "The newest first"),
        },
    ),
    READ,
    parameters=[query("limit", "integer", "How many events", default=50, minimum=1, maximum=100)],
)

# Logins and tokens

_LEVEL: Final = sure("string", enum=[level.name for level in AccessLevel], example="MANAGER")
LOGIN: Final = operation(
    answer(
        "Login",
        {
            "token": sure("string", "For `Authorization: Bearer`"),
            "expiresInMinutes": sure("integer", "-1: until the employee changes", example=15),
            "employee": an_id(),
            "customer": an_id(),
            "accessLevel": _LEVEL,
            "name": sure("string", example="Anna Andersen"),
            "session": an_id("Its session: DELETE /auth/session/{id} ends it"),
        },
    ),
    "400 401 403 413 415 500 503",
    form(
        "Credentials",
        {
            "username": sure("string", "E-mail address"),
            "password": sure("string"),
            "code": sure("string", "Code of the authenticator, or a recovery code: after 401 totp_required"),
            "persist": sure("boolean", "A token without an end", default=False),
        },
        ("username", "password"),
        example={"username": "anna@example.com", "password": "correct horse"},
    ),
)
VALIDATE: Final = operation(
    answer(
        "Token owner",
        {
            "success": sure("boolean", example=True),
            "employee": some_id("null: a token of no person"),
            "customer": some_id("null: a token of no person"),
            "accessLevel": _LEVEL,
            "expiresAt": {**MOMENT, "description": "Absent: it has no end"},
        },
        optional=("expiresAt",),
    ),
    "400 401 403 413 422 500 503",
    parameters=[
        query("token", "string", "The token; by default the one in the header"),
        query("ip", "string", "Where its owner calls from; by default the address of this request"),
        query("simple", "boolean", "Answer 200 or 403 without a body", default=False),
    ],
)
_NOTE: Final = of("string", "What it is for", example="nightly import")
_TOKEN: Final[Mapping[str, Schema]] = {
    "_id": an_id(),
    "note": _NOTE,
    "createdAt": MOMENT,
    "expiresAt": MOMENT,
    "hasEnded": sure("boolean"),
}
_SECRET: Final = sure("string", "48 characters, shown this once")
TOKENS: Final = operation(array(answer("Employee token", _TOKEN)), TAGGED)
NEW_TOKEN: Final = operation(
    answer("New employee token", {**_TOKEN, "token": _SECRET}),
    WRITE,
    form("Token note", {"note": _NOTE}, example={"note": "nightly import"}),
)
