"""Which settings of a phone each field of the API changes, and how its values are scaled."""

from dataclasses import replace
from typing import Final

import pytest

from config.provisioning.draft import SETTINGS
from config.provisioning.files import config_name
from config.provisioning.render import EXPERIMENTAL, WRITERS, render
from config.provisioning.view import Display, Levels, Network, Provisioned, Sound, masked
from tests.config.provisioning import phones
from tests.config.provisioning.parsers import PARSERS, Setting
from tests.every import every


def parsed(phone: Provisioned) -> set[Setting]:
    return set(PARSERS[phone.writer](render(phone, config_name(phone.writer, phone.mac, phone.model)).text))


def changed(writer: str, before: Provisioned | None = None, **fields: object) -> set[Setting]:
    """Return the settings that are new after a change of these fields."""
    phone = before or replace(phones.empty(writer), softkeys=1)
    return parsed(replace(phone, **fields)) - parsed(phone)  # type: ignore[arg-type]  # fields by name


BRIGHTNESS: Final = {
    "snom": {0: "0", 7: "7", 15: "15"},
    "mitel": {0: "1", 7: "3", 15: "5"},
    "yealink": {0: "1", 7: "5", 15: "10"},
    "grandstream": {0: "10", 7: "52", 15: "100"},
    "mpp": {0: "0", 7: "7", 15: "15"},
}
IDLE: Final = {
    "snom": {0: "0", 7: "7", 15: "15"},
    "mitel": {0: "0", 7: "2", 15: "4"},
    "yealink": {0: "0", 7: "1", 15: "1"},
    "grandstream": {0: "0", 7: "47", 15: "100"},
}


@every(("writer", "level"), [(writer, level) for writer in BRIGHTNESS for level in (0, 7, 15)])
def test_brightness_is_scaled_to_the_phone(writer: str, level: int) -> None:
    found = changed(writer, display=Display(brightness=level))
    assert [value for _, value in found] == [BRIGHTNESS[writer][level]]


@every(("writer", "level"), [(writer, level) for writer in IDLE for level in (0, 7, 15)])
def test_idle_brightness_is_scaled_to_the_phone(writer: str, level: int) -> None:
    found = changed(writer, display=Display(brightness_idle=level))
    assert [value for _, value in found] == [IDLE[writer][level]]


@every(
    ("writer", "button", "expected"),
    [
        *(
            ("mitel", button, {("audio mode", str(mode))})
            for mode, button in enumerate(("speaker", "headset", "speaker-headset", "headset-speaker"))
        ),
        ("yealink", "headset", {("features.headset_prior", "1")}),
        ("yealink", "speaker", {("features.headset_prior", "0")}),
        ("grandstream", "speaker", {("audio.headset.keyMode", "DefaultMode")}),
        ("grandstream", "headset-speaker", {("audio.headset.keyMode", "ToggleHeadsetOrSpeaker")}),
        ("snom", "headset", {("headset_device perm=!", "headset_rj")}),
    ],
)
def test_the_headset_button(writer: str, button: str, expected: set[Setting]) -> None:
    assert changed(writer, headset_button=button) == expected


@pytest.mark.parametrize(("color", "word"), [("LIGHT", "white"), ("DARK", "black")])
def test_the_font_colour_is_one_of_mitel(color: str, word: str) -> None:
    assert changed("mitel", display=Display(font_color=color)) == {("idle screen font color", word)}
    assert not changed("snom", display=Display(font_color=color))


@pytest.mark.parametrize(
    ("writer", "name", "blind", "attended"),
    [
        ("snom", "quick_transfer perm=R", "blind", "attended"),
        ("yealink", "transfer.dsskey_deal_type", "2", "1"),
        ("grandstream", "call.transfer.modeViaVpk", "BlindTransfer", "AttendedTransfer"),
        ("spa", "Blind_Attn-Xfer_Enable_1_ ua=na", "Yes", "No"),
    ],
)
def test_the_transfer_of_a_lamp_key(writer: str, name: str, blind: str, attended: str) -> None:
    assert changed(writer, blind_transfer=True) == {(name, blind)}
    assert changed(writer, blind_transfer=False) == {(name, attended)}


VOLUMES: Final = {
    "snom": ("vol_ringer", "vol_handset", "vol_headset", "vol_speaker", "vol_handset_mic"),
    "mitel": ("ringer volume", "handset volume", "headset volume", "speaker volume", "handset tx gain"),
    "yealink": (
        "voice.ring_vol",
        "voice.handset.spk_vol",
        "voice.headset.spk_vol",
        "voice.handfree.spk_vol",
        "voice.handset_send",
    ),
    "spa": ("Ringer_Volume", "Handset_Volume", "Headset_Volume", "Speaker_Volume", "Handset_Input_Gain"),
}


@pytest.mark.parametrize("writer", VOLUMES)
def test_volumes_are_in_the_units_of_the_vendor(writer: str) -> None:
    sound = Sound(3, None, Levels(-4, 5), Levels(None, 6), Levels(None, 7))
    found = {
        name.partition(" perm")[0].partition(" ua")[0]: value for name, value in changed(writer, sound=sound)
    }
    assert found == dict(zip(VOLUMES[writer], ("3", "5", "6", "7", "-4"), strict=True))


def test_a_grandstream_has_three_levels() -> None:
    assert changed("grandstream", sound=Sound(handset=Levels(0, 2))) == {
        ("audio.handset.txGain", "1"),
        ("audio.handset.rxGain", "2"),
    }
    assert not changed("grandstream", sound=Sound(headset=Levels(3, None)))


@every(
    ("writer", "tone", "expected"),
    [
        ("snom", "0", {("user_ringer idx=1 perm=!", "Ringer1")}),
        ("snom", "9", {("user_ringer idx=1 perm=!", "Ringer10")}),
        ("snom", "10", set()),
        ("mitel", "15", {("ring tone", "15")}),
        ("yealink", "0", {("phone_setting.ring_type", "Ring1.wav")}),
        ("yealink", "123456789012345678901234", set()),
        ("spa", "4", {("Default_Ring_1_ ua=rw", "5")}),
        ("maxwell", "2", {("SIP.DefaultRingtone", "03_Vibe.mp3")}),
    ],
)
def test_tones(writer: str, tone: str, expected: set[Setting]) -> None:
    assert changed(writer, sound=Sound(ringer_tone=tone)) == expected


@pytest.mark.parametrize(
    ("writer", "name"),
    [
        ("snom", "vlan_id perm=R"),
        ("mitel", "vlan id"),
        ("yealink", "static.network.vlan.internet_port_vid"),
        ("grandstream", "network.port.eth.1.vlan.tag"),
        ("spa", "VLAN_ID ua=na"),
        ("maxwell", "NET.VLAN.LAN.Identifier"),
    ],
)
def test_a_vlan_is_written(writer: str, name: str) -> None:
    assert (name, "12") in changed(writer, network=Network(vlan_id=12, vlan_priority=3))


@every("writer", WRITERS)
def test_hd_audio_off_leaves_g722_out(writer: str) -> None:
    phone = replace(phones.full(writer), hd_audio=True)
    wide, narrow = parsed(phone), parsed(replace(phone, hd_audio=False))
    assert writer in ("gigaset-nx70", "maxwell", "lg") or wide - narrow


@every("writer", WRITERS)
def test_each_setting_is_written_or_left_out_with_a_reason(writer: str) -> None:
    phone = phones.full(writer)
    file = render(phone, config_name(writer, phone.mac, phone.model))
    empty = phones.empty(writer)
    for field, value in SETTINGS.items():
        assert value(phone) is not None, field
        assert value(empty) is None, field
    left = [one.field for one in file.left_out]
    assert len(left) == len(set(left)) or writer in phones.BASES
    assert "codec.video" in left


@pytest.mark.parametrize("writer", ["snom-dect", "yealink-dect", "gigaset-n510", "gigaset-nx70", "spa"])
def test_one_file_has_all_handsets_and_gaps_are_inactive(writer: str) -> None:
    phone = replace(phones.full("snom-dect"), writer=writer, model=phones.MODELS[writer][1], extra="")
    text = render(phone, config_name(writer, phone.mac, phone.model)).text
    assert "2yu9hjfy" in text
    assert "iuhdwg9e" in text
    found = PARSERS[writer](text)
    inactive = {
        "snom-dect": [("user_active idx=2", "off"), ("user_active idx=4", "off")],
        "yealink-dect": [("account.2.enable", "0"), ("account.4.enable", "0")],
        "gigaset-n510": [
            ("BS_IP_Data1.ucB_SIP_ACCOUNT_IS_ACTIVE_2", "0x0"),
            ("BS_IP_Data1.ucB_SIP_ACCOUNT_IS_ACTIVE_4", "0x0"),
        ],
        "gigaset-nx70": [("oper DeleteNotProvisionedHS", ""), ("oper add_hs", "00003")],
        "spa": [("Line_Enable_2_ ua=na", "No"), ("Line_Enable_4_ ua=na", "No")],
    }
    assert set(inactive[writer]) <= set(found)


@every("writer", WRITERS)
def test_a_masked_phone_has_no_secret(writer: str) -> None:
    phone = phones.full(writer)
    text = render(masked(phone), config_name(writer, phone.mac, phone.model)).text
    for secret in ("g9ewhufg", "whufghui", "4711", "steadysecret"):
        assert secret not in text
    assert "********" in text


@every("writer", WRITERS)
def test_a_phone_with_one_account_is_warned_of(writer: str) -> None:
    phone = replace(phones.empty(writer), handsets=phones.handsets("snom-dect"))
    file = render(phone, config_name(writer, phone.mac, phone.model))
    warned = [text for text in file.warnings if text.startswith("Several phones")]
    assert bool(warned) == ("iuhdwg9e" not in file.text)


def test_the_experimental_writers() -> None:
    assert set(WRITERS) >= EXPERIMENTAL
    assert "lg" in EXPERIMENTAL


@every("writer", WRITERS)
def test_no_secret_is_in_a_representation(writer: str) -> None:
    shown = repr(phones.full(writer))
    assert not [secret for secret in ("g9ewhufg", "4711", "steadysecret") if secret in shown]
