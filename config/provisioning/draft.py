"""What a brand says of a phone: settings in order, what is left out, and warnings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from .view import Levels, Provisioned

LACKING: Final = "this phone has no such setting"


class Unwritable(Exception):
    """A value that the format of the phone cannot carry: no file is better than a broken one."""

    def __init__(self, field: str, reason: str) -> None:
        """Take the name of the property as the API has it, and what is wrong with its value."""
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Pair:
    """One setting of a phone: its name, its value, and where the value comes from."""

    name: str
    value: str
    source: str = ""
    """The property of the API that the value comes from; empty: it is from the installation."""
    attributes: tuple[tuple[str, str], ...] = ()
    """What a syntax adds to a name: `idx` and `perm` of Snom, `ua` of Cisco."""
    raw: bool = False
    """Whether the value has macros of the phone that this code wrote, such as `$MA`, or is a number."""

    @property
    def subject(self) -> str:
        """Return how an error message names this setting."""
        return self.source or self.name


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A property that was not written, and why."""

    field: str
    """The property of the API, such as `softkeys[3]`."""
    reason: str


@dataclass(slots=True)
class Draft:
    """Collects what a brand writes. Names and values only: a syntax makes them text."""

    pairs: list[Pair] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, name: str, value: str | int, source: str = "", /, **attributes: str) -> None:
        """Add one setting."""
        self.pairs.append(Pair(name, str(value), source, tuple(attributes.items())))

    def add_raw(self, name: str, value: str, source: str = "", /, **attributes: str) -> None:
        """Add a setting whose value has macros of the phone, or is a number where others are texts."""
        self.pairs.append(Pair(name, value, source, tuple(attributes.items()), raw=True))

    def leave(self, source: str, reason: str) -> None:
        """Note that a property of the API is not written."""
        self.left_out.append(LeftOut(source, reason))

    def warn(self, text: str) -> None:
        """Note what a person should know of the file."""
        self.warnings.append(text)


def _level(part: str, way: str) -> Callable[[Provisioned], object]:
    def read(phone: Provisioned) -> object:
        levels: Levels = getattr(phone.sound, part)
        return getattr(levels, way)

    return read


SETTINGS: Final[Mapping[str, Callable[[Provisioned], object]]] = {
    "callWaiting": lambda phone: phone.call_waiting,
    "softkeyBlfBlindTransfer": lambda phone: phone.blind_transfer or None,
    "headsetButton": lambda phone: phone.headset_button,
    "dhsg": lambda phone: phone.dhsg or None,
    "displayBrightness": lambda phone: phone.display.brightness,
    "displayBrightnessIdle": lambda phone: phone.display.brightness_idle,
    "displayBackground": lambda phone: phone.display.background,
    "displayFontColor": lambda phone: phone.display.font_color,
    "ringer.volume": lambda phone: phone.sound.ringer_volume,
    "ringer.tone": lambda phone: phone.sound.ringer_tone,
    "codec.hdAudio": lambda phone: None if phone.hd_audio else False,
    "codec.video": lambda phone: phone.video or None,
    "network.dhcp": lambda phone: None if phone.network.dhcp else False,
    "network.vlanId": lambda phone: phone.network.vlan_id or None,
    **{
        f"volume.{part}.{way}": _level(part, way)
        for part in ("handset", "headset", "handsfree")
        for way in ("mic", "speaker")
    },
}
"""Each setting of the API that a brand may lack -> its value, None if it says what a phone does anyway."""


def copy(draft: Draft, phone: Provisioned, names: Mapping[str, str], **attributes: str) -> None:
    """Add the settings whose value is written as it is: property of the API -> name of the phone."""
    for source, name in names.items():
        value = SETTINGS[source](phone)
        if value is not None:
            draft.add(name, str(value), source, **attributes)


def leave_the_rest(draft: Draft, phone: Provisioned) -> None:
    """Note each setting that has a value, and that the brand neither wrote nor left out itself."""
    known = {pair.source for pair in draft.pairs} | {one.field for one in draft.left_out}
    for source, value in SETTINGS.items():
        if source not in known and value(phone) is not None:
            draft.leave(source, LACKING)
