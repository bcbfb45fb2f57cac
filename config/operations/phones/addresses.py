"""The addresses that a phone may connect from (`ip.*`), and its own IP settings (`network.*`)."""

from typing import Final

from registrar.model import IpMode

from ...checks import Wrong
from ..draft import NOT_SENT
from .draft import FIELDS, PhoneDraft

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
    mode, countries = draft.given("ip.mode"), draft.sent("ip.countries")
    mode = draft.column("ip_mode", str(IpMode.OPEN)) if mode is None else draft.read(IP["ip.mode"], mode)
    if countries is NOT_SENT:
        countries = draft.column("ip_countries", "")
    else:
        countries = draft.read(IP["ip.countries"], "" if countries is None else countries)
    draft.values |= {"ip_mode": mode} if mode is not None else {}
    draft.values |= {"ip_countries": countries} if countries is not None else {}
    _read_address(draft, mode)
    if mode == IpMode.ROAMING and not draft.column("ip_countries", "") and not draft.is_wrong("ip.countries"):
        draft.wrong("ip.mode", "ROAMING mode requires countries to be specified", 409, "required")
    policy, stored = draft.given("ip.policy"), draft.stored
    if policy is not None:
        draft.values["ip_policy"] = draft.read(IP["ip.policy"], policy)
    elif stored is None or any(draft.column(name) != getattr(stored, name) for name in IP_COLUMNS):
        draft.values["ip_policy"] = "PHONE"  # a change of the others without a policy chooses this one


def _read_address(draft: PhoneDraft, mode: object) -> None:
    sent = draft.sent("ip.address")
    kept: object = None
    if sent is NOT_SENT:
        kept = None if mode == IpMode.OPEN and draft.was_sent("ip.mode") else draft.column("ip_address")
    elif sent not in (None, ""):
        kept = draft.read(IP["ip.address"], sent)
        if kept is None:
            return
    if mode == IpMode.LOCKED and kept is None:
        draft.wrong("ip.address", "IP address is missing, LOCKED mode requires one", check="required")
    draft.values["ip_address"] = kept


def read_network(draft: PhoneDraft) -> None:
    """Read `network.*` except the VLAN. Without DHCP the four static values are required."""
    if draft.stored and not any(draft.was_sent(path) for path in NETWORK):
        return
    sent = draft.given("network.dhcp")
    dhcp = draft.column("net_dhcp", True) if sent is None else draft.read(NETWORK["network.dhcp"], sent)
    draft.values |= {"net_dhcp": dhcp} if dhcp is not None else {}
    for path, field in NETWORK.items():
        if path == "network.dhcp":
            continue
        sent = draft.sent(path)
        is_empty = sent in (NOT_SENT, None, "")
        checked = draft.column(field.column) if sent is NOT_SENT else None if is_empty else field.check(sent)
        value = None if isinstance(checked, Wrong) else checked
        if path in STATIC and dhcp is False and value is None:
            draft.wrong(path, field.kind.message, check="required" if is_empty else "format")
        elif path not in STATIC:
            value = draft.refused(checked, path)
        draft.values[field.column] = value
