"""The parser of messages: a message or a SipError, and what was read can be written, read and answered."""

from contextlib import suppress
from typing import Final

from registrar.errors import SipError
from registrar.sip import Message, Request, Response, answer, parse
from registrar.sip import check as sound
from tests.torture.cases import CASES

SEEDS: Final = tuple(
    bytes([number % 2]) + case.data for number, case in enumerate(CASES) if len(case.data) < 2_000
)
TYPED: Final = ("via", "to", "from_", "call_id", "cseq", "uri", "contacts", "wildcard", "credentials")


def check(data: bytes) -> None:
    """The first octet says whether the transport tells how long the message is."""
    exact, data = bool(data[:1] and data[0] & 1), data[1:]
    try:
        message = parse(data, exact=exact)
    except SipError:
        return
    for name in TYPED:
        with suppress(SipError):
            getattr(message, name, None)
    if isinstance(message, Request):
        _answerable(message)
        try:
            sound(message)
        except SipError:
            return
    _same_again(message)


def _answerable(request: Request) -> None:
    made = parse(bytes(answer(request, 400, to_tag="ours")), exact=True)
    assert isinstance(made, Response)
    assert made.status == 400
    assert made.headers.all("via") == request.headers.all("via")
    assert len(made.headers.rows) <= len(request.headers.all("via")) + 5, (
        "nothing of the request made a header"
    )


def _same_again(message: Message) -> None:
    wire = bytes(message)
    again = parse(wire)
    assert bytes(again) == wire
    assert again.headers == message.headers
    assert again.body == message.body or len(message.body) > len(again.body)
