"""SUBSCRIBE to a person or a feature code: this service is the notifier, and no phone is asked (RFC 6665)."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import Flow, Phone
from registrar.ports import Clock, DialPlan, Subscriptions
from registrar.rules.identity import SIPS, plain
from registrar.rules.routing import SECURE, is_sips
from registrar.rules.subscriptions import (
    ALLOW_EVENTS,
    MESSAGES,
    PACKAGES,
    Event,
    Subscription,
    granted,
    read_event,
)
from registrar.rules.tokens import DialogHandle, SubscriptionToken, TokenCodec
from registrar.sip import Request, Uri, answer

from ..answers import (
    BUSY,
    NO_SUCH_CALL,
    NOT_FROM_THERE,
    NOT_ITS_PHONE,
    NOT_SECURE,
    NOT_SERVED,
    UNKNOWN,
    Answer,
)
from ..network import ServerRequest
from .line import OwnDialogs
from .notifier import Limits, Notifier
from .watching import Target, Watching, is_own

BAD_EVENT: Final = Answer(
    489,
    headers=(("Allow-Events", ALLOW_EVENTS),),
    why="Event: no such event package is served here",
)
NO_CONTACT: Final = Answer(400, "Contact Is Missing", why="Contact: a SUBSCRIBE needs one")
OTHERS_MAILBOX: Final = Answer(403, why="Request-URI: a phone sees the messages of its own number alone")
OLD_CSEQ: Final = Answer(500, why="CSeq: the number is not higher than that of the last request")

log = logging.getLogger(__name__)


def full(limits: Limits) -> Answer:
    """Return the answer of a node that takes no further subscription."""
    why = f"this node has {limits.of_node} subscriptions and takes no more"
    return Answer(503, headers=(("Retry-After", "60"),), why=why)


def too_many(limits: Limits) -> Answer:
    """Return the answer to a phone that has as many subscriptions as a phone may have."""
    return Answer(480, why=f"a phone has {limits.of_phone} subscriptions at most")


def crowded(limits: Limits) -> Answer:
    """Return the answer to a phone that wants to watch what enough others watch."""
    return Answer(480, why=f"Request-URI: {limits.watchers} phones at most watch one number")


class Subscribing:
    """Handler of SUBSCRIBE to this service, outside and inside its dialogs."""

    def __init__(
        self,
        store: Subscriptions,
        notifier: Notifier,
        watching: Watching,
        dialogs: OwnDialogs,
        dial_plan: DialPlan,
        codec: TokenCodec,
        clock: Clock,
        *,
        is_service: Callable[[str], bool],
        may_come: Callable[[Phone, Flow], bool],
        new_id: Callable[[], str],
        salt: Callable[[], bytes],
    ) -> None:
        """Create the handler.

        `is_service` tells whether a host is a name of this service, and `may_come` whether the access rule
        lets a phone send from an address.
        """
        self._store = store
        self._notifier = notifier
        self._watching = watching
        self._dialogs = dialogs
        self._dial_plan = dial_plan
        self._codec = codec
        self._clock = clock
        self._is_service = is_service
        self._may_come = may_come
        self._new_id = new_id
        self._salt = salt

    async def subscribe(self, incoming: ServerRequest, subscriber: Phone) -> None:
        """Begin a subscription, or refuse it. The phone has proved its identity."""
        request = incoming.request
        event = read_event(request)
        if event is None or event.package not in PACKAGES:
            incoming.reply(BAD_EVENT)
            return
        try:
            target = await self._target(request, subscriber)
            refused = UNKNOWN if target is None else self._refused(incoming, event, target, subscriber)
            if target is None or refused is not None:
                incoming.reply(refused or UNKNOWN)
                return
            subscription = self._new(incoming, event, target, subscriber)
            if granted(request):
                await self._begin(incoming, subscription, target)
                return
        except StoreUnavailable:
            incoming.reply(BUSY)
            return
        self._accept(incoming, subscription, 0)
        self._notifier.fetch(subscription, target)

    async def serve(self, incoming: ServerRequest, token: SubscriptionToken) -> bool:
        """Serve a request in one of our dialogs; return False if its sender must first prove its identity."""
        try:
            subscription = await self._store.load(token.id)
            sender = await self._sender(subscription)
            if subscription is None or isinstance(sender, Answer):
                incoming.reply(sender if isinstance(sender, Answer) else NO_SUCH_CALL)
                return True
            flow = incoming.flow
            is_proven = self._dialogs.origin(flow, sender) == subscription.origin
            if not is_proven and not await self._dialogs.is_registered(flow, sender.id):
                return False
        except StoreUnavailable:
            incoming.reply(BUSY)
            return True
        if not self._may_come(sender, flow):
            incoming.reply(NOT_FROM_THERE)
        elif incoming.accept(sender):
            incoming.phone = sender
            await self._go_on(incoming, subscription, sender)
        return True

    async def go_on(self, incoming: ServerRequest, token: SubscriptionToken, sender: Phone) -> None:
        """Serve a request in one of our dialogs whose sender has proved its identity."""
        try:
            subscription = await self._store.load(token.id)
        except StoreUnavailable:
            incoming.reply(BUSY)
            return
        if subscription is None:
            incoming.reply(NO_SUCH_CALL)
        elif subscription.phone != sender.id:
            incoming.reply(NOT_ITS_PHONE)
        else:
            await self._go_on(incoming, subscription, sender)

    async def _target(self, request: Request, subscriber: Phone) -> Target | None:
        """Return what the Request-URI names, or None if it names nothing of the phone's customer."""
        uri = request.uri
        if uri.user is None or not (uri.host_key == subscriber.domain or self._is_service(uri.host_key)):
            return None
        return await self._watching.find(subscriber.customer, subscriber.domain, uri.user, subscriber.person)

    def _refused(
        self, incoming: ServerRequest, event: Event, target: Target, subscriber: Phone
    ) -> Answer | None:
        request = incoming.request
        if not request.contacts:
            return NO_CONTACT
        if event.package == MESSAGES and not is_own(subscriber, target):
            return OTHERS_MAILBOX
        if _is_secure(request) and incoming.flow.transport not in SECURE:
            return NOT_SECURE
        return full(self._notifier.limits) if self._notifier.is_full() else None

    async def _begin(self, incoming: ServerRequest, subscription: Subscription, target: Target) -> None:
        """Store a new subscription in place of an older one of the same device. Raises StoreUnavailable."""
        watchers = await self._store.watchers(target.key)
        about = (subscription.phone, subscription.package, subscription.device)
        older = [one for one in watchers if (one.phone, one.package, one.device) == about]
        for watcher in older:
            replaced = await self._store.load(watcher.id)
            self._notifier.drop(watcher.id)
            if replaced is not None:
                self._store.remove(replaced)
        limits = self._notifier.limits
        if self._notifier.has_too_many(subscription.phone):
            incoming.reply(too_many(limits))
            return
        if len(watchers) - len(older) >= limits.watchers:
            incoming.reply(crowded(limits))
            return
        begun = await self._notifier.begin(subscription, target)
        self._accept(incoming, begun, granted(incoming.request))
        await self._notifier.tell(begun.id)

    async def _go_on(self, incoming: ServerRequest, subscription: Subscription, sender: Phone) -> None:
        """Refresh or end a subscription."""
        request = incoming.request
        event = read_event(request)
        if not incoming.method.subscribes or event != Event(subscription.package, subscription.event_id):
            incoming.reply(NO_SUCH_CALL)
            return
        if request.cseq[0] <= subscription.remote_cseq:
            incoming.reply(OLD_CSEQ)  # section 12.2.2
            return
        try:
            target = await self._watching.find_again(subscription)
            if target is None:
                incoming.reply(UNKNOWN)
                return
            seconds = granted(request)
            again = self._refreshed(incoming, subscription, sender, seconds)
            if seconds:
                again = await self._notifier.begin(again, target)
        except StoreUnavailable:
            incoming.reply(BUSY)
            return
        self._accept(incoming, again, seconds)
        if seconds:
            await self._notifier.tell(again.id)
            return
        try:
            await self._notifier.end(again, target, "timeout")
        except StoreUnavailable as error:
            log.warning("a subscription ends without its last NOTIFY: %s", error)

    def _refreshed(
        self, incoming: ServerRequest, subscription: Subscription, sender: Phone, seconds: int
    ) -> Subscription:
        request = incoming.request
        handle = subscription.handle
        if request.contacts:
            reached = self._dialogs.target(request, incoming.flow, sender.id)
            handle = replace(handle, target=reached)
        return replace(
            subscription,
            handle=handle,
            expires_at=self._clock() + seconds,
            remote_cseq=request.cseq[0],
            origin=self._dialogs.origin(incoming.flow, sender),
        )

    def _new(self, incoming: ServerRequest, event: Event, target: Target, subscriber: Phone) -> Subscription:
        request = incoming.request
        reached = self._dialogs.target(request, incoming.flow, subscriber.id)
        uri = request.uri
        return Subscription(
            id=self._new_id(),
            phone=subscriber.id,
            customer=subscriber.customer,
            person=subscriber.person,
            package=event.package,
            event_id=event.id,
            entity=str(Uri(uri.scheme, uri.user, None, uri.host, uri.port)),
            word=uri.user or "",
            target=target.key,
            device=reached.instance or reached.registered or reached.contact,
            call_id=request.call_id,
            local_tag=self._salt().hex(),
            remote_tag=request.from_.tag or "",
            handle=DialogHandle(reached, plain(request.to), plain(request.from_)),
            expires_at=self._clock() + granted(request),
            origin=self._dialogs.origin(incoming.flow, subscriber),
            remote_cseq=request.cseq[0],
            process=self._notifier.process,
        )

    def _accept(self, incoming: ServerRequest, subscription: Subscription, seconds: int) -> None:
        """Answer 200. Its Contact leads a refresh to any node (RFC 3261 section 12.1.1)."""
        request = incoming.request
        token = self._codec.subscription(subscription.id, subscription.call_id)
        is_secure = is_sips(subscription.handle.target.contact) or _is_secure(request)
        headers = (
            ("Contact", self._dialogs.contact(token, incoming.flow, is_secure=is_secure)),
            ("Expires", str(seconds)),
            ("Allow-Events", ALLOW_EVENTS),
        )
        incoming.respond(answer(request, 200, "", headers, to_tag=subscription.local_tag))

    async def _sender(self, subscription: Subscription | None) -> Phone | Answer:
        """Return the phone of a subscription, or the answer that refuses its request.

        Raises StoreUnavailable.
        """
        if subscription is None:
            return NO_SUCH_CALL
        phone = await self._dial_plan.phone(subscription.phone)
        return phone if phone is not None and phone.active else NOT_SERVED


def _is_secure(request: Request) -> bool:
    return request.uri.scheme == SIPS
