"""Gigaset Maxwell desk phones: parameters."""

from typing import Final

from ..draft import Draft
from ..extra import extra_lines
from ..keys import Function, Types, functions
from ..locales import MAXWELL_LANGUAGES, ZONES
from ..markup import params_xml
from ..view import PHONE, Provisioned
from ..wiring import static_address

TRANSPORTS: Final = {"udp": "1", "tcp": "3", "tls": "2"}
TONES: Final = tuple(
    "01.mp3|02_Memo.mp3|03_Vibe.mp3|04_Listen.mp3|05_Down.mp3|06_Gigaset.mp3|07_Egg.mp3|08_Peak.mp3".split(
        "|"
    )
)
SERVERS: Final = {0: "GMT.Europe/London", 1: "GMT+1.Europe/Amsterdam"}
NOTHING: Final = "-1"
KEYS: Final = Types(
    {
        "SPEEDDIAL": "3",
        "BLF": "4",
        "LINE": "0",
        "DND": "10",
        "DNDOTHER": "10",
        "VOICEMAIL": "10",
        "URL": "8",
        "RECORD": "7",
        "PICKUP": "10",
        "PICKUPGROUP": "10",
        "QUEUE": "4",
        "SWITCH": "4",
        "PRESENCE": "10",
    },
    dials_dnd=True,
)
_FIELDS: Final = {"3": "PhoneNumber", "4": "PhoneNumber", "7": "EnableCode", "8": "URL", "10": "EnableCode"}
"""Type of a key -> the parameter that has its number."""


def config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of a phone."""
    draft.add("System.Provision.ProvisioningServer", phone.server.url + "%MACD.xml")
    if phone.admin_password:
        draft.add("WebUI.AdminPassword", phone.admin_password)
    _account(phone, draft)
    _surroundings(phone, draft)
    _settings(phone, draft)
    for key in functions(phone, KEYS, draft):
        _key(draft, key)
    return params_xml(draft.pairs, extra=extra_lines(phone))


def stub(url: str, mac: str) -> str:
    """Return a file that says only where to load from."""
    return params_xml((), step=url + "%MACD.xml")


def common(phone: Provisioned, name: str) -> str:
    """Return a file without an account."""
    return stub(phone.server.url, phone.mac)


def _account(phone: Provisioned, draft: Draft) -> None:
    one, server = phone.account, phone.server
    for name, value, source in (
        ("AccountName", one.number or one.display_name.strip(), "extension.number"),
        ("Active", "1", ""),
        ("AuthName", one.username, "username"),
        ("AuthPassword", one.password, "password"),
        ("Username", one.username, "username"),
        ("DisplayName", one.display_name.strip(), "employee.name"),
        ("Domain", one.domain, ""),
        ("ProxyServer.Address", server.host, ""),
        ("ProxyServer.Port", str(server.port), ""),
        ("RegistrationServer.Address", server.host, ""),
        ("RegistrationServer.Port", str(server.port), ""),
    ):
        draft.add(f"SIP.Account.0.{name}", value, source)
    draft.add("SIP.TransportProtocol", TRANSPORTS[server.transport])


def _surroundings(phone: Provisioned, draft: Draft) -> None:
    server = phone.server
    if server.ntp:
        draft.add("System.DateAndTime.AutoAdjustTime", "NTPServiceEnabled")
        draft.add("System.DateAndTime.TimeServer", server.ntp)
    zone = ZONES.get(server.timezone)
    if zone and zone.hours in SERVERS:
        draft.add("System.DateAndTime.TimeZone", SERVERS[zone.hours])
    language = MAXWELL_LANGUAGES.get(server.language)
    if language:
        draft.add("PhoneUI.Settings.Language", language)
        draft.add("WebUI.Language", language)


def _settings(phone: Provisioned, draft: Draft) -> None:
    tone = phone.sound.ringer_tone
    if tone is not None and tone.isascii() and tone.isdigit() and int(tone) < len(TONES):
        draft.add("SIP.DefaultRingtone", TONES[int(tone)], "ringer.tone")
    if phone.blind_transfer is not None:
        blind, attended = ("Enabled", "Disabled") if phone.blind_transfer else ("Disabled", "Enabled")
        prefix = "Telephony.CallTransfer.HoldOnTransfer."
        draft.add(prefix + "Attended", attended, "softkeyBlfBlindTransfer")
        draft.add(prefix + "Unattended", blind, "softkeyBlfBlindTransfer")
    if phone.network.vlan_id:
        draft.add("NET.VLAN.Tagging", 1)
        draft.add("NET.VLAN.LAN.Identifier", phone.network.vlan_id, "network.vlanId")
        draft.add("NET.VLAN.LAN.Priority", phone.network.vlan_priority, "network.vlanPriority")
    elif phone.network.leaves_vlan:
        draft.add("NET.VLAN.Tagging", 0, "network.vlanId")
    if static_address(phone.network, draft):
        draft.leave("network.dhcp", "the names of the settings are not public for this phone")


def _key(draft: Draft, key: Function) -> None:
    if key.panel != PHONE:
        draft.leave(key.source, "this phone has no panels")
        return
    prefix = f"PhoneUI.Keys.FunctionKeys.{key.index}."
    kind = KEYS.of[key.name] if key.name else NOTHING
    draft.add(prefix + "Type", kind, key.source)
    if not key.name:
        return
    draft.add(prefix + "DisplayName", key.label, f"{key.source}.label")
    if kind == "0":
        draft.add(prefix + "Connection", 0, key.source)
    else:
        draft.add(prefix + _FIELDS[kind], key.number, f"{key.source}.value")
    if key.pickup:
        draft.add(prefix + "CallPickupCode", key.pickup, key.source)
