"""The values that all rooms share: flows, phones, bindings, and snapshots of bindings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Final, NewType

Mono = NewType("Mono", float)
"""Seconds of the event loop's clock, for timers."""

Epoch = NewType("Epoch", float)
"""Seconds since 1970, for times that other processes must understand."""


IpNetwork = IPv4Network | IPv6Network
"""A range of addresses, of IPv4 or IPv6."""

_PHONE_NAME: Final = re.compile(r"[a-z0-9]{32}")


def is_phone_name(username: str) -> bool:
    """Return whether a username has the form of generated usernames of phones; no SIP user may choose one."""
    return _PHONE_NAME.fullmatch(username) is not None


def login_name(username: str, realm: str) -> str:
    """Return the name that credentials stand for.

    The username of a phone is unique everywhere, the name of a SIP user only in its domain.
    """
    return username if is_phone_name(username) else f"{username}@{realm}"


class IpMode(StrEnum):
    """The mode that decides where a phone may connect from (decision 2)."""

    OPEN = "OPEN"
    LOCKED = "LOCKED"
    ROAMING = "ROAMING"


@dataclass(frozen=True, slots=True)
class Flow:
    """The path that a message came by; answers go back by it (RFC 5626)."""

    transport: str
    """udp, tcp, tls, ws or wss"""
    local_ip: str
    local_port: int
    remote_ip: str
    """The peer of the socket with IPv4-mapped IPv6 folded, or the address that a trusted proxy names."""
    remote_port: int
    id: int = 0
    """Number of the socket or connection in this process."""
    hop_ip: str = ""
    """The edge proxy through which the peer is reached, over UDP; empty: the peer itself."""
    hop_port: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a phone must keep to, and where the quotas of its customer differ from the settings."""

    tls: bool = False
    """It registers and calls over TLS or WSS only."""
    srtp: bool = False
    """Its media is encrypted (SRTP), or there is no call."""
    sha256: bool = False
    """A digest of MD5 proves nothing."""
    networks: bool = False
    """A SIP user comes from a trusted network, and from nowhere if there is none."""
    contacts: int = 0
    """The most contacts that it may have; 0: as many as any phone."""
    calls: int | None = None
    """The most calls of the customer at once; None, here and below: as the setting says."""
    call_rate: int | None = None
    """Calls of the customer a second."""
    phone_calls: int | None = None
    """The most calls of one phone at once."""
    extension_calls: int | None = None
    """The most calls of one extension at once, with those that it gets."""
    transactions: int | None = None
    """The most SIP transactions of the customer at a process."""


NO_TERMS: Final = Terms()


@dataclass(frozen=True, slots=True)
class Phone:
    """One credential that may register, as the view `phone_v1` shows it."""

    id: str
    """24 hex digits, or `u<userId>` for a SIP user."""
    version: int
    """Grows with each change of a row that the view joins. An older read never overwrites a newer one."""
    username: str
    domain: str
    customer: str
    """Id of the customer (24 hex digits)."""
    active: bool
    """False if the customer is blocked or deleted: then everything is refused."""
    extension: str
    """Number of the phone's extension, empty if it has none."""
    password: str = field(repr=False)
    """Empty for a SIP user: only the HA1s of a SIP user are known."""
    secret_version: int
    """Grows with each reset of the credentials; bindings made with an older version are void."""
    mode: IpMode
    countries: tuple[str, ...] = ()
    address: str = ""
    cluster: int = 1
    webrtc: bool = False
    instance: str = ""
    """`instanceId`: the phone is this one browser, and its newest registration replaces its others."""
    ha1_md5: str = field(default="", repr=False)
    """HA1 of a SIP user in its domain, in lower case; as secret as a password."""
    ha1_sha256: str = field(default="", repr=False)
    by_domain: bool = False
    """Whether the networks of its domain decide where it may connect from, and not `mode` (decision 3)."""
    networks: tuple[IpNetwork, ...] = ()
    """The trusted networks of its domain; if empty, it may connect from anywhere."""
    name: str = ""
    """Name that others see beside its number when it calls; empty if none was given."""
    hd_audio: bool = True
    """`codec.hdAudio`: wideband codecs may be negotiated."""
    video: bool = False
    """`codec.video`: video may be negotiated."""
    person: str = ""
    """Id of the phone's extension, empty if it has none."""
    terms: Terms = NO_TERMS

    @property
    def login(self) -> str:
        """Return the name for look-ups: see `login_name`. A SIP user is never taken for a phone."""
        if self.is_user:
            return f"{self.username}@{self.domain}"
        return login_name(self.username, self.domain)

    @property
    def is_user(self) -> bool:
        """Return whether it is a SIP user with a chosen password, and not a phone with a generated one."""
        return bool(self.ha1_md5 or self.ha1_sha256)


class Reason(StrEnum):
    """The reason why a phone is online or offline: the `reason` of its status (docs/redis.md)."""

    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    EXPIRED = "expired"
    SOCKET_CLOSED = "socket-closed"
    PING_TIMEOUT = "ping-timeout"
    REVOKED = "revoked"
    IP_REJECTED = "ip-rejected"
    NODE_LOST = "node-lost"


class EventKind(StrEnum):
    """The kinds of events in the journal of a phone and in the stream of events (docs/redis.md)."""

    REGISTERED = "registered"
    MOVED = "moved"
    UNREGISTERED = "unregistered"
    EXPIRED = "expired"
    LOST = "lost"
    REJECTED = "rejected"
    LOCKED = "locked"
    REVOKED = "revoked"
    CONFIGURED = "configured"
    CONFIG_REFUSED = "config-refused"


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of a phone and the path to it (RFC 3261 section 10)."""

    contact: str
    """The URI as the phone wrote it, without header parameters."""
    expires_at: int
    """Epoch seconds."""
    call_id: str
    cseq: int
    q: str = ""
    instance: str = ""
    """`+sip.instance` without quotes and brackets (RFC 5626), empty if absent."""
    reg_id: int = 0
    """0 if absent."""
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
    """Number of the connection of that process (`Flow.id`); over UDP, the number of its listener."""
    silent_since: int = 0
    """Epoch seconds since when its phone, over UDP, answers no pings; 0: it does, as far as is known.
    A silent phone stays bound until the binding expires. It is called, but it is not online."""
    path: str = ""
    """The Path of edge proxies that leads to the phone (RFC 3327), as one text; empty: there is none."""

    @property
    def connected(self) -> bool:
        """Return whether the binding ends with a connection of one process."""
        return self.transport != "udp"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the service: the name of its node, and the identity of this start of the node."""

    node: str = ""
    generation: str = ""

    def __str__(self) -> str:
        return f"{self.node} {self.generation}"

    def holds(self, binding: Binding) -> bool:
        """Return whether the binding ends with a connection of this process."""
        return (
            binding.transport != "udp" and binding.node == self.node and binding.generation == self.generation
        )


NO_PROCESS: Final = Process()


@dataclass(frozen=True, slots=True)
class AcceptedNonce:
    """A nonce that was accepted, with the highest nonce count seen (RFC 7616 section 3.4)."""

    issued_us: int
    mark: str
    """The random part of the nonce."""
    count: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """One kind of refusal of a phone; the same refusal makes one event in five minutes (decision 15)."""

    ip: str
    reason: str
    since: int
    """Epoch seconds of the event."""
    count: int
    """Number of such refusals since that event."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The bindings of a phone as they were read, so that a write can fail if another write came first."""

    version: int = 0
    bindings: tuple[Binding, ...] = ()
    nonces: tuple[AcceptedNonce, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    def live(self, now: Epoch) -> tuple[Binding, ...]:
        """Return the bindings that have not expired at `now`."""
        return tuple(binding for binding in self.bindings if binding.expires_at > now)

    def heard(self, now: Epoch) -> tuple[Binding, ...]:
        """Return the live bindings that are not silent: these make the phone online."""
        return tuple(binding for binding in self.live(now) if not binding.silent_since)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a phone's journal and of the stream of all events."""

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
    """The originator if it was not the phone: `api`, or the name of a node."""


@dataclass(frozen=True, slots=True)
class WrongPasswords:
    """Wrong digests of one phone: their number, and the source of the last one."""

    phone: str
    customer: str
    count: int
    at: int
    """Epoch seconds of the last wrong digest."""
    ip: str
    port: int = 0
    transport: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """The data that one step writes about a phone, all of it or nothing."""

    after: Snapshot
    """Bindings, nonces and refusals to keep; its version is the new one."""
    status: Mapping[str, str] = field(default_factory=dict)
    """Fields of the status hash that change; if empty, the status stays as it is."""
    events: tuple[Event, ...] = ()
    customer: str = ""
    """Customer for the stream of all events; empty if unknown."""


@dataclass(frozen=True, slots=True)
class Allow:
    """The access rule admits the phone."""

    lock: bool = False
    """Whether this is the first contact of an OPEN phone: then lock it to the address first."""


@dataclass(frozen=True, slots=True)
class Deny:
    """The access rule refuses the phone; `reason` is also a metric label and a word of the journal."""

    reason: str


Decision = Allow | Deny


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the configuration that the config API announces on `registrar:changed` and in `change`."""

    phones: tuple[str, ...] = ()
    """The phones and SIP users that changed, and with them who is reached by their numbers."""
    customer: str = ""
    """The customer of which any phone may have changed."""
    everybody: bool = False
    """Whether changes were not announced: then any phone may have changed."""
    dial_plan: str = ""
    """The customer whose numbers may reach others than before; no phone changed with them."""
    rows: tuple[int, ...] = ()
    """The rows of the table `change` whose changes were announced before this."""


@dataclass(frozen=True, slots=True)
class Devices:
    """A destination: the devices of an extension, of a SIP user, or one device."""

    number: str
    """Number that others see: the extension's number, or empty for a phone without an extension."""
    name: str
    """Name beside the number on a display; empty if none was given."""
    phones: tuple[Phone, ...] = ()
    """The phones that have the devices; if empty, no phone can ring."""
    person: str = ""
    """Id of the extension, under which ports.People knows what it is doing; empty if there is none."""


class Strategy(StrEnum):
    """The order in which the people of a queue's member ring."""

    ALL = "all"
    LONGEST_IDLE = "huntLongestIdle"
    """One after the other; first who has been without a call for the longest time."""


@dataclass(frozen=True, slots=True)
class Group:
    """A destination: people whose phones ring together."""

    id: str
    number: str
    name: str
    """Name that others see."""
    people: tuple[Devices, ...]
    retries: bool = False
    """Whether the group rings again if a window has passed without an answer (`ringRetry`)."""
    is_exclusive: bool = False
    """Whether a member rings for one call at a time, and not while in a call (`ringExclusive`)."""
    caller_name: str = ""
    """How members see the caller's name (`callerNameFormat`); empty: as it is."""


@dataclass(frozen=True, slots=True)
class QueueMember:
    """One step of a queue: the people of a group, or extensions, that ring some times."""

    people: tuple[Devices, ...]
    strategy: Strategy
    attempts: int
    """How many windows these people ring, 1 or more."""
    seconds: int
    """The length of a window; with LONGEST_IDLE, the time for each person."""
    caller_name: str = ""
    """The format of the group; that of the queue wins."""
    permanent: frozenset[str] = frozenset()
    """Those of its people who cannot leave the queue."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A destination: a call waits there for the first member who takes it."""

    id: str
    number: str
    name: str
    members: tuple[QueueMember, ...]
    """In the order in which they ring."""
    caller_name: str = ""


class FeatureKind(StrEnum):
    """What a feature code does."""

    DND_TOGGLE = "dnd-toggle"
    DND_ON = "dnd-on"
    DND_OFF = "dnd-off"
    CFU_ON = "cfu-on"
    CFU_OFF = "cfu-off"
    CFB_ON = "cfb-on"
    CFB_OFF = "cfb-off"
    CFNR_ON = "cfnr-on"
    CFNR_OFF = "cfnr-off"
    QUEUE = "queue"
    """Join or leave a queue."""
    PICKUP = "pickup"
    """Take the call that rings at one extension."""
    PICKUP_GROUP = "pickup-group"


@dataclass(frozen=True, slots=True)
class Feature:
    """A destination: a feature code, as it was dialled."""

    kind: FeatureKind
    code: str
    argument: str = ""
    """What was dialled after the code."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """A destination: an emergency service, by its number or as `urn:service:sos`."""

    service: str


@dataclass(frozen=True, slots=True)
class NoDestination:
    """The destination of a word that is no number of the customer."""


Called = Devices | Group | Queue
"""What the dial plan of a customer has for a word."""
Destination = Called | Feature | Emergency | NoDestination
"""Where a request goes that names a word of a customer's dial plan."""
NO_DESTINATION: Final = NoDestination()


class ClaimResult(StrEnum):
    """The answer to a claim of a person for a call (ports.People)."""

    OK = "ok"
    DND = "dnd"
    BUSY = "busy"
    """The person is in a call, or one rings."""
    TAKEN = "taken"
    """Another call has claimed the person."""
    WRAP = "wrap"
    """The last call has ended just now."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a person has published about itself (RFC 3903)."""

    is_open: bool
    note: str = ""
    until: float = 0.0
    """Epoch seconds at which it ends."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A change of what a person publishes."""

    tag: str
    """Names the state that it makes (SIP-ETag)."""
    seconds: int
    """How long the state lasts; 0: nothing is published any more."""
    match: str = ""
    """The tag of the state that it changes (SIP-If-Match); empty: it replaces any state."""
    state: Published | None = None
    """The new state; None: the state stays as it is, and only its end is moved. That needs `match`."""


@dataclass(frozen=True, slots=True)
class PersonState:
    """What a person, which is an extension, is doing and wants; times are epoch seconds, 0 if never."""

    dnd: bool = False
    cfu: str = ""
    """The number to which every call goes (call forwarding unconditional); empty: none."""
    cfb: str = ""
    """The number to which a call goes while the phones are busy."""
    cfnr: str = ""
    """The number to which a call goes that was not answered."""
    left: frozenset[str] = frozenset()
    """The queues, by id, which the person has left."""
    calls: tuple[str, ...] = ()
    """The calls of its line: talking, ringing or calling."""
    claimed_by: str = ""
    """The call that has claimed the person; empty: none, or its claim has ended."""
    last_end: float = 0.0
    """End of its last answered call."""
    last_offer: float = 0.0
    wrap_until: float = 0.0
    """Until then no exclusive call rings."""
    published: Published | None = None
    """What it has published, if that has not ended."""


@dataclass(frozen=True, slots=True)
class Waiter:
    """A call that waits for a group or queue."""

    call: str
    process: Process
    since: float
    """Epoch seconds at which it came."""
    stage: str = ""
    """Where in its plan it is; see rules.plan."""


@dataclass(frozen=True, slots=True)
class Switched:
    """A wish that a phone has set to another value by a feature code, as the audit log tells it."""

    at: float
    """Epoch seconds."""
    person: str
    customer: str
    phone: str
    """The phone that dialled the code."""
    address: str
    """The address that the call came from."""
    wish: str
    """`dnd`, `cfu`, `cfb`, `cfnr` or `left:<queue>`."""
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Notice:
    """An event of a call that waits for a queue or group, or of a wish of a person; see docs/redis.md."""

    event: str
    at: float
    """Epoch seconds."""
    reason: str = ""
    customer: str = ""
    phone: str = ""
    """The caller's phone."""
    call: str = ""
    caller: str = ""
    """Number of the caller."""
    callee: str = ""
    """Number of the person, or the number to which its calls go."""
    via: str = ""
    """Number of the queue or group."""
    place: str = ""
    """`queue:<id>` or `group:<id>`."""
    person: str = ""
    position: int = 0
    """Place of the call among those that wait, from 1; 0 if it is not known."""
    waited: float | None = None
    """Seconds since the call came; None for an event without a call."""


class LegKind(StrEnum):
    """The kind of media that one party of a call speaks."""

    WEBRTC = "webrtc"
    """UDP/TLS/RTP/SAVPF with ICE, DTLS and rtcp-mux."""
    PLAIN = "plain"
    """RTP/AVP."""
    SRTP = "srtp"
    """RTP/SAVP with keys in the description (SDES)."""
    DTLS = "dtls"
    """UDP/TLS/RTP/SAVP without ICE: a desk phone that gets its keys by DTLS."""


class MediaPolicy(StrEnum):
    """REGISTRAR_MEDIA: when a call goes through the media relay."""

    AUTO = "auto"
    """If its sides do not understand or do not reach each other."""
    ALWAYS = "always"
    NEVER = "never"


class CallState(StrEnum):
    """The state of a call that exists."""

    RINGING = "ringing"
    ANSWERED = "answered"


class Cause(StrEnum):
    """The reason why a call ended: the `reason` of its `call-ended` event."""

    HUNG_UP = "hung-up"
    """One of the two parties sent a BYE."""
    CANCELLED = "cancelled"
    """The caller gave up before a phone answered."""
    NO_ANSWER = "no-answer"
    """No phone answered in time (408), whether it rang or not."""
    BUSY = "busy"
    DECLINED = "declined"
    UNREACHABLE = "unreachable"
    """No phone could be reached (480)."""
    FAILED = "failed"
    """Any other refusal."""
    API = "api"
    """It was ended through the API."""
    LOST = "lost"
    """A party is gone, or the session timer expired."""


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a call."""

    phone: str
    """Id of its phone; for a callee, empty until one phone has answered."""
    number: str
    name: str = ""
    transport: str = ""
    """Empty until a phone has answered."""
    tag: str = ""
    """Tag of its side of the dialog; empty until there is one."""
    target: str = ""
    """How to send a request to it (rules.tokens.DialogHandle); private to the SIP side."""
    cseq: int = 0
    """The highest CSeq number that it has sent in this dialog, as far as we saw."""
    person: str = ""
    """Id of the extension whose line the call takes; empty if there is none."""
    holds: bool = False
    """Whether it has put the call on hold."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that exists, as Redis keeps it (docs/redis.md); the data suffices to end it on any node."""

    id: str
    """32 hex digits, made by this service."""
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
    """Epoch seconds of the 2xx, 0 before it."""
    process: Process = NO_PROCESS
    """The process that manages it."""
    relay: str = ""
    """`<engine> <session>` of the media relay, empty if media goes from phone to phone."""
    expires_at: float = 0.0
    """Epoch seconds when the session timer expires (RFC 4028), 0 without one."""
    via: str = ""
    """Number of the group or queue that was called, empty for a call to an extension."""
    via_name: str = ""
    is_private: bool = False
    """Whether the caller withholds its identity: then only operators see its number and name."""
    dialled: str = ""
    """The word that the caller dialled; empty: the number of the callee."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a call."""

    cause: Cause
    at: float
    """Epoch seconds."""
    status: int = 0
    """Status of the final response to the INVITE if the call was not accepted, else 0."""
    by: str = ""
    """The originator: the number of a party, `api`, or the name of a node."""
    why: str = ""
    """What was wrong with the call, as text for people; empty if that is not known."""


class CallResult(StrEnum):
    """What became of a call: the `result` in the history of calls."""

    ANSWERED = "answered"
    ELSEWHERE = "answered-elsewhere"
    """For a person at whom the call rang, too: another person answered it."""
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    UNREACHABLE = "unreachable"
    NOT_FOUND = "not-found"
    """The number that was dialled does not exist."""
    FORBIDDEN = "forbidden"
    """The phone may not call, or not from its address."""
    LOST = "lost"
    """It rang, and the caller or its node was lost."""
    ENDED = "ended"
    """It rang, and was ended through the API."""
    EMERGENCY = "emergency"
    """An emergency number was dialled, and there was no way to it."""
    FEATURE = "feature"
    """A feature code was dialled: there was no call."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PastCall:
    """A call that is over, or an INVITE that was refused before there was a call."""

    call: Call
    ending: Ending
    rung: tuple[str, ...] = ()
    """The people at whom it rang, by the ids of their extensions; may lack the callee of `call`."""
    result: CallResult | None = None
    """None: it follows from the others (rules.history)."""
