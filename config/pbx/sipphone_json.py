"""A phone as JSON: one writer for create, get, update, reset and the full list, one for the normal list."""

import logging
from dataclasses import dataclass
from datetime import datetime

from registrar.errors import StoreUnavailable
from registrar.rules.status import LiveStatus
from registrar.store.vault import Vault

from .. import clock
from ..access import PURCHASE_LEVEL, AccessLevel
from ..operations.checks import Value
from ..operations.phones.fields import FIELDS
from ..operations.phones.find import FullPhone, Panel
from ..tables import SipPhone, SipPhoneSoftkey

Json = dict[str, object]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom the JSON is: what this level may not see is left out."""

    level: AccessLevel
    secrets_level: AccessLevel
    vault: Vault


def full_phone(full: FullPhone, live: LiveStatus, reader: Reader) -> Json:
    """All settings of a phone and its live status."""
    phone = full.phone
    answer: Json = {
        "_id": phone.oid,
        "sipPhoneModel": full.model.oid,
        "extension": full.extension.oid if full.extension else None,
        "customer": full.customer,
        "product": full.product,
        "macAddress": phone.mac,
        "handsetIndex": phone.handset_index,
        "ip": ip_json(phone),
        **_credentials(phone, reader),
        "network": _network(phone),
        "softkeys": [_softkey(key) for key in full.softkeys],
    }
    for field in FIELDS:
        _put(answer, field.path, plain(getattr(phone, field.column), field.path))
    if reader.level >= PURCHASE_LEVEL:
        _put(answer, "purchaseInfo.sidePanels", [_panel(panel) for panel in full.panels])
    else:
        del answer["purchaseInfo"]
    return answer | {"status": status_json(phone, live)}


def listed_phone(full: FullPhone, live: LiveStatus) -> Json:
    """A row of the normal list."""
    phone, model, extension, employee = full.phone, full.model, full.extension, full.employee
    answer: Json = {
        "_id": phone.oid,
        "macAddress": phone.mac,
        "handsetIndex": phone.handset_index,
        "handsetAddress": phone.handset_address,
        "sipPhoneModel": {
            "_id": model.oid,
            "brand": model.brand,
            "brandName": model.brand_name,
            "model": model.model,
            "picture": model.picture_oid,
        },
        "extension": None,
        "employee": None,
        "ip": ip_json(phone),
        "notes": phone.notes,
        "online": live.online,
    }
    if extension:
        number = {"number": extension.number, "direct": extension.direct_number}
        answer["extension"] = {"_id": extension.oid} | number
    if employee:
        answer["employee"] = {"_id": employee.oid, "name": employee.name}
    return answer


def ip_json(phone: SipPhone) -> Json:
    """Where the phone may connect from."""
    return {"mode": phone.ip_mode, "countries": phone.ip_countries, "address": phone.ip_address}


def status_json(phone: SipPhone, live: LiveStatus) -> Json:
    """The documented fields always, the others when they hold something."""
    status: Json = {
        "configLoaded": plain(phone.config_loaded_at),
        "configSaved": plain(phone.config_saved_at),
        "online": live.online,
        "expires": live.expires,
        "localIpAddress": live.local_ip_address,
        "publicIpAddress": live.public_ip_address,
        "userAgent": live.user_agent,
        "state": live.state,
        "reason": live.reason,
        "since": _moment(live.since),
    }
    extras: Json = {
        "transport": live.transport,
        "publicPort": live.public_port,
        "lastSeen": _moment(live.last_seen),
        "rttMs": live.rtt_ms,
        "lastRejectedAt": _moment(live.last_rejected_at),
        "lastRejectedIp": live.last_rejected_ip,
        "lastRejectedReason": live.last_rejected_reason,
    }
    return status | {name: value for name, value in extras.items() if value is not None}


def plain(value: Value, path: str = "") -> object:
    """A column as JSON knows it; the index of a built-in ringtone is a number."""
    if isinstance(value, datetime):
        return clock.iso(value)
    if path == "ringer.tone" and isinstance(value, str) and len(value) <= 3:
        return int(value)
    return value


def _moment(seconds: int | None) -> str | None:
    return None if seconds is None else clock.iso(clock.utc(seconds))


def _credentials(phone: SipPhone, reader: Reader) -> Json:
    if reader.level < reader.secrets_level:
        return {"username": phone.username}
    return {"username": phone.username, "password": _password(phone, reader.vault)}


def _password(phone: SipPhone, vault: Vault) -> str | None:
    """None when it cannot be opened: one broken row must not take the others of its list with it."""
    try:
        return vault.open(phone.password_enc, phone.oid)
    except StoreUnavailable:
        log.error("the stored password of phone %s cannot be opened", phone.oid)
        return None


def _network(phone: SipPhone) -> Json:
    return {
        "dhcp": phone.net_dhcp,
        "ipAddress": phone.net_ip,
        "subnet": phone.net_subnet,
        "gateway": phone.net_gateway,
        "dns1": phone.net_dns1,
        "dns2": phone.net_dns2,
    }


def _softkey(key: SipPhoneSoftkey) -> Json:
    return {"index": key.key_index, "function": key.function, "value": key.value, "label": key.label}


def _panel(panel: Panel) -> Json:
    row = panel.row
    payment = {"paymentOption": row.payment_option, "orderId": row.order_id, "date": plain(row.date)}
    return {"serial": row.serial} | payment | {"product": panel.product}


def _put(answer: Json, path: str, value: object) -> None:
    *groups, name = path.split(".")
    place = answer
    for group in groups:
        inner = place.setdefault(group, {})
        if isinstance(inner, dict):
            place = inner
    place[name] = value
