"""What can be answered before anybody is asked: the order of checks, steps 3 to 6 (docs/architecture.md).

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
"""Option tags that may stand in Require; Path is refused until edge proxies are supported."""

MAX_TAGS: Final = 64
"""So many option tags of a header are looked at; the IANA registry has forty."""

MAX_ROUTES: Final = 32
"""So many Routes are looked at before anybody is asked who it is; a way through more proxies is none."""


class Silence:
    """No answer at all."""


Verdict = Claim | Leg | Hop
"""Who must be asked for: a phone by its digest, or by the token of a call; or another node's leave."""


class Screen:
    """Sorts requests into those that are answered at once and those whose sender must be asked for."""

    def __init__(
        self, guard: Guard, seal: Seal, is_our_address: Callable[[str], bool], salt: Callable[[], bytes]
    ) -> None:
        """`salt` gives random bytes for a nonce."""
        self._guard = guard
        self._seal = seal
        self._is_our_address = is_our_address
        self._salt = salt

    def sort(self, request: Request, flow: Flow, now: Epoch) -> Answer | Silence | Verdict:
        """The answer, or what a handler must verify."""
        if request.method not in ("REGISTER", "CANCEL") and "route" in request.headers:
            recorded = self._recorded(request, now)
            if recorded is not None:
                return _unsupported(request.headers.all("proxy-require"), request) or recorded
        if request.method == "ACK":
            return Silence()  # never answered, never challenged
        refused = self._refused(request)
        if refused is not None:
            return refused
        if request.method == "OPTIONS" and request.uri.user is None:
            return HERE
        claim = self._guard.claim(request, flow.remote_ip)
        return claim if claim is not None else self.challenge(request, flow, now)

    def challenge(self, request: Request, flow: Flow, now: Epoch, *, stale: bool = False) -> Answer:
        """401 or 407 with a new nonce, the same for everybody (decision 1; section 22.1)."""
        realm = self._guard.realm(request)
        values = self._guard.challenges(realm, flow.remote_ip, now, self._salt(), stale=stale)
        proxy = goes_on(request)
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        return Answer(407 if proxy else 401, "", tuple([(name, value) for value in values]))

    def _recorded(self, request: Request, now: Epoch) -> Leg | Hop | None:
        """What our token in the Route says; None: there is none of ours."""
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
        """What a token of a dialog says; without a tag there is only a dialog with a phone of RFC 2543."""
        leg = self._seal.read_leg(token, request.call_id) if token else None
        return leg if leg is not None and (request.to.tag or leg.untagged) else None

    def _loosened(self, request: Request) -> Leg | None:
        """Section 16.4: undo what a strict router did, and pass Routes of ours before the dialog's.

        A strict router has put the URI of our Record-Route into the Request-URI, and that one into the Route.
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
            return Answer(416, why=f"Request-URI: {uri.scheme[:20]} is no scheme of SIP")
        if self._is_out_of_hops(request):
            return OUT_OF_HOPS
        if method not in SERVED:
            return Answer(501, headers=(ALLOW,), why=f"{method} is not served here")
        if method in INSIDE or (request.to.tag is not None and _may_be_inside(request)):
            return NO_SUCH_CALL  # it carries no token of ours
        return _unsupported(_required(request), request)

    def _is_out_of_hops(self, request: Request) -> bool:
        if request.headers.get("max-forwards") not in ("0", "00", "000") or request.method == "REGISTER":
            return False
        uri = request.uri
        return uri.user is not None and (request.method in OUTSIDE or not self._is_our_address(uri.host_key))


def goes_on(request: Request) -> bool:
    """Whether a request is for another phone: what begins something there, and what belongs to that."""
    method = request.method
    return method in OUTSIDE or method in INSIDE or (request.to.tag is not None and method != "REGISTER")


def _token(request: Request) -> str | None:
    """The user of the topmost Route."""
    try:
        return parse_name_addr(first(request.headers.get("route") or "", ",")).uri.user
    except MalformedMessage:
        return None


def _may_be_inside(request: Request) -> bool:
    """A To-tag in a REGISTER says nothing (section 10.2), nor in an OPTIONS that asks about ourselves."""
    return request.method != "REGISTER" and (request.method != "OPTIONS" or request.uri.user is not None)


def _unsupported(rows: list[str], request: Request) -> Answer | None:
    """420 when one of the option tags is unknown here; an ACK is never answered."""
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
    """The option tags we must know; of what is passed on only those for proxies (section 16.3 step 5)."""
    rows = request.headers.all("proxy-require")
    if request.method not in OUTSIDE:
        rows = request.headers.all("require") + rows
    return rows
