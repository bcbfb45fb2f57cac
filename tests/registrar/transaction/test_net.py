"""Two layers over a wire that loses, doubles and reorders, with a seed."""

from collections import Counter
from heapq import heappop, heappush
from random import Random

import pytest

from registrar.model import Flow, Mono
from registrar.sip import Request, Response, parse
from registrar.transaction import Action, Answered, Failed, Key, Layer, Send, TimedOut

from .playbook import T1, request, response

LOSS = 0.2
DOUBLED = 0.1
LONGEST = 0.4
"""Seconds under way: longer than a request is apart from the next, so they overtake one another."""
HERE = Flow("udp", "192.0.2.1", 5060, "192.0.2.2", 5060, 1)
THERE = Flow("udp", "192.0.2.2", 5060, "192.0.2.1", 5060, 2)


class Net:
    """A client here, a server there, and a bad wire between them."""

    def __init__(self, seed: int, status: int) -> None:
        self.random = Random(seed)
        self.status = status
        self.here, self.there = Layer(), Layer()
        self.now = Mono(0.0)
        self.events: list[tuple[float, int, str, bytes | Request | Key]] = []
        self.serial = 0
        self.keys: dict[Key, Request] = {}
        self.delivered: Counter[str] = Counter()
        self.answers: Counter[Key] = Counter()
        self.answered_at: dict[Key, float] = {}
        self.asked_at: dict[Key, float] = {}
        self.lost_clients: list[Action] = []
        self.lost_servers: list[Action] = []

    def later(self, seconds: float, what: str, load: bytes | Request | Key) -> None:
        self.serial += 1
        heappush(self.events, (self.now + seconds, self.serial, what, load))

    def run(self) -> None:
        """Until nothing is under way and nobody waits."""
        while True:
            waits = (self.here.deadline(), self.there.deadline(), self.events[0][0] if self.events else None)
            due = min((each for each in waits if each is not None), default=None)
            if due is None:
                return
            assert due >= self.now
            self.now = Mono(due)
            self.carry_out(self.here.tick(self.now), "there")
            self.carry_out(self.there.tick(self.now), "here")
            while self.events and self.events[0][0] <= self.now:
                _, _, what, load = heappop(self.events)
                self.happens(what, load)

    def happens(self, what: str, load: bytes | Request | Key) -> None:
        if isinstance(load, Request):
            key, actions = self.here.request(load, HERE, self.now)
            self.asked_at[key] = self.now
            self.carry_out(actions, "there")
        elif isinstance(load, bytes):
            message = parse(load)
            if what == "there":
                assert isinstance(message, Request)
                self.request_comes(message)
            else:
                assert isinstance(message, Response)
                self.carry_out(self.here.receive(message, HERE, self.now), "there")
        else:
            answer = response(self.keys[load], self.status)
            self.carry_out(self.there.respond(load, answer, self.now), "here")

    def request_comes(self, message: Request) -> None:
        actions = self.there.absorb(message, THERE, self.now)
        if actions is not None:
            self.carry_out(actions, "here")
        elif message.method != "ACK":
            key = self.there.accept(message, THERE, self.now)
            assert key is not None
            self.keys[key] = message
            self.delivered[message.call_id] += 1
            self.later(self.random.uniform(0, 1), "answer", key)

    def carry_out(self, actions: list[Action], to: str) -> None:
        for action in actions:
            match action:
                case Send(data=data):
                    self.send(data, to)
                case Answered(response=got, key=key) if got.status >= 200:
                    self.answers[key] += 1
                    self.answered_at.setdefault(key, self.now)
                case TimedOut() | Failed():
                    (self.lost_clients if to == "there" else self.lost_servers).append(action)
                case _:
                    pass

    def send(self, data: bytes, to: str) -> None:
        for _ in range(2 if self.random.random() < DOUBLED else 1):
            if self.random.random() >= LOSS:
                self.later(self.random.uniform(0, LONGEST), to, data)


def asked(count: int, method: str, seed: int, status: int) -> Net:
    net = Net(seed, status)
    for each in range(count):
        message = request(method, branch=f"z9hG4bK{each}", call_id=str(each))
        net.later(net.random.uniform(0, 10), "ask", message)
    net.run()
    return net


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_request_reaches_the_handler_once_and_gets_its_answer_in_time(seed: int) -> None:
    net = asked(1_000, "REGISTER", seed, 200)
    assert net.delivered == {str(each): 1 for each in range(1_000)}
    assert len(net.asked_at) == 1_000
    assert net.answers == dict.fromkeys(net.asked_at, 1)
    assert all(net.answered_at[key] - at < 64 * T1 for key, at in net.asked_at.items())
    assert net.lost_clients == []
    assert net.lost_servers == []
    assert len(net.here) == len(net.there) == 0


def test_each_refused_invite_is_acknowledged_until_the_server_knows() -> None:
    net = asked(500, "INVITE", 4, 486)
    assert net.delivered == {str(each): 1 for each in range(500)}
    assert net.answers == dict.fromkeys(net.asked_at, 1)
    assert net.lost_clients == []
    assert net.lost_servers == []
    assert len(net.here) == len(net.there) == 0


def test_the_wire_was_as_bad_as_promised() -> None:
    net = asked(200, "REGISTER", 5, 200)
    assert net.here.unmatched + net.there.unmatched == 0  # timer K is longer than any copy is under way
    slow = [key for key, at in net.asked_at.items() if net.answered_at[key] - at > 1.5]
    assert len(slow) > 20
