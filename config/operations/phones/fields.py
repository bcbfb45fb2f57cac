"""Settings that depend on no other setting: one row each to read, check, show and document them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ...tables import SHORT_TEXT, SipPhoneModel
from .. import checks
from ..checks import Value, Wrong
from ..document import NOT_SENT
from ..fields import Field, JsonType
from . import ranges
from .draft import PhoneDraft
from .ranges import ModelCheck

HEADSET_BUTTONS: Final = ("speaker", "headset", "speaker-headset", "headset-speaker")
FONT_COLORS: Final = ("LIGHT", "DARK")
PAYMENT_OPTIONS: Final = ("NONE", "BOUGHT", "RENTED", "SELF_OWNED")


@dataclass(frozen=True, slots=True)
class PhoneField(Field):
    """One setting of a phone; the phone's model may limit it or lack it."""

    of_model: Callable[[SipPhoneModel], bool] | None = None
    """Return whether the model has the setting; if it lacks the setting, the value sent is ignored."""
    by_model: ModelCheck | None = None
    """The check against the model's ranges; the setting is checked again if the model changes."""

    def checked(self, value: object, model: SipPhoneModel | None) -> Value | Wrong:
        """Return the value to store, or the error of the value that was sent."""
        return self.check(value) if self.by_model is None else self.by_model(value, model)


def _ranged(path: str, column: str, type: JsonType, by_model: ModelCheck, about: str) -> PhoneField:
    return PhoneField(path, column, type, lambda value: by_model(value, None), about, by_model=by_model)


def _text(path: str, column: str, about: str, limit: int = SHORT_TEXT, keep: str = "") -> PhoneField:
    check = checks.text(f"{path} is not a valid text", limit, keep)
    return PhoneField(path, column, "string", check, about, limits={"maxLength": limit})


def _flag(path: str, column: str, about: str, default: Value = False) -> PhoneField:
    return PhoneField(
        path, column, "boolean", checks.boolean(f"{path} must be true or false"), about, default
    )


def _number(path: str, column: str, low: int, high: int, about: str) -> PhoneField:
    message = f"{path} must be a number from {low} to {high}"
    check = checks.integer(low, high, message)
    return PhoneField(path, column, "integer", check, about, limits={"minimum": low, "maximum": high})


def _word(path: str, column: str, options: tuple[str, ...], about: str) -> PhoneField:
    check = checks.one_of(options, f"{path} must be one of {', '.join(options)}")
    return PhoneField(path, column, "string", check, about, limits={"enum": list(options)})


def _vlan(path: str, column: str, high: int, message: str, about: str) -> PhoneField:
    check = checks.integer(0, high, message, as_text=True)
    return PhoneField(
        path, column, "integer", check, about, default=0, limits={"minimum": 0, "maximum": high}
    )


def _level(part: str, way: str) -> PhoneField:
    message = f"{part.capitalize()} {'microphone' if way == 'mic' else way} level is invalid"
    check = ranges.level(f"{part}_{way}", message, message)
    about = f"{part.capitalize()} {way} level, inside the model's range"
    return _ranged(f"volume.{part}.{way}", f"vol_{part}_{way}", "integer", check, about)


def _has_panels(model: SipPhoneModel) -> bool:
    return model.max_side_panels > 0


def _has_handsets(model: SipPhoneModel) -> bool:
    return model.multiple_handsets


def _has_softkeys(model: SipPhoneModel) -> bool:
    return model.softkeys > 0


_CLUSTER = "PBX cluster id not valid, only 1 or 2 is permitted"
_VOLUME = ("Ringer volume is invalid", "Ringer volume is outside the valid range")

FIELDS: Final[tuple[PhoneField, ...]] = (
    PhoneField(
        "pbxCluster",
        "pbx_cluster",
        "integer",
        checks.integer(1, 2, _CLUSTER),
        "1 production, 2 development",
        1,
        limits={"minimum": 1, "maximum": 2},
    ),
    _text("serial", "serial", "Serial number; some models need it"),
    PhoneField(
        "handsetAddress",
        "handset_address",
        "string",
        checks.text("handsetAddress is not a valid text"),
        "Id of the handset; needed where a model has several, and null where it has not",
        of_model=_has_handsets,
        limits={"maxLength": SHORT_TEXT},
    ),
    _flag("callWaiting", "call_waiting", "Call waiting"),
    PhoneField(
        "sidePanel",
        "side_panel",
        "string",
        checks.text("sidePanel is not a valid text"),
        "Model of the side panels",
        of_model=_has_panels,
        limits={"maxLength": SHORT_TEXT},
    ),
    _ranged(
        "sidePanelCount",
        "side_panel_count",
        "integer",
        ranges.panel_count("sidePanelCount must be a number from 0 to what the model has room for"),
        "How many side panels are attached",
    ),
    PhoneField(
        "softkeyConfigurationOnDevice",
        "softkey_configuration_on_device",
        "boolean",
        checks.boolean("softkeyConfigurationOnDevice must be true or false"),
        "true: keys per device, false: keys per user",
        default=False,
        of_model=_has_softkeys,
    ),
    PhoneField(
        "softkeyBlfBlindTransfer",
        "softkey_blf_blind_transfer",
        "boolean",
        checks.boolean("softkeyBlfBlindTransfer must be true or false"),
        "true: a BLF key transfers blindly, false: attended",
        default=False,
        of_model=_has_softkeys,
    ),
    _word("headsetButton", "headset_button", HEADSET_BUTTONS, "What the headset button does"),
    _flag("dhsg", "dhsg", "A DHSG headset is in use"),
    _number("displayBrightness", "display_brightness", 0, 15, "Brightness of the display"),
    _number("displayBrightnessIdle", "display_brightness_idle", 0, 15, "Brightness when idle"),
    PhoneField(
        "displayBackground",
        "display_background",
        "string",
        checks.url("displayBackground must be a URL that begins with http: or https:"),
        "URL of a picture",
        limits={"maxLength": checks.MAX_URL},
    ),
    _word("displayFontColor", "display_font_color", FONT_COLORS, "Colour of the font"),
    _text("instanceId", "instance_id", "WebRTC instance that the phone belongs to"),
    PhoneField(
        "customConfig",
        "custom_config",
        "string",
        checks.text("customConfig is not a valid text", checks.CONFIG_TEXT, keep="\r\n\t"),
        "Piece of configuration, put in as it is",
        limits={"maxLength": checks.CONFIG_TEXT},
    ),
    _text("notes", "notes", "Free text, with line breaks", checks.LONG_TEXT, keep="\r\n\t"),
    _ranged(
        "ringer.volume",
        "ringer_volume",
        "integer",
        ranges.level("ringer_volume", *_VOLUME),
        "Volume, inside the model's range",
    ),
    _ranged(
        "ringer.tone",
        "ringer_tone",
        "string",
        ranges.ringtone("Ringtone is outside the valid range"),
        "Index of a built-in tone, or id of a custom one",
    ),
    *(_level(part, way) for part in ("handset", "headset", "handsfree") for way in ("mic", "speaker")),
    _flag("codec.hdAudio", "codec_hd", "HD audio codecs allowed", default=True),
    _flag("codec.video", "codec_video", "Video codecs allowed"),
    _vlan("network.vlanId", "vlan_id", 4094, "Vlan ID is invalid", "VLAN, 0 to 4094"),
    _vlan("network.vlanPriority", "vlan_priority", 7, "Vlan priority is invalid", "VLAN priority, 0 to 7"),
    _text("purchaseInfo.orderId", "purchase_order_id", "Order id; RESELLER and up"),
    PhoneField(
        "purchaseInfo.date",
        "purchase_date",
        "string",
        checks.moment("purchaseInfo.date is not a valid date"),
        "When the phone was bought; RESELLER and up",
        limits={"format": "date-time"},
    ),
    _word(
        "purchaseInfo.paymentOption",
        "purchase_option",
        PAYMENT_OPTIONS,
        "How the phone is paid for; RESELLER and up",
    ),
)
"""The settings in the order of the answers."""

GROUPS: Final = (
    "ip",
    "ringer",
    "volume",
    "volume.handset",
    "volume.headset",
    "volume.handsfree",
    "codec",
    "network",
    "purchaseInfo",
)
"""Properties that must be objects when they are sent."""


def read_fields(draft: PhoneDraft) -> None:
    """Check every setting that was sent, and put its value or its problem into the draft."""
    for group in draft.document.misshapen(GROUPS):
        draft.wrong(group, f"{group} must be an object")
    for field in FIELDS:
        _read(field, draft)
    if draft.model and draft.model.requires_serial and not draft.column("serial"):
        draft.wrong("serial", "Serial number is missing", check="required")


def _read(field: PhoneField, draft: PhoneDraft) -> None:
    value = draft.sent(field.path)
    if value is None or (value == "" and field.type == "string"):
        value = NOT_SENT if field.default is not None else None
    if value is NOT_SENT and draft.stored and draft.model_changed and (field.by_model or field.of_model):
        value = draft.column(field.column)  # a new model may lack what the old one had
    if value is NOT_SENT:
        if draft.stored is None:
            draft.values[field.column] = field.default
        return
    _store(field, value, draft)


def _store(field: PhoneField, value: object, draft: PhoneDraft) -> None:
    checked = None if value is None else field.checked(value, draft.model)
    if isinstance(checked, Wrong):
        draft.wrong(field.path, checked.message, check=checked.check)
        return
    lacking = field.of_model is not None and draft.model is not None and not field.of_model(draft.model)
    draft.values[field.column] = field.default if lacking else checked
