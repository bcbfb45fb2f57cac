"""registrar/transport/stream.py: octets to messages, pongs for pings, and the end after a fault."""

import random
from typing import Final

import pytest

from registrar.errors import MalformedMessage, MessageTooLarge, SipError
from registrar.model import Flow
from registrar.sip import MAX_MESSAGE
from registrar.transport.connection import TURN_OCTETS, End, Limits
from registrar.transport.connections import FAREWELL_SECONDS, Connections
from registrar.transport.stream import StreamConnection
from tests.every import every

from .pretend import Room, settled

DEFAULTS = Limits()
ANSWER: Final = b"SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"


def message(number: int = 0, body: bytes = b"", length: int | None = None) -> bytes:
    octets = len(body) if length is None else length
    return b"OPTIONS sip:%d@acme.test SIP/2.0\r\nContent-Length: %d\r\n\r\n" % (number, octets) + body


class Line:
    """One connection whose server answers nothing but faults."""

    def __init__(self, transport: str = "tcp") -> None:
        def make(table: Connections, flow: Flow) -> StreamConnection:
            return StreamConnection(table, flow, self._receive)

        self.room = Room()
        self.connection, self.pipe = self.room.open(make, transport=transport)
        self.heard: list[bytes] = []
        self.faults: list[SipError] = []

    def _receive(self, data: bytes, flow: Flow, fault: SipError | None) -> None:
        assert flow is self.connection.flow
        self.heard.append(data)
        if fault is not None:
            self.faults.append(fault)
            self.room.table.send(ANSWER, flow)

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(piece)
            await settled(self.connection)

    def ended(self) -> dict[str, float]:
        """Why the connection ended, now that it is gone."""
        self.pipe.lose()
        assert self.room.left() == {}
        return self.room.ends()


def split(data: bytes, dice: random.Random) -> list[bytes]:
    """`data` in pieces of any size."""
    cuts = sorted(dice.sample(range(1, len(data)), min(len(data) - 1, dice.randrange(1, 40))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


# Messages


async def test_each_message_is_heard_once_and_in_order() -> None:
    line = Line()
    messages = [message(1), message(2, b"\r\n\r\n"), message(3, b"OPTIONS"), message(4)]
    await line.say(b"".join(messages))
    assert line.heard == messages
    assert line.pipe.said() == b""


@every("seed", range(20))
async def test_it_does_not_matter_how_they_were_split(seed: int) -> None:
    dice = random.Random(seed)
    line = Line()
    messages = [message(n, dice.randbytes(dice.choice([0, 1, 400]))) for n in range(20)]
    await line.say(*split(PING.join(messages), dice))
    assert line.heard == messages
    assert line.pipe.said() == PONG * (len(messages) - 1)
    assert "_partial" not in line.room.left()


async def test_the_largest_message_is_heard() -> None:
    line = Line()
    rest = MAX_MESSAGE - len(message(length=10_000))
    largest = message(body=b"x" * rest)
    await line.say(largest, largest + largest)
    assert len(largest) == MAX_MESSAGE
    assert line.heard == [largest] * 3


async def test_many_messages_at_once_are_heard_in_turns() -> None:
    line = Line()
    messages = [message(n, b"x" * 500) for n in range(200)]
    line.connection.data_received(b"".join(messages))
    assert 0 < len(line.heard) <= TURN_OCTETS // 500
    await settled(line.connection)
    assert line.heard == messages


@every(
    ("data", "pongs"),
    [
        pytest.param(PING, 1, id="one"),
        pytest.param(PING * 3, 3, id="three"),
        pytest.param(b"\r\n", 0, id="half a one"),
        pytest.param(b"\r\n" * 3, 1, id="one and a half"),
        pytest.param(message() + PING + message(), 1, id="between messages"),
        pytest.param(message()[:-2], 0, id="what looks like one inside a message"),
    ],
)
@every("size", [1, 1_000], ids=["octet by octet", "whole"])
async def test_a_ping_is_answered(data: bytes, pongs: int, size: int) -> None:
    line = Line()
    await line.say(*(data[n : n + size] for n in range(0, len(data), size)))
    assert line.pipe.said() == PONG * pongs
    assert line.connection.heard


async def test_any_octet_is_a_first_one() -> None:
    line = Line()
    await line.say(b"\r\n")
    line.room.look_after(DEFAULTS.first_seconds)
    assert line.connection.ended is None
    line.room.look_after(DEFAULTS.authenticate_seconds)
    assert line.ended() == {"unauthenticated": 1}


# Faults


@every(
    ("data", "fault"),
    [
        pytest.param(b"OPTIONS sip:a SIP/2.0\r\n\r\n", MalformedMessage, id="no length"),
        pytest.param(message(length=MAX_MESSAGE), MessageTooLarge, id="too large"),
        pytest.param(message(length=10**9), MessageTooLarge, id="much too large"),
        pytest.param(b"OPTIONS sip:a SIP/2.0\r\nl: x\r\n\r\n", MalformedMessage, id="a length that is none"),
        pytest.param(b"\x16\x03\x01\x02\x00", MalformedMessage, id="TLS"),
        pytest.param(b"x" * 9_000, MalformedMessage, id="no end of the headers"),
    ],
)
@every("transport", ["tcp", "tls"])
@every("size", [1, 10_000], ids=["octet by octet", "whole"])
async def test_a_fault_is_answered_and_is_the_end(
    data: bytes, fault: type[SipError], transport: str, size: int
) -> None:
    line = Line(transport)
    await line.say(message(1), *(data[n : n + size] for n in range(0, len(data), size)))
    assert line.heard[0] == message(1)
    assert [type(told) for told in line.faults] == [fault]
    assert line.pipe.said() == ANSWER
    assert line.connection.ended is End.MALFORMED
    assert (line.pipe.eof, line.pipe.closed) == (transport == "tcp", transport == "tls")


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_what_comes_after_a_fault_is_ignored(transport: str) -> None:
    line = Line(transport)
    await line.say(b"\x00" + message(1) + PING)
    await line.say(message(2), PING, b"\x00")
    assert (len(line.heard), line.pipe.said()) == (1, ANSWER)
    line.connection.send(b"late")
    line.room.look_after(FAREWELL_SECONDS - 0.001)
    assert not line.pipe.aborted
    line.room.look_after(0.001)
    assert (line.pipe.said(), line.pipe.aborted) == (b"", True)
    assert line.ended() == {"malformed": 1}


async def test_what_waits_for_its_turn_after_a_fault_is_ignored() -> None:
    line = Line()
    await line.say(b"\x00" + message() * 2_000)
    assert (len(line.heard), line.pipe.said()) == (1, ANSWER)


@pytest.mark.parametrize("end", [End.REVOKED, End.POLICY, End.SHUTDOWN, End.SLOW, End.UNAUTHENTICATED])
async def test_any_other_end_is_an_end_of_both_directions(end: End) -> None:
    line = Line()
    line.connection.close(end)
    assert (line.pipe.eof, line.pipe.closed) == (False, True)
    await line.say(message(), PING)
    assert (line.heard, line.pipe.said()) == ([], b"")
    assert line.ended() == {str(end): 1}


async def test_a_fault_on_a_connection_that_is_gone_is_nothing() -> None:
    line = Line()
    line.pipe.lose()
    assert not line.connection.say_goodbye(End.MALFORMED)
    line.connection.send(ANSWER)
    assert line.pipe.said() == b""


# How long a message may take


async def begun() -> Line:
    """A connection of a phone, over which a message has begun."""
    line = Line()
    line.room.table.authenticated(line.connection.flow.id)
    await line.say(message(1)[:20])
    return line


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"x", id="an octet a second"),
        pytest.param(b"\r\nX: y", id="a header a second"),
    ],
)
async def test_the_time_of_a_message_is_not_made_longer(more: bytes) -> None:
    line = await begun()
    for _ in range(int(DEFAULTS.message_seconds)):
        assert line.connection.ended is None
        await line.say(more)
        line.room.look_after(1)
    assert line.connection.ended is End.SLOW
    assert line.pipe.closed


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_a_body_has_no_time_of_its_own(size: int) -> None:
    line = Line()
    line.room.table.authenticated(line.connection.flow.id)
    await line.say(message(length=5_000))
    for _ in range(int(DEFAULTS.message_seconds)):
        assert line.connection.ended is None
        await line.say(b"\r\n\r\n"[:size] * (size // 4 + 1))
        line.room.look_after(1)
    assert line.connection.ended is End.SLOW
    assert line.pipe.said() == b"", "what looks like a ping inside a body is none"


async def test_keep_alives_between_messages_begin_nothing() -> None:
    line = Line()
    line.room.table.authenticated(line.connection.flow.id)
    for piece in (b"\r", b"\n", b"\r\n", b"\r"):
        await line.say(piece)
        line.room.look_after(DEFAULTS.message_seconds)
    assert line.connection.ended is None
    assert "_partial" not in line.room.left()


async def test_the_time_begins_anew_with_the_next_message() -> None:
    line = await begun()
    for number in range(1, 20):
        line.room.look_after(DEFAULTS.message_seconds - 0.001)
        assert line.connection.ended is None
        await line.say(message(number)[20:] + message(number + 1)[:20])
    assert len(line.heard) == 19
    line.room.look_after(DEFAULTS.message_seconds)
    assert line.connection.ended is End.SLOW
