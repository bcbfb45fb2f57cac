"""The methods as the documents promise them, by the place where each may stand."""

from typing import Final

OUTSIDE: Final = ("INVITE", "MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH")
"""To another phone, outside a dialog."""
INSIDE: Final = ("ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "NOTIFY")
"""Inside a dialog only."""
SERVED: Final = ("REGISTER", "OPTIONS", *OUTSIDE, *INSIDE)
"""In the order of the header Allow."""
