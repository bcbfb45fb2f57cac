"""Transactions: what is retransmitted, what is absorbed, and when they end (RFC 3261 section 17, RFC 6026).

Other packages import from here only. Nothing here reads a clock or sends; see `Layer`.
"""

from .actions import Action, Answered, Deliver, Ended, Failed, Send, TimedOut
from .key import NO_KEY, Key, cancelled_key, server_key
from .layer import Layer, ShareFull, TableFull
from .share import NO_SHARE, Share
from .timers import Timers

__all__ = [
    "NO_KEY",
    "NO_SHARE",
    "Action",
    "Answered",
    "Deliver",
    "Ended",
    "Failed",
    "Key",
    "Layer",
    "Send",
    "Share",
    "ShareFull",
    "TableFull",
    "TimedOut",
    "Timers",
    "cancelled_key",
    "server_key",
]
