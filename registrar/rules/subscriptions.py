"""Subscriptions of phones at this service (RFC 6665): how long each lasts, and when it gets which NOTIFY."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import NO_PROCESS, Process
from registrar.sip import MAX_CSEQ, Headers, Request, param, parse_params

from . import dialog_info, pidf
from .tokens import DialogHandle

LEAST_EXPIRES: Final = 60
MOST_EXPIRES: Final = 3_600
"""The longest time, and the time of a SUBSCRIBE that asks for none (RFC 4235 section 3.4)."""
PACE_SECONDS: Final = 1.0
"""The least time between two changes that one subscriber is told (RFC 4235 section 3.10)."""
AGAIN_SECONDS: Final = 30.0
"""The first pause after a NOTIFY without an answer; each further pause is twice as long."""
MAX_PAUSES: Final = 6
MAX_OPEN: Final = 4
"""NOTIFYs of one subscription that wait for an answer; the next one waits until one of them has ended."""
TAKEOVER_STEP: Final = 1_000
"""What another node adds to CSeq and version: the first node may have sent more than was stored."""
NEVER: Final = float("inf")

DIALOG: Final = "dialog"
PRESENCE: Final = "presence"
MESSAGES: Final = "message-summary"
PACKAGES: Final = {
    DIALOG: dialog_info.CONTENT_TYPE,
    PRESENCE: pidf.CONTENT_TYPE,
    MESSAGES: "application/simple-message-summary",
}
"""The event packages that are served here, with the type of their documents."""
ALLOW_EVENTS: Final = ", ".join((*PACKAGES, "refer"))
"""Subscriptions to `refer` exist only between phones, inside the dialog of a REFER (RFC 3515)."""

GONE: Final = frozenset({404, 405, 410, 416, 481, 482, 484, 485, 489, 501, 604})
"""Answers to a NOTIFY that end the subscription (RFC 6665 section 4.2.2, RFC 5057 section 5.1)."""
UNANSWERED: Final = frozenset({408, 430, 480, 500, 503, 504})
"""Answers that say nothing about the subscription: the NOTIFY did not arrive, or came at a bad time."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription, as the store keeps it: any node can serve it."""

    id: str
    """32 hex digits, made by this service."""
    phone: str
    """Id of the phone that subscribed."""
    customer: str
    person: str
    """Id of that phone's extension; empty if it has none."""
    package: str
    event_id: str
    """The `id` of its Event, which each NOTIFY repeats; usually empty."""
    entity: str
    """The URI as it was subscribed to."""
    word: str
    """The user part of that URI: what was dialled."""
    target: str
    """Under which name the store lists it with the other subscriptions of the same person."""
    device: str
    """Marks the device among those of its phone."""
    call_id: str
    local_tag: str
    remote_tag: str
    handle: DialogHandle
    """How the subscriber is reached."""
    expires_at: float
    """Epoch seconds."""
    origin: str = ""
    """Where the phone has proved its identity (see Senders.origin)."""
    remote_cseq: int = 0
    """The highest CSeq number of the subscriber's requests."""
    cseq: int = 0
    """The CSeq number of our last NOTIFY."""
    version: int = 0
    """The version of the last document."""
    process: Process = NO_PROCESS
    """The process that sends its NOTIFYs: the last SUBSCRIBE came to it."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """A row in the list of the subscriptions of a target."""

    id: str
    phone: str
    package: str
    device: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Event:
    """The header Event (RFC 6665 section 8.2.1)."""

    package: str
    id: str = ""

    def __str__(self) -> str:
        return f"{self.package};id={self.id}" if self.id else self.package


def read_event(request: Request) -> Event | None:
    """Return the Event of a request, or None if it is missing or malformed."""
    package, semicolon, params = (request.headers.get("event") or "").partition(";")
    try:
        id = param(parse_params(semicolon + params), "id") if params else None
    except MalformedMessage:
        return None
    return Event(package.strip().lower(), id or "") if package.strip() else None


def granted(request: Request) -> int:
    """Return the seconds that a SUBSCRIBE is granted; 0 if it ends the subscription, or only asks once."""
    asked = (request.headers.get("expires") or "").strip()
    if not asked.isascii() or not asked.isdigit() or len(asked) > 10:
        return MOST_EXPIRES
    seconds = int(asked)
    return min(max(seconds, LEAST_EXPIRES), MOST_EXPIRES) if seconds else 0


def taken_over(subscription: Subscription, process: Process) -> Subscription:
    """Return a subscription of another process for this one; its numbers rise beyond all that were sent."""
    if subscription.process == process:
        return subscription
    return replace(
        subscription,
        process=process,
        cseq=min(subscription.cseq + TAKEOVER_STEP, MAX_CSEQ),
        version=subscription.version + TAKEOVER_STEP,
    )


class Fate(StrEnum):
    """What the answer to a NOTIFY means; also a metric label."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    """The phone did not want this one; the next change is sent again."""
    UNANSWERED = "unanswered"
    ENDED = "ended"
    """The phone knows no such subscription."""


def fate(status: int) -> Fate:
    """Return what the final answer to a NOTIFY means."""
    if status < 300:
        return Fate.DELIVERED
    if status in GONE:
        return Fate.ENDED
    return Fate.UNANSWERED if status in UNANSWERED else Fate.REFUSED


@dataclass(frozen=True, slots=True)
class Pace:
    """When the next NOTIFY of a subscription leaves: the first change at once, then the last state."""

    is_wanted: bool = False
    """Whether there is a state to send."""
    sent_at: float = 0.0
    """Epoch seconds of the last NOTIFY; 0: the next one leaves at once."""
    open: int = 0
    """NOTIFYs that wait for an answer."""
    again_at: float = NEVER
    """When the state is sent again, because the last NOTIFY was not answered."""
    pauses: int = 0
    """The number of pauses since the last answer."""

    def due(self) -> float:
        """Return when the next NOTIFY may leave, or `NEVER` while there is none to send."""
        if self.open >= MAX_OPEN:
            return NEVER
        if not self.is_wanted:
            return self.again_at
        return self.sent_at + PACE_SECONDS if self.sent_at else 0.0

    def changed(self) -> "Pace":
        """Return the pace after a change of the state."""
        return replace(self, is_wanted=True)

    def settled(self) -> "Pace":
        """Return the pace after the state has become again the one that the subscriber knows."""
        return replace(self, is_wanted=False)

    def asked(self) -> "Pace":
        """Return the pace after a SUBSCRIBE: a NOTIFY follows at once (RFC 6665 section 4.2.1)."""
        return Pace(is_wanted=True)

    def sent(self, now: float) -> "Pace":
        """Return the pace after a NOTIFY has left."""
        return replace(self, is_wanted=False, sent_at=now, open=self.open + 1, again_at=NEVER)

    def answered(self, outcome: Fate, now: float) -> "Pace":
        """Return the pace after the answer to a NOTIFY, or after it got none."""
        left = max(self.open - 1, 0)
        if outcome is not Fate.UNANSWERED:
            return replace(self, open=left, again_at=NEVER, pauses=0)
        pause = AGAIN_SECONDS * 2 ** min(self.pauses, MAX_PAUSES)
        return replace(self, open=left, again_at=now + pause, pauses=self.pauses + 1)


def notify(
    subscription: Subscription, *, via: str, contact: str, state: str, body: bytes, cseq: int
) -> Request:
    """Return a NOTIFY; `state` is its Subscription-State."""
    handle = subscription.handle
    headers = Headers()
    rows = [
        ("Via", via),
        ("Max-Forwards", "70"),
        ("From", _tagged(handle.from_, subscription.local_tag)),
        ("To", _tagged(handle.to, subscription.remote_tag)),
        ("Call-ID", subscription.call_id),
        ("CSeq", f"{cseq} NOTIFY"),
        ("Contact", contact),
        ("Event", str(Event(subscription.package, subscription.event_id))),
        ("Subscription-State", state),
    ]
    if body:
        rows.append(("Content-Type", PACKAGES[subscription.package]))
    for name, value in (*rows, ("Content-Length", str(len(body)))):
        headers.add(name, value)
    return Request("NOTIFY", handle.target.contact, headers, body)


def active(subscription: Subscription, now: float) -> str:
    """Return the Subscription-State of a subscription that goes on."""
    return f"active;expires={max(round(subscription.expires_at - now), 0)}"


def terminated(reason: str) -> str:
    """Return the Subscription-State of the last NOTIFY; the reasons are in RFC 6665 section 4.1.3."""
    return f"terminated;reason={reason}"


def no_messages(entity: str) -> bytes:
    """Return the summary of an empty mailbox (RFC 3842)."""
    lines = ("Messages-Waiting: no", f"Message-Account: {entity}", "Voice-Message: 0/0 (0/0)")
    return "".join(f"{line}\r\n" for line in lines).encode()


def _tagged(address: str, tag: str) -> str:
    return f"{address};tag={tag}" if tag else address
