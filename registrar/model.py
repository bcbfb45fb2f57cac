"""The values that every room speaks about: flows, phones, bindings and what was read of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Final, NewType

Mono = NewType("Mono", float)
"""Seconds of the event loop's clock: for timers."""

Epoch = NewType("Epoch", float)
"""Seconds since 1970: for whatever other processes must understand."""


Network = IPv4Network | IPv6Network

_PHONE_NAME: Final = re.compile(r"[a-z0-9]{32}")


def is_phone_name(username: str) -> bool:
    """Whether a username is of the kind that phones are given; no SIP user may choose one like it."""
    return _PHONE_NAME.fullmatch(username) is not None


def login_name(username: str, realm: str) -> str:
    """Whom credentials speak of: a phone's username is its own everywhere, a user's in its domain alone."""
    return username if is_phone_name(username) else f"{username}@{realm}"


class IpMode(StrEnum):
    """Where a phone may connect from (decision 2)."""

    OPEN = "OPEN"
    LOCKED = "LOCKED"
    ROAMING = "ROAMING"


@dataclass(frozen=True, slots=True)
class Flow:
    """The path a message came by; answers go back by it (RFC 5626)."""

    transport: str
    """udp, tcp, tls, ws or wss"""
    local_ip: str
    local_port: int
    remote_ip: str
    """The socket peer with IPv4-mapped IPv6 folded, or what a trusted proxy says."""
    remote_port: int
    id: int = 0
    """Which socket or connection of this process."""


@dataclass(frozen=True, slots=True)
class Phone:
    """One credential that may register, as the view `phone_v1` shows it."""

    id: str
    """24 hex digits, or `u<userId>` for a SIP user."""
    version: int
    """Grows with any row the view joins; an older read never overwrites a newer one."""
    username: str
    domain: str
    customer: str
    """Id of the customer (24 hex digits)."""
    active: bool
    """False: the customer is blocked or deleted, everything is refused."""
    extension: str
    """Number of the phone's extension, empty when it has none."""
    password: str = field(repr=False)
    """Empty for a SIP user, of whom only HA1s are known."""
    secret_version: int
    """Grows with each reset of the credentials; bindings made with an older one are void."""
    mode: IpMode
    countries: tuple[str, ...] = ()
    address: str = ""
    cluster: int = 1
    webrtc: bool = False
    instance: str = ""
    """`instanceId`: the phone is this one browser, whose newest registration replaces its others."""
    ha1_md5: str = field(default="", repr=False)
    """HA1 of a SIP user in its domain, in lower case; as much a secret as a password."""
    ha1_sha256: str = field(default="", repr=False)
    by_domain: bool = False
    """The networks of its domain decide from where it may come, and not `mode` (decision 3)."""
    networks: tuple[Network, ...] = ()
    """The trusted networks of its domain; none: from anywhere."""
    name: str = ""
    """What others see beside its number when it calls; empty when nothing was given."""
    hd_audio: bool = True
    """`codec.hdAudio`: wideband codecs may be negotiated."""
    video: bool = False
    """`codec.video`: video may be negotiated."""

    @property
    def login(self) -> str:
        """What it is looked up by: see `login_name`. A SIP user is never taken for a phone."""
        if self.is_user:
            return f"{self.username}@{self.domain}"
        return login_name(self.username, self.domain)

    @property
    def is_user(self) -> bool:
        """A SIP user with a password of its own, and no phone of ours."""
        return bool(self.ha1_md5 or self.ha1_sha256)


class Reason(StrEnum):
    """Why a phone is online or offline: the `reason` of its status (docs/redis.md)."""

    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    EXPIRED = "expired"
    SOCKET_CLOSED = "socket-closed"
    PING_TIMEOUT = "ping-timeout"
    REVOKED = "revoked"
    IP_REJECTED = "ip-rejected"
    NODE_LOST = "node-lost"


class EventKind(StrEnum):
    """What the journal of a phone and the stream of events record (docs/redis.md)."""

    REGISTERED = "registered"
    MOVED = "moved"
    UNREGISTERED = "unregistered"
    EXPIRED = "expired"
    LOST = "lost"
    REJECTED = "rejected"
    LOCKED = "locked"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of a phone and the path to it (RFC 3261 section 10)."""

    contact: str
    """The URI as the phone wrote it, without the header's own parameters."""
    expires_at: int
    """Epoch seconds."""
    call_id: str
    cseq: int
    q: str = ""
    instance: str = ""
    """`+sip.instance` without quotes and brackets (RFC 5626), empty when absent."""
    reg_id: int = 0
    """0 when absent."""
    user_agent: str = ""
    local_ip: str = ""
    public_ip: str = ""
    public_port: int = 0
    transport: str = "udp"
    node: str = ""
    generation: str = ""
    registered_at: int = 0
    """Epoch seconds of the first REGISTER of this binding."""
    refreshed_at: int = 0
    secret_version: int = 0
    flow: int = 0
    """Which connection of that process it came over (`Flow.id`); over UDP which of its listeners."""
    silent_since: int = 0
    """Epoch seconds since when its phone, over UDP, answers no pings; 0: it does, as far as anybody knows.
    Whoever is silent stays bound until the binding runs out, and is called, but is not online."""

    @property
    def connected(self) -> bool:
        """Whether the binding lives and dies with a connection of one process."""
        return self.transport != "udp"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the service: the name of its node, and which start of it this is."""

    node: str = ""
    generation: str = ""

    def __str__(self) -> str:
        return f"{self.node} {self.generation}"

    def holds(self, binding: Binding) -> bool:
        """Return whether the binding lives and dies with a connection of this process."""
        return (
            binding.transport != "udp" and binding.node == self.node and binding.generation == self.generation
        )


NO_PROCESS: Final = Process()


@dataclass(frozen=True, slots=True)
class AcceptedNonce:
    """A nonce that let a request through, with the highest nonce count seen (RFC 7616 section 3.4)."""

    issued_us: int
    mark: str
    """The nonce's own random part."""
    count: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """One kind of refusal of a phone; the same one makes one event in five minutes (decision 15)."""

    ip: str
    reason: str
    since: int
    """Epoch seconds of the event."""
    count: int
    """How many came since that event."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was read of a phone's bindings, so that a write can say: unless someone wrote since."""

    version: int = 0
    bindings: tuple[Binding, ...] = ()
    nonces: tuple[AcceptedNonce, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    def live(self, now: Epoch) -> tuple[Binding, ...]:
        """The bindings that have not run out at `now`."""
        return tuple(binding for binding in self.bindings if binding.expires_at > now)

    def heard(self, now: Epoch) -> tuple[Binding, ...]:
        """Those of them whose phone is not silent: that make it online."""
        return tuple(binding for binding in self.live(now) if not binding.silent_since)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a phone's journal, and of the stream of all events."""

    kind: EventKind
    reason: str
    at: int
    """Epoch seconds."""
    ip: str = ""
    port: int = 0
    transport: str = ""
    user_agent: str = ""
    count: int = 1
    by: str = ""
    """Who did it when it was not the phone: `api`, or a node's name."""


@dataclass(frozen=True, slots=True)
class WrongPasswords:
    """Digests of one phone that were wrong, the last one's source, and how many there were."""

    phone: str
    customer: str
    count: int
    at: int
    """Epoch seconds of the last one."""
    ip: str
    port: int = 0
    transport: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """What one step writes about a phone, all of it or nothing."""

    after: Snapshot
    """Bindings, nonces and refusals to keep; its version is the new one."""
    status: Mapping[str, str] = field(default_factory=dict)
    """Fields of the status hash that change; none: the status stays as it is."""
    events: tuple[Event, ...] = ()
    customer: str = ""
    """For the stream of all events; empty when unknown."""


@dataclass(frozen=True, slots=True)
class Allow:
    """The access rule lets the phone in."""

    lock: bool = False
    """The first contact of an OPEN phone: lock it to the address first."""


@dataclass(frozen=True, slots=True)
class Deny:
    """The access rule refuses the phone; `reason` is a metric label and a word of the journal too."""

    reason: str


Decision = Allow | Deny


@dataclass(frozen=True, slots=True)
class Change:
    """What the config API published on `registrar:changed`: phones by id, or one whole customer."""

    phones: tuple[str, ...] = ()
    customer: str = ""
    everybody: bool = False
    """Something was not announced: any phone may have changed."""


@dataclass(frozen=True, slots=True)
class Callee:
    """Who is reached by what a phone dialled, inside its own customer."""

    number: str
    """What the others see of it: the extension's number, or a SIP user's name when it has none."""
    name: str
    """What stands beside the number on a display; empty when nothing was given."""
    phones: tuple[Phone, ...] = ()
    """All phones of the extension; none: there is nobody to ring."""


class LegKind(StrEnum):
    """What media one party of a call speaks."""

    WEBRTC = "webrtc"
    """UDP/TLS/RTP/SAVPF with ICE, DTLS and rtcp-mux."""
    PLAIN = "plain"
    """RTP/AVP."""
    SRTP = "srtp"
    """RTP/SAVP with keys in the description (SDES)."""
    DTLS = "dtls"
    """UDP/TLS/RTP/SAVP without ICE: a desk phone that has keys by DTLS."""


class MediaPolicy(StrEnum):
    """REGISTRAR_MEDIA: when a call goes through the media relay."""

    AUTO = "auto"
    """When its sides do not understand or do not reach each other."""
    ALWAYS = "always"
    NEVER = "never"


class CallState(StrEnum):
    """Where a call stands while it is there."""

    RINGING = "ringing"
    ANSWERED = "answered"


class Cause(StrEnum):
    """Why a call ended: the `reason` of its `call-ended` event."""

    HUNG_UP = "hung-up"
    """One of the two said BYE."""
    CANCELLED = "cancelled"
    """The caller gave up before anybody answered."""
    NO_ANSWER = "no-answer"
    """Nobody answered in time (408), whether it rang or not."""
    BUSY = "busy"
    DECLINED = "declined"
    UNREACHABLE = "unreachable"
    """No phone could be reached (480)."""
    FAILED = "failed"
    """Any other refusal."""
    API = "api"
    """Somebody ended it through the API."""
    LOST = "lost"
    """A party is gone, or its session timer ran out."""


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a call."""

    phone: str
    """Its id; of a callee empty until one phone has answered."""
    number: str
    name: str = ""
    transport: str = ""
    """Empty until a phone has answered."""
    tag: str = ""
    """Of its side of the dialog; empty until there is one."""
    target: str = ""
    """How to say something to it (rules.tokens.Line); private to the SIP side."""
    cseq: int = 0
    """The highest that it has sent in this dialog, as far as we saw."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is there: what Redis keeps of it (docs/redis.md), enough to end it on any node."""

    id: str
    """32 hex digits, ours."""
    call_id: str
    """The Call-ID of its dialog."""
    customer: str
    domain: str
    caller: Party
    callee: Party
    state: CallState
    started_at: float
    """Epoch seconds of the INVITE."""
    answered_at: float = 0.0
    """Epoch seconds of the 2xx, 0 before."""
    process: Process = NO_PROCESS
    """Which process has it."""
    relay: str = ""
    """`<engine> <session>` of the media relay, empty when media goes from phone to phone."""
    expires_at: float = 0.0
    """Epoch seconds when the session timer runs out (RFC 4028), 0 without one."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended."""

    cause: Cause
    at: float
    """Epoch seconds."""
    status: int = 0
    """The final answer to the INVITE when nobody took the call, else 0."""
    by: str = ""
    """Who did it: the number of a party, `api`, or a node's name."""
