"""Mitel and Aastra desk phones: lines `name: value`; `!` in front locks a line against the user's change."""

from collections.abc import Mapping
from typing import Final

from ..draft import Draft, Pair, copy
from ..extra import extra_lines
from ..keys import Function, Types, functions
from ..locales import ZONES
from ..syntax import colon
from ..view import PHONE, Provisioned
from ..wiring import split_url, static_address

LOCKED: Final = "!"
TRANSPORTS: Final = {"udp": 1, "tcp": 2, "tls": 4}
VOLUMES: Final = {
    "ringer.volume": "ringer volume",
    "volume.handset.speaker": "handset volume",
    "volume.headset.speaker": "headset volume",
    "volume.handsfree.speaker": "speaker volume",
    "volume.handset.mic": "handset tx gain",
    "volume.headset.mic": "headset tx gain",
    "volume.handsfree.mic": "handsfree tx gain",
}
TONES: Final = 16
AUDIO_MODES: Final = {"speaker": 0, "headset": 1, "speaker-headset": 2, "headset-speaker": 3}
FONT_COLORS: Final = {"LIGHT": "white", "DARK": "black"}

KEYS: Final = Types(
    {
        "SPEEDDIAL": "speeddial",
        "BLF": "blf",
        "LINE": "line",
        "DND": "dnd",
        "DNDOTHER": "speeddial",
        "ADDRESSBOOK": "directory",
        "REDIAL": "redial",
        "VOICEMAIL": "speeddialmwi",
        "TRANSFER": "xfer",
        "URL": "xml",
        "RECORD": "speeddial",
        "MENU": "services",
        "PICKUP": "speeddial",
        "PICKUPGROUP": "speeddial",
        "QUEUE": "blf",
        "SWITCH": "blf",
        "PRESENCE": "speeddial",
    }
)
"""HOLD is a key of its own on these phones."""

LAYOUTS: Final[Mapping[str, tuple[tuple[str, int], ...]]] = {
    "6731i": (("prgkey", 8),),
    "6863i": (("prgkey", 3),),
    "6865i": (("prgkey", 8),),
    "6867i": (("topsoftkey", 20), ("softkey", 18)),
    "6869i": (("topsoftkey", 44), ("softkey", 24)),
}
"""Model -> the names of its keys and how many of each there are; other models have top softkeys alone."""
_TOP: Final = (("topsoftkey", 999),)


def config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of a phone."""
    for pair in _server(phone.server.url):
        draft.pairs.append(pair)
    draft.add(f"{LOCKED}contact rcs", 0)
    _account(phone, draft)
    _codecs(phone, draft)
    _surroundings(phone, draft)
    _sound(phone, draft)
    _display(phone, draft)
    _network(phone, draft)
    _habits(phone, draft)
    for key in functions(phone, KEYS, draft):
        _key(phone, draft, key)
    return colon(draft.pairs) + extra_lines(phone)


def stub(url: str, mac: str) -> str:
    """Return a file that says only where to load from. It must not be empty, or the phone stops."""
    return colon(_server(url))


def common(phone: Provisioned, name: str) -> str:
    """Return the file of the model, which has nothing to add."""
    return "# all settings are in the file of the MAC address\n"


def _server(url: str) -> list[Pair]:
    """Return where the phone loads from; both names of the server, because firmwares differ."""
    scheme, host, port, path = split_url(url)
    pairs = [Pair(f"{LOCKED}download protocol", scheme.upper())]
    for kind in ("http", "https"):
        pairs.append(Pair(f"{LOCKED}{kind} server", host))
        pairs.append(Pair(f"{LOCKED}{kind} path", path))
    if port not in (80, 443):
        pairs.append(Pair(f"{LOCKED}{scheme} port", str(port)))
    return pairs


def _account(phone: Provisioned, draft: Draft) -> None:
    one, server = phone.account, phone.server
    name = one.display_name.strip()
    for setting, value, source in (
        ("line1 user name", one.username, "username"),
        ("line1 auth name", one.username, "username"),
        ("line1 password", one.password, "password"),
        ("line1 display name", name, "employee.name"),
        ("line1 screen name", name, "employee.name"),
        ("line1 screen name 2", one.number, "extension.number"),
        ("line1 proxy ip", one.domain, ""),
        ("line1 proxy port", str(server.port), ""),
        ("line1 registrar ip", one.domain, ""),
        ("line1 registrar port", str(server.port), ""),
        ("line1 registration period", str(server.expires), ""),
        ("outbound proxy", server.host, ""),
        ("outbound proxy port", str(server.port), ""),
        ("transport protocol", str(TRANSPORTS[server.transport]), ""),
    ):
        draft.add(f"{LOCKED}sip {setting}", value, source)
    if server.ca_url:
        draft.add(f"{LOCKED}sips trusted certificates", server.ca_url)
    if phone.admin_password:
        draft.add(f"{LOCKED}admin password", phone.admin_password)


def _codecs(phone: Provisioned, draft: Draft) -> None:
    payloads = (9, 8, 0) if phone.hd_audio else (8, 0)
    codecs = ",".join(f"payload={payload};ptime=20;silsupp=off" for payload in payloads)
    draft.add("sip customized codec", codecs, "codec.hdAudio")


def _surroundings(phone: Provisioned, draft: Draft) -> None:
    server = phone.server
    if server.ntp:
        draft.add("time server disabled", 0)
        draft.add("time server1", server.ntp)
    zone = ZONES.get(server.timezone)
    if zone and zone.mitel:
        draft.add("time zone name", zone.mitel)
    if "pickup" in phone.services.features:
        draft.add("directed call pickup", 1)
        draft.add("directed call pickup prefix", "**")


def _sound(phone: Provisioned, draft: Draft) -> None:
    copy(draft, phone, VOLUMES)
    tone = phone.sound.ringer_tone
    if tone is None:
        return
    if tone.isascii() and tone.isdigit() and int(tone) < TONES:
        draft.add("ring tone", int(tone), "ringer.tone")
    else:
        draft.leave("ringer.tone", "this phone has tones 0 to 15; custom tones are not stored yet")


def _display(phone: Provisioned, draft: Draft) -> None:
    display = phone.display
    if display.brightness is not None:
        draft.add("brightness level", 1 + round(display.brightness * 4 / 15), "displayBrightness")
    if display.brightness_idle is not None:
        level = round(display.brightness_idle * 4 / 15)
        draft.add("inactivity brightness level", level, "displayBrightnessIdle")
    if display.background:
        draft.add("background image", display.background, "displayBackground")
    if display.font_color:
        draft.add("idle screen font color", FONT_COLORS[display.font_color], "displayFontColor")


def _network(phone: Provisioned, draft: Draft) -> None:
    fixed = static_address(phone.network, draft)
    if fixed:
        draft.add("dhcp", 0, "network.dhcp")
        draft.add("ip", fixed.address or "", "network.ipAddress")
        draft.add("subnet mask", fixed.mask or "", "network.subnet")
        draft.add("default gateway", fixed.gateway or "", "network.gateway")
        draft.add("dns1", fixed.dns1 or "", "network.dns1")
        draft.add("dns2", fixed.dns2 or "", "network.dns2")
    if phone.network.vlan_id:
        draft.add("tagging enabled", 1)
        draft.add("vlan id", phone.network.vlan_id, "network.vlanId")
        draft.add("priority non-ip", phone.network.vlan_priority, "network.vlanPriority")
    elif phone.network.leaves_vlan:
        draft.add("tagging enabled", 0, "network.vlanId")


def _habits(phone: Provisioned, draft: Draft) -> None:
    if phone.headset_button:
        draft.add("audio mode", AUDIO_MODES[phone.headset_button], "headsetButton")
    if phone.call_waiting is not None:
        draft.add("call waiting", int(phone.call_waiting), "callWaiting")
    if phone.dhsg:
        draft.leave("dhsg", "no public source confirms the name of the setting for this phone")


def _key(phone: Provisioned, draft: Draft, key: Function) -> None:
    name = _key_name(phone.model, key)
    kind = KEYS.of[key.name] if key.name else "none"
    if kind == "blf" and name.startswith("softkey"):
        draft.leave(key.source, f"{key.name}: the lower keys of this phone have no lamp")
        kind = "none"
    if kind == "blf" and phone.blind_transfer:
        kind = "blfxfer"
    draft.add(f"{LOCKED}{name} type", kind, "softkeyBlfBlindTransfer" if "blf" in kind else key.source)
    if kind == "none":
        return
    draft.add(f"{LOCKED}{name} label", key.label, f"{key.source}.label")
    draft.add(f"{LOCKED}{name} value", key.number, f"{key.source}.value")
    draft.add(f"{LOCKED}{name} line", 1, key.source)


def _key_name(model: str, key: Function) -> str:
    if key.panel != PHONE:
        return f"expmod{key.panel} key{key.index + 1}"
    index = key.index
    for name, count in LAYOUTS.get(model, _TOP):
        if index < count:
            return f"{name}{index + 1}"
        index -= count
    return f"softkey{key.index + 1}"
