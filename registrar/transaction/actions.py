"""What a transaction wants done: values that the driver carries out, in their order."""

from dataclasses import dataclass

from registrar.model import Flow
from registrar.sip import Request, Response

from .key import Key


@dataclass(frozen=True, slots=True)
class Send:
    """Give `data` to the transport. When that fails, tell the layer: `layer.failed(key, now)`."""

    data: bytes
    flow: Flow
    key: Key


@dataclass(frozen=True, slots=True)
class Deliver:
    """An ACK for a 2xx with the branch of its INVITE: the handler's business (RFC 6026 section 7.1)."""

    request: Request
    flow: Flow
    key: Key


@dataclass(frozen=True, slots=True)
class Answered:
    """A response to our request, provisional or final; several 2xx may follow on an INVITE."""

    response: Response
    flow: Flow
    key: Key


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The transaction ended because the other side said nothing (timers B, F, H), or our handler (64*T1)."""

    key: Key


@dataclass(frozen=True, slots=True)
class Failed:
    """The transport could not carry a message, or the connection closed (sections 17.1.4 and 17.2.4)."""

    key: Key


@dataclass(frozen=True, slots=True)
class Ended:
    """An INVITE's transaction has run its course (timers D, I, L, M): nothing more comes with this key."""

    key: Key


Action = Send | Deliver | Answered | TimedOut | Failed | Ended
