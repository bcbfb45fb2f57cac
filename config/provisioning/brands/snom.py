"""Snom desk phones, and the Gigaset P phones that speak the same language."""

from typing import Final

from ..draft import Draft, Unwritable, copy
from ..extra import extra_lines
from ..files import config_name
from ..keys import Function, Types, functions
from ..locales import SNOM_LANGUAGES, ZONES
from ..markup import FUNCTION_KEY, snom_xml
from ..view import Account, Provisioned
from ..wiring import host_port, static_address, warn_of_vlan

FIXED: Final = "R"
"""The user cannot change the setting."""
KEPT: Final = "!"
"""What the user changed stays."""

VOLUMES: Final = {
    "ringer.volume": "vol_ringer",
    "volume.handset.speaker": "vol_handset",
    "volume.headset.speaker": "vol_headset",
    "volume.handsfree.speaker": "vol_speaker",
    "volume.handset.mic": "vol_handset_mic",
    "volume.headset.mic": "vol_headset_mic",
    "volume.handsfree.mic": "vol_speaker_mic",
}
DISPLAY: Final = {"displayBrightness": "backlight", "displayBrightnessIdle": "backlight_idle"}
TONES: Final = 10
HEADSETS: Final = {
    "speaker": "none",
    "headset": "headset_rj",
    "speaker-headset": "none",
    "headset-speaker": "headset_rj",
}
KEYS: Final = Types(
    {
        "SPEEDDIAL": "speed",
        "BLF": "blf",
        "LINE": "line",
        "DND": "keyevent F_DND",
        "DNDOTHER": "speed",
        "ADDRESSBOOK": "keyevent F_ADR_BOOK",
        "REDIAL": "keyevent F_REDIAL",
        "VOICEMAIL": "speed",
        "TRANSFER": "keyevent F_TRANSFER",
        "URL": "url",
        "HOLD": "keyevent F_HOLD",
        "RECORD": "recorder",
        "MENU": "keyevent F_SETTINGS",
        "PICKUP": "speed",
        "PICKUPGROUP": "speed",
        "QUEUE": "blf",
        "SWITCH": "blf",
        "PRESENCE": "speed",
    }
)


def config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of a phone."""
    draft.add(
        "setting_server", phone.server.url + config_name(phone.writer, phone.mac, phone.model), perm=FIXED
    )
    account(phone, draft, "1", phone.account)
    _codecs(phone, draft)
    surroundings(phone, draft)
    _passwords(phone, draft)
    _sound(phone, draft)
    _display(phone, draft)
    network(phone, draft)
    _habits(phone, draft)
    _keys(phone, draft)
    return snom_xml(draft.pairs, extra_lines(phone))


def stub(url: str, mac: str) -> str:
    """Return a file that says only where to load from."""
    draft = Draft()
    draft.add("setting_server", url + "{mac}.xml", perm="RW")
    return snom_xml(draft.pairs)


def common(phone: Provisioned, name: str) -> str:
    """Return a file without an account."""
    return stub(phone.server.url, phone.mac)


def account(phone: Provisioned, draft: Draft, idx: str, one: Account) -> None:
    """Add a SIP account; idx is 1-based."""
    route = f"{host_port(phone.server.host, phone.server.port)};transport={phone.server.transport}"
    for name, value, source in (
        ("user_active", "on", ""),
        ("user_host", one.domain, ""),
        ("user_name", one.username, "username"),
        ("user_pname", one.username, "username"),
        ("user_pass", one.password, "password"),
        ("user_realname", one.display_name.strip(), "employee.name"),
        ("user_idle_text", one.number or one.display_name.strip(), "extension.number"),
        ("user_outbound", route, ""),
        ("user_expiry", str(phone.server.expires), ""),
    ):
        draft.add(name, value, source, idx=idx, perm=FIXED)


def surroundings(phone: Provisioned, draft: Draft) -> None:
    """Add time, language, and what makes the phone heed our NOTIFY."""
    server = phone.server
    if server.ntp:
        draft.add("ntp_server", server.ntp, perm=FIXED)
    zone = ZONES.get(server.timezone)
    if zone and zone.snom:
        draft.add("timezone", zone.snom, perm=FIXED)
        draft.add("tone_scheme", zone.tones or "GBR", perm=FIXED)
    language = SNOM_LANGUAGES.get(server.language)
    if language:
        draft.add("language", language, perm=KEPT)
        draft.add("web_language", language, perm=KEPT)
    draft.add("challenge_checksync", "off", perm=FIXED)
    draft.add("pnp_config", "off", perm=FIXED)
    draft.add("update_policy", "settings_only", perm=FIXED)


def network(phone: Provisioned, draft: Draft) -> None:
    """Add a fixed address and a VLAN, if they are complete."""
    fixed = static_address(phone.network, draft)
    if fixed:
        draft.add("dhcp", "off", "network.dhcp", perm=FIXED)
        draft.add("ip_adr", fixed.address or "", "network.ipAddress", perm=FIXED)
        draft.add("netmask", fixed.mask or "", "network.subnet", perm=FIXED)
        draft.add("gateway", fixed.gateway or "", "network.gateway", perm=FIXED)
        draft.add("dns_server1", fixed.dns1 or "", "network.dns1", perm=FIXED)
        draft.add("dns_server2", fixed.dns2 or "", "network.dns2", perm=FIXED)
    if phone.network.vlan_id:
        draft.add("vlan_id", phone.network.vlan_id, "network.vlanId", perm=FIXED)
        draft.add("vlan_qos", phone.network.vlan_priority, "network.vlanPriority", perm=FIXED)
    warn_of_vlan(phone.network, draft)


def _codecs(phone: Provisioned, draft: Draft) -> None:
    wide = "" if not phone.hd_audio else "g722,"
    draft.add("codec_priority_list", f"{wide}pcma,pcmu,telephone-event", "codec.hdAudio", idx="1", perm=FIXED)


def _passwords(phone: Provisioned, draft: Draft) -> None:
    password = phone.admin_password
    if not password:
        return
    draft.add("admin_mode_password", password, perm=FIXED)
    draft.add("admin_mode_password_confirm", password, perm=FIXED)
    new = phone.writer == "snom8"
    draft.add("webserver_admin_name" if new else "http_user", "admin", perm=FIXED)
    draft.add("webserver_admin_password" if new else "http_pass", password, perm=FIXED)


def _sound(phone: Provisioned, draft: Draft) -> None:
    copy(draft, phone, VOLUMES, perm=KEPT)
    tone = phone.sound.ringer_tone
    if tone is None:
        return
    if tone.isascii() and tone.isdigit() and int(tone) < TONES:
        draft.add("user_ringer", f"Ringer{int(tone) + 1}", "ringer.tone", idx="1", perm=KEPT)
    else:
        draft.leave("ringer.tone", "this phone has tones 0 to 9; custom tones are not stored yet")


def _display(phone: Provisioned, draft: Draft) -> None:
    copy(draft, phone, DISPLAY, perm=KEPT)
    if phone.display.background:
        draft.add("custom_bg_image_url", phone.display.background, "displayBackground", perm=FIXED)


def _habits(phone: Provisioned, draft: Draft) -> None:
    if phone.call_waiting is not None:
        draft.add("call_waiting", "on" if phone.call_waiting else "off", "callWaiting", idx="1", perm=KEPT)
    if phone.blind_transfer is not None:
        transfer = "blind" if phone.blind_transfer else "attended"
        draft.add("quick_transfer", transfer, "softkeyBlfBlindTransfer", perm=FIXED)
    if phone.headset_button:
        draft.add("headset_device", HEADSETS[phone.headset_button], "headsetButton", perm=KEPT)
    if phone.dhsg:
        draft.leave("dhsg", "this phone finds a DHSG adapter by itself")


def _keys(phone: Provisioned, draft: Draft) -> None:
    for key in functions(phone, KEYS, draft):
        draft.add(
            FUNCTION_KEY,
            _action(key, phone.account.domain),
            key.source,
            idx=str(key.position),
            context="1",
            label=key.label,
            lp="on",
            perm=FIXED,
        )


def _action(key: Function, domain: str) -> str:
    """Return the text of a function key; `|` in it would begin another part."""
    if not key.name:
        return "none"
    kind = KEYS.of[key.name]
    if "|" in key.number or " " in key.number:
        raise Unwritable(f"{key.source}.value", "neither | nor a blank can be in a key of this phone")
    if kind == "blf":
        pickup = f"|{key.pickup}" if key.pickup else ""
        return f"blf sip:{key.number}@{domain};user=phone{pickup}"
    return f"{kind} {key.number}".strip() if not kind.startswith("keyevent") else kind
