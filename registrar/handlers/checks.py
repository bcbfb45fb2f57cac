"""Answers that need no authentication: the order of checks, steps 3 to 6 (docs/architecture.md).

Everything here is stateless: a refusal is one message, and nothing of the request is kept.
"""

from collections.abc import Callable
from typing import Final

from registrar.errors import MalformedMessage
from registrar.model import Epoch, Flow
from registrar.rules.auth import Authenticator, Claim
from registrar.rules.destination import dialled_word
from registrar.rules.tokens import RelayPermit, RouteToken, SubscriptionToken, TokenCodec
from registrar.sip import Request, first, parse_name_addr, pieces, split

from .answers import NO_SUCH_CALL, OUT_OF_HOPS, Answer
from .method import Method, Tags
from .methods import ALLOW, CAPABILITIES, SUPPORTED, inside, is_served, outside

MAX_TAGS: Final = 64
"""Maximum number of option tags that are read from a header; the IANA registry has forty."""

MAX_ROUTES: Final = 32
"""Maximum number of Routes that are read before authentication; no real route has more proxies."""


class Silence:
    """The result for a request that gets no answer."""


Verdict = Claim | RouteToken | RelayPermit | SubscriptionToken
"""What must be verified next: a digest, a token of a call or subscription, or a permit for another node."""


class StatelessChecks:
    """Sorter of requests: some are answered at once, of the others the sender must be verified."""

    def __init__(
        self,
        authenticator: Authenticator,
        codec: TokenCodec,
        is_our_address: Callable[[str], bool],
        salt: Callable[[], bytes],
    ) -> None:
        """Create the checks; `salt` returns random bytes for a nonce."""
        self._authenticator = authenticator
        self._codec = codec
        self._is_our_address = is_our_address
        self._salt = salt

    def sort(self, request: Request, flow: Flow, now: Epoch) -> Answer | Silence | Verdict:
        """Return the answer, or what a handler must verify."""
        method = inside(request.method)
        if not method.is_hop_by_hop and "route" in request.headers:
            recorded = self._recorded(request, now)
            if recorded is not None:
                rows = request.headers.all("proxy-require")
                return (_unsupported(rows) if rows and method.is_answered else None) or recorded
        if not method.is_answered:
            return Silence()  # an ACK is never answered and never challenged
        row = outside(request)
        refused = self._refused(request, row.method if row is not None else None)
        if refused is not None:
            subscription = self._subscription(request) if refused is NO_SUCH_CALL else None
            return subscription or refused
        if row is None or not row.method.challenge:
            return CAPABILITIES
        claim = self._authenticator.claim(request, flow.remote_ip)
        return claim if claim is not None else self.challenge(request, flow, row.method, now)

    def challenge(
        self,
        request: Request,
        flow: Flow,
        method: Method,
        now: Epoch,
        *,
        stale: bool = False,
        strict: bool = False,
    ) -> Answer:
        """Return a 401 or 407 with a new nonce, the same for all users (decision 1; section 22.1).

        `strict`: SHA-256 alone is offered, because the phone has proved itself by MD5 and may not.
        """
        realm = self._authenticator.realm(request)
        values = self._authenticator.challenges(
            realm, flow.remote_ip, now, self._salt(), stale=stale, strict=strict
        )
        name = "Proxy-Authenticate" if method.is_proxied else "WWW-Authenticate"
        return Answer(method.challenge, "", tuple([(name, value) for value in values]))

    def _recorded(self, request: Request, now: Epoch) -> RouteToken | RelayPermit | None:
        """Return the content of our token in the Route, or None if there is no valid token."""
        token = _token(request)
        if token is not None:
            permit = self._codec.read_permit(token, request.call_id, request.headers.get("cseq") or "", now)
            if permit is not None:
                return permit
            route = self._route(token, request)
            if route is not None:
                return route
        return self._loosened(request)

    def _route(self, token: str | None, request: Request) -> RouteToken | None:
        """Return the content of a dialog token, or None.

        Without a To-tag, the token must be for a dialog with a phone of RFC 2543.
        """
        route = self._codec.read_route(token, request.call_id) if token else None
        return route if route is not None and (request.to.tag or route.untagged) else None

    def _loosened(self, request: Request) -> RouteToken | None:
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
        route = self._route(request.uri.user, request)
        if route is not None:
            request.retarget(str(routes[-1]))
            return route
        for uri in routes:
            if not self._authenticator.is_ours(uri.host_key):
                return None
            route = self._route(uri.user, request)
            if route is not None:
                return route
        return None

    def _subscription(self, request: Request) -> SubscriptionToken | None:
        """Return the content of our token in the Request-URI, or None: our Contact leads back to us.

        A CANCEL is never challenged, so it belongs to no subscription.
        """
        user = request.uri.user
        if user is None or request.to.tag is None or inside(request.method).is_hop_by_hop:
            return None
        return self._codec.read_subscription(user, request.call_id)

    def _refused(self, request: Request, method: Method | None) -> Answer | None:
        """Return the answer that refuses a request outside a dialog; `method` is None if it has no row."""
        uri = request.uri
        if not uri.is_sip and not (method is not None and method.is_invite and dialled_word(uri)):
            return Answer(416, why=f"Request-URI: {uri.scheme[:20]} is not served")
        if self._is_out_of_hops(request, method):
            return OUT_OF_HOPS
        if method is None:
            if is_served(request.method):
                return NO_SUCH_CALL  # it belongs into a dialog, and carries no valid token
            return Answer(501, headers=(ALLOW,), why=f"{request.method} is not served here")
        if request.to.tag is not None and not method.is_for_server:
            return NO_SUCH_CALL
        rows = request.headers.all("proxy-require")
        if method.tags is Tags.ALL:
            rows = request.headers.all("require") + rows
        return _unsupported(rows) if rows else None

    def _is_out_of_hops(self, request: Request, method: Method | None) -> bool:
        if request.headers.get("max-forwards") not in ("0", "00", "000"):
            return False
        if request.uri.user is None or (method is not None and method.is_for_server):
            return False
        return (method is not None and method.is_proxied) or not self._is_our_address(request.uri.host_key)


def _token(request: Request) -> str | None:
    """Return the user of the topmost Route, or None if it cannot be read."""
    try:
        return parse_name_addr(first(request.headers.get("route") or "", ",")).uri.user
    except MalformedMessage:
        return None


def _unsupported(rows: list[str]) -> Answer | None:
    """Return a 420 if one of the option tags is unknown here, else None."""
    tags = [tag.strip() for row in rows for tag in row.split(",", MAX_TAGS)[:MAX_TAGS]]
    unknown = [tag for tag in tags if tag and tag.lower() not in SUPPORTED]
    if not unknown:
        return None
    return Answer(
        420,
        headers=(("Unsupported", ", ".join(unknown)),),
        why="Require or Proxy-Require: unknown option tag",
    )
