"""A registrar without sockets and servers: real rules, stores in memory, a clock turned by hand, phones."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from itertools import count

from registrar.errors import StoreUnavailable
from registrar.handlers.answers import Answer
from registrar.handlers.building import Options, Outside, build
from registrar.handlers.calls.hunting import Patience
from registrar.handlers.calls.pickup import PickupNews
from registrar.handlers.calls.reach import Neighbour
from registrar.handlers.calls.table import News
from registrar.handlers.checks import Silence
from registrar.handlers.events.notifier import Limits
from registrar.handlers.limits import Limiter
from registrar.handlers.method import UNKNOWN, Method
from registrar.handlers.network import ClientTransactionUser, ServerTransactionUser
from registrar.logs import WrongPasswordLines
from registrar.metrics import Metrics
from registrar.model import (
    NO_DESTINATION,
    Binding,
    Called,
    CallResult,
    Change,
    Destination,
    Devices,
    Epoch,
    Flow,
    IpMode,
    MediaPolicy,
    Mono,
    Phone,
    Process,
    Snapshot,
    Update,
    WrongPasswords,
    login_name,
)
from registrar.ports import Due, Media
from registrar.rules.access import Access
from registrar.rules.auth import OFFERED, Authenticator
from registrar.rules.bans import Ban, Barred
from registrar.rules.destination import resolve
from registrar.rules.features import reserved_words
from registrar.rules.hosts import OurHosts
from registrar.rules.inflow import Inflow
from registrar.rules.notify import Result
from registrar.rules.quotas import Quotas
from registrar.rules.routing import dialled
from registrar.rules.tokens import KEY_BYTES, SALT_BYTES, Target, TokenCodec
from registrar.sip import Credentials, Request, Response, check, expected, ha1, parse
from registrar.store.calls_memory import MemoryCalls
from registrar.store.deeds_memory import MemoryDeeds
from registrar.store.directory_cache import ALL_RESERVED
from registrar.store.guesses_memory import MemoryGuesses
from registrar.store.history_memory import MemoryHistory
from registrar.store.location_memory import MemoryLocation
from registrar.store.media_none import NoMedia
from registrar.store.people_memory import MemoryPeople
from registrar.store.subscriptions_memory import MemorySubscriptions
from registrar.store.waiting_memory import MemoryWaiting
from registrar.transaction import Key, TableFull

DOMAIN, SERVICE = "acme.test", "service.test"
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"
EDGES = (ip_network("192.0.2.200/29"),)
"""Where the edge proxies are."""
NODE_PLACE = "192.0.2.77", 5060
"""From where another node of this service sends."""
KEY = bytes(range(64))
PATIENCE = Patience(60, 900, 20)
COUNTRIES = {HOME: "DK", ELSEWHERE: "SE"}


class Hands:
    """The wall clock."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> Epoch:
        return Epoch(self.now)


class People:
    """Implements ports.Directory, ports.DialPlan and the re-check's Rereader over a dictionary."""

    def __init__(self, *phones: Phone) -> None:
        self.rows = {phone.id: phone for phone in phones}
        self.known = dict(self.rows)
        """What this node has read; `rows` is what the database holds."""
        self.away = False
        self.locks = 0
        self.pickups: dict[str, frozenset[str]] = {}
        """Person -> those whose calls it may pick up."""

    def peek(self, username: str, realm: str) -> Phone | None:
        return None

    async def find(self, username: str, realm: str) -> Phone | None:
        self._ask()
        login = login_name(username, realm)
        return next((phone for phone in self.known.values() if phone.login == login), None)

    async def lock(self, phone: Phone, address: str) -> tuple[Phone | None, bool]:
        self._ask()
        self.locks += 1
        row = self.rows.get(phone.id)
        won = row is not None and row.mode is IpMode.OPEN
        if row is not None and won:
            self.rows[phone.id] = replace(row, mode=IpMode.LOCKED, address=address, version=row.version + 1)
        if phone.id in self.rows:
            self.known[phone.id] = self.rows[phone.id]
        return self.rows.get(phone.id), won

    def serves(self, domain: str) -> bool:
        return domain in (DOMAIN, "rival.test")

    async def reread(self, phones: Sequence[str]) -> list[Phone]:
        self._ask()
        wanted = [phone for phone in self.rows.values() if phone.id in phones]
        for id in phones:
            self.known.pop(id, None)
        self.known |= {phone.id: phone for phone in wanted}
        return wanted

    async def members(self, customer: str) -> list[str]:
        self._ask()
        either = [*self.known.values(), *self.rows.values()]
        return list(dict.fromkeys(phone.id for phone in either if phone.customer == customer))

    async def called(self, customer: str, user: str) -> Destination:
        self._ask()
        for word in dialled(user):
            destination = resolve(word, self._callee(customer, word), ALL_RESERVED)
            if destination is not NO_DESTINATION:
                return destination
        return NO_DESTINATION

    def _callee(self, customer: str, word: str) -> Devices | None:
        mine = [phone for phone in self.known.values() if phone.customer == customer]
        found = next((phone for phone in mine if word in (phone.extension, phone.username)), None)
        if found is None:
            return None
        together = tuple(phone for phone in mine if phone.extension == found.extension)
        return Devices(found.extension, found.name, together)

    async def pickable(self, person: str) -> frozenset[str]:
        self._ask()
        return self.pickups.get(person, frozenset())

    async def phone(self, id: str) -> Phone | None:
        self._ask()
        return self.known.get(id)

    def by_id(self, phone: str) -> Phone | None:
        return self.known.get(phone)

    async def learn(self, phones: Sequence[str]) -> None:
        if not self.away:
            self.known |= {phone: self.rows[phone] for phone in phones if phone in self.rows}

    def _ask(self) -> None:
        if self.away:
            raise StoreUnavailable("the database: away")


class Lines:
    """Implements ports.OpenConnections over a dictionary."""

    def __init__(self) -> None:
        self.flows: dict[int, Flow] = {}
        self.trusted: set[int] = set()
        self._numbers = count(1)
        self.hung_up: list[tuple[int, bool]] = []
        """Which were closed, and whether because their phone may not be served."""

    def dial(self, transport: str = "wss", address: str = HOME) -> Flow:
        """A new connection."""
        number = next(self._numbers)
        flow = self.flows[number] = Flow(transport, "192.0.2.10", 8443, address, 40_000 + number, number)
        return flow

    def is_open(self, flow: int) -> bool:
        return flow in self.flows

    def authenticated(self, flow: int) -> None:
        self.trusted.add(flow)

    def hang_up(self, flow: int, *, revoked: bool) -> None:
        if self.flows.pop(flow, None) is not None:
            self.hung_up.append((flow, revoked))


class Memories:
    """Implements ports.Traces: keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[WrongPasswords] = []
        self.away = False

    async def wrong_passwords(self, wrong: WrongPasswords) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.told.append(wrong)


class Book:
    """Implements ports.BanBook: keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[Ban] = []

    def begin(self, ban: Ban) -> None:
        self.begun.append(ban)


class Offices:
    """Implements ports.SourcePhones over a dictionary."""

    def __init__(self) -> None:
        self.behind: dict[str, int] = {}
        self.asked: list[str] = []
        self.away = False

    async def phones(self, ip: str) -> int:
        self.asked.append(ip)
        if self.away:
            raise StoreUnavailable("away")
        return self.behind.get(ip, 0)


Hook = Callable[[], Awaitable[None]]


class Contested(MemoryLocation):
    """Somebody else is faster, as often as it is told; and what happens just before a step can be told."""

    rivals: int = 0
    before_commit: Hook | None = None
    before_reschedule: Hook | None = None

    async def commit(self, phone: str, before: Snapshot, update: Update) -> Snapshot | None:
        if self.before_commit is not None:
            await self.before_commit()
        if self.rivals:
            self.rivals -= 1
            stands = self.known(phone)
            self.stored[phone] = replace(stands, version=stands.version + 1)
        return await super().commit(phone, before, update)

    async def everybody(self) -> list[str]:
        return list(self.stored)

    async def reschedule(self, due: Due, earliest: int | None) -> None:
        if self.before_reschedule is not None:
            await self.before_reschedule()
        await super().reschedule(due, earliest)


def phone(name: str = "u", **changes: object) -> Phone:
    made = Phone(
        id=f"id-{name}",
        version=1,
        username=name * 32,
        domain=DOMAIN,
        customer="acme",
        active=True,
        extension="200",
        password="p" * 32,
        secret_version=1,
        mode=IpMode.OPEN,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name fields that exist


def user(name: str = "anna", password: str = "secret", **changes: object) -> Phone:
    """A SIP user: HA1s instead of a password, and the networks of its domain instead of a mode."""
    made = replace(
        phone(),
        id="u7",
        username=name,
        password="",
        extension="300",
        by_domain=True,
        ha1_md5=ha1(name, DOMAIN, password, "MD5"),
        ha1_sha256=ha1(name, DOMAIN, password, "SHA-256"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name fields that exist


@dataclass
class Incoming:
    """Implements handlers.network.ServerRequest: keeps what was answered."""

    request: Request
    flow: Flow
    is_twin: bool = False
    answers: list[Answer] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    """What others answered."""
    dropped: list[tuple[str, str]] = field(default_factory=list)
    phone: Phone | None = None
    called: Called | None = None
    call: str = ""
    result: CallResult | None = None
    started: Mono = field(default_factory=lambda: Mono(0.0))
    method: Method = UNKNOWN
    served: ServerTransactionUser | None = None
    accepted: bool = False
    crowd: TableFull | None = None
    """Raised instead of a transaction that counts for a customer."""
    is_cancelled: bool = False
    """The CANCEL came before anybody served the INVITE."""
    ended: Callable[["Incoming"], None] | None = None
    """Told of the final answer, once."""

    def accept(self, phone: Phone | None = None) -> bool:
        if self.crowd is not None and phone is not None:
            raise self.crowd
        self.accepted = not self.is_twin
        return self.accepted

    def attach(self, served: ServerTransactionUser) -> None:
        self.served = served
        if self.is_cancelled:
            served.cancel("")

    def drop(self, reason: str, why: str) -> None:
        self.dropped.append((reason, why))

    def reply(self, answer: Answer) -> None:
        self.answers.append(answer)
        self._note(answer.status)

    def respond(self, response: Response) -> None:
        self.responses.append(read_response(response))
        self._note(response.status)

    def _note(self, status: int) -> None:
        """As the driver: what the caller does after a final answer is of no interest."""
        if status >= 200:
            self.served = None
            ended, self.ended = self.ended, None
            if ended is not None:
                ended(self)

    def repeater(self) -> Callable[[], None]:
        return lambda: self.responses.append(self.responses[-1])

    def cancel(self, reason: str = "") -> None:
        """The caller sends a CANCEL."""
        assert self.served is not None
        self.served.cancel(reason)

    @property
    def statuses(self) -> list[int]:
        """Of what the asker got: first what others said, then what we did."""
        return [response.status for response in self.responses] + [answer.status for answer in self.answers]


def read_response(response: Response) -> Response:
    """As it comes out at the other end of the wire."""
    read = parse(bytes(response), exact=True)
    assert isinstance(read, Response)
    return read


@dataclass
class Sent:
    """One request that left."""

    request: Request
    flow: Flow
    key: Key | None = None
    """None: without a transaction."""
    asker: ClientTransactionUser | None = None
    forgotten: bool = False
    customer: str = ""
    """Whose transaction it is."""


class Wire:
    """Implements handlers.network.Network: keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.is_full = False
        self._asked: dict[Key, Sent] = {}

    def request(
        self, request: Request, flow: Flow, asker: ClientTransactionUser | None, customer: str = ""
    ) -> Key:
        if self.is_full:
            raise TableFull("enough")
        key = Key(f"{request.cseq[1]} {request.via.branch}")
        self._asked[key] = Sent(_read_request(request), flow, key, asker, customer=customer)
        self.sent.append(self._asked[key])
        return key

    def send(self, message: Request | Response, flow: Flow) -> None:
        assert isinstance(message, Request)
        self.sent.append(Sent(_read_request(message), flow))

    def forget(self, key: Key) -> None:
        for sent in self.sent:
            sent.forgotten = sent.forgotten or sent.key == key

    def entrust(self, key: Key, asker: ClientTransactionUser | None) -> None:
        self._asked[key].asker = asker

    def forget_all(self) -> None:
        """Keep nobody that has asked."""
        self.sent.clear()
        self._asked.clear()

    def original(self, key: Key) -> Request | None:
        return self._asked[key].request

    def take(self) -> list[Sent]:
        """What was sent since the last time."""
        sent, self.sent = self.sent, []
        return sent

    @property
    def methods(self) -> list[str]:
        return [sent.request.method for sent in self.sent]


def _read_request(request: Request) -> Request:
    """As it comes out at the other end of the wire, where it must be sound."""
    read = parse(bytes(request), exact=True)
    assert isinstance(read, Request)
    check(read)
    return read


class World:
    """One node, or two over the same stores."""

    def __init__(
        self,
        *phones: Phone,
        node: str = "a",
        beside: "World | None" = None,
        media: Media | None = None,
        policy: MediaPolicy = MediaPolicy.AUTO,
        ring_seconds: float = 185.0,
        patience: Patience = PATIENCE,
        subscriptions: Limits = Limits(),  # noqa: B008  # it is frozen
        people: "People | None" = None,
        persons: MemoryPeople | None = None,
        quotas: Quotas = Quotas(),  # noqa: B008  # it is frozen
        siblings: frozenset[str] = frozenset(),
    ) -> None:
        """`people`: the directory, if it is not simply that of `phones`; `persons`: what they are doing."""
        self.clock: Hands = beside.clock if beside else Hands()
        self.people: People = beside.people if beside else people or People(*(phones or (phone(),)))
        self.location: Contested = beside.location if beside else Contested(self.clock)
        self.metrics = Metrics()
        self.country: Callable[[str], str | None] = COUNTRIES.get
        self.access = Access(
            lambda address: self.country(address),
            ipv6_prefix=64,
            banned=lambda phone, ip: self.barred.has_phone(phone, ip, self.clock()),
        )
        process = Process(node, f"g-{node}")
        hosts = OurHosts("", SERVICE, self.people.serves, lambda host: host == "192.0.2.10")
        self.authenticator = Authenticator(KEY, OFFERED["md5"], SERVICE, self.people.serves, hosts.has)
        self.codec = TokenCodec(KEY[:KEY_BYTES])
        self.lines = Lines()
        self.guesses: MemoryGuesses = beside.guesses if beside else MemoryGuesses(self.clock)
        self.traces = Memories()
        self.book = Book()
        self.offices = Offices()
        self.barred = Barred()
        self.limiter = Limiter(
            Inflow(),
            self.barred,
            self.offices,
            lambda flow: self.lines.hang_up(flow, revoked=False),
            self.start_task,
            self.clock,
            lambda: Mono(self.clock.now),
            self.metrics,
            lambda ip, port: (ip, port) == NODE_PLACE,
        )
        self.pauses: list[float] = []
        """Until when failed digests were kept back, after their arrival."""
        self.sent: list[bytes] = []
        """The pings, and whether more can be sent."""
        self.can_send = True
        self.roll = 0.5
        self.local_ip = "192.0.2.10"
        self.neighbours: dict[str, Neighbour] = {}
        """Generation and address of the other nodes, by name."""
        self.wire = Wire()
        self.tasks: list[asyncio.Task[None]] = []
        self.news: list[News] = []
        self.pickup_news: list[PickupNews] = []
        self.results: list[tuple[str, Result]] = []
        """What the API was told of its orders for NOTIFYs."""
        self.store = MemoryCalls(self.clock, process)
        self.history: MemoryHistory = beside.history if beside else MemoryHistory()
        self.deeds = MemoryDeeds()
        self.dead: set[Process] = beside.dead if beside else set()
        """The processes whose lease is gone."""
        self.doing = persons or MemoryPeople(self.clock, process, lambda other: other not in self.dead)
        self.waiting = MemoryWaiting(self.clock, process, lambda other: other not in self.dead)
        if beside is not None:
            self.store.share(beside.store)
            self.doing.share(beside.doing)
            self.waiting.share(beside.waiting)
        self.subscriptions = MemorySubscriptions(self.clock)
        if beside is not None:
            self.subscriptions.share(beside.subscriptions)
        serial = count(ord(node) << 32)  # no two nodes draw the same
        numbers = count(1 << 32 if beside else 1)
        self.outside = Outside(
            network=self.wire,
            connections=self.lines,
            ways=self,
            directory=self.people,
            location=self.location,
            states=self.location.states,
            guesses=self.guesses,
            book=self.book,
            limiter=self.limiter,
            traces=self.traces,
            calls=self.store,
            history=self.history,
            deeds=self.deeds,
            people=self.doing,
            waiting=self.waiting,
            subscriptions=self.subscriptions,
            media=media or NoMedia(),
            access=self.access,
            authenticator=self.authenticator,
            codec=self.codec,
            hosts=hosts,
            process=process,
            metrics=self.metrics,
            lines=WrongPasswordLines(),
            clock=self.clock,
            mono=lambda: Mono(self.clock.now),
            until=self._until,
            tell=self.news.append,
            tell_pickup=self.pickup_news.append,
            report=lambda order, result: self.results.append((order, result)),
            start_task=self.start_task,
            nonce_salt=lambda: next(serial).to_bytes(8, "big"),
            salt=lambda: next(serial).to_bytes(SALT_BYTES, "big"),
            new_id=lambda: f"{next(numbers):032x}",
            roll=lambda: self.roll,
        )
        handlers = build(
            self.outside,
            Options(
                ipv6_prefix=64,
                ping_seconds=30,
                ring_seconds=ring_seconds,
                patience=patience,
                reserved=reserved_words(),
                alerts=False,
                media_policy=policy,
                media_prefix="pre-",
                loop_key=KEY,
                ping_key=KEY,
                watch_key=KEY,
                subscriptions=subscriptions,
                quotas=quotas,
                edges=EDGES,
                siblings=siblings,
            ),
        )
        self.checks, self.dispatch, self.digest_check, self.trail = (
            handlers.checks,
            handlers.dispatch,
            handlers.digest_check,
            handlers.trail,
        )
        self.flows, self.pings, self.changes, self.expiry = (
            handlers.flows,
            handlers.pings,
            handlers.changes,
            handlers.expiry,
        )
        self.hunts, self.pickup = handlers.hunts, handlers.pickup
        self.calls, self.reach, self.senders, self.node_relay = (
            handlers.calls,
            handlers.reach,
            handlers.senders,
            handlers.node_relay,
        )
        self.call_history = handlers.history
        self.notifier = handlers.notifier
        self.counts, self.quotas = handlers.counts, handlers.quotas
        self.reloads = handlers.reloads
        self.hunts = handlers.hunts
        self.bound: list[tuple[str, Snapshot]] = []
        """What was said of whose bindings."""
        handled = self.pings.bound

        def bound(phone: str, stands: Snapshot) -> None:
            self.bound.append((phone, stands))
            handled(phone, stands)

        self.pings.bound = bound  # type: ignore[method-assign]  # to see each call

    async def _until(self, due: Mono) -> None:
        self.pauses.append(due)

    def start_task(self, job: Coroutine[None, None, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(job))

    async def settle(self) -> None:
        """Until nothing is under way any more."""
        while self.tasks:
            await self.tasks.pop()

    # handlers.building.Ways

    def open_flow(self, target: Target) -> Flow | None:
        """One UDP listener, and the connections that are open."""
        if target.transport != "udp":
            return self.lines.flows.get(target.flow)
        return Flow("udp", self.local_ip, 5060, target.ip, target.port)

    def node_flow(self, address: str) -> Flow | None:
        host, _, port = address.rpartition(":")
        return Flow("udp", self.local_ip, 5060, host, int(port))

    def secure_nodes(self) -> frozenset[str]:
        return frozenset({self.reach.node})

    def udp_flow(self, binding: Binding) -> Flow | None:
        """This world has one UDP listener, number 0."""
        if binding.flow:
            return None
        return Flow("udp", self.local_ip, 5060, binding.public_ip, binding.public_port)

    def ping(self, data: bytes, flow: Flow) -> bool:
        if self.can_send:
            self.sent.append(data)
        return self.can_send

    def neighbour(self, node: str) -> Neighbour | None:
        return self.neighbours.get(node)

    @property
    def has_neighbours(self) -> bool:
        return bool(self.neighbours)

    # What the driver does

    async def serve(
        self, request: Request, address: str = HOME, flow: Flow | None = None
    ) -> Answer | Silence | None:
        """What the driver does with one request: None is no answer at all. Without a `flow` over UDP."""
        flow = flow or Flow("udp", "192.0.2.10", 5060, address, 5060)
        verdict = self.checks.sort(request, flow, self.clock())
        if isinstance(verdict, Silence):
            return verdict
        incoming = await self.ask(Incoming(request, flow))
        assert len(incoming.answers) <= 1
        return incoming.answers[0] if incoming.answers else None

    async def ask(self, incoming: Incoming) -> Incoming:
        """The same for who wants to see all that becomes of it."""
        verdict = self.checks.sort(incoming.request, incoming.flow, self.clock())
        incoming.ended = self._note_refusal
        if isinstance(verdict, Answer):
            incoming.reply(verdict)
        elif not isinstance(verdict, Silence):
            await self.dispatch.serve(incoming, verdict)
            await self.settle()
        return incoming

    def _note_refusal(self, incoming: Incoming) -> None:
        """As the driver: an INVITE that was refused before there was a call."""
        is_new = incoming.method.is_invite and not (incoming.method.inside or incoming.call)
        if is_new and incoming.phone is not None and incoming.answers and incoming.answers[-1].status >= 300:
            last = incoming.answers[-1]
            self.call_history.refused(incoming, last.status, last.text, 0.0)

    async def hang_up(self, flow: Flow, *, silent: bool = False) -> None:
        """The peer closes a connection."""
        self.lines.flows.pop(flow.id, None)
        self.flows.closed(flow, silent=silent)

    def snapshot(self, id: str = "id-u") -> Snapshot:
        return self.location.known(id)

    def events(self) -> list[str]:
        return [str(event.kind) for _, update in self.location.updates for event in update.events]


def request(
    method: str = "REGISTER",
    uri: str = f"sip:{DOMAIN}",
    *,
    to: str = f"sip:200@{DOMAIN}",
    call_id: str = "call-1",
    cseq: int = 1,
    to_tag: str = "",
    more: Iterable[str] = (),
) -> Request:
    """A checked request; `more` are header lines."""
    about = f";tag={to_tag}" if to_tag else ""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bK{call_id}{cseq}",
        f"From: <{to}>;tag=a",
        f"To: <{to}>{about}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *more,
        "Content-Length: 0",
    ]
    message = parse(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert isinstance(message, Request)
    check(message)
    return message


class Device:
    """A phone: it registers, answers challenges, and counts."""

    def __init__(
        self, world: World, account: Phone | None = None, address: str = HOME, contact: str = "10.0.0.7"
    ) -> None:
        self.world = world
        self.account = account or phone()
        self.address = address
        self.contact = f"<sip:200@{contact}>"
        self.call_id = f"call-{contact}"
        self.cseq = 0
        self.nonce = ""
        self.count = 0
        self.to = f"sip:200@{DOMAIN}"
        self.uri = f"sip:{DOMAIN}"
        """The Request-URI of a REGISTER."""
        self.target = f"sip:201@{DOMAIN}"
        """The Request-URI of anything else."""
        self.digest_uri = ""
        """What it writes into its digest, when that is not its domain."""
        self.flow: Flow | None = None
        """The connection to speak over, None: UDP."""
        self.more: tuple[str, ...] = ()
        """Header lines of every request."""

    async def register(self, expires: int | None = 3_600, *contacts: str, method: str = "REGISTER") -> Answer:
        """With the nonce it has; a challenge is answered once when there is none."""
        answer = await self.send(expires, *contacts, method=method)
        if answer.status == 401 and "stale=true" not in answer.headers[0][1] and not self.count:
            self.take(answer)
            answer = await self.send(expires, *contacts, method=method)
        return answer

    async def send(self, expires: int | None = 3_600, *contacts: str, method: str = "REGISTER") -> Answer:
        self.cseq += 1
        request = self.build(expires, *contacts, method=method)
        answer = await self.world.serve(request, self.address, self.flow)
        assert isinstance(answer, Answer)
        return answer

    def build(self, expires: int | None, *contacts: str, method: str = "REGISTER") -> Request:
        more = [f"Contact: {contact}" for contact in contacts or (self.contact,)]
        more += self.more
        if expires is None:
            more = []
        else:
            more.append(f"Expires: {expires}")
        if self.nonce:
            self.count += 1
            more.append(self.authorization(method))
        uri = self.uri if method == "REGISTER" else self.target
        return request(method, uri, to=self.to, call_id=self.call_id, cseq=self.cseq, more=more)

    def authorization(self, method: str = "REGISTER") -> str:
        name, password = self.account.username, self.account.password
        bare = Credentials(
            name,
            DOMAIN,
            self.nonce,
            self.digest_uri or f"sip:{DOMAIN}",
            "",
            "MD5",
            "cnonce",
            "auth",
            f"{self.count:08x}",
        )
        response = expected(bare, method, ha1(name, DOMAIN, password, "MD5"))
        return (
            f'Authorization: Digest username="{name}", realm="{DOMAIN}", nonce="{self.nonce}", '
            f'uri="{bare.uri}", response="{response}", algorithm=MD5, qop=auth, nc={bare.nc}, cnonce="cnonce"'
        )

    def take(self, challenge: Answer) -> None:
        """Use the nonce of a challenge from now on."""
        value = dict(challenge.headers)["WWW-Authenticate"]
        self.nonce = value.partition('nonce="')[2].partition('"')[0]
        self.count = 0


async def apply(world: World, change: Change) -> None:
    """Note a change, and all that follows from it."""
    world.changes.note(change)
    while await world.changes.step():
        pass
