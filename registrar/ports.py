"""The interfaces of the handlers to the outside world; each has a real implementation and one in memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from registrar.model import (
    Binding,
    Call,
    Called,
    ClaimResult,
    Destination,
    Ending,
    Epoch,
    LegKind,
    Notice,
    Party,
    PastCall,
    PersonState,
    Phone,
    Process,
    Publication,
    Snapshot,
    Switched,
    Update,
    Waiter,
    WrongPasswords,
)
from registrar.rules.bans import Ban
from registrar.rules.guesses import Guesser, Taken
from registrar.rules.standing import Entry
from registrar.rules.subscriptions import Subscription, Watcher

Column = Literal["login", "id"]


class Clock(Protocol):
    """The wall clock, as an object, so that a test can set it."""

    def __call__(self) -> Epoch:
        """Return the seconds since 1970."""


class Location(Protocol):
    """The bindings of all phones (RFC 3261's location service)."""

    def known(self, phone: str) -> Snapshot:
        """Return what this node last read or wrote of a phone; only `commit` proves that it is current."""

    async def load(self, phones: Sequence[str]) -> list[Snapshot]:
        """Return what is stored now. Raises StoreUnavailable."""

    async def commit(self, phone: str, before: Snapshot, update: Update) -> Snapshot | None:
        """Write `update` if no other write came since `before` was read.

        Return None if it was written; then every other node sees it. Return the current snapshot if another
        write came first. Raises StoreUnavailable; the update may then be written or not, and a later `before`
        shows which.
        """

    def promise(self, phone: str, update: Update) -> None:
        """Remember what a phone was told without the store, to write it when the store is back."""


class OfflineReasons(Protocol):
    """The part of the status of phones that says why they are offline."""

    async def offline_reasons(self, phones: Sequence[str]) -> list[str]:
        """Return the `reason` of the status of each phone, empty if it has none. Raises StoreUnavailable."""


class StateIndex(Protocol):
    """The states of phones, for numbers and lists; a commit that changes one writes it there, too."""

    async def entries(self, customer: str, phones: Sequence[str]) -> list[Entry | None]:
        """Return the entry of each phone, or None. Raises StoreUnavailable."""

    async def settle(self, phone: str, customer: str) -> bool:
        """Make the entry of a phone equal to its status, and return whether that was done.

        If `customer` is empty, the status must name it. Return False if it does not, or if the phone changes
        all the time. Raises StoreUnavailable.
        """

    async def drop(self, phone: str, customer: str) -> None:
        """Remove the entry of a phone that was deleted; it stays away until the next commit of the phone.

        If `customer` is empty, the status may name it. Raises StoreUnavailable.
        """


class Due(NamedTuple):
    """An entry of the expiry index that is due."""

    phone: str
    score: float


class Schedule(Protocol):
    """The expiry of each phone's earliest binding. An entry may be too early, never too late."""

    async def due(self, limit: int) -> list[Due]:
        """Return the entries that are due, at most `limit` of each shard. Raises StoreUnavailable."""

    async def reschedule(self, due: Due, earliest: int | None) -> None:
        """Set the entry, or remove it for None, if it is still the one that was read.

        Raises StoreUnavailable.
        """

    async def lower(self, phone: str, earliest: int) -> None:
        """Set the entry unless it is already earlier. Raises StoreUnavailable."""


class Sighting(NamedTuple):
    """A ping that a phone answered."""

    phone: str
    binding: Binding
    rtt_ms: float | None
    """None if the round trip is not known: then the stored one stays."""
    at: Epoch


class Sightings(Protocol):
    """The results of pings in the status of phones."""

    async def seen(self, sightings: Sequence[Sighting]) -> list[bool]:
        """Write each sighting into the status of its phone, if that is online with just that binding.

        Return for each sighting whether it was written. Raises StoreUnavailable.
        """


class OpenConnections(Protocol):
    """The open connections of this process, by the id of their flow."""

    def is_open(self, flow: int) -> bool:
        """Return whether messages can be sent over the connection."""

    def authenticated(self, flow: int) -> None:
        """Let the connection stay, because a request with a right digest came over it."""

    def hang_up(self, flow: int, *, revoked: bool) -> None:
        """Close the connection; `revoked`: its phone may not be served any more."""


class Directory(Protocol):
    """The phones and SIP users that may register."""

    def peek(self, username: str, realm: str) -> Phone | None:
        """Return the phone or SIP user of these credentials if a fresh one is in memory, else None."""

    async def find(self, username: str, realm: str) -> Phone | None:
        """Return the phone with this username, else the SIP user with it in the domain `realm`, else None.

        Raises StoreUnavailable.
        """

    async def lock(self, phone: Phone, address: str) -> tuple[Phone | None, bool]:
        """Lock an OPEN phone to `address` in one step.

        Return the phone as it is afterwards, or None if it is gone, and whether this call locked it. Raises
        StoreUnavailable; the phone may then be locked or not.
        """

    def serves(self, domain: str) -> bool:
        """Return whether `domain` (lower case) is the SIP domain of a customer."""


class DialPlan(Protocol):
    """The parties that dialled numbers and names reach."""

    async def called(self, customer: str, user: str) -> Destination:
        """Return the destination that the user part of a URI names inside a customer.

        All of it is looked up, else the number in it. Emergency numbers and feature codes come first, and
        for them no store is asked (rules.destination). Otherwise it is a number, the name of a SIP user, of a
        group or of a queue, or the username of a phone. Raises StoreUnavailable.
        """

    async def phone(self, id: str) -> Phone | None:
        """Return a phone by its id, or None if it is gone. Raises StoreUnavailable."""

    async def pickable(self, person: str) -> frozenset[str]:
        """Return the people whose calls a person may pick up. Raises StoreUnavailable."""


class People(Protocol):
    """What people are doing and want, shared by all nodes (docs/redis.md). A person is an extension.

    A method that is not awaited writes without a wait; a write that is lost is repaired by the end times.
    """

    def settings(self, person: str) -> PersonState | None:
        """Return DND, forwards and left queues if they are fresh in memory, else None."""

    async def states(self, people: Sequence[str], *, watch: bool = False) -> list[PersonState]:
        """Return the state of each person now. Raises StoreUnavailable.

        `watch`: for the next five seconds all nodes are told when one of them answers or is free. Calls at
        people for whom no other call waits are not told to anyone, for that costs more than the rest.
        """

    async def claim(
        self, people: Sequence[str], call: str, seconds: float, *, exclusive: bool
    ) -> list[ClaimResult]:
        """Claim each person for `call` for at most `seconds`, and return what came of it, in order.

        A claim that is not `exclusive` is refused for DND alone. Raises StoreUnavailable.
        """

    def release(self, person: str, call: str) -> None:
        """End the claim of `call`, if it has one, and tell all nodes if the person is watched."""

    def take_part(self, person: str, call: str) -> None:
        """Note that a call rings or talks at the person, or is made by it; repeat it each 30 s."""

    def answered(self, person: str, call: str) -> None:
        """Note that the person has answered `call`: its claim becomes a call of its line."""

    def ended(self, person: str, call: str, *, talked: bool) -> None:
        """Note the end of a call of the line, and tell all nodes if the person is watched.

        `talked`: the call was answered, so it counts for idle time and wrap-up.
        """

    async def change(self, person: str, field: str, value: str, *, customer: str = "", via: str = "") -> str:
        """Set a wish, and return the old value. Tell all nodes. Raises StoreUnavailable.

        `field` is `dnd` (`1` or empty), `cfu`, `cfb`, `cfnr` (a number or empty) or `left:<queue>`. A new
        value is also an event in the stream of all events. The event has the customer of the person, and in
        `via` the number of the queue.
        """

    async def publish(self, person: str, publication: Publication) -> bool:
        """Write what a person publishes, and tell all nodes if it differs from before.

        Return False, and write nothing, if `match` is not the tag of the present state. Raises
        StoreUnavailable.
        """


class Waiting(Protocol):
    """The calls that wait for a group or queue, in the order in which they came, shared by all nodes."""

    async def enter(self, place: str, call: str, stage: str) -> float:
        """Add a call, and return since when it waits. Raises StoreUnavailable.

        `place` is `group:<id>` or `queue:<id>`.
        """

    def move(self, place: str, call: str, stage: str) -> None:
        """Note the stage of a call that waits."""

    def leave(self, place: str, call: str) -> None:
        """Remove a call."""

    async def waiters(self, place: str) -> list[Waiter]:
        """Return the calls of living processes, first come first. Raises StoreUnavailable."""


class Media(Protocol):
    """A relay between two legs of a call (docs/media.md); all waits are short, none is for a person."""

    @property
    def configured(self) -> bool:
        """Return whether there is any engine to ask."""

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
        """Return the offer as the other leg, of kind `to`, must see it, and the engine that has the session.

        `from_tag` is the tag of the offerer; `to_tag` is that of the other party, empty while unknown.
        `engine` is the one that has the session already, empty for a new session. `family` is IP4 or IP6 if
        the other leg uses another address family than the offerer.

        Raises MediaRefused if the engine does not accept the SDP, StoreUnavailable if no engine answers.
        """

    async def answer(self, session: str, sdp: bytes, *, from_tag: str, to_tag: str, engine: str) -> bytes:
        """Return the answer as the offerer must see it; `from_tag` is still the offerer's tag.

        Raises the same errors as `offer`.
        """

    def delete(self, session: str, engine: str) -> None:
        """End a session without waiting for the result; a session that is already gone is no error."""


class Calls(Protocol):
    """The calls that exist, for people and for other nodes. The caller does not wait for writes."""

    def put(self, call: Call) -> None:
        """Write a call as it is now; repeat this each 30 s, else the store forgets the call."""

    def started(self, call: Call) -> None:
        """Write a call, and the event `call-started`."""

    def answered(self, call: Call) -> None:
        """Write a call, and the event `call-answered`."""

    def changed(self, call: Call, party: Party) -> None:
        """Write a call, and the event `call-changed`: that party has put it on hold, or has resumed it."""

    def ended(self, call: Call, ending: Ending) -> None:
        """Remove a call, and write the event `call-ended` once, even if several nodes report the end."""

    def note(self, notice: Notice) -> None:
        """Write an event of a call that waits into the stream of all events, or drop it while away."""

    async def load(self, ids: Sequence[str]) -> list[Call | None]:
        """Return those calls as they are stored, None for each that is gone. Raises StoreUnavailable."""

    async def of_customer(self, customer: str) -> list[Call]:
        """Return the calls of a customer. Raises StoreUnavailable."""

    async def of_process(self, process: Process) -> list[Call]:
        """Return the calls that a dead process has left behind. Raises StoreUnavailable."""

    async def claim(self, call: Call) -> bool:
        """Take over a call of a dead process, and return whether it is ours from now on.

        Only the first node that asks gets the call. Raises StoreUnavailable.
        """


class History(Protocol):
    """The history of calls, for people."""

    def add(self, past: PastCall) -> None:
        """Write a past call, unless it has a row already. The caller does not wait for it.

        A call that cannot be written, because the store is away for too long, is counted and dropped.
        """


class Deeds(Protocol):
    """The audit log, for what phones change."""

    def switched(self, deed: Switched) -> None:
        """Write that a phone has switched a wish. The caller does not wait for it.

        A deed that cannot be written, because the store is away for too long, is counted and dropped.
        """


class Subscriptions(Protocol):
    """The subscriptions of phones at this service, shared by all nodes."""

    async def write(self, subscription: Subscription) -> Subscription:
        """Write a subscription that is new, was refreshed or was taken over.

        Return it as it is stored: CSeq and version never fall. Raises StoreUnavailable.
        """

    async def load(self, id: str) -> Subscription | None:
        """Return a subscription, or None if it is gone. Raises StoreUnavailable."""

    async def watchers(self, target: str) -> list[Watcher]:
        """Return the subscriptions of a target that have not expired. Raises StoreUnavailable."""

    async def number(self, subscription: Subscription) -> Subscription | None:
        """Return the subscription with the CSeq number and version of its next NOTIFY.

        Return None if it is gone, or if another process sends its NOTIFYs. Raises StoreUnavailable.
        """

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscription. The caller does not wait for it."""

    async def of_process(self, process: Process) -> list[Subscription]:
        """Return the subscriptions that a dead process has left behind. Raises StoreUnavailable."""

    async def claim(self, subscription: Subscription) -> bool:
        """Take over a subscription of a dead process, and return whether it is ours from now on.

        Only the first node that asks gets it; it must write the subscription then. Raises StoreUnavailable.
        """


class Guesses(Protocol):
    """The budget of wrong passwords that all processes share (rules.guesses)."""

    async def take(self, who: Guesser) -> Taken:
        """Add one wrong password unless there is a hold, and return the result. Raises StoreUnavailable."""

    def give_back(self, who: Guesser, taken: Taken) -> None:
        """Remove what `take` has added, because the password was right. The caller does not wait for it."""

    def good(self, who: Guesser) -> None:
        """Note that the account has just proved its password from there. The caller does not wait for it."""

    async def goods(self, source: str) -> frozenset[str]:
        """Return the marks of the accounts that are good from a source. Raises StoreUnavailable."""


class Spraying(Protocol):
    """What nodes tell each other about accounts that are tried from many sources."""

    async def is_good(self, who: Guesser) -> bool:
        """Return whether the account is good from there. Raises StoreUnavailable."""

    def tried(self, mark: str) -> None:
        """Tell all nodes of a wrong password for an account where it is not good. Nothing is stored."""


class SourcePhones(Protocol):
    """The phones behind an address."""

    async def phones(self, ip: str) -> int:
        """Return how many proved their password there within 30 days. Raises StoreUnavailable."""


class BanBook(Protocol):
    """The book of bans that all processes share."""

    def begin(self, ban: Ban) -> None:
        """Begin or prolong an automatic ban. The caller does not wait for it."""


class Traces(Protocol):
    """The record of a phone's wrong passwords, for people."""

    async def wrong_passwords(self, wrong: WrongPasswords) -> None:
        """Write them into the status, and into the journal at most once an hour. Raises StoreUnavailable."""


class Phones(Protocol):
    """The database behind a directory."""

    async def select(self, column: Column, values: Iterable[str]) -> list[Phone]:
        """Return the phones whose `login` or `id` is one of `values`. Raises StoreUnavailable."""

    async def members(self, customer: str) -> list[str]:
        """Return the ids of all phones and SIP users of a customer. Raises StoreUnavailable."""

    async def lock(self, phone: str, address: str) -> bool:
        """Lock an OPEN phone, and return whether this call locked it. Raises StoreUnavailable."""

    async def callee(self, customer: str, user: str) -> Called | None:
        """Return what the dial plan of a customer has for a word, or None. Raises StoreUnavailable."""

    async def pickable(self, person: str) -> frozenset[str]:
        """See DialPlan.pickable. Raises StoreUnavailable."""

    async def domains(self) -> Mapping[str, bool]:
        """Return every SIP domain that is served, in lower case, and whether it requires SHA-256.

        Raises StoreUnavailable.
        """
