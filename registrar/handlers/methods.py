"""The table of methods: who serves a method outside and inside a dialog, and what holds for it.

A method that is not in the table is answered 501 outside a dialog, and passes inside one, as RFC 3261
section 16 wants it of a proxy. A method of the table that has no row for its place is answered 481.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, NamedTuple

from registrar.model import Phone
from registrar.rules.subscriptions import ALLOW_EVENTS
from registrar.sip import Request

from .admission import Noted, Step
from .answers import Answer
from .calls.calling import Calling
from .events.publishing import Publishing
from .events.subscribing import Subscribing
from .method import OTHER, Method, RequestUri, Tags
from .network import ServerRequest
from .registration.register import Registrar


class Services(NamedTuple):
    """The handlers that serve admitted requests."""

    registrar: Registrar
    calling: Calling
    subscribing: Subscribing
    publishing: Publishing


class Row(NamedTuple):
    """One row: the facts about a method in one place, and what serves it there."""

    method: Method
    serve: Callable[[Services, ServerRequest, Phone], Awaitable[None]] | None = None
    """Serves an admitted request; None: its step makes the answer, or it is answered without admission.

    Inside a dialog `calls.dialogs.Dialogs` serves every method.
    """
    binds: Callable[[Services, ServerRequest], Step] | None = None
    """Returns what the request writes when it is admitted; None: only that its nonce is used."""

    def step(self, services: Services, request: ServerRequest) -> Step:
        """Return what this request writes when it is admitted."""
        return self.binds(services, request) if self.binds is not None else Noted(self.method, request.flow)


def _bind(services: Services, request: ServerRequest) -> Step:
    return services.registrar.step(request.request, request.flow)


async def _look(services: Services, request: ServerRequest, phone: Phone) -> None:
    await services.calling.look(request, phone, CAPABILITIES)


async def _route(services: Services, request: ServerRequest, phone: Phone) -> None:
    await services.calling.route(request, phone)


async def _subscribe(services: Services, request: ServerRequest, phone: Phone) -> None:
    await services.subscribing.subscribe(request, phone)


async def _publish(services: Services, request: ServerRequest, phone: Phone) -> None:
    await services.publishing.publish(request, phone)


REQUEST: Final = Method(
    "", challenge=407, tags=Tags.OF_PROXIES, needs_number=True, may_lock=True, needs_contact=True
)
"""A request to another phone outside a dialog: it is challenged, and locks, as a REGISTER does."""
IN_DIALOG: Final = Method("", inside=True, challenge=407, tags=Tags.OF_PROXIES)
"""A request inside a dialog, challenged if it comes by another way than the dialog (decision 64)."""
REQUEST_IN_DIALOG: Final = replace(IN_DIALOG, needs_number=True, may_lock=True)
"""One that could also stand outside a dialog."""
TABLE: Final = (
    Row(Method("REGISTER", challenge=401, is_for_server=True, supports=("outbound", "path")), binds=_bind),
    Row(Method("OPTIONS", uri=RequestUri.THE_SERVER, is_for_server=True)),
    Row(Method("OPTIONS", uri=RequestUri.A_USER, challenge=401), _look),
    Row(
        replace(REQUEST, name="INVITE", records_route=True, supports=("timer",), is_invite=True),
        _route,
    ),
    Row(replace(REQUEST, name="MESSAGE", needs_contact=False), _route),
    Row(replace(REQUEST, name="SUBSCRIBE", tags=Tags.ALL, subscribes=True), _subscribe),
    Row(replace(REQUEST, name="REFER", records_route=True), _route),
    Row(
        replace(REQUEST, name="PUBLISH", tags=Tags.ALL, needs_number=False, needs_contact=False),
        _publish,
    ),
    Row(replace(IN_DIALOG, name="ACK", describes=True, is_answered=False, ends=True)),
    Row(replace(IN_DIALOG, name="BYE", ends=True, hangs_up=True)),
    Row(replace(IN_DIALOG, name="CANCEL", is_hop_by_hop=True, ends=True)),
    Row(replace(IN_DIALOG, name="PRACK", describes=True)),
    Row(replace(IN_DIALOG, name="UPDATE", describes=True, supports=("timer",))),
    Row(replace(IN_DIALOG, name="INFO", trickles=True)),
    Row(replace(IN_DIALOG, name="NOTIFY", notifies=True)),
    Row(replace(REQUEST_IN_DIALOG, name="INVITE", describes=True, supports=("timer",), is_invite=True)),
    Row(replace(REQUEST_IN_DIALOG, name="MESSAGE")),
    Row(replace(REQUEST_IN_DIALOG, name="SUBSCRIBE", subscribes=True)),
    Row(replace(REQUEST_IN_DIALOG, name="REFER")),
    Row(replace(REQUEST_IN_DIALOG, name="PUBLISH", needs_number=False)),
    Row(replace(IN_DIALOG, name="REGISTER", is_hop_by_hop=True)),
    Row(replace(IN_DIALOG, name=OTHER)),
)

_OUTSIDE: Final = {
    (row.method.name, has_user): row
    for row in TABLE
    for has_user in (False, True)
    if not row.method.inside
    and row.method.uri is not (RequestUri.THE_SERVER if has_user else RequestUri.A_USER)
}
_INSIDE: Final = {row.method.name: row.method for row in TABLE if row.method.inside}
_SERVED: Final = tuple(dict.fromkeys(row.method.name for row in TABLE if row.method.name != OTHER))
ENDING: Final = frozenset(row.method.name for row in TABLE if row.method.ends)
"""Methods that end something: they are served even while the service stops."""
SUPPORTED: Final = tuple(dict.fromkeys(tag for row in TABLE for tag in row.method.supports))
"""Option tags that may be required of this service."""
ALLOW: Final = ("Allow", ", ".join(_SERVED))
CAPABILITIES: Final = Answer(
    200,
    headers=(
        ALLOW,
        ("Accept", "application/sdp"),
        ("Supported", ", ".join(SUPPORTED)),
        ("Allow-Events", ALLOW_EVENTS),  # RFC 6665 section 8.2.2
    ),
)
"""The answer to OPTIONS: the capabilities of this service (RFC 3261 section 11.2)."""


def outside(request: Request) -> Row | None:
    """Return the row of a request outside a dialog, or None if its method is not served there."""
    return _OUTSIDE.get((request.method, request.uri.user is not None))


def inside(name: str) -> Method:
    """Return the facts about a method inside a dialog."""
    return _INSIDE.get(name) or _INSIDE[OTHER]


def is_served(name: str) -> bool:
    """Return whether the table has a method, in any place."""
    return name in _SERVED
