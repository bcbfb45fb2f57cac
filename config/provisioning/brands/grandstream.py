"""Grandstream desk phones: items with names."""

from typing import Final

from ..draft import Draft, copy
from ..extra import extra_lines
from ..keys import Function, Types, functions
from ..locales import GRANDSTREAM_LANGUAGES, ZONES
from ..markup import gs_xml
from ..view import PHONE, Levels, Provisioned
from ..wiring import host_port, static_address, without_scheme

TRANSPORTS: Final = {"udp": "UDP", "tcp": "TCP", "tls": "TlsOrTcp"}
GAINS: Final = {0: 1, 1: 0, 2: 2}
"""Level of the API -> value of the phone: 1 is -6 dB, 0 is 0 dB, 2 is +6 dB."""
KEYS: Final = Types(
    {
        "SPEEDDIAL": "SpeedDial",
        "BLF": "BLF",
        "LINE": "Line",
        "DND": "BLF",
        "DNDOTHER": "SpeedDial",
        "VOICEMAIL": "SpeedDial",
        "RECORD": "SpeedDial",
        "PICKUP": "SpeedDial",
        "PICKUPGROUP": "SpeedDial",
        "QUEUE": "BLF",
        "SWITCH": "BLF",
        "PRESENCE": "SpeedDial",
    },
    dials_dnd=True,
)
"""The modes of keys that public sources confirm; for do-not-disturb the key watches the feature code."""
MULTIPURPOSE: Final = {"GRP2614": 16, "GRP2616": 16}
"""Model -> how many virtual keys come before the multi-purpose keys."""


def config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of a phone."""
    _provisioning(phone.server.url, draft)
    if phone.admin_password:
        draft.add("users.admin.password", phone.admin_password)
    _account(phone, draft)
    _codecs(phone, draft)
    _surroundings(phone, draft)
    _sound(phone, draft)
    _display(phone, draft)
    _network(phone, draft)
    _habits(phone, draft)
    _keys(phone, draft)
    return gs_xml(draft.pairs, phone.mac.lower(), extra_lines(phone))


def stub(url: str, mac: str) -> str:
    """Return a file that says only where to load from."""
    draft = Draft()
    _provisioning(url, draft)
    return gs_xml(draft.pairs)


def common(phone: Provisioned, name: str) -> str:
    """Return a file without an account."""
    return stub(phone.server.url, phone.mac)


def _provisioning(url: str, draft: Draft) -> None:
    """Add where the phone loads from; the path has no scheme and no file name."""
    draft.add("provisioning.config.protocol", url.partition(":")[0].upper())
    draft.add("provisioning.config.serverPath", without_scheme(url))


def _account(phone: Provisioned, draft: Draft) -> None:
    one, server = phone.account, phone.server
    for name, value, source in (
        ("enable", "Yes", ""),
        ("name", one.number or one.display_name.strip(), "extension.number"),
        ("sip.server.1.address", one.domain, ""),
        ("sip.outboundProxy.1.address", host_port(server.host, server.port), ""),
        ("sip.userid", one.username, "username"),
        ("sip.subscriber.userid", one.username, "username"),
        ("sip.subscriber.password", one.password, "password"),
        ("sip.subscriber.name", one.display_name.strip(), "employee.name"),
        ("sip.registration", "Yes", ""),
        ("sip.registerExpiration", str(max(1, server.expires // 60)), ""),
        ("sip.transport", TRANSPORTS[server.transport], ""),
        ("sip.allowSipReset", "Yes", ""),
    ):
        draft.add(f"account.1.{name}", value, source)
    if "pickup" in phone.services.features:
        draft.add("account.1.sip.blf.callPickup.prefix", "**")


def _codecs(phone: Provisioned, draft: Draft) -> None:
    codecs = ("G722", "PCMA", "PCMU") if phone.hd_audio else ("PCMA", "PCMU")
    for number, codec in enumerate(codecs, 1):
        draft.add(f"account.1.codec.choice.{number}", codec, "codec.hdAudio")


def _surroundings(phone: Provisioned, draft: Draft) -> None:
    server = phone.server
    if server.ntp:
        draft.add("dateTime.ntp.server.1", server.ntp)
    zone = ZONES.get(server.timezone)
    if zone:
        draft.add("dateTime.timezone", zone.posix)
    if server.language in GRANDSTREAM_LANGUAGES:
        draft.add("language.gui", server.language)


def _sound(phone: Provisioned, draft: Draft) -> None:
    copy(draft, phone, {"ringer.volume": "audio.volume.ring"})
    _gains(draft, "handset", phone.sound.handset)
    _gains(draft, "headset", phone.sound.headset)


def _gains(draft: Draft, part: str, levels: Levels) -> None:
    for way, name, level in (("mic", "txGain", levels.mic), ("speaker", "rxGain", levels.speaker)):
        source = f"volume.{part}.{way}"
        if level in GAINS:
            draft.add(f"audio.{part}.{name}", GAINS[level], source)
        elif level is not None:
            draft.leave(source, "this phone has the levels 0, 1 and 2")


def _display(phone: Provisioned, draft: Draft) -> None:
    display = phone.display
    prefix = "lcd.backlight.brightness."
    if display.brightness is not None:
        draft.add(prefix + "active", 10 + round(display.brightness * 90 / 15), "displayBrightness")
    if display.brightness_idle is not None:
        draft.add(prefix + "idle", round(display.brightness_idle * 100 / 15), "displayBrightnessIdle")
    if display.background:
        draft.add("lcd.wallpaper.source", 1, "displayBackground")
        draft.add("lcd.wallpaper.serverPath", display.background, "displayBackground")


def _network(phone: Provisioned, draft: Draft) -> None:
    port = "network.port.eth.1."
    fixed = static_address(phone.network, draft)
    if fixed:
        draft.add(port + "type", "StaticIP", "network.dhcp")
        _octets(draft, port + "address", fixed.address, "network.ipAddress")
        _octets(draft, port + "mask", fixed.mask, "network.subnet")
        _octets(draft, port + "gateway", fixed.gateway, "network.gateway")
        _octets(draft, "network.dns.1.ip", fixed.dns1, "network.dns1")
        _octets(draft, "network.dns.2.ip", fixed.dns2, "network.dns2")
    if phone.network.vlan_id:
        draft.add(port + "vlan.enable", "Yes")
        draft.add(port + "vlan.tag", phone.network.vlan_id, "network.vlanId")
        draft.add(port + "vlan.priority", phone.network.vlan_priority, "network.vlanPriority")
    elif phone.network.leaves_vlan:
        draft.add(port + "vlan.enable", "No", "network.vlanId")


def _octets(draft: Draft, name: str, address: str | None, source: str) -> None:
    """Add an address in its four parts."""
    for number, octet in enumerate((address or "").split(".") if address else (), 1):
        draft.add(f"{name}.{number}", octet, source)


def _habits(phone: Provisioned, draft: Draft) -> None:
    if phone.call_waiting is not None:
        draft.add("call.callWaiting.enable", "Yes" if phone.call_waiting else "No", "callWaiting")
    if phone.blind_transfer is not None:
        mode = "BlindTransfer" if phone.blind_transfer else "AttendedTransfer"
        draft.add("call.transfer.modeViaVpk", mode, "softkeyBlfBlindTransfer")
    if phone.headset_button:
        toggles = phone.headset_button in ("speaker-headset", "headset-speaker")
        mode = "ToggleHeadsetOrSpeaker" if toggles else "DefaultMode"
        draft.add("audio.headset.keyMode", mode, "headsetButton")
    if phone.dhsg is not None:
        draft.add("audio.headset.type", "PlantronicsEHS" if phone.dhsg else "Normal", "dhsg")


def _keys(phone: Provisioned, draft: Draft) -> None:
    empty_before = False
    for key in functions(phone, KEYS, draft):
        if key.panel == PHONE:
            empty_before |= not key.name
            if key.name and empty_before:
                draft.warn(f"{key.source}: some firmware drops keys behind an empty one")
                empty_before = False
        _key(phone, draft, key)


def _key(phone: Provisioned, draft: Draft, key: Function) -> None:
    prefix = _key_prefix(phone, key)
    draft.add(prefix + "keyMode", KEYS.of[key.name] if key.name else "None", key.source)
    if not key.name:
        return
    draft.add(prefix + "account", 0, key.source)
    draft.add(prefix + "description", key.label, f"{key.source}.label")
    draft.add(prefix + "value", key.number, f"{key.source}.value")


def _key_prefix(phone: Provisioned, key: Function) -> str:
    if key.panel != PHONE:
        return f"pks.ext.{key.position - phone.softkeys + 1}."
    virtual = MULTIPURPOSE.get(phone.model)
    if virtual is not None and key.index >= virtual:
        return f"pks.mpk.{key.index - virtual + 1}."
    return f"pks.vpk.{key.index + 1}."
