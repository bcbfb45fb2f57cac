"""The part of the program that `registrar serve` runs."""

from enum import StrEnum


class Side(StrEnum):
    """The argument of `serve`."""

    ALL = "all"
    SIP = "sip"
    API = "api"
