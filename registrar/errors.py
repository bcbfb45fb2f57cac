"""Everything that can go wrong on purpose, each with the answer it deserves.

SipError                    a message of a peer that cannot be served: carries the SIP status
  MalformedMessage          400
  UnsupportedVersion        505
  MessageTooLarge           513
MediaRefused                488, of the media relay
RedirectionRefused          480: a phone sends its caller where the caller may not go
StoreUnavailable            Redis, SQL or the country file did not do its work: 5xx, never 401/403/404
                                (without a country file ROAMING phones are refused, decision 2)
ConfigurationError          a setting that cannot be used: one line, exit code 2
AnotherNode                 our node name belongs to another living process: one line, exit code 3
"""

from typing import ClassVar


class SipError(Exception):
    """A message that is refused before any rule looks at it. `str(error)` says what was wrong."""

    status: ClassVar[int] = 400
    reason: ClassVar[str] = "Bad Request"
    label: ClassVar[str] = "bad_request"


class MalformedMessage(SipError):
    """The grammar of RFC 3261 section 25 was broken, or a limit of ours was passed."""

    label: ClassVar[str] = "malformed"


class UnsupportedVersion(SipError):
    """The start line names another SIP version (RFC 3261 section 21.5.6)."""

    status: ClassVar[int] = 505
    reason: ClassVar[str] = "Version Not Supported"
    label: ClassVar[str] = "version"


class MessageTooLarge(SipError):
    """The message is longer than we read (RFC 3261 section 21.5.7)."""

    status: ClassVar[int] = 513
    reason: ClassVar[str] = "Message Too Large"
    label: ClassVar[str] = "too_large"


class MediaRefused(Exception):
    """The media relay cannot make anything of this SDP: 488, and the text says why."""


class RedirectionRefused(Exception):
    """A 3xx of a phone that does not pass: 480, and the text says why."""


class StoreUnavailable(Exception):
    """A store did not answer in time, or answered with a fault. The request may be tried again."""


class ConfigurationError(Exception):
    """A setting that stops the start; the text is one line that names it."""


class AnotherNode(Exception):
    """Another living process works under our node name; two would undo each other's work."""
