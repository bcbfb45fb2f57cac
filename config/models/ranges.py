"""The ranges of volumes and tones by vendor, in the units that its phones use.

A range that no public source confirms is left out: the setting of a phone is then kept, but not written.
"""

from collections.abc import Mapping, Sequence
from typing import Final

Columns = Mapping[str, object]
Range = tuple[int, int]

SPEAKING_PARTS: Final = ("handset", "headset", "handsfree")


def sound(
    ringer: Range,
    tones: int | None,
    speaker: Range | None = None,
    mic: Range | None = None,
    parts: Sequence[str] = SPEAKING_PARTS,
) -> Columns:
    """Return the columns of these ranges; `tones` is the highest index of a tone."""
    levels: dict[str, Range | None] = {"ringer_volume": ringer}
    for part in parts:
        levels |= {f"{part}_speaker": speaker, f"{part}_mic": mic}
    known = {column: level for column, level in levels.items() if level is not None}
    ends = {
        f"{column}_{end}": level[at]
        for column, level in known.items()
        for at, end in enumerate(("min", "max"))
    }
    return {**ends, "ringer_tone_max": tones}


ANY: Final = sound((0, 15), 31, (0, 15), (0, 15))
"""The ranges of the seed documents, for phones that are not provisioned."""
SNOM: Final = sound((1, 15), 9, (0, 15), (1, 8))
MITEL: Final = sound((0, 9), 15, (0, 9), (-10, 10))
"""The microphones are in dB."""
YEALINK: Final = sound((0, 15), 9)
YEALINK_SMALL: Final = sound((0, 15), 3)
GRANDSTREAM: Final = sound((0, 7), None, (0, 2), (0, 2), parts=("handset", "headset"))
"""The levels are steps of 6 dB: 0 is -6 dB, 1 is 0 dB, 2 is 6 dB."""
CISCO: Final[Columns] = {"ringer_tone_max": 9}
MAXWELL: Final[Columns] = {"ringer_tone_max": 27}
