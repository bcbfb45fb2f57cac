"""The settings of a phone that stand for themselves: one row each, to read, check, answer and document it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ...tables import SipPhoneModel
from .. import checks
from ..checks import Value, Wrong
from ..document import NOT_SENT
from ..fields import Field, JsonType
from . import ranges
from .draft import PhoneDraft
from .ranges import ModelCheck

HEADSET_BUTTONS: Final = ("speaker", "headset", "speaker-headset", "headset-speaker")
PAYMENT_OPTIONS: Final = ("NONE", "BOUGHT", "RENTED", "SELF_OWNED")
MAX_PANEL_COUNT: Final = 99


@dataclass(frozen=True, slots=True)
class PhoneField(Field):
    """One setting of a phone, which its model may limit or lack."""

    of_model: Callable[[SipPhoneModel], bool] | None = None
    """Whether the model has the setting; for one that lacks it, it is ignored."""
    by_model: ModelCheck | None = None
    """Where the model's ranges decide; such a setting is checked again when the model changes."""

    def checked(self, value: object, model: SipPhoneModel | None) -> Value | Wrong:
        """The value to store, or what is wrong with the one that was sent."""
        return self.check(value) if self.by_model is None else self.by_model(value, model)


def _ranged(path: str, column: str, type: JsonType, by_model: ModelCheck, about: str) -> PhoneField:
    return PhoneField(path, column, type, lambda value: by_model(value, None), about, by_model=by_model)


def _text(path: str, column: str, about: str, limit: int = 255) -> PhoneField:
    return PhoneField(path, column, "string", checks.text(f"{path} is not a valid text", limit), about)


def _flag(path: str, column: str, about: str, default: Value = False) -> PhoneField:
    return PhoneField(
        path, column, "boolean", checks.boolean(f"{path} must be true or false"), about, default
    )


def _number(path: str, column: str, low: int, high: int, about: str) -> PhoneField:
    message = f"{path} must be a number from {low} to {high}"
    return PhoneField(path, column, "integer", checks.integer(low, high, message), about)


def _level(part: str, way: str) -> PhoneField:
    message = f"{part.capitalize()} {'microphone' if way == 'mic' else way} level is invalid"
    check = ranges.level(f"{part}_{way}", message, message)
    about = f"{part.capitalize()} {way} level, inside the model's range"
    return _ranged(f"volume.{part}.{way}", f"vol_{part}_{way}", "integer", check, about)


def _has_panels(model: SipPhoneModel) -> bool:
    return model.max_side_panels > 0


def _has_softkeys(model: SipPhoneModel) -> bool:
    return model.softkeys > 0


_CLUSTER = "PBX cluster id not valid, only 1 or 2 is permitted"
_VOLUME = ("Ringer volume is invalid", "Ringer volume is outside the valid range")
_HEADSET = f"headsetButton must be one of {', '.join(HEADSET_BUTTONS)}"
_PAYMENT = f"purchaseInfo.paymentOption must be one of {', '.join(PAYMENT_OPTIONS)}"
_CONFIG = checks.text("customConfig is not a valid text", checks.CONFIG_TEXT, keep="\r\n\t")
_NOTES = checks.text("notes is not a valid text", checks.LONG_TEXT)
_PANEL_COUNT = f"sidePanelCount must be a number from 0 to {MAX_PANEL_COUNT}"

FIELDS: Final[tuple[PhoneField, ...]] = (
    PhoneField(
        "pbxCluster",
        "pbx_cluster",
        "integer",
        checks.integer(1, 2, _CLUSTER),
        "1 production, 2 development",
        1,
    ),
    _text("serial", "serial", "Serial number; some models need it"),
    _text("handsetAddress", "handset_address", "Id of the handset; needed where a model has several"),
    _flag("callWaiting", "call_waiting", "Call waiting"),
    PhoneField(
        "sidePanel",
        "side_panel",
        "string",
        checks.text("sidePanel is not a valid text"),
        "Model of the side panels",
        of_model=_has_panels,
    ),
    PhoneField(
        "sidePanelCount",
        "side_panel_count",
        "integer",
        checks.integer(0, MAX_PANEL_COUNT, _PANEL_COUNT),
        "How many side panels are attached",
        of_model=_has_panels,
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
    PhoneField(
        "headsetButton",
        "headset_button",
        "string",
        checks.one_of(HEADSET_BUTTONS, _HEADSET),
        "What the headset button does",
    ),
    _flag("dhsg", "dhsg", "A DHSG headset is in use"),
    _number("displayBrightness", "display_brightness", 0, 15, "Brightness of the display"),
    _number("displayBrightnessIdle", "display_brightness_idle", 0, 15, "Brightness when idle"),
    PhoneField(
        "displayBackground",
        "display_background",
        "string",
        checks.url("displayBackground must be a URL that begins with http: or https:"),
        "URL of a picture",
    ),
    PhoneField(
        "displayFontColor",
        "display_font_color",
        "string",
        checks.one_of(("LIGHT", "DARK"), "displayFontColor must be LIGHT or DARK"),
        "Colour of the font",
    ),
    _text("instanceId", "instance_id", "WebRTC instance that the phone belongs to"),
    PhoneField("customConfig", "custom_config", "string", _CONFIG, "Piece of configuration, put in as it is"),
    PhoneField("notes", "notes", "string", _NOTES, "Free text"),
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
    PhoneField(
        "network.vlanId",
        "vlan_id",
        "integer",
        checks.integer(0, 4094, "Vlan ID is invalid", as_text=True),
        "VLAN, 0 to 4094",
        default=0,
    ),
    PhoneField(
        "network.vlanPriority",
        "vlan_priority",
        "integer",
        checks.integer(0, 7, "Vlan priority is invalid", as_text=True),
        "VLAN priority, 0 to 7",
        default=0,
    ),
    _text("purchaseInfo.orderId", "purchase_order_id", "Order id; RESELLER and up"),
    PhoneField(
        "purchaseInfo.date",
        "purchase_date",
        "string",
        checks.moment("purchaseInfo.date is not a valid date"),
        "When the phone was bought; RESELLER and up",
    ),
    PhoneField(
        "purchaseInfo.paymentOption",
        "purchase_option",
        "string",
        checks.one_of(PAYMENT_OPTIONS, _PAYMENT),
        "How the phone is paid for; RESELLER and up",
    ),
)
"""In the order of the answers."""

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
"""What must be an object when it is sent."""


def read_fields(draft: PhoneDraft) -> None:
    """Check every setting that was sent and put it into the draft."""
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
