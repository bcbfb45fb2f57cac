"""All transactions of one process: which transaction a message belongs to, and which one is due next.

The driver calls a method, carries out the returned actions in their order, and calls `tick` when `deadline`
has passed. Requests reach `accept` only after authentication (docs/architecture.md): refusals before that are
stateless.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from registrar.model import Flow, Mono
from registrar.sip import Request, Response

from .actions import Action, Failed, TimedOut
from .client_invite import ClientInvite
from .client_non_invite import ClientNonInvite
from .deadlines import Deadlines
from .key import NO_KEY, Key, client_key, server_key
from .server_invite import ServerInvite
from .server_non_invite import ServerNonInvite
from .share import NO_SHARE, Share
from .state import State
from .timers import STANDARD, Timers

Client = ClientInvite | ClientNonInvite
Timed = ServerInvite | Client

CHALLENGES: Final = (401, 407)
LIMIT: Final = 200_000  # about 160 MB; 6,250 new transactions a second, as each is kept for 32 s


def _no_node(_ip: str, _port: int) -> bool:
    return False


class TableFull(Exception):
    """The table has as many transactions as allowed. Answer 503 without a transaction."""


class ShareFull(TableFull):
    """The customer has as many transactions as it may have, and others need the rest of the table."""


class Layer:
    """The table of transactions. `now` must never be less than in an earlier call."""

    def __init__(
        self,
        timers: Timers = STANDARD,
        limit: int = LIMIT,
        is_node: Callable[[str, int], bool] = _no_node,
    ) -> None:
        """Create an empty table. `is_node` tells whether another node is at an address and port."""
        self._is_node = is_node
        self._timers = timers
        self._limit = limit
        self._servers: dict[Key, ServerNonInvite] = {}
        self._invites: dict[Key, ServerInvite] = {}
        self._clients: dict[Key, Client] = {}
        self._by_connection: dict[int, dict[Key, ServerNonInvite | Timed]] = {}
        # These all have the same duration, so they end in the order in which they began and need no heap.
        self._unanswered: OrderedDict[Key, ServerNonInvite] = OrderedDict()
        self._answered: deque[ServerNonInvite] = deque()
        self._deadlines = Deadlines()
        self._shares: dict[str, Share] = {}
        self.unmatched = 0
        """Number of responses that matched no transaction and were dropped (RFC 6026 section 7.3)."""
        self.strayed = 0
        """Number of responses that came another way than their request went, and were dropped."""
        self.strange = 0
        """Number of responses over UDP from another address than their request went to. They count, because
        a peer may answer from another address; only it knows the branch, which has 64 random bits."""

    def __len__(self) -> int:
        return len(self._servers) + len(self._invites) + len(self._clients)

    def absorb(self, request: Request, flow: Flow, now: Mono, key: Key = NO_KEY) -> list[Action] | None:
        """Return the actions for a `request` of an existing transaction, or None if there is none.

        The last response is sent where it was sent before, even if the request comes by another flow. `key`
        is the key of `request`, if the caller has computed it already. Raise MalformedMessage.
        """
        key = key or server_key(request)
        transaction = self._servers.get(key)
        if transaction is not None:
            return transaction.absorb()
        invite = self._invites.get(key)
        if invite is None:
            return None
        if request.method == "INVITE":
            return invite.absorb()
        if not invite.acknowledged_by(request):
            return None
        actions = invite.acknowledge(request, flow, now)
        self._settle(invite)
        return actions

    def share(self, customer: str, most: int) -> Share:
        """Return the share of a customer that may have `most` transactions from now on."""
        share = self._shares.get(customer)
        if share is None:
            share = self._shares[customer] = Share(customer, most)
        share.most = most
        return share

    def accept(
        self, request: Request, flow: Flow, now: Mono, key: Key = NO_KEY, share: Share = NO_SHARE
    ) -> Key | None:
        """Begin the server transaction of a `request` other than ACK. Return None if it has begun already.

        Call `respond` for every request that was accepted: an INVITE waits for it without a time limit. `key`
        is as in `absorb`. Raise TableFull, or ShareFull.
        """
        key = key or server_key(request)
        if key in self._servers or key in self._invites:
            return None
        self._make_room(share)
        if request.method == "INVITE":
            invite = self._invites[key] = ServerInvite(request, key, flow, now, self._timers, share)
            self._deadlines.set(key, invite.deadline)
            self._join(invite)
        else:
            transaction = self._servers[key] = self._unanswered[key] = ServerNonInvite(
                key, flow, now, self._timers, share
            )
            self._join(transaction)
        share.open += 1
        return key

    def charge(self, key: Key, share: Share) -> None:
        """Let a server transaction count in a share: its sender was not known before. Raise ShareFull."""
        transaction = self._servers.get(key) or self._invites.get(key)
        if transaction is None or transaction.share is share:
            return
        if share.open >= share.most:
            raise ShareFull(f"{share.most} transactions")
        transaction.share.open -= 1
        transaction.share = share
        share.open += 1

    def respond(self, key: Key, response: Response, now: Mono) -> list[Action]:
        """Return the actions for the handler's response, provisional or final; none after the transaction."""
        invite = self._invites.get(key)
        if invite is not None:
            actions = invite.respond(response, now)
            self._settle(invite)
            return actions
        transaction = self._unanswered.get(key)
        if transaction is None:
            return []
        actions = transaction.respond(response, now, self._timers)
        if transaction.state is State.COMPLETED:
            del self._unanswered[key]
            self._answered.append(transaction)
        elif transaction.state is State.TERMINATED:
            self._drop(transaction)
        return actions

    def request(
        self, request: Request, flow: Flow, now: Mono, customer: str = ""
    ) -> tuple[Key, list[Action]]:
        """Return the key and the actions that send a request other than ACK, with its branch in the top Via.

        It counts in the share of `customer`, if that has one. Raise TableFull or ShareFull, or ValueError if
        the branch is not new.
        """
        key = client_key(request)
        if key in self._clients:
            raise ValueError(f"a branch must be new: {key}")
        share = self._shares.get(customer, NO_SHARE)
        self._make_room(share)
        make = ClientInvite if request.method == "INVITE" else ClientNonInvite
        transaction = make(request, key, flow, now, self._timers, share)
        self._clients[key] = transaction
        share.open += 1
        self._join(transaction)
        self._deadlines.set(key, transaction.deadline)
        return key, transaction.start()

    def sent(self, key: Key) -> bytes:
        """Return the bytes of a request that we sent, or empty if its transaction is over."""
        transaction = self._clients.get(key)
        return transaction.data if transaction is not None else b""

    def repeat(self, key: Key) -> list[Action]:
        """Return the action that retransmits the 2xx of an INVITE, until timer L (RFC 6026 section 7.1)."""
        invite = self._invites.get(key)
        return invite.repeat() if invite is not None else []

    def forget(self, key: Key) -> None:
        """End a client transaction that no caller waits for. Otherwise an INVITE may ring for ever."""
        transaction = self._clients.get(key)
        if transaction is not None:
            transaction.closed()
            self._settle(transaction)

    def receive(self, response: Response, flow: Flow, now: Mono) -> list[Action]:
        """Return the actions for a response, or none if it matches no transaction or is not believed.

        Raise MalformedMessage.
        """
        transaction = self._clients.get(client_key(response))
        if transaction is None:
            self.unmatched += 1
            return []
        if not self._believes(response.status, transaction.flow, flow):
            return []
        actions = transaction.receive(response, flow, now)
        self._settle(transaction)
        return actions

    def _believes(self, status: int, sent: Flow, flow: Flow) -> bool:
        """Return whether a response by `flow` counts for a request that went by `sent`.

        What went over a connection is answered on that connection only. Over UDP a peer may answer from
        another address (decision 111), but not with a challenge: its answer has a digest of a password
        (decision 102). Another node may: one that listens on all its addresses answers from that of the route
        back, and passes on the challenges of its phones (decision 118). What is not believed is dropped, and
        the true response is still awaited.
        """
        if _is_from_peer(sent, flow):
            return True
        is_udp = sent.transport == flow.transport == "udp"
        is_doubtful = status in CHALLENGES and not self._is_node(sent.remote_ip, sent.remote_port)
        if is_doubtful or not is_udp:
            self.strayed += 1
            return False
        self.strange += 1
        return True

    def failed(self, key: Key, now: Mono) -> list[Action]:
        """Return the actions after the transport failed to send what `Send(..., key)` asked for.

        This ends a client transaction. A server transaction stays, because its client may send the request
        again (RFC 6026 section 8.8).
        """
        client = self._clients.get(key)
        if client is None:
            return [Failed(key)] if key in self._servers or key in self._invites else []
        actions = client.failed()
        self._settle(client)
        return actions

    def closed(self, flow: Flow, now: Mono) -> list[Action]:
        """End all transactions of the closed connection `flow`, and return their actions."""
        actions: list[Action] = []
        if flow.transport == "udp":
            return actions
        for transaction in list(self._by_connection.get(flow.id, {}).values()):
            if isinstance(transaction, ServerNonInvite):
                actions.append(Failed(transaction.key))
                self._drop(transaction)
            else:
                actions += transaction.closed()
                self._settle(transaction)
        return actions

    def tick(self, now: Mono) -> list[Action]:
        """Return all actions that are due at `now`."""
        actions: list[Action] = []
        while self._answered and self._answered[0].deadline <= now:
            over = self._answered.popleft()
            del self._servers[over.key]
            over.share.open -= 1
        while self._unanswered:
            transaction = next(iter(self._unanswered.values()))
            if transaction.deadline > now:
                break
            actions.append(TimedOut(transaction.key))
            self._drop(transaction)
        while (key := self._deadlines.pop(now)) is not None:
            actions += self._due(key, now)
        return actions

    def deadline(self) -> Mono | None:
        """Return when `tick` must be called next, or None if nothing is due."""
        head = self._deadlines.head()
        if self._answered and (head is None or self._answered[0].deadline < head):
            head = self._answered[0].deadline
        if self._unanswered:
            first = next(iter(self._unanswered.values())).deadline
            if head is None or first < head:
                head = first
        return head

    def _due(self, key: Key, now: Mono) -> list[Action]:
        transaction = self._clients.get(key) or self._invites[key]
        actions = transaction.tick(now)
        self._settle(transaction)
        return actions

    def _settle(self, transaction: Timed) -> None:
        """Update the deadline of `transaction`, or remove it if it is over."""
        key = transaction.key
        self._deadlines.set(key, transaction.deadline)
        if transaction.state is State.TERMINATED:
            if isinstance(transaction, ServerInvite):
                del self._invites[key]
            else:
                del self._clients[key]
            transaction.share.open -= 1
            self._leave(transaction)

    def _drop(self, transaction: ServerNonInvite) -> None:
        """Remove `transaction` before timer J."""
        del self._servers[transaction.key], self._unanswered[transaction.key]
        transaction.share.open -= 1
        self._leave(transaction)

    def _make_room(self, share: Share) -> None:
        if len(self) >= self._limit:
            raise TableFull(f"{self._limit} transactions")
        if share is not NO_SHARE and share.open >= share.most:
            raise ShareFull(f"{share.most} transactions")

    def _join(self, transaction: ServerNonInvite | Timed) -> None:
        if transaction.flow.transport != "udp":
            self._by_connection.setdefault(transaction.flow.id, {})[transaction.key] = transaction

    def _leave(self, transaction: ServerNonInvite | Timed) -> None:
        if transaction.flow.transport != "udp":
            peers = self._by_connection[transaction.flow.id]
            del peers[transaction.key]
            if not peers:
                del self._by_connection[transaction.flow.id]


def _is_from_peer(asked: Flow, flow: Flow) -> bool:
    """Return whether `flow` comes from the peer that a request was sent to by `asked`.

    The local address does not count: a socket that is bound to all addresses learns it late.
    """
    if asked.transport != "udp":
        return flow.transport == asked.transport and flow.id == asked.id
    ip, port = (asked.hop_ip, asked.hop_port) if asked.hop_ip else (asked.remote_ip, asked.remote_port)
    return (flow.transport, flow.remote_ip, flow.remote_port) == ("udp", ip, port)
