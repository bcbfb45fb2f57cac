"""The addresses that a phone may connect from (`ip.*`), and its own IP settings (`network.*`)."""

from typing import Final

from registrar.model import IpMode

from ...checks import address, boolean, netmask
from ..document import NOT_SENT
from .countries import COUNTRIES
from .draft import PhoneDraft

IP_PATHS: Final = ("ip.mode", "ip.countries", "ip.address", "ip.policy")
IP_COLUMNS: Final = ("ip_mode", "ip_countries", "ip_address")
"""Columns that only the policy PHONE uses."""
POLICIES: Final = ("PHONE", "DOMAIN")
NETWORK_PATHS: Final = (
    "network.dhcp",
    "network.ipAddress",
    "network.subnet",
    "network.gateway",
    "network.dns1",
    "network.dns2",
)
STATIC: Final = (
    ("network.ipAddress", "net_ip", address, "IP address is invalid or missing"),
    ("network.subnet", "net_subnet", netmask, "Subnet mask is invalid or missing"),
    ("network.gateway", "net_gateway", address, "Default gateway is invalid or missing"),
    ("network.dns1", "net_dns1", address, "Primary DNS server is invalid or missing"),
)
"""Values that a phone without DHCP must have."""


def read_restriction(draft: PhoneDraft) -> None:
    """Read `ip.*`: the mode and the values it needs. On a change, properties that were not sent stay."""
    if draft.stored and not any(draft.was_sent(path) for path in IP_PATHS):
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
    if sent is NOT_SENT or sent is None:
        if draft.stored is None or any(
            draft.column(name) != getattr(draft.stored, name) for name in IP_COLUMNS
        ):
            draft.values["ip_policy"] = "PHONE"
    elif isinstance(sent, str) and sent in POLICIES:
        draft.values["ip_policy"] = sent
    else:
        draft.wrong("ip.policy", f"ip.policy must be one of {', '.join(POLICIES)}", check="enum")


def _mode(draft: PhoneDraft) -> str | None:
    sent = draft.sent("ip.mode")
    if sent is NOT_SENT or sent is None:
        mode = draft.column("ip_mode", str(IpMode.OPEN))
    elif isinstance(sent, str) and sent in IpMode.__members__:
        mode = sent
    else:
        draft.wrong("ip.mode", "Mode is invalid", check="enum")
        return None
    draft.values["ip_mode"] = mode
    return str(mode)


def _read_countries(draft: PhoneDraft) -> None:
    sent = draft.sent("ip.countries")
    if sent is NOT_SENT:
        draft.values["ip_countries"] = draft.column("ip_countries", "")
        return
    if sent is not None and not isinstance(sent, str):
        draft.wrong("ip.countries", "Country codes must be a comma separated text")
        return
    codes = [code.strip(" ").upper() for code in (sent or "").split(",") if code.strip(" ")]
    unknown = [code for code in codes if code not in COUNTRIES]
    if unknown:
        draft.wrong("ip.countries", f"Country code {unknown[0][:8]!r} is not valid", check="enum")
        return
    draft.values["ip_countries"] = ",".join(dict.fromkeys(codes))


def _read_address(draft: PhoneDraft, mode: str | None) -> None:
    sent = draft.sent("ip.address")
    if sent is NOT_SENT:
        kept = None if mode == IpMode.OPEN and draft.was_sent("ip.mode") else draft.column("ip_address")
    elif sent is None or sent == "":
        kept = None
    else:
        kept = address(sent)
        if kept is None:
            draft.wrong("ip.address", "IP address is invalid")
            return
    if mode == IpMode.LOCKED and kept is None:
        draft.wrong("ip.address", "IP address is missing, LOCKED mode requires one", check="required")
    draft.values["ip_address"] = kept


def read_network(draft: PhoneDraft) -> None:
    """Read `network.*` except the VLAN. Without DHCP the four static values are required."""
    if draft.stored and not any(draft.was_sent(path) for path in NETWORK_PATHS):
        return
    dhcp = _dhcp(draft)
    for path, column, parse, message in STATIC:
        sent = draft.sent(path)
        value = draft.column(column) if sent is NOT_SENT else parse(sent)
        if dhcp is False and value is None:
            draft.wrong(path, message, check="required" if sent in (NOT_SENT, None, "") else "format")
        draft.values[column] = value
    _read_second_dns(draft)


def _dhcp(draft: PhoneDraft) -> bool | None:
    sent = draft.sent("network.dhcp")
    given = sent is not NOT_SENT and sent is not None
    dhcp = boolean(sent, "") if given else draft.column("net_dhcp", True)
    if not isinstance(dhcp, bool):
        draft.wrong("network.dhcp", "network.dhcp must be true or false")
        return None
    draft.values["net_dhcp"] = dhcp
    return dhcp


def _read_second_dns(draft: PhoneDraft) -> None:
    sent = draft.sent("network.dns2")
    if sent is NOT_SENT:
        draft.values["net_dns2"] = draft.column("net_dns2")
        return
    value = None if sent in (None, "") else address(sent)
    if value is None and sent not in (None, ""):
        draft.wrong("network.dns2", "Secondary DNS server is invalid")
    draft.values["net_dns2"] = value
