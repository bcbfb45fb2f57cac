"""The actions that a transaction returns: values that the driver carries out in their order."""

from dataclasses import dataclass

from registrar.model import Flow
from registrar.sip import Request, Response

from .key import Key


@dataclass(frozen=True, slots=True)
class Send:
    """Give `data` to the transport. If that fails, tell the layer: `layer.failed(key, now)`."""

    data: bytes
    flow: Flow
    key: Key


@dataclass(frozen=True, slots=True)
class Deliver:
    """An ACK for a 2xx with the branch of its INVITE, for the handler (RFC 6026 section 7.1)."""

    request: Request
    flow: Flow
    key: Key


@dataclass(frozen=True, slots=True)
class Answered:
    """A response to our request, provisional or final. An INVITE may get several 2xx."""

    response: Response
    flow: Flow
    key: Key


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The end of a transaction because the peer (timers B, F, H) or our handler (64*T1) did not answer."""

    key: Key


@dataclass(frozen=True, slots=True)
class Failed:
    """A transport error: a message was not sent, or the connection closed (sections 17.1.4 and 17.2.4)."""

    key: Key


@dataclass(frozen=True, slots=True)
class Ended:
    """The regular end of an INVITE transaction (timers D, I, L, M). No more actions come with this key."""

    key: Key


Action = Send | Deliver | Answered | TimedOut | Failed | Ended
