"""Which part of the program `registrar serve` runs."""

from enum import StrEnum


class Side(StrEnum):
    """What `serve` runs."""

    ALL = "all"
    SIP = "sip"
    API = "api"
