"""What handlers may ask of the outside world; each port has a real implementation and one in memory."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

from registrar.model import (
    Binding,
    Call,
    Callee,
    Ending,
    Epoch,
    LegKind,
    Phone,
    Process,
    Snapshot,
    Update,
    WrongPasswords,
)
from registrar.rules.guesses import Guesser, Taken

Column = Literal["login", "id"]


class Clock(Protocol):
    """The wall clock, as an object, so that a test can turn it."""

    def __call__(self) -> Epoch:
        """Seconds since 1970."""


class Location(Protocol):
    """Where the bindings of all phones are (RFC 3261's location service)."""

    def known(self, phone: str) -> Snapshot:
        """What this node last read or wrote of a phone; only `commit` proves that it is current."""

    async def load(self, phones: Sequence[str]) -> list[Snapshot]:
        """What is stored now. Raises StoreUnavailable."""

    async def commit(self, phone: str, before: Snapshot, update: Update) -> Snapshot | None:
        """Write `update` if nobody wrote since `before` was read.

        None: done, and every other node sees it. A snapshot: someone was faster, this is what stands now.
        Raises StoreUnavailable; it may then have been written or not, which a later `before` decides.
        """

    def promise(self, phone: str, update: Update) -> None:
        """Remember what a phone was told while the store is away, to be written when it is back."""


class Due(NamedTuple):
    """An entry of the expiry index whose time has come."""

    phone: str
    score: float


class Schedule(Protocol):
    """When which phone's earliest binding runs out. An entry may be too early, never too late."""

    async def due(self, limit: int) -> list[Due]:
        """Entries whose time has come, at most `limit` of each shard. Raises StoreUnavailable."""

    async def reschedule(self, due: Due, earliest: int | None) -> None:
        """Set or remove the entry, if it is still the one read. Raises StoreUnavailable."""

    async def lower(self, phone: str, earliest: int) -> None:
        """Set the entry unless it is earlier. Raises StoreUnavailable."""


class Sighting(NamedTuple):
    """A ping that a phone answered."""

    phone: str
    binding: Binding
    rtt_ms: float | None
    """None: the round trip is not known, what is stored stays."""
    at: Epoch


class Sightings(Protocol):
    """What pings tell about phones."""

    async def seen(self, sightings: Sequence[Sighting]) -> list[bool]:
        """Write them into the status of each phone that is online with just that binding: which ones were.

        Raises StoreUnavailable.
        """


class Connections(Protocol):
    """The open connections of this process, known by the id of their flow."""

    def is_open(self, flow: int) -> bool:
        """Whether messages can be sent over it."""

    def authenticated(self, flow: int) -> None:
        """A request with a right digest came over it: it may stay."""

    def hang_up(self, flow: int, *, revoked: bool) -> None:
        """Close it; `revoked`: its phone may not be served any more."""


class Directory(Protocol):
    """Who may register."""

    def peek(self, username: str, realm: str) -> Phone | None:
        """Whom these credentials name, when that is known and fresh without asking anybody."""

    async def find(self, username: str, realm: str) -> Phone | None:
        """The phone with this username, else the SIP user of the domain `realm` with it; None: nobody.

        Raises StoreUnavailable.
        """

    async def lock(self, phone: Phone, address: str) -> tuple[Phone | None, bool]:
        """Lock an OPEN phone to `address` in one step: the phone as it then stands, and whether we did it.

        None when it is gone. Raises StoreUnavailable; it may then be locked or not.
        """

    def serves(self, domain: str) -> bool:
        """Whether `domain` (lower case) is the SIP domain of a customer."""


class DialPlan(Protocol):
    """Who is reached by what."""

    async def called(self, customer: str, user: str) -> Callee | None:
        """Whom `user` reaches inside a customer: a number, a SIP user's name, or a phone's username.

        None: nobody has that name there. Raises StoreUnavailable.
        """

    async def phone(self, id: str) -> Phone | None:
        """One phone by its id; None: it is gone. Raises StoreUnavailable."""


class Media(Protocol):
    """A relay between two legs of a call (docs/media.md); all times are short, nothing waits for people."""

    @property
    def configured(self) -> bool:
        """Whether there is any engine to ask."""

    async def offer(
        self,
        session: str,
        sdp: bytes,
        *,
        from_tag: str,
        to_tag: str,
        to: LegKind,
        engine: str,
        family: str = "",
    ) -> tuple[bytes, str]:
        """The offer as the other leg, of kind `to`, must see it, and the engine that has the session.

        `family` is IP4 or IP6 where that leg is of another one than the offerer.

        `from_tag` is the offerer's; `to_tag` the other one's, empty while unknown. `engine`: the one that has
        the session already, empty for a new one. Raises MediaRefused for an SDP that the engine does not
        take, StoreUnavailable when no engine answers.
        """

    async def answer(self, session: str, sdp: bytes, *, from_tag: str, to_tag: str, engine: str) -> bytes:
        """The answer as the offerer must see it; `from_tag` is still the offerer's. Raises like `offer`."""

    def delete(self, session: str, engine: str) -> None:
        """End a session; nobody waits for it, and one that is gone already is no fault."""


class Calls(Protocol):
    """The calls that are there, for people and for other nodes. Written beside the path: nobody waits."""

    def put(self, call: Call) -> None:
        """Write a call as it stands; again each 30 s, or the store forgets it."""

    def started(self, call: Call) -> None:
        """Write it, and the event `call-started`."""

    def answered(self, call: Call) -> None:
        """Write it, and the event `call-answered`."""

    def ended(self, call: Call, ending: Ending) -> None:
        """Remove it, and write the event `call-ended`; once, however many nodes say so."""

    async def load(self, ids: Sequence[str]) -> list[Call | None]:
        """Those calls as they stand. Raises StoreUnavailable."""

    async def of_process(self, process: Process) -> list[Call]:
        """The calls that a process has left behind. Raises StoreUnavailable."""

    async def claim(self, call: Call) -> bool:
        """Whether a call that a process has left behind is ours from now on: one asks for it in time.

        Raises StoreUnavailable.
        """


class Guesses(Protocol):
    """The budget of wrong passwords that all processes share (rules.guesses)."""

    async def take(self, who: Guesser) -> Taken:
        """Add one wrong password, unless there is a hold. Raises StoreUnavailable."""

    def give_back(self, who: Guesser, taken: Taken) -> None:
        """Remove what `take` has added: the password was right. Nobody waits for it."""

    def good(self, who: Guesser) -> None:
        """Note that the account has proved its password from there just now. Nobody waits for it."""

    async def goods(self, source: str) -> frozenset[str]:
        """Return the marks of the accounts that are good from a source. Raises StoreUnavailable."""


class Traces(Protocol):
    """What is remembered of a phone's wrong passwords, for people."""

    async def wrong_passwords(self, wrong: WrongPasswords) -> None:
        """Write them into the status; into the journal at most once an hour. Raises StoreUnavailable."""


class Phones(Protocol):
    """The database behind a directory."""

    async def select(self, column: Column, values: Iterable[str]) -> list[Phone]:
        """The phones whose `login` or `id` is one of `values`. Raises StoreUnavailable."""

    async def members(self, customer: str) -> list[str]:
        """The ids of all phones and SIP users of a customer. Raises StoreUnavailable."""

    async def lock(self, phone: str, address: str) -> bool:
        """Whether this call was the one that made the OPEN phone LOCKED. Raises StoreUnavailable."""

    async def callee(self, customer: str, user: str) -> Callee | None:
        """See DialPlan.called. Raises StoreUnavailable."""

    async def domains(self) -> frozenset[str]:
        """Every SIP domain that is served, in lower case. Raises StoreUnavailable."""
