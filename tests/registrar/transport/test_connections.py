"""registrar/transport/connections.py, connection.py: who has a connection, for how long, how it ends."""

import asyncio
import contextlib
import errno
import random
import ssl
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from registrar.model import Flow
from registrar.transport.connection import TURN_OCTETS, WRITE_HIGH, Connection, End, Limits
from registrar.transport.connections import FAREWELL_SECONDS, LOOK_SECONDS, Connections
from registrar.transport.stream import NodeConnection
from tests.every import every
from tests.patience import limit

from .pretend import PROXY, THERE, Pipe, Room, settled

DEFAULTS = Limits()
BEFORE = 0.001
"""A moment before a limit."""
ELSEWHERE = "198.51.100.8"
PROXY_6 = "2001:db8::1"
ADDRESSES = (THERE, ELSEWHERE, PROXY, PROXY_6)


class Talk(Connection):
    """A protocol that has no grammar: octets come and go."""

    def __init__(self, table: Connections, flow: Flow) -> None:
        super().__init__(table, flow)
        self.taken: list[bytes] = []
        self.pings = 0

    def take(self, data: bytes) -> None:
        self.heard = True
        self.taken.append(data)

    def send(self, data: bytes) -> None:
        self._write(data)

    def ping(self) -> None:
        self.pings += 1

    def begin(self, *, partial: bool = True, progress: bool = False) -> None:
        self._note_partial(partial=partial, progress=progress)


class Polite(Talk):
    """A protocol with a last word, which the peer answers by closing."""

    def say_goodbye(self, end: End) -> bool:
        assert self._transport is not None
        self._transport.write(f"bye: {end}".encode())
        return True


# Who may come


@pytest.mark.parametrize("ip", [THERE, "2001:db9::7"])
def test_a_source_has_its_places_and_no_more(ip: str) -> None:
    room = Room(Limits(unauthenticated_per_source=3))
    assert [room.table.admit(ip) for _ in range(5)] == [True, True, True, False, False]
    assert room.ends() == {"refused": 2}
    assert room.table.admit(ELSEWHERE), "another source has its own"


@every(
    ("other", "is_another"),
    [
        pytest.param("2001:db9::8", False, id="the next address"),
        pytest.param("2001:db9:0:0:ffff:ffff:ffff:ffff", False, id="the last of a network"),
        pytest.param("2001:db9:0:1::", True, id="the next network"),
        pytest.param("198.51.100.8", True, id="IPv4"),
    ],
)
@every("authenticated", [False, True])
def test_a_network_of_ipv6_is_one_source(other: str, is_another: bool, authenticated: bool) -> None:
    """Whoever has one address of it has all 2^64."""
    room = Room(Limits(unauthenticated_per_source=1, authenticated_per_source=1))
    first, pipe = room.open(Talk, "2001:db9::7")
    if authenticated:
        room.table.authenticated(first.flow.id)
        second, _ = room.open(Talk, other)
        room.table.authenticated(second.flow.id)
        assert (second.ended is None) is is_another
    else:
        assert room.table.admit(other) is is_another
    pipe.lose()
    assert room.table.admit("2001:db9::9")


def test_a_ban_closes_what_comes_from_its_network_but_not_another_node_there() -> None:
    room = Room()
    node, _ = room.open(lambda table, flow: NodeConnection(table, flow, lambda *_: None), transport="tls")
    phone, _ = room.open(Talk)
    room.table.close_from(ip_network("198.51.100.0/24"))
    assert (node.ended, phone.ended) == (None, End.BANNED)
    banned = Connections(room.clock, room.metrics, lambda *_: None, is_banned=lambda _: True)
    assert not banned.admit(THERE)
    assert banned.admit(THERE, of_node=True)


def test_there_are_places_in_all_and_no_more() -> None:
    room = Room(Limits(total=3))
    assert [room.table.admit(f"198.51.100.{n}") for n in range(5)] == [True, True, True, False, False]
    assert room.ends() == {"refused": 2}


@pytest.mark.parametrize("ip", [PROXY, PROXY_6])
def test_proxies_of_ours_have_no_limit_but_that_of_all(ip: str) -> None:
    room = Room(Limits(unauthenticated_per_source=1, total=4))
    assert [room.table.admit(ip) for _ in range(5)] == [True, True, True, True, False]


def test_a_place_is_given_back_when_nothing_came_of_it() -> None:
    room = Room(Limits(unauthenticated_per_source=1, total=1))
    for _ in range(3):
        assert room.table.admit(THERE)
        assert not room.table.admit(THERE)
        room.table.release(THERE)
    assert room.ends() == {"refused": 3, "handshake": 3}
    assert room.table.gone == 3
    assert room.left() == {}


def test_the_table_says_once_that_many_have_gone() -> None:
    room = Room()
    said = []
    for _ in range(5):
        assert room.table.admit(THERE)
        room.table.release(THERE)
        said.append(room.table.have_gone(2))
    assert said == [False, True, False, True, False]


def test_a_connection_that_ends_twice_has_one_farewell() -> None:
    """A peer that sends no more, and then a framing fault: the time runs from the first."""
    room = Room()
    talk, pipe = room.open(Talk)
    talk.eof_received()
    room.look_after(FAREWELL_SECONDS - BEFORE)
    room.table.closing(talk)
    assert not pipe.aborted
    room.look_after(BEFORE)
    assert pipe.aborted


@pytest.mark.parametrize("authenticated", [False, True])
def test_a_place_is_given_back_once_when_the_connection_is_gone(authenticated: bool) -> None:
    room = Room(Limits(unauthenticated_per_source=2, total=2))
    first, pipe = room.open(Talk)
    other, _ = room.open(Talk)
    if authenticated:
        room.table.authenticated(first.flow.id)
    for _ in range(3):
        pipe.lose()
    assert room.gone == [(first.flow.id, False)]
    assert room.ends() == {"peer": 1}
    assert room.table.gone == 1
    assert room.table.admit(THERE)
    assert not room.table.admit(THERE), "one place, not three"
    assert len(room.table) == 1 and room.table.is_open(other.flow.id)


def test_who_proves_an_identity_makes_room_for_the_next() -> None:
    room = Room(Limits(unauthenticated_per_source=1))
    for _ in range(3):
        connection, _ = room.open(Talk)
        assert not room.table.admit(THERE)
        room.table.authenticated(connection.flow.id)
    assert len(room.table) == 3


def test_a_source_has_places_for_those_too() -> None:
    room = Room(Limits(authenticated_per_source=2))
    talks = [room.open(Talk)[0] for _ in range(4)]
    for talk in talks[:3]:
        room.table.authenticated(talk.flow.id)
    assert [talk.ended for talk in talks] == [None, None, End.REFUSED, None]
    apart, _ = room.open(Talk, ELSEWHERE)
    room.table.authenticated(apart.flow.id)
    assert apart.ended is None


def test_a_place_of_those_is_given_back() -> None:
    room = Room(Limits(authenticated_per_source=1))
    for _ in range(3):
        talk, pipe = room.open(Talk)
        room.table.authenticated(talk.flow.id)
        assert talk.ended is None
        pipe.lose()
    assert room.left() == {}


def test_phones_behind_a_proxy_of_ours_are_not_counted_as_one() -> None:
    room = Room(Limits(authenticated_per_source=1))
    talks = [room.open(Talk, PROXY)[0] for _ in range(4)]
    for talk in talks:
        room.table.authenticated(talk.flow.id)
    assert [talk.ended for talk in talks] == [None] * 4


def test_an_identity_is_proved_once() -> None:
    room = Room(Limits(authenticated_per_source=1))
    talk, _ = room.open(Talk)
    for _ in range(3):
        room.table.authenticated(talk.flow.id)
    assert talk.ended is None
    assert (room.open_now("authenticated"), room.open_now("unauthenticated")) == (1, 0)


@pytest.mark.parametrize("gone", [False, True])
def test_nobody_is_nobody(gone: bool) -> None:
    """A digest was checked while the connection closed, or the number was never one."""
    room = Room()
    talk, pipe = room.open(Talk)
    if gone:
        pipe.lose()
    number = talk.flow.id if gone else 99
    room.table.authenticated(number)
    room.table.hang_up(number, revoked=True)
    assert not room.table.is_open(number)
    assert (talk.ended, pipe.closed) == (End.PEER if gone else None, False)


def test_whom_a_proxy_speaks_for_is_counted_where_he_is() -> None:
    room = Room(Limits(unauthenticated_per_source=2))
    talks = [room.open(Talk, PROXY)[0] for _ in range(4)]
    for talk in talks[:3]:
        room.table.forwarded_for(talk, ELSEWHERE)
    assert [talk.ended for talk in talks] == [None, None, End.REFUSED, None]
    assert [talk.source for talk in talks] == [ELSEWHERE, ELSEWHERE, ELSEWHERE, PROXY]
    room.table.lost(talks[2])
    assert not room.table.admit(ELSEWHERE)
    room.table.lost(talks[0])
    assert room.table.admit(ELSEWHERE)
    assert not room.table.admit(ELSEWHERE)


def test_a_proxy_that_speaks_for_itself_changes_nothing() -> None:
    room = Room(Limits(unauthenticated_per_source=1))
    talk, pipe = room.open(Talk)
    room.table.forwarded_for(talk, THERE)
    assert talk.ended is None
    assert not room.table.admit(THERE)
    pipe.lose()
    assert room.left() == {}


def test_numbers_are_never_given_twice() -> None:
    room = Room()
    assert len({room.table.number() for _ in range(100)}) == 100


class Crowd:
    """Connections that come, go and do everything there is, in any order."""

    def __init__(self, room: Room, dice: random.Random) -> None:
        self._room = room
        self._dice = dice
        self.there: list[tuple[Talk, Pipe]] = []

    def come(self) -> None:
        """One more, if it may."""
        room, address = self._room, self._dice.choice(ADDRESSES)
        if not room.table.admit(address):
            return
        if self._dice.random() < 0.2:
            room.table.release(address)
            return
        talk = self._dice.choice((Talk, Polite))(room.table, room.flow(address))
        pipe = Pipe(talk)
        talk.connection_made(pipe)
        self.there.append((talk, pipe))

    def stir(self) -> None:
        """Something happens to a few of them."""
        for talk, pipe in self._dice.sample(self.there, min(4, len(self.there))):
            pipe.stalled = self._dice.random() < 0.5
            self._dice.choice(self._events(talk, pipe))()

    def _events(self, talk: Talk, pipe: Pipe) -> list[Callable[[], object]]:
        table, dice = self._room.table, self._dice
        events: list[Callable[[], object]] = [
            lambda: table.authenticated(talk.flow.id),
            lambda: talk.begin(partial=dice.random() < 0.7, progress=dice.random() < 0.5),
            lambda: table.pingable(talk),
            lambda: table.alive(talk),
            lambda: table.hang_up(talk.flow.id, revoked=True),
            lambda: table.send(b"x" * 20_000, talk.flow),
            lambda: pipe.take(dice.randrange(400_000)),
            lambda: talk.abort(End.STUCK),
            talk.eof_received,
        ]
        if not talk.authenticated:  # a proxy speaks before anybody else does
            events.append(lambda: table.forwarded_for(talk, dice.choice(ADDRESSES)))
        return events

    def leave(self, likely: float) -> None:
        """Who was told to go is gone, and some others too."""
        for talk, pipe in list(self.there):
            if pipe.is_closing() or self._dice.random() < likely:
                self.there.remove((talk, pipe))
                pipe.lose()


def test_whatever_happens_nothing_is_left_and_no_place_is_lost() -> None:
    """Two thousand connections in any order of events; each place is given back exactly once."""
    dice = random.Random(11)
    room = Room(Limits(unauthenticated_per_source=20, authenticated_per_source=15, total=60))
    crowd = Crowd(room, dice)
    for _ in range(2_000):
        crowd.come()
        crowd.stir()
        room.look_after(dice.random() * 2)
        crowd.leave(0.02)
        assert len(room.table) == len(crowd.there) <= 60
    crowd.leave(1)
    assert room.left() == {}
    assert room.open_now("authenticated") == room.open_now("unauthenticated") == 0
    assert [room.table.admit(f"198.51.100.{number}") for number in range(61)] == [True] * 60 + [False]


# How long it may take


@pytest.mark.parametrize(
    ("heard", "seconds", "end"),
    [
        pytest.param(False, DEFAULTS.first_seconds - BEFORE, None, id="nothing yet"),
        pytest.param(False, DEFAULTS.first_seconds, End.SILENT, id="nothing"),
        pytest.param(True, DEFAULTS.first_seconds, None, id="something came"),
        pytest.param(True, DEFAULTS.authenticate_seconds - BEFORE, None, id="no identity yet"),
        pytest.param(True, DEFAULTS.authenticate_seconds, End.UNAUTHENTICATED, id="no identity"),
    ],
)
def test_a_new_connection_has_so_long(heard: bool, seconds: float, end: End | None) -> None:
    room = Room()
    talk, pipe = room.open(Talk)
    if heard:
        talk.data_received(b"x")
    room.look_after(seconds)
    assert (talk.ended, pipe.closed) == (end, end is not None)
    pipe.lose()
    assert room.ends() == {str(end or End.PEER): 1}


def test_who_has_proved_an_identity_may_stay() -> None:
    room = Room()
    talk, pipe = room.open(Talk)
    room.table.authenticated(talk.flow.id)
    for _ in range(100):
        room.look_after(60)
    assert (talk.ended, pipe.closed, talk.pings) == (None, False, 0)


@pytest.mark.parametrize(
    ("seconds", "end"),
    [
        pytest.param(DEFAULTS.message_seconds - BEFORE, None, id="in time"),
        pytest.param(DEFAULTS.message_seconds, End.SLOW, id="too slow"),
    ],
)
@pytest.mark.parametrize("authenticated", [False, True])
def test_a_message_has_so_long(seconds: float, end: End | None, authenticated: bool) -> None:
    room = Room()
    talk, _ = room.open(Talk)
    talk.data_received(b"x")
    if authenticated:
        room.table.authenticated(talk.flow.id)
    room.look_after(3)
    talk.begin()
    room.clock.pass_(seconds / 2)
    talk.begin()
    room.look_after(seconds / 2)
    assert talk.ended is end


def test_a_message_that_was_completed_is_not_waited_for() -> None:
    room = Room()
    talk, _ = room.open(Talk)
    room.table.authenticated(talk.flow.id)
    talk.begin()
    room.clock.pass_(DEFAULTS.message_seconds - BEFORE)
    talk.begin(partial=False)
    room.look_after(100)
    assert talk.ended is None
    assert "_partial" not in room.left()


def test_a_message_that_begins_after_another_has_its_time_too() -> None:
    room = Room()
    talk, _ = room.open(Talk)
    room.table.authenticated(talk.flow.id)
    for _ in range(3):
        talk.begin()
        talk.begin(partial=False)
        room.look_after(1)
    talk.begin()
    room.look_after(DEFAULTS.message_seconds - BEFORE)
    assert talk.ended is None
    room.look_after(BEFORE)
    assert talk.ended is End.SLOW


def test_the_next_message_has_its_own_time() -> None:
    room = Room()
    talk, _ = room.open(Talk)
    room.table.authenticated(talk.flow.id)
    talk.begin()
    room.clock.pass_(DEFAULTS.message_seconds - BEFORE)
    talk.begin(progress=True)
    room.look_after(DEFAULTS.message_seconds - BEFORE)
    assert talk.ended is None
    room.look_after(BEFORE)
    assert talk.ended is End.SLOW


# Peers that do not read


def stalled(room: Room, octets: int = WRITE_HIGH + 1) -> tuple[Talk, Pipe]:
    """A connection whose peer has left so much in the queue."""
    talk, pipe = room.open(Talk)
    room.table.authenticated(talk.flow.id)
    pipe.stalled = True
    talk.send(b"x" * octets)
    return talk, pipe


@pytest.mark.parametrize(("octets", "reading"), [(WRITE_HIGH, True), (WRITE_HIGH + 1, False)])
def test_who_does_not_read_is_not_read_from(octets: int, reading: bool) -> None:
    room = Room()
    _, pipe = stalled(room, octets)
    assert pipe.reading is reading
    pipe.take(octets - 1)
    assert pipe.reading is reading, "until all of it has left"
    pipe.take(1)
    assert pipe.reading
    assert "_blocked" not in room.left()


@pytest.mark.parametrize(
    ("seconds", "end"),
    [
        pytest.param(DEFAULTS.stuck_seconds - BEFORE, None, id="in time"),
        pytest.param(DEFAULTS.stuck_seconds, End.STUCK, id="too long"),
    ],
)
def test_who_takes_nothing_has_so_long(seconds: float, end: End | None) -> None:
    room = Room()
    talk, pipe = stalled(room)
    room.look_after(seconds)
    assert (talk.ended, pipe.aborted, pipe.closed) == (end, end is not None, False)


def test_who_takes_a_little_has_its_time_again() -> None:
    room = Room()
    talk, pipe = stalled(room, 100_000)
    for _ in range(20):
        pipe.take(1)
        room.look_after(DEFAULTS.stuck_seconds - BEFORE)
        assert talk.ended is None
    room.look_after(DEFAULTS.stuck_seconds)
    assert talk.ended is End.STUCK


def test_who_takes_a_little_while_more_is_sent_has_its_time_again() -> None:
    room = Room()
    talk, pipe = stalled(room)
    for _ in range(20):
        pipe.take(10)
        room.look_after(1)
        talk.send(b"x" * 500)
    assert talk.ended is None


def test_who_takes_nothing_while_more_is_sent_does_not() -> None:
    room = Room()
    talk, _ = stalled(room)
    for _ in range(int(DEFAULTS.stuck_seconds)):
        assert talk.ended is None
        room.look_after(1)
        talk.send(b"x" * 500)
    assert talk.ended is End.STUCK


@pytest.mark.parametrize(("more", "end"), [(0, None), (1, End.STUCK)])
def test_so_much_may_wait_for_a_peer(more: int, end: End | None) -> None:
    room = Room()
    talk, pipe = stalled(room)
    talk.send(b"x" * (DEFAULTS.queued - pipe.queued))
    assert talk.ended is None
    talk.send(b"x" * more)
    assert (talk.ended, pipe.aborted) == (end, end is not None)


def test_one_message_may_be_too_much() -> None:
    room = Room()
    talk, pipe = stalled(room, DEFAULTS.queued + 1)
    assert (talk.ended, pipe.aborted) == (End.STUCK, True)


def test_a_connection_that_is_gone_is_not_stuck() -> None:
    room = Room()
    talk, pipe = stalled(room)
    pipe.lose()
    assert not talk.is_stuck(room.clock(), DEFAULTS)
    room.look_after(100)
    assert room.ends() == {"peer": 1}
    talk.pause_writing()
    talk.resume_writing()
    assert room.left() == {}


# Signs of life


def watched(room: Room) -> tuple[Talk, Pipe]:
    talk, pipe = room.open(Talk)
    room.table.authenticated(talk.flow.id)
    room.table.pingable(talk)
    return talk, pipe


def test_a_ping_comes_when_it_is_due_and_again() -> None:
    room = Room()
    talk, _ = watched(room)
    room.look_after(DEFAULTS.ping_seconds - BEFORE)
    assert talk.pings == 0
    room.look_after(BEFORE)
    assert talk.pings == 1
    room.table.alive(talk)
    room.look_after(DEFAULTS.ping_seconds - BEFORE)
    assert talk.pings == 1
    room.look_after(BEFORE)
    assert talk.pings == 2


@pytest.mark.parametrize(
    ("seconds", "silent"),
    [
        pytest.param(DEFAULTS.pong_seconds - BEFORE, False, id="in time"),
        pytest.param(DEFAULTS.pong_seconds, True, id="too long"),
    ],
)
def test_who_does_not_answer_a_ping_is_given_up(seconds: float, silent: bool) -> None:
    room = Room()
    talk, pipe = watched(room)
    room.look_after(DEFAULTS.ping_seconds)
    room.look_after(seconds)
    assert pipe.aborted is silent
    pipe.lose()
    assert room.gone == [(talk.flow.id, silent)]
    assert room.ends() == {"ping-timeout" if silent else "peer": 1}


def test_nobody_waits_for_the_answer_of_who_is_gone() -> None:
    room = Room()
    talk, pipe = watched(room)
    room.look_after(DEFAULTS.ping_seconds)
    pipe.lose()
    assert (talk.pings, room.left()) == (1, {})


def test_any_sign_of_life_is_one() -> None:
    room = Room()
    talk, pipe = watched(room)
    for _ in range(10):
        room.look_after(DEFAULTS.ping_seconds)
        room.clock.pass_(DEFAULTS.pong_seconds - BEFORE)
        room.table.alive(talk)
        room.look_after(BEFORE)
    assert (pipe.aborted, talk.pings) == (False, 10)


def test_each_connection_is_pinged_in_its_own_time() -> None:
    room = Room()
    talks = []
    for _ in range(5):
        talks.append(watched(room)[0])
        room.clock.pass_(1)
    for after in range(5):
        room.look_after(DEFAULTS.ping_seconds - 5 if not after else 1)
        assert [talk.pings for talk in talks] == [1] * (after + 1) + [0] * (4 - after)
        room.table.alive(talks[after])


# How it ends


@every("end", list(End))
def test_it_is_closed_for_one_reason(end: End) -> None:
    room = Room()
    talk, pipe = room.open(Talk)
    talk.close(end)
    for other in End:
        talk.close(other)
        talk.abort(other)
    assert (talk.ended, pipe.closed) == (end, True)
    pipe.lose()
    assert room.ends() == {str(end): 1}
    assert room.gone == [(talk.flow.id, end is End.PING_TIMEOUT)]


def test_what_is_queued_has_a_little_time_to_leave() -> None:
    room = Room()
    talk, pipe = stalled(room)
    talk.close(End.REVOKED)
    room.look_after(FAREWELL_SECONDS - BEFORE)
    assert not pipe.aborted
    room.look_after(BEFORE)
    assert pipe.aborted
    pipe.lose()
    assert room.ends() == {"revoked": 1}
    assert room.left() == {}


def test_nothing_is_said_after_the_end() -> None:
    room = Room()
    talk, pipe = room.open(Talk)
    talk.close(End.POLICY)
    talk.send(b"late")
    assert pipe.said() == b""
    pipe.lose()
    talk.send(b"later")
    talk.close(End.POLICY)
    talk.abort(End.POLICY)
    assert pipe.said() == b""


def test_a_protocol_may_have_a_last_word_and_the_peer_time_for_it() -> None:
    room = Room()
    talk, pipe = room.open(Polite)
    talk.close(End.SHUTDOWN)
    assert (pipe.said(), pipe.closed) == (b"bye: shutdown", False)
    talk.send(b"late")
    room.look_after(FAREWELL_SECONDS - BEFORE)
    assert (pipe.said(), pipe.aborted) == (b"", False)
    room.look_after(BEFORE)
    assert pipe.aborted
    pipe.lose()
    assert room.ends() == {"shutdown": 1}


def test_a_peer_that_has_said_all_is_sent_what_is_queued_and_nothing_more() -> None:
    room = Room()
    talk, pipe = stalled(room)
    talk.eof_received()  # then uvloop closes the transport
    pipe.close()
    assert not room.table.is_open(talk.flow.id)
    talk.send(b"late")
    assert pipe.queued == WRITE_HIGH + 1
    room.look_after(FAREWELL_SECONDS - BEFORE)
    assert not pipe.aborted
    room.look_after(BEFORE)
    assert pipe.aborted
    pipe.lose()
    assert room.ends() == {"peer": 1}
    assert room.left() == {}


def test_a_peer_that_goes_after_we_have_closed_changes_no_reason() -> None:
    room = Room()
    talk, pipe = room.open(Polite)
    talk.close(End.REVOKED)
    talk.eof_received()
    pipe.lose()
    assert room.ends() == {"revoked": 1}


@pytest.mark.parametrize("revoked", [False, True])
def test_somebody_may_hang_up(revoked: bool) -> None:
    room = Room()
    talk, pipe = room.open(Talk)
    other, _ = room.open(Talk)
    room.table.hang_up(talk.flow.id, revoked=revoked)
    assert (talk.ended, pipe.closed) == (End.REVOKED if revoked else End.POLICY, True)
    assert [room.table.is_open(number) for number in (talk.flow.id, other.flow.id)] == [False, True]


@every(
    ("error", "silent"),
    [
        pytest.param(None, False, id="FIN"),
        pytest.param(ConnectionResetError(errno.ECONNRESET, "reset"), False, id="RST"),
        pytest.param(BrokenPipeError(errno.EPIPE, "pipe"), False, id="a broken pipe"),
        pytest.param(ssl.SSLError(1, "bad record mac"), False, id="a fault of TLS"),
        pytest.param(TimeoutError("SSL shutdown timed out"), False, id="no end of TLS"),
        pytest.param(TimeoutError(errno.ETIMEDOUT, "timed out"), True, id="keep-alives were not answered"),
        pytest.param(OSError(errno.EHOSTUNREACH, "no route"), True, id="no way to the host"),
        pytest.param(OSError(errno.ENETUNREACH, "no route"), True, id="no way to the network"),
        pytest.param(RuntimeError("a fault of ours"), False, id="something else"),
    ],
)
def test_how_a_peer_was_lost(error: Exception | None, silent: bool) -> None:
    room = Room()
    talk, pipe = room.open(Talk)
    pipe.lose(error)
    assert room.gone == [(talk.flow.id, silent)]
    assert room.ends() == {"ping-timeout" if silent else "peer": 1}


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
def test_it_is_shown_how_many_are_open(transport: str) -> None:
    room = Room()
    pairs = [room.open(Talk, transport=transport) for _ in range(3)]
    room.table.authenticated(pairs[0][0].flow.id)
    states = ("authenticated", "unauthenticated")
    assert [room.open_now(state, transport) for state in states] == [1, 2]
    for _, pipe in pairs[:2]:
        pipe.lose()
    assert [room.open_now(state, transport) for state in states] == [0, 1]


def test_messages_go_to_their_connection_and_no_other() -> None:
    room = Room()
    (one, first), (other, second) = room.open(Talk), room.open(Talk)
    room.table.send(b"for one", one.flow)
    assert (first.said(), second.said()) == (b"for one", b"")
    first.lose()
    room.table.send(b"too late", one.flow)
    assert (first.said(), second.said()) == (b"", b"")
    assert room.dropped("connection_closed") == 1
    assert room.table.is_open(other.flow.id)


def test_all_can_be_closed_and_whoever_does_not_go_is_left_behind() -> None:
    room = Room()
    pairs = [room.open(make) for make in (Talk, Polite, Talk)]
    pairs[2][0].close(End.REVOKED)
    room.table.close_all()
    assert [pipe.closed for _, pipe in pairs] == [True, False, True]
    room.table.abort_all()
    assert all(pipe.aborted for _, pipe in pairs)
    for _, pipe in pairs:
        pipe.lose()
    assert room.ends() == {"shutdown": 2, "revoked": 1}
    assert len(room.table) == 0


async def test_one_job_looks_after_all_of_it() -> None:
    room = Room()
    talk, pipe = room.open(Talk)
    job = asyncio.create_task(room.table.run())
    await asyncio.sleep(0)
    assert not pipe.closed
    room.clock.pass_(DEFAULTS.first_seconds)
    async with asyncio.timeout(limit(10 * LOOK_SECONDS)):
        while not pipe.closed:
            await asyncio.sleep(0.01)
    assert talk.ended is End.SILENT
    job.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await job
    assert job.cancelled()


# Reading in turns


@pytest.mark.parametrize("octets", [1, TURN_OCTETS - 1, TURN_OCTETS])
def test_a_little_is_read_at_once(octets: int) -> None:
    room = Room()
    talk, pipe = room.open(Talk)
    talk.data_received(b"x" * octets)
    assert talk.taken == [b"x" * octets]
    assert pipe.reading


async def test_much_is_read_in_turns_and_nothing_more_meanwhile() -> None:
    room = Room()
    (one, pipe), (other, _) = room.open(Talk), room.open(Talk)
    data = random.Random(5).randbytes(5 * TURN_OCTETS + 7)
    one.data_received(data)
    assert (len(one.taken), pipe.reading) == (1, False)
    other.data_received(b"my turn")
    assert other.taken == [b"my turn"]
    one.data_received(b"the end")
    for turn in range(2, 7):
        assert not pipe.reading
        await asyncio.sleep(0)
        assert len(one.taken) == turn
    assert pipe.reading
    assert b"".join(one.taken) == data + b"the end"
    one.data_received(b"again")
    assert one.taken[-1] == b"again"


async def test_turns_wait_for_a_peer_that_does_not_read() -> None:
    room = Room()
    talk, pipe = stalled(room)
    talk.data_received(b"y" * (2 * TURN_OCTETS))
    for _ in range(5):
        await asyncio.sleep(0)
    assert talk.taken == []
    pipe.take(pipe.queued)
    assert not pipe.reading, "first what came"
    for _ in range(5):
        await asyncio.sleep(0)
    assert b"".join(talk.taken) == b"y" * (2 * TURN_OCTETS)
    assert pipe.reading


async def test_a_connection_that_is_gone_has_no_turn() -> None:
    room = Room()
    talk, pipe = room.open(Talk)
    talk.data_received(b"y" * (3 * TURN_OCTETS))
    pipe.lose()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(talk.taken) == 1
    assert room.left() == {}


async def test_who_comes_with_much_while_others_wait_waits_too() -> None:
    room = Room()
    (one, _), (other, pipe) = room.open(Talk), room.open(Talk)
    one.data_received(b"x" * (3 * TURN_OCTETS))
    other.data_received(b"y" * (2 * TURN_OCTETS))
    assert (len(one.taken), len(other.taken), pipe.reading) == (1, 0, False)
    await asyncio.sleep(0)
    assert (len(one.taken), len(other.taken)) == (2, 1)
    await settled(other)
    assert (b"".join(other.taken), pipe.reading) == (b"y" * (2 * TURN_OCTETS), True)


async def test_a_message_is_not_late_while_it_is_for_us_to_read_on() -> None:
    room = Room()
    talk, _ = room.open(Talk)
    room.table.authenticated(talk.flow.id)
    talk.begin()
    talk.data_received(b"x" * (3 * TURN_OCTETS))
    room.look_after(DEFAULTS.message_seconds)
    assert talk.ended is None
    await settled(talk)
    room.look_after(0)
    assert talk.ended is End.SLOW


async def test_a_message_is_not_late_because_its_peer_did_not_read() -> None:
    room = Room()
    talk, pipe = stalled(room)
    talk.begin()
    for _ in range(2):
        room.look_after(DEFAULTS.stuck_seconds - BEFORE)
        pipe.take(1)
    assert talk.ended is None
    pipe.take(pipe.queued)
    room.look_after(DEFAULTS.message_seconds - BEFORE)
    assert talk.ended is None
    room.look_after(BEFORE)
    assert talk.ended is End.SLOW


@pytest.mark.parametrize("end", [End.SLOW, End.UNAUTHENTICATED])
def test_who_has_had_his_time_and_does_not_read_hears_no_goodbye(end: End) -> None:
    room = Room()
    talk, pipe = room.open(Polite)
    pipe.stalled = True
    talk.send(b"x" * (WRITE_HIGH + 1))
    pipe.said()
    talk.close(end)
    assert (pipe.said(), pipe.aborted, talk.ended) == (b"", True, end)
