"""Yealink desk phones: lines `name = value`."""

from typing import Final

from ..draft import Draft, Pair, copy
from ..extra import extra_lines
from ..files import config_name
from ..keys import Function, Types, functions
from ..locales import YEALINK_LANGUAGES, ZONES
from ..syntax import equals
from ..view import PHONE, Account, Provisioned
from ..wiring import static_address

HEAD: Final = "#!version:1.0.0.1\n"
TRANSPORTS: Final = {"udp": 0, "tcp": 1, "tls": 2}
VOLUMES: Final = {
    "ringer.volume": "voice.ring_vol",
    "volume.handset.speaker": "voice.handset.spk_vol",
    "volume.headset.speaker": "voice.headset.spk_vol",
    "volume.handsfree.speaker": "voice.handfree.spk_vol",
    "volume.handset.mic": "voice.handset_send",
    "volume.headset.mic": "voice.headset_send",
    "volume.handsfree.mic": "voice.handfree_send",
}
TONES: Final = 10
WIDE: Final = ("g722", "opus")
NARROW: Final = ("pcma", "pcmu")
KEYS: Final = Types(
    {
        "SPEEDDIAL": "13",
        "BLF": "16",
        "LINE": "15",
        "DND": "5",
        "DNDOTHER": "13",
        "ADDRESSBOOK": "29",
        "REDIAL": "6",
        "VOICEMAIL": "12",
        "TRANSFER": "3",
        "URL": "17",
        "HOLD": "4",
        "RECORD": "25",
        "PICKUP": "13",
        "PICKUPGROUP": "13",
        "QUEUE": "16",
        "SWITCH": "16",
        "PRESENCE": "13",
    }
)
"""MENU (30) is for programmable keys alone. PICKUP and PICKUPGROUP dial their code, as a speed dial does."""


def config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of a phone."""
    provisioning(phone, draft)
    account(phone, draft, 1, phone.account)
    codecs(phone, draft, 1)
    surroundings(phone, draft)
    _sound(phone, draft)
    _display(phone, draft)
    network(phone, draft)
    _habits(phone, draft)
    for key in functions(phone, KEYS, draft):
        _key(draft, key)
    return HEAD + equals(draft.pairs) + extra_lines(phone)


def stub(url: str, mac: str) -> str:
    """Return a file that says only where to load from."""
    return HEAD + equals([Pair("static.auto_provision.server.url", url)])


def common(phone: Provisioned, name: str) -> str:
    """Return the boot file, which names the configuration."""
    config_file = config_name(phone.writer, phone.mac, phone.model)
    return f'{HEAD}include:config "{config_file}"\noverwrite_mode = 1\n'


def provisioning(phone: Provisioned, draft: Draft) -> None:
    """Add where the phone loads from next, whom it trusts, and that it heeds our NOTIFY."""
    draft.add("static.auto_provision.server.url", phone.server.url)
    draft.add("static.auto_provision.power_on", 1)
    draft.add("static.auto_provision.pnp_enable", 0)
    draft.add("static.auto_provision.custom.protect", 1)
    draft.add("sip.notify_reboot_enable", 0)
    if phone.server.ca_url:
        draft.add("static.trusted_certificates.url", phone.server.ca_url)
        draft.add("static.security.ca_cert", 2)
    if phone.admin_password:
        draft.add("static.security.user_password", f"admin:{phone.admin_password}")


def account(phone: Provisioned, draft: Draft, line: int, one: Account) -> None:
    """Add a SIP account; lines are 1-based."""
    server = phone.server
    for name, value, source in (
        ("enable", "1", ""),
        ("label", one.number or one.display_name.strip(), "extension.number"),
        ("display_name", one.display_name.strip(), "employee.name"),
        ("user_name", one.username, "username"),
        ("auth_name", one.username, "username"),
        ("password", one.password, "password"),
        ("sip_server.1.address", one.domain, ""),
        ("sip_server.1.port", str(server.port), ""),
        ("sip_server.1.transport_type", str(TRANSPORTS[server.transport]), ""),
        ("sip_server.1.expires", str(server.expires), ""),
        ("outbound_proxy_enable", "1", ""),
        ("outbound_proxy.1.address", server.host, ""),
        ("outbound_proxy.1.port", str(server.port), ""),
    ):
        draft.add(f"account.{line}.{name}", value, source)


def codecs(phone: Provisioned, draft: Draft, line: int) -> None:
    """Add which codecs an account has."""
    for codec in NARROW:
        draft.add(f"account.{line}.codec.{codec}.enable", 1)
    for codec in WIDE:
        draft.add(f"account.{line}.codec.{codec}.enable", int(phone.hd_audio), "codec.hdAudio")


def surroundings(phone: Provisioned, draft: Draft) -> None:
    """Add time, language and tones."""
    server = phone.server
    if server.ntp:
        draft.add("local_time.ntp_server1", server.ntp)
    zone = ZONES.get(server.timezone)
    if zone:
        draft.add("local_time.time_zone", f"{zone.hours:+d}" if zone.hours else "0")
        draft.add("local_time.summer_time", 2 if zone.summer else 0)
        if zone.yealink:
            draft.add("local_time.time_zone_name", zone.yealink)
        if zone.country:
            draft.add("voice.tone.country", zone.country)
    language = YEALINK_LANGUAGES.get(server.language)
    if language:
        draft.add("lang.gui", language)
        draft.add("lang.wui", language)


def network(phone: Provisioned, draft: Draft) -> None:
    """Add a fixed address and a VLAN, if they are complete."""
    prefix = "static.network.internet_port."
    fixed = static_address(phone.network, draft)
    if fixed:
        draft.add(prefix + "type", 2, "network.dhcp")
        draft.add(prefix + "ip", fixed.address or "", "network.ipAddress")
        draft.add(prefix + "mask", fixed.mask or "", "network.subnet")
        draft.add(prefix + "gateway", fixed.gateway or "", "network.gateway")
        draft.add("static.network.static_dns_enable", 1)
        draft.add("static.network.primary_dns", fixed.dns1 or "", "network.dns1")
        draft.add("static.network.secondary_dns", fixed.dns2 or "", "network.dns2")
    vlan = "static.network.vlan.internet_port_"
    if phone.network.vlan_id:
        draft.add(vlan + "enable", 1)
        draft.add(vlan + "vid", phone.network.vlan_id, "network.vlanId")
        draft.add(vlan + "priority", phone.network.vlan_priority, "network.vlanPriority")
    elif phone.network.leaves_vlan:
        draft.add(vlan + "enable", 0, "network.vlanId")


def _sound(phone: Provisioned, draft: Draft) -> None:
    copy(draft, phone, VOLUMES)
    tone = phone.sound.ringer_tone
    if tone is None:
        return
    if tone.isascii() and tone.isdigit() and int(tone) < TONES:
        draft.add("phone_setting.ring_type", f"Ring{int(tone) + 1}.wav", "ringer.tone")
    else:
        draft.leave("ringer.tone", "this phone has tones 0 to 9; custom tones are not stored yet")


def _display(phone: Provisioned, draft: Draft) -> None:
    display = phone.display
    if display.brightness is not None:
        level = 1 + round(display.brightness * 9 / 15)
        draft.add("phone_setting.active_backlight_level", level, "displayBrightness")
    if display.brightness_idle is not None:
        level = int(display.brightness_idle > 0)
        draft.add("phone_setting.inactive_backlight_level", level, "displayBrightnessIdle")
    if display.background:
        draft.add("wallpaper_upload.url", display.background, "displayBackground")
        name = display.background.partition("?")[0].rpartition("/")[2]
        draft.add("phone_setting.backgrounds", f"Config:{name}", "displayBackground")


def _habits(phone: Provisioned, draft: Draft) -> None:
    if phone.call_waiting is not None:
        draft.add("call_waiting.enable", int(phone.call_waiting), "callWaiting")
    if phone.blind_transfer is not None:
        draft.add("transfer.dsskey_deal_type", 2 if phone.blind_transfer else 1, "softkeyBlfBlindTransfer")
    if phone.headset_button:
        prior = int(phone.headset_button.startswith("headset"))
        draft.add("features.headset_prior", prior, "headsetButton")
    if phone.dhsg:
        draft.leave("dhsg", "this phone finds a DHSG adapter by itself")


def _key(draft: Draft, key: Function) -> None:
    if key.panel == PHONE:
        prefix = f"linekey.{key.index + 1}."
    else:
        prefix = f"expansion_module.{key.panel}.key.{key.index + 1}."
    draft.add(prefix + "type", KEYS.of[key.name] if key.name else 0, key.source)
    if not key.name:
        return
    draft.add(prefix + "line", 1, key.source)
    draft.add(prefix + "value", key.number, f"{key.source}.value")
    draft.add(prefix + "label", key.label, f"{key.source}.label")
    draft.add(prefix + "extension", key.pickup, key.source)
