"""What we say ourselves to a party of a call, in the name of the other one."""

from collections.abc import Iterable
from dataclasses import dataclass

from registrar.model import Call, Party
from registrar.rules import forward
from registrar.rules.routing import is_allowed, is_sips
from registrar.rules.tokens import Line, Target, read_line
from registrar.sip import Request

from .reach import Reach, Way


@dataclass(frozen=True, slots=True)
class Speech:
    """How to say something to one party inside its dialog."""

    call_id: str
    """The Call-ID of the dialog."""
    line: Line
    tag: str
    """Of the party that hears it."""
    other_tag: str
    other_phone: str
    """Id of the phone in whose name it is said."""
    cseq: int
    """The highest number that the other has used, as far as we know."""

    def ways(self, reach: Reach, targets: Iterable[Target]) -> Iterable[Way]:
        """Those of them that lead to the party; of a `sips:` call the secure ones alone."""
        is_secure = is_sips(self.target.contact)
        for target in targets:
            if is_allowed(target, reach.node, is_secure=is_secure):
                way = reach.way(target)
                if way is not None:
                    yield way

    @property
    def target(self) -> Target:
        """Where the party was last."""
        return self.line.target

    def request(self, reach: Reach, way: Way, method: str, number: int, reason: str = "") -> Request:
        """The request, with `number` in its CSeq. Raises MalformedMessage: who knows who wrote the call."""
        request = forward.in_dialog(
            method,
            self.target.contact or way.target.contact,
            reach.via(way),
            _tagged(self.line.from_, self.other_tag),
            _tagged(self.line.to, self.tag),
            self.call_id,
            number,
            reason,
        )
        for name, value in reach.leave(way, self.other_phone, request):
            request.headers.add(name, value)
        return request


def nowhere(phone: str) -> Target:
    """The place of a phone of which nothing else is known."""
    return Target(phone, "", "", "", "", 0, "", 0)


def to_caller(call: Call) -> Speech | None:
    """What is said to the caller; None: nothing can be."""
    return _to(call, call.caller, call.callee)


def to_callee(call: Call) -> Speech | None:
    """What is said to whoever has answered; None: nothing can be."""
    return _to(call, call.callee, call.caller)


def _to(call: Call, party: Party, other: Party) -> Speech | None:
    line = read_line(party.target)
    if line is None:
        return None
    return Speech(call.call_id, line, party.tag, other.tag, other.phone, other.cseq)


def _tagged(address: str, tag: str) -> str:
    """A phone of RFC 2543 has none."""
    return f"{address};tag={tag}" if tag else address
