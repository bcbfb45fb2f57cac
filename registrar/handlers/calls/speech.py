"""Requests that this service sends itself to one party of a call, in the name of the other party."""

from collections.abc import Iterable
from dataclasses import dataclass

from registrar.model import Call, Party
from registrar.rules import forward
from registrar.rules.routing import is_allowed, is_sips
from registrar.rules.tokens import DialogHandle, Target, read_handle
from registrar.sip import Request

from .reach import Reach, Way


@dataclass(frozen=True, slots=True)
class Speech:
    """The data for requests to one party inside its dialog."""

    call_id: str
    """The Call-ID of the dialog."""
    handle: DialogHandle
    tag: str
    """The tag of the party that receives the request."""
    other_tag: str
    other_phone: str
    """Id of the phone in whose name the request is sent."""
    cseq: int
    """The highest CSeq number that the other party has used, as far as we know."""

    def ways(self, reach: Reach, targets: Iterable[Target]) -> Iterable[Way]:
        """Yield the ways to those `targets` that can be reached; for a `sips:` call, only the secure ones."""
        is_secure = is_sips(self.target.contact)
        for target in targets:
            if is_allowed(target, reach.secure_nodes, is_secure=is_secure):
                way = reach.way(target)
                if way is not None:
                    yield way

    @property
    def target(self) -> Target:
        """Return the last known target of the party."""
        return self.handle.target

    def request(self, reach: Reach, way: Way, method: str, number: int, reason: str = "") -> Request:
        """Return the request, with `number` in its CSeq.

        Raises MalformedMessage, because the stored call is not trusted.
        """
        request = forward.in_dialog(
            method,
            self.target.contact or way.target.contact,
            reach.via(way),
            _tagged(self.handle.from_, self.other_tag),
            _tagged(self.handle.to, self.tag),
            self.call_id,
            number,
            reason,
        )
        for name, value in reach.permit(way, self.other_phone, request):
            request.headers.add(name, value)
        return request


def nowhere(phone: str) -> Target:
    """Return the target of a phone about which nothing but its id is known."""
    return Target(phone, "", "", "", "", 0, "", 0)


def to_caller(call: Call) -> Speech | None:
    """Return the data for requests to the caller, or None if its target cannot be read."""
    return _to(call, call.caller, call.callee)


def to_callee(call: Call) -> Speech | None:
    """Return the data for requests to the party that answered, or None if its target cannot be read."""
    return _to(call, call.callee, call.caller)


def _to(call: Call, party: Party, other: Party) -> Speech | None:
    handle = read_handle(party.target)
    if handle is None:
        return None
    return Speech(call.call_id, handle, party.tag, other.tag, other.phone, other.cseq)


def _tagged(address: str, tag: str) -> str:
    """Return the address with its tag; a phone of RFC 2543 has no tag."""
    return f"{address};tag={tag}" if tag else address
