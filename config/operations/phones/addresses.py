"""The addresses that a phone may connect from (`ip.*`), and its own IP settings (`network.*`)."""

from typing import Final

from registrar.model import IpMode

from ...checks import Wrong
from ..document import NOT_SENT
from .draft import PhoneDraft
from .fields import FIELDS

IP: Final = {field.path: field for field in FIELDS if field.path.startswith("ip.")}
IP_COLUMNS: Final = ("ip_mode", "ip_countries", "ip_address")
"""Columns that only the policy PHONE uses."""
NETWORK: Final = {
    field.path: field for field in FIELDS if field.path.startswith("network.") and field.dependent
}
STATIC: Final = ("network.ipAddress", "network.subnet", "network.gateway", "network.dns1")
"""Values that a phone without DHCP must have."""


def read_restriction(draft: PhoneDraft) -> None:
    """Read `ip.*`: the mode and the values it needs. On a change, properties that were not sent stay."""
    if draft.stored and not any(draft.was_sent(path) for path in IP):
        return
    mode = _mode(draft)
    _read_countries(draft)
    _read_address(draft, mode)
    if mode == IpMode.ROAMING and not draft.column("ip_countries", "") and not draft.is_wrong("ip.countries"):
        draft.wrong("ip.mode", "ROAMING mode requires countries to be specified", 409, "required")
    _read_policy(draft)


def _read_policy(draft: PhoneDraft) -> None:
    """Take the policy as sent. If none was sent, then a change of `ip.*` chooses PHONE."""
    sent = draft.sent("ip.policy")
    if sent is not NOT_SENT and sent is not None:
        draft.values["ip_policy"] = draft.refused(IP["ip.policy"].check(sent), "ip.policy")
    elif draft.stored is None or any(
        draft.column(name) != getattr(draft.stored, name) for name in IP_COLUMNS
    ):
        draft.values["ip_policy"] = "PHONE"


def _mode(draft: PhoneDraft) -> str | None:
    sent = draft.sent("ip.mode")
    if sent is NOT_SENT or sent is None:
        mode = draft.column("ip_mode", str(IpMode.OPEN))
    else:
        mode = draft.refused(IP["ip.mode"].check(sent), "ip.mode")
    if mode is None:
        return None
    draft.values["ip_mode"] = mode
    return str(mode)


def _read_countries(draft: PhoneDraft) -> None:
    sent = draft.sent("ip.countries")
    if sent is NOT_SENT:
        draft.values["ip_countries"] = draft.column("ip_countries", "")
        return
    checked = IP["ip.countries"].check("" if sent is None else sent)
    if isinstance(checked, Wrong):
        draft.wrong("ip.countries", checked.message, check=checked.check)
    else:
        draft.values["ip_countries"] = checked


def _read_address(draft: PhoneDraft, mode: str | None) -> None:
    sent = draft.sent("ip.address")
    if sent is NOT_SENT:
        kept = None if mode == IpMode.OPEN and draft.was_sent("ip.mode") else draft.column("ip_address")
    elif sent is None or sent == "":
        kept = None
    else:
        kept = draft.refused(IP["ip.address"].check(sent), "ip.address")
        if kept is None:
            return
    if mode == IpMode.LOCKED and kept is None:
        draft.wrong("ip.address", "IP address is missing, LOCKED mode requires one", check="required")
    draft.values["ip_address"] = kept


def read_network(draft: PhoneDraft) -> None:
    """Read `network.*` except the VLAN. Without DHCP the four static values are required."""
    if draft.stored and not any(draft.was_sent(path) for path in NETWORK):
        return
    dhcp = _dhcp(draft)
    for path, field in NETWORK.items():
        if path == "network.dhcp":
            continue
        sent = draft.sent(path)
        is_empty = sent is NOT_SENT or sent in (None, "")
        checked = draft.column(field.column) if sent is NOT_SENT else None if is_empty else field.check(sent)
        value = None if isinstance(checked, Wrong) else checked
        if path in STATIC and dhcp is False and value is None:
            message = field.kind.message
            draft.wrong(path, message, check="required" if is_empty else "format")
        elif path not in STATIC:
            value = draft.refused(checked, path)
        draft.values[field.column] = value


def _dhcp(draft: PhoneDraft) -> bool | None:
    sent = draft.sent("network.dhcp")
    given = sent is not NOT_SENT and sent is not None
    checked = NETWORK["network.dhcp"].check(sent) if given else draft.column("net_dhcp", True)
    dhcp = draft.refused(checked, "network.dhcp")
    if not isinstance(dhcp, bool):
        return None
    draft.values["net_dhcp"] = dhcp
    return dhcp
