"""Cisco and Linksys: SPA phones and adapters, and the multiplatform phones."""

from typing import Final

from ..draft import Draft, Unwritable, copy
from ..extra import extra_lines
from ..files import config_name
from ..keys import Function, Types, functions
from ..locales import ZONES
from ..markup import flat_xml
from ..view import PHONE, Account, Provisioned
from ..wiring import host_port, static_address

SPA: Final = "spa"
MPP: Final = "mpp"
TRANSPORTS: Final = {"udp": "UDP", "tcp": "TCP", "tls": "TLS"}
VOLUMES: Final = {
    "ringer.volume": "Ringer_Volume",
    "volume.handset.speaker": "Handset_Volume",
    "volume.headset.speaker": "Headset_Volume",
    "volume.handsfree.speaker": "Speaker_Volume",
    "volume.handset.mic": "Handset_Input_Gain",
    "volume.headset.mic": "Headset_Input_Gain",
    "volume.handsfree.mic": "Speakerphone_Input_Gain",
}
TONES: Final = 10
FIXED: Final = "na"
"""The user cannot change the setting."""
KEPT: Final = "rw"
_SUMMER: Final = "start=3/-1/7/2:0:0;end=10/-1/7/3:0:0;save=1:0:0"
_DROPPED: Final = str.maketrans("", "", "$@=")
_DIAL: Final = "sd"
_WATCH: Final = "sd+blf+cp"
_LINE: Final = "line"
KEYS: Final = Types(
    {
        "SPEEDDIAL": _DIAL,
        "BLF": _WATCH,
        "LINE": _LINE,
        "DND": _WATCH,
        "DNDOTHER": _DIAL,
        "VOICEMAIL": _DIAL,
        "PICKUP": _DIAL,
        "PICKUPGROUP": _DIAL,
        "QUEUE": _WATCH,
        "SWITCH": _WATCH,
        "PRESENCE": _DIAL,
    },
    dials_dnd=True,
)
"""For do-not-disturb the key watches the feature code, on all of these phones."""


def config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of a phone or an adapter."""
    name = config_name(phone.writer, phone.mac, phone.model)
    _add(draft, "Profile_Rule", phone.server.url + name)
    _lines(phone, draft)
    _surroundings(phone, draft)
    _passwords(phone, draft)
    if phone.softkeys or phone.writer == MPP:
        _sound(phone, draft)
        _display(phone, draft)
        _habits(phone, draft)
    _network(phone, draft)
    _keys(phone, draft)
    return flat_xml(draft.pairs, extra_lines(phone))


def stub(url: str, mac: str) -> str:
    """Return a file that says only where to load from."""
    draft = Draft()
    draft.add_raw("Profile_Rule", url + "$MA.xml", ua=FIXED)
    return flat_xml(draft.pairs)


def common(phone: Provisioned, name: str) -> str:
    """Return a file without an account."""
    return stub(phone.server.url, phone.mac)


def _add(draft: Draft, name: str, value: str | int, source: str = "", ua: str = FIXED) -> None:
    draft.add(name, value, source, ua=ua)


def _lines(phone: Provisioned, draft: Draft) -> None:
    """Add the account of each port; ports without a phone are off."""
    there = {handset.index: handset for handset in phone.handsets}
    for index in range(max(phone.extensions, *(index + 1 for index in there))):
        handset = there.get(index)
        if handset is None:
            _add(draft, f"Line_Enable_{index + 1}_", "No")
        else:
            _line(phone, draft, index + 1, handset.account)


def _line(phone: Provisioned, draft: Draft, line: int, one: Account) -> None:
    server = phone.server
    wide = phone.hd_audio and phone.softkeys > 0  # the adapters have no G.722
    for name, value, source in (
        ("Line_Enable", "Yes", ""),
        ("Proxy", one.domain, ""),
        ("Outbound_Proxy", host_port(server.host, server.port), ""),
        ("Use_Outbound_Proxy", "Yes", ""),
        ("User_ID", one.username, "username"),
        ("Auth_ID", one.username, "username"),
        ("Use_Auth_ID", "Yes", ""),
        ("Password", one.password, "password"),
        ("Display_Name", one.display_name.replace("$", "").strip(), "employee.name"),
        ("Register_Expires", str(server.expires), ""),
        ("SIP_Transport", TRANSPORTS[server.transport], ""),
        ("Preferred_Codec", "G722" if wide else "G711a", "codec.hdAudio"),
        ("G722_Enable", "Yes" if wide else "No", "codec.hdAudio"),
    ):
        _add(draft, f"{name}_{line}_", value, source)


def _surroundings(phone: Provisioned, draft: Draft) -> None:
    server = phone.server
    if server.ntp:
        _add(draft, "Primary_NTP_Server", server.ntp)
    zone = ZONES.get(server.timezone)
    if zone:
        _add(draft, "Time_Zone", f"GMT{zone.hours:+03d}:00")
        _add(draft, "Daylight_Saving_Time_Enable", "yes" if zone.summer else "no")
        if zone.summer:
            _add(draft, "Daylight_Saving_Time_Rule", _SUMMER)
    _add(draft, "Resync_From_SIP", "Yes")


def _passwords(phone: Provisioned, draft: Draft) -> None:
    if phone.admin_password:
        name = "Admin_Password" if phone.writer == MPP else "Admin_Passwd"
        _add(draft, name, phone.admin_password)


def _sound(phone: Provisioned, draft: Draft) -> None:
    copy(draft, phone, VOLUMES, ua=KEPT)
    tone = phone.sound.ringer_tone
    if tone is None:
        return
    if tone.isascii() and tone.isdigit() and int(tone) < TONES:
        _add(draft, "Default_Ring_1_", int(tone) + 1, "ringer.tone", KEPT)
    else:
        draft.leave("ringer.tone", "this phone has tones 0 to 9; custom tones are not stored yet")


def _display(phone: Provisioned, draft: Draft) -> None:
    display = phone.display
    if phone.writer == MPP and display.brightness is not None:
        _add(draft, "Display_Brightness", display.brightness, "displayBrightness", KEPT)
    if phone.writer == SPA and display.background:
        _add(draft, "Select_Background_Picture", "BMP Picture", "displayBackground")
        _add(draft, "BMP_Picture_Download_URL", display.background, "displayBackground")


def _habits(phone: Provisioned, draft: Draft) -> None:
    if phone.call_waiting is not None:
        _add(draft, "Call_Waiting_Serv_1_", "Yes" if phone.call_waiting else "No", "callWaiting")
    if phone.blind_transfer is not None:
        blind = "Yes" if phone.blind_transfer else "No"
        _add(draft, "Blind_Attn-Xfer_Enable_1_", blind, "softkeyBlfBlindTransfer")
    if phone.writer == MPP and phone.dhsg is not None:
        _add(draft, "Ehook_Enable", "Yes" if phone.dhsg else "No", "dhsg")


def _network(phone: Provisioned, draft: Draft) -> None:
    fixed = static_address(phone.network, draft)
    if fixed:
        _add(draft, "Connection_Type", "Static IP", "network.dhcp")
        _add(draft, "Static_IP", fixed.address or "", "network.ipAddress")
        _add(draft, "NetMask", fixed.mask or "", "network.subnet")
        _add(draft, "Gateway", fixed.gateway or "", "network.gateway")
        _add(draft, "Primary_DNS", fixed.dns1 or "", "network.dns1")
        _add(draft, "Secondary_DNS", fixed.dns2 or "", "network.dns2")
    if phone.network.vlan_id:
        _add(draft, "Enable_VLAN", "Yes")
        _add(draft, "VLAN_ID", phone.network.vlan_id, "network.vlanId")
    elif phone.network.leaves_vlan:
        _add(draft, "Enable_VLAN", "No", "network.vlanId")


def _keys(phone: Provisioned, draft: Draft) -> None:
    keys = list(functions(phone, KEYS, draft))
    if keys and not any(key.name == "LINE" and key.panel == PHONE for key in keys):
        draft.warn("No key is a LINE key: this phone may have no way to begin a call")
    if keys and "pickup" in phone.services.features:
        _add(draft, "Attendant_Console_Call_Pickup_Code", "**")
    for key in keys:
        _key(draft, key)


def _key(draft: Draft, key: Function) -> None:
    action = "" if not key.name or KEYS.of[key.name] == _LINE else _function(key)
    if key.panel != PHONE:
        draft.add_raw(f"Unit_{key.panel}_Key_{key.index + 1}", action, key.source, ua=FIXED)
        return
    number = key.index + 1
    _add(draft, f"Extension_{number}_", 1 if key.name == "LINE" else "Disabled", key.source)
    _add(draft, f"Short_Name_{number}_", label(key.label), f"{key.source}.label")
    draft.add_raw(f"Extended_Function_{number}_", action, key.source, ua=FIXED)


def _function(key: Function) -> str:
    """Return the text of a key: `;` in a label or a number would begin another function."""
    if any(char in key.number for char in ";@=$ "):
        raise Unwritable(f"{key.source}.value", "none of ; @ = $ and blank can be in a key of this phone")
    kind = KEYS.of[key.name]
    target = "sub" if kind == _WATCH else "ext"
    return f"fnc={kind};{target}={key.number}@$PROXY;nme={label(key.label) or key.number}"


def label(text: str) -> str:
    """Return a label without the signs that would begin another function or a macro."""
    return text.replace(";", ",").translate(_DROPPED).strip()
