"""The name under which members of a group or queue see a caller: `callerNameFormat`."""

import re
from typing import Final

MAX_LENGTH: Final = 64
_VARIABLE: Final = re.compile(r"\{(displayName|srcPhoneNumber|dgrpName)\}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_EDGES: Final = " \t-–—:;,|/·"
"""Separators that are left over at the ends if a variable is empty."""
_GAPS: Final = re.compile(r"\s{2,}")


def caller_name(form: str, *, display_name: str, number: str, direct: str = "") -> str:
    """Return the display name that a format makes, at most 64 characters; the caller's URI stays as it is.

    `display_name` is that of the group or queue, `number` the caller's number, `direct` the label of the
    direct number that was called; it is empty for a call from inside.
    """
    values = {"displayName": display_name, "srcPhoneNumber": number, "dgrpName": direct}
    made = _VARIABLE.sub(lambda found: values[found[1]], form)
    return _GAPS.sub(" ", _CONTROL.sub(" ", made)).strip(_EDGES)[:MAX_LENGTH].rstrip()
