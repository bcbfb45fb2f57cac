"""The SIP language: bytes to values and values to bytes (RFC 3261 sections 7, 19, 20 and 25).

Other packages import from here only. Any bytes give a value or a SipError, nothing else.
"""

from .address import NameAddr, parse_name_addr, parse_name_addrs
from .answer import REASONS, answer, warning
from .check import check
from .digest import (
    MD5,
    SHA256,
    Credentials,
    DigestChallenge,
    challenge,
    expected,
    ha1,
    parse_challenge,
    parse_credentials,
)
from .framing import Frame, Framer
from .grammar import Params, first, format_params, param, parse_params, pieces, quote, split, unquote
from .headers import Headers, canonical
from .message import MAX_CSEQ, MAX_MESSAGE, Message, Request, Response, parse
from .uri import Uri, equivalent, parse_uri, unescape
from .via import Via, parse_via

__all__ = [
    "MAX_CSEQ",
    "MAX_MESSAGE",
    "MD5",
    "REASONS",
    "SHA256",
    "Credentials",
    "DigestChallenge",
    "Frame",
    "Framer",
    "Headers",
    "Message",
    "NameAddr",
    "Params",
    "Request",
    "Response",
    "Uri",
    "Via",
    "answer",
    "canonical",
    "challenge",
    "check",
    "equivalent",
    "expected",
    "first",
    "format_params",
    "ha1",
    "param",
    "parse",
    "parse_challenge",
    "parse_credentials",
    "parse_name_addr",
    "parse_name_addrs",
    "parse_params",
    "parse_uri",
    "parse_via",
    "pieces",
    "quote",
    "split",
    "unescape",
    "unquote",
    "warning",
]
