"""What can be answered before anybody is asked: the order of checks, steps 3 to 6 (design.md section 3).

Everything here is stateless: a refusal is one message, and nothing of the request is kept.
"""

from collections.abc import Callable
from typing import Final

from registrar.model import Epoch, Flow
from registrar.rules.auth import Claim, Guard
from registrar.sip import Request

from .answers import ALLOW, HERE, SERVED, Answer

KNOWN: Final = frozenset(
    "INVITE ACK BYE CANCEL UPDATE PRACK INFO MESSAGE SUBSCRIBE NOTIFY REFER PUBLISH".split()
)
SUPPORTED: Final = frozenset({"outbound"})
"""Option tags that may stand in Require; Path is ignored until an edge proxy exists."""


class Silence:
    """No answer at all."""


class Screen:
    """Sorts requests into those that are answered at once and those whose sender must be asked for."""

    def __init__(
        self, guard: Guard, is_our_address: Callable[[str], bool], salt: Callable[[], bytes]
    ) -> None:
        """`salt` gives random bytes for a nonce."""
        self._guard = guard
        self._is_our_address = is_our_address
        self._salt = salt

    def sort(self, request: Request, flow: Flow, now: Epoch) -> Answer | Silence | Claim:
        """The answer, or the claim that a handler must verify."""
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
        """401 with a new nonce, the same for everybody (design decision 1)."""
        realm = self._guard.realm(request)
        values = self._guard.challenges(realm, flow.remote_ip, now, self._salt(), stale=stale)
        return Answer(401, "", tuple([("WWW-Authenticate", value) for value in values]))

    def _refused(self, request: Request) -> Answer | None:
        uri, method = request.uri, request.method
        if not uri.is_sip:
            return Answer(416)
        out_of_hops = request.headers.get("max-forwards") in ("0", "00", "000")
        passes_by = uri.user is not None and not self._is_our_address(uri.host_key)
        if out_of_hops and method != "REGISTER" and passes_by:
            return Answer(483)
        if method == "CANCEL":
            return Answer(481)  # what it would cancel has no transaction here
        if method not in SERVED:
            return Answer(405, headers=(ALLOW,)) if method in KNOWN else Answer(501, headers=(ALLOW,))
        unsupported = [tag for tag in _required(request) if tag.lower() not in SUPPORTED]
        if unsupported:
            return Answer(420, headers=(("Unsupported", ", ".join(unsupported)),))
        return None


def _required(request: Request) -> list[str]:
    rows = request.headers.all("require") + request.headers.all("proxy-require")
    tags = [tag.strip() for row in rows for tag in row.split(",")]
    return [tag for tag in tags if tag]
