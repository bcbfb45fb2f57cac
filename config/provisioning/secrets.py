"""The secrets in the paths of files: how they are made, and how they are stored.

first     opens the configuration once, for one source and some minutes; it is in a redirect entry or typed
steady    is only inside served configurations, and opens them as long as the access rule lets the phone in
device    the `pbxDeviceToken` of a device of the row dialect, which opens the configuration of that device
"""

import hashlib
import re
import secrets
from typing import Final

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
"""Base32 in small letters: can be typed, and needs no escape in any format or path."""
LENGTH: Final = 26
"""130 bits."""
ADMIN_DIGITS: Final = 10
"""The password of a phone's own pages has digits only: some phones ask for it on their keypad."""

_DEVICE: Final = re.compile(r"[0-9a-f]{25}")


def new_secret() -> str:
    """Return a new random secret of a path."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def new_admin_password() -> str:
    """Return a new random password of a phone's own pages."""
    return "".join(secrets.choice("0123456789") for _ in range(ADMIN_DIGITS))


def digest(secret: str) -> str:
    """Return what is stored to look a secret up. It is random enough to need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_device_token(text: str) -> bool:
    """Return whether the text has the form of a `pbxDeviceToken`."""
    return _DEVICE.fullmatch(text) is not None
