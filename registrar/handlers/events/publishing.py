"""PUBLISH of a phone about its own person: a note, and whether it wants to be reached (RFC 3903)."""

from collections.abc import Callable
from typing import Final

from registrar.errors import MalformedMessage, StoreUnavailable
from registrar.model import Devices, NoDestination, Phone, Publication, Published
from registrar.ports import DialPlan
from registrar.rules import pidf
from registrar.rules.publication import MAX_OCTETS, if_match, is_document, parse_published
from registrar.rules.subscriptions import PRESENCE, granted, read_event
from registrar.sip import Request

from ..answers import BUSY, UNKNOWN, Answer
from ..network import ServerRequest
from .line import Publications

BAD_EVENT: Final = Answer(
    489,
    headers=(("Allow-Events", PRESENCE),),  # RFC 6665 section 8.2.2 requires it
    why="Event: only presence is published here",
)
OTHERS_PRESENCE: Final = Answer(403, why="Request-URI: a phone publishes for its own number alone")
BAD_MATCH: Final = Answer(400, why="SIP-If-Match: it has one tag")
NOT_CURRENT: Final = Answer(
    412,
    why="SIP-If-Match: this state has ended or was replaced; publish it again",
)
NO_DOCUMENT: Final = Answer(400, why="the body is missing, and SIP-If-Match names no earlier state")
TOO_LARGE: Final = Answer(413, why=f"the body has more than {MAX_OCTETS} octets")
NOT_PIDF: Final = Answer(
    415, headers=(("Accept", pidf.CONTENT_TYPE),), why=f"Content-Type: only {pidf.CONTENT_TYPE} is read"
)


class Publishing:
    """Handler of PUBLISH outside dialogs."""

    def __init__(
        self,
        publications: Publications,
        dial_plan: DialPlan,
        *,
        is_service: Callable[[str], bool],
        new_id: Callable[[], str],
    ) -> None:
        """Create the handler. `is_service` tells whether a host is a name of this service."""
        self._publications = publications
        self._dial_plan = dial_plan
        self._is_service = is_service
        self._new_id = new_id

    async def publish(self, incoming: ServerRequest, publisher: Phone) -> None:
        """Write what a phone publishes, or refuse it. The phone has proved its identity."""
        event = read_event(incoming.request)
        if event is None or event.package != PRESENCE:
            incoming.reply(BAD_EVENT)
            return
        try:
            incoming.reply(await self._publish(incoming.request, publisher))
        except StoreUnavailable:
            incoming.reply(BUSY)

    async def _publish(self, request: Request, publisher: Phone) -> Answer:
        """Return the answer, after the state was written. Raises StoreUnavailable."""
        refused = await self._refused(request, publisher)
        if refused is not None:
            return refused
        publication = self._read(request)
        if isinstance(publication, Answer):
            return publication
        if not await self._publications.publish(publisher.person, publication):
            return NOT_CURRENT
        tag, seconds = publication.tag, publication.seconds
        return Answer(200, headers=(("SIP-ETag", tag), ("Expires", str(seconds))))

    async def _refused(self, request: Request, publisher: Phone) -> Answer | None:
        """Return the answer that refuses a PUBLISH for another person. Raises StoreUnavailable."""
        uri = request.uri
        if uri.user is None or not (uri.host_key == publisher.domain or self._is_service(uri.host_key)):
            return UNKNOWN
        found = await self._dial_plan.called(publisher.customer, uri.user)
        if isinstance(found, NoDestination):
            return UNKNOWN
        is_own = isinstance(found, Devices) and found.person and found.person == publisher.person
        return None if is_own else OTHERS_PRESENCE

    def _read(self, request: Request) -> Publication | Answer:
        """Return what a PUBLISH asks for, or the answer that refuses it (RFC 3903 section 6)."""
        match = if_match(request)
        if match is None:
            return BAD_MATCH
        state: Published | Answer | None = self._state(request) if request.body else None
        if isinstance(state, Answer):
            return state
        if state is None and not match:
            return NO_DOCUMENT
        return Publication(self._new_id(), granted(request), match, state)

    def _state(self, request: Request) -> Published | Answer:
        """Return what the body says, or the answer that refuses it."""
        if not is_document(request):
            return NOT_PIDF
        if len(request.body) > MAX_OCTETS:
            return TOO_LARGE
        try:
            return parse_published(request.body)
        except MalformedMessage as error:
            return Answer(400, why=str(error))
