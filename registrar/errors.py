"""The expected errors, each with the answer that it causes.

SipError                    a message of a peer that cannot be served: carries the SIP status
  MalformedMessage          400
  UnsupportedVersion        505
  MessageTooLarge           513
MediaRefused                488, because of the media relay
RedirectionRefused          480: a phone redirects its caller to an address that is not allowed
StoreUnavailable            Redis, SQL or the country file failed: 5xx, never 401/403/404
                                (without a country file ROAMING phones are refused, decision 2)
ConfigurationError          a setting that cannot be used: one line, exit code 2
AnotherNode                 our node name belongs to another living process: one line, exit code 3
"""

from typing import ClassVar


class SipError(Exception):
    """A message that is refused before any rule is applied. `str(error)` says what is wrong."""

    status: ClassVar[int] = 400
    reason: ClassVar[str] = "Bad Request"
    label: ClassVar[str] = "bad_request"


class MalformedMessage(SipError):
    """The message breaks the grammar of RFC 3261 section 25, or exceeds one of our limits."""

    label: ClassVar[str] = "malformed"


class UnsupportedVersion(SipError):
    """The start line names another SIP version (RFC 3261 section 21.5.6)."""

    status: ClassVar[int] = 505
    reason: ClassVar[str] = "Version Not Supported"
    label: ClassVar[str] = "version"


class MessageTooLarge(SipError):
    """The message is longer than our limit (RFC 3261 section 21.5.7)."""

    status: ClassVar[int] = 513
    reason: ClassVar[str] = "Message Too Large"
    label: ClassVar[str] = "too_large"


class MediaRefused(Exception):
    """The media relay cannot use this SDP: 488, and the text says why."""


class RedirectionRefused(Exception):
    """A 3xx of a phone that is not passed on: 480, and the text says why."""


class StoreUnavailable(Exception):
    """A store did not answer in time, or answered with an error. The request may be tried again."""


class ConfigurationError(Exception):
    """A setting that prevents the start; the text is one line that names it."""


class AnotherNode(Exception):
    """Another living process uses our node name; two processes would undo each other's work."""
