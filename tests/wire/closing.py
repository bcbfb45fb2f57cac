"""Phones whose connections are closed in every way, all at once, and what is seen of them then."""

import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from tests.peers.phone import Account
from tests.peers.pipe import HungUp
from tests.wire.connected import STREAMS, ConnectedPhone, connect, registered
from tests.wire.site import Handset, Site
from tests.wire.timeline import Timeline

AWAY_SECONDS: Final = 0.8
"""How long the phones stay away that come back."""


@dataclass
class Closed:
    """Phones whose connections were closed, and all that was seen of them until it was over."""

    site: Site
    timeline: Timeline
    handsets: dict[str, Handset] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)
    """When the connection was closed."""
    phones: dict[str, ConnectedPhone] = field(default_factory=dict)
    """What is still connected."""
    cut_off: list[Handset] = field(default_factory=list)
    """Phones whose connections closed before their REGISTER was answered."""
    begun: float = 0.0
    """When the last one was closed."""

    def offline_after(self, name: str) -> float:
        """How long after the end of its connection the phone was found offline."""
        look = self.timeline.offline(self.handsets[name], self.at[name])
        assert look is not None, f"{name} is online for ever"
        return look.at - self.at[name]


ENDS: Final[dict[str, Callable[[ConnectedPhone], float]]] = {
    "FIN": ConnectedPhone.hang_up,
    "RST": ConnectedPhone.reset,
}
LOST: Final = [f"{transport} {end}" for transport in STREAMS for end in ENDS]
BACK: Final = ["same instance", "same contact", "webrtc"]
STAYS: Final = "two bindings"
LEFT: Final = "unregistered"
REUSED: Final = "port reused"
STRANGER: Final = "stranger"
CUT_OFF: Final = 10


@contextmanager
def closed_at_once(site: Site) -> Iterator[Closed]:
    """Close all of them, and go on looking at them for the length of the block."""
    handsets = {name: site.new_phone() for name in (*LOST, *BACK[:2], STAYS, LEFT, REUSED, STRANGER)}
    handsets[BACK[2]] = webrtc_phone(site)
    cut_off = [site.new_phone() for _ in range(CUT_OFF)]
    with Timeline(site, [*handsets.values(), *cut_off]) as timeline:
        case = Closed(site, timeline, handsets, cut_off=cut_off)
        for name in LOST:
            transport, end = name.split()
            case.at[name] = ENDS[end](registered(site, handsets[name], transport))
        _come_back(case)
        _close_one_of_two(case)
        _leave_and_close(case)
        _reuse_the_port(case)
        _cut_off(case)
        case.begun = time.monotonic()
        with _awake(case.phones["webrtc"]):
            yield case
    for phone in case.phones.values():
        phone.close()


@contextmanager
def _awake(phone: ConnectedPhone) -> Iterator[None]:
    """Answer the pings of the server, for however long the tests beside it take."""
    over = threading.Event()

    def listen() -> None:
        with suppress(HungUp):
            while not over.is_set():
                phone.pipe.receive(0.2)

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        yield
    finally:
        over.set()
        listener.join()


def webrtc_phone(site: Site) -> Handset:
    """The phone of one browser."""
    reply = site.api("POST", "/pbx/sipphone/webrtc", {"instanceId": secrets.token_hex(8)})
    assert reply.status == 200, reply
    phone = reply.body
    account = Account(phone["username"], phone["password"], site.demo()["domain"])
    return Handset(phone["_id"], account)


def _come_back(case: Closed) -> None:
    """Three ways to say that a contact is the one before."""
    instance = str(uuid.uuid4())
    firsts = {
        "same instance": registered(case.site, case.handsets["same instance"], "tls", instance=instance),
        "same contact": connect(case.site, case.handsets["same contact"], "tcp"),
        "webrtc": registered(case.site, case.handsets["webrtc"], "wss"),
    }
    contact = "<sip:desk@192.168.7.7:5060>"
    assert firsts["same contact"].register(contact=contact).status == 200
    time.sleep(0.2)  # they are seen to be online
    for name, phone in firsts.items():
        case.at[name] = phone.hang_up()
    time.sleep(AWAY_SECONDS)
    case.phones["same instance"] = registered(
        case.site, case.handsets["same instance"], "tls", instance=instance
    )
    case.phones["webrtc"] = registered(case.site, case.handsets["webrtc"], "wss")
    case.phones["same contact"] = again = connect(case.site, case.handsets["same contact"], "tcp")
    assert again.register(contact=contact).status == 200


def _close_one_of_two(case: Closed) -> None:
    handset = case.handsets[STAYS]
    case.phones[STAYS] = registered(case.site, handset, "tls", instance=str(uuid.uuid4()))
    time.sleep(1.1)  # the status shows the newer one, by whole seconds
    newer = registered(case.site, handset, "wss", instance=str(uuid.uuid4()))
    assert case.site.status(handset)["transport"] == "wss"
    case.at[STAYS] = newer.hang_up()


def _leave_and_close(case: Closed) -> None:
    phone = registered(case.site, case.handsets[LEFT], "tcp")
    assert phone.register(0).status == 200
    case.at[LEFT] = phone.hang_up()


def _reuse_the_port(case: Closed) -> None:
    """Somebody else gets the port of a phone that is gone."""
    phone = registered(case.site, case.handsets[REUSED], "tcp")
    source = phone.pipe.address
    case.at[REUSED] = phone.reset()
    case.phones[STRANGER] = registered(case.site, case.handsets[STRANGER], "tcp", source=source)


def _cut_off(case: Closed) -> None:
    """The connection ends while the right answer to the challenge is on its way.

    Every second time the server must first read the phone again: changes may have been missed.
    """
    for number, handset in enumerate(case.cut_off):
        phone = connect(case.site, handset, STREAMS[number % len(STREAMS)])
        steps = phone.caller.registration()
        challenged = phone.exchange(next(steps))
        if number % 2:
            case.site.redis("client", "kill", "type", "pubsub")
        phone.send(steps.send(challenged))
        ends = list(ENDS.values())
        ends[number // len(STREAMS) % len(ends)](phone)
