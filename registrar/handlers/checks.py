"""Answers that need no authentication: the order of checks, steps 3 to 6 (docs/architecture.md).

Everything here is stateless: a refusal is one message, and nothing of the request is kept.
"""

from collections.abc import Callable
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Epoch, Flow
from registrar.rules.auth import Claim, Guard
from registrar.rules.tokens import Hop, Leg, Seal
from registrar.sip import Request, first, parse_name_addr, pieces, split

from .answers import ALLOW, HERE, INSIDE, NO_SUCH_CALL, OUT_OF_HOPS, OUTSIDE, SERVED, Answer

SUPPORTED: Final = frozenset({"outbound", "timer"})
"""Option tags that are allowed in Require; Path is refused until edge proxies are supported."""

MAX_TAGS: Final = 64
"""Maximum number of option tags that are read from a header; the IANA registry has forty."""

MAX_ROUTES: Final = 32
"""Maximum number of Routes that are read before authentication; no real route has more proxies."""


class Silence:
    """The result for a request that gets no answer."""


Verdict = Claim | Leg | Hop
"""What must be verified next: a digest, a call token, or a permit for another node."""


class Screen:
    """Sorter of requests: some are answered at once, of the others the sender must be verified."""

    def __init__(
        self, guard: Guard, seal: Seal, is_our_address: Callable[[str], bool], salt: Callable[[], bytes]
    ) -> None:
        """Create the screen; `salt` returns random bytes for a nonce."""
        self._guard = guard
        self._seal = seal
        self._is_our_address = is_our_address
        self._salt = salt

    def sort(self, request: Request, flow: Flow, now: Epoch) -> Answer | Silence | Verdict:
        """Return the answer, or what a handler must verify."""
        if request.method not in ("REGISTER", "CANCEL") and "route" in request.headers:
            recorded = self._recorded(request, now)
            if recorded is not None:
                return _unsupported(request.headers.all("proxy-require"), request) or recorded
        if request.method == "ACK":
            return Silence()  # an ACK is never answered and never challenged
        refused = self._refused(request)
        if refused is not None:
            return refused
        if request.method == "OPTIONS" and request.uri.user is None:
            return HERE
        claim = self._guard.claim(request, flow.remote_ip)
        return claim if claim is not None else self.challenge(request, flow, now)

    def challenge(self, request: Request, flow: Flow, now: Epoch, *, stale: bool = False) -> Answer:
        """Return a 401 or 407 with a new nonce, the same for all users (decision 1; section 22.1)."""
        realm = self._guard.realm(request)
        values = self._guard.challenges(realm, flow.remote_ip, now, self._salt(), stale=stale)
        proxy = goes_on(request)
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        return Answer(407 if proxy else 401, "", tuple([(name, value) for value in values]))

    def _recorded(self, request: Request, now: Epoch) -> Leg | Hop | None:
        """Return the content of our token in the Route, or None if there is no valid token."""
        token = _token(request)
        if token is not None:
            hop = self._seal.read_hop(token, request.call_id, request.headers.get("cseq") or "", now)
            if hop is not None:
                return hop
            leg = self._leg(token, request)
            if leg is not None:
                return leg
        return self._loosened(request)

    def _leg(self, token: str | None, request: Request) -> Leg | None:
        """Return the content of a dialog token, or None.

        Without a To-tag, the token must be for a dialog with a phone of RFC 2543.
        """
        leg = self._seal.read_leg(token, request.call_id) if token else None
        return leg if leg is not None and (request.to.tag or leg.untagged) else None

    def _loosened(self, request: Request) -> Leg | None:
        """Return the dialog token from the Request-URI or a later Route, or None (section 16.4).

        A strict router has put the URI of our Record-Route into the Request-URI, and the Request-URI into the
        Route. Undo that. Other Routes to this service may precede that of the dialog: skip them.
        """
        rows = request.headers.all("route")
        if sum([pieces(row, ",") for row in rows]) > MAX_ROUTES:
            return None
        try:
            routes = [parse_name_addr(one).uri for row in rows for one in split(row, ",")]
        except MalformedMessage:
            return None
        leg = self._leg(request.uri.user, request)
        if leg is not None:
            request.retarget(str(routes[-1]))
            return leg
        for uri in routes:
            if not self._guard.is_ours(uri.host_key):
                return None
            leg = self._leg(uri.user, request)
            if leg is not None:
                return leg
        return None

    def _refused(self, request: Request) -> Answer | None:
        uri, method = request.uri, request.method
        if not uri.is_sip:
            return Answer(416, why=f"Request-URI: {uri.scheme[:20]} is not a SIP scheme")
        if self._is_out_of_hops(request):
            return OUT_OF_HOPS
        if method not in SERVED:
            return Answer(501, headers=(ALLOW,), why=f"{method} is not served here")
        if method in INSIDE or (request.to.tag is not None and _may_be_inside(request)):
            return NO_SUCH_CALL  # it carries no valid token
        return _unsupported(_required(request), request)

    def _is_out_of_hops(self, request: Request) -> bool:
        if request.headers.get("max-forwards") not in ("0", "00", "000") or request.method == "REGISTER":
            return False
        uri = request.uri
        return uri.user is not None and (request.method in OUTSIDE or not self._is_our_address(uri.host_key))


def goes_on(request: Request) -> bool:
    """Return whether a request is for another phone: it begins something there, or it belongs to a dialog."""
    method = request.method
    return method in OUTSIDE or method in INSIDE or (request.to.tag is not None and method != "REGISTER")


def _token(request: Request) -> str | None:
    """Return the user of the topmost Route, or None if it cannot be read."""
    try:
        return parse_name_addr(first(request.headers.get("route") or "", ",")).uri.user
    except MalformedMessage:
        return None


def _may_be_inside(request: Request) -> bool:
    """Return whether a To-tag of the request means a dialog.

    It means nothing in a REGISTER (section 10.2), nor in an OPTIONS that asks about this service.
    """
    return request.method != "REGISTER" and (request.method != "OPTIONS" or request.uri.user is not None)


def _unsupported(rows: list[str], request: Request) -> Answer | None:
    """Return a 420 if one of the option tags is unknown here, else None; an ACK is never answered."""
    if not rows or request.method == "ACK":
        return None
    tags = [tag.strip() for row in rows for tag in row.split(",", MAX_TAGS)[:MAX_TAGS]]
    unknown = [tag for tag in tags if tag and tag.lower() not in SUPPORTED]
    if not unknown:
        return None
    return Answer(
        420,
        headers=(("Unsupported", ", ".join(unknown)),),
        why="Require or Proxy-Require: unknown option tag",
    )


def _required(request: Request) -> list[str]:
    """Return the option tags that we must support.

    If the request is passed on, these are only the tags for proxies (section 16.3 step 5).
    """
    rows = request.headers.all("proxy-require")
    if request.method not in OUTSIDE:
        rows = request.headers.all("require") + rows
    return rows
