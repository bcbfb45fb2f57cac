"""Desk phones behind routers that translate addresses hear each other: through the relay, and only then."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.baresip_calling import BaresipCaller
from tests.peers.nat import Home, Street
from tests.peers.netns import Namespace
from tests.peers.ports import free_port
from tests.peers.rtpengine import Rtpengine
from tests.wire.callers import Callers, call_keys
from tests.wire.need import need, need_module, need_namespace
from tests.wire.site import Site, within
from tests.wire.sound import LEFT_SECONDS, Desk, assert_talk, connect, end

pytestmark = pytest.mark.wire

SERVER = "10.77.0.1"
"""The public address of the server and its relay."""
ROUTERS = ("10.77.0.11", "10.77.0.12")
STREETS = ("10.77.0.21", "10.77.0.22")
"""Those of phones that have no router."""


@pytest.fixture(scope="module")
def public() -> Iterator[Namespace]:
    need("rtpengine", "redis-cli", "nft")
    need_module("baresip")
    need_namespace()
    with Namespace(SERVER) as network, network.entered():
        yield network


@pytest.fixture(scope="module")
def homes(public: Namespace) -> Iterator[list[Home]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Home(public, address)) for address in ROUTERS]


@pytest.fixture(scope="module")
def streets(public: Namespace) -> Iterator[list[Street]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Street(public, address)) for address in STREETS]


@pytest.fixture(scope="module")
def engine(public: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rtpengine]:
    with Rtpengine(tmp_path_factory.mktemp("engine"), SERVER) as engine:
        yield engine


@pytest.fixture(scope="module")
def server(engine: Rtpengine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`auto`: it uses the relay where it must."""
    place = (SERVER, free_port(SERVER))
    site = Site(
        tmp_path_factory.mktemp("site"),
        transports=(),
        arguments=("serve",),
        sip_udp="{}:{}".format(*place),
        ping_seconds="10",  # a router forgets what is silent for 30
        rtpengine=engine.name,
    )
    site.sip = place
    site.listeners = {"udp": place}
    with site:
        yield site


class Phones:
    """The phones of one test, each in its network."""

    def __init__(self, site: Site, tmp: Path, stack: ExitStack) -> None:
        self.site = site
        self._callers = Callers(site)
        self._tmp = tmp
        self._stack = stack
        self.desks: list[Desk] = []
        self._tones = iter((1000.0, 440.0))

    def at(self, place: Home | Street) -> Desk:
        """A phone in that network; it is registered."""
        extension, tone = self._callers.extension(), next(self._tones)
        caller = BaresipCaller(
            self._tmp, extension.handset.account, self.site.listeners["udp"], address=place.address, tone=tone
        )
        with place.inside.entered():
            phone = self._stack.enter_context(caller)
        desk = Desk(phone, extension, extension.handset, tone)
        self._stack.callback(desk.close)
        self.desks.append(desk)
        return desk

    def tell(self) -> None:
        """What helps to see why a test has failed."""
        print(self.site.log)
        for desk in self.desks:
            print(f"{desk.number}:\n{desk.words()}")


@pytest.fixture
def phones(server: Site, tmp_path: Path) -> Iterator[Phones]:
    with ExitStack() as stack:
        phones = Phones(server, tmp_path, stack)
        yield phones
        phones.tell()


def talks(server: Site, engine: Rtpengine, caller: Desk, callee: Desk, media: str) -> None:
    """They hear each other, and the media goes that way."""
    connect(caller, callee)
    assert_talk(caller, callee)
    assert [server.redis("hget", key, "media") for key in call_keys(server)] == [media]
    assert len(engine.sessions()) == (media == "relayed")
    end(caller, callee)
    within(LEFT_SECONDS, lambda: engine.sessions() == [], "no session is left in the relay")


def test_two_phones_behind_different_routers(
    server: Site, engine: Rtpengine, homes: list[Home], phones: Phones
) -> None:
    """Both have the same private address; neither reaches the other's."""
    one, other = phones.at(homes[0]), phones.at(homes[1])
    talks(server, engine, one, other, "relayed")
    talks(server, engine, other, one, "relayed")


def test_one_phone_behind_a_router_calls_and_is_called(
    server: Site, engine: Rtpengine, homes: list[Home], streets: list[Street], phones: Phones
) -> None:
    hidden, open_ = phones.at(homes[0]), phones.at(streets[0])
    talks(server, engine, open_, hidden, "relayed")
    talks(server, engine, hidden, open_, "relayed")


def test_two_phones_behind_one_router_speak_directly(
    server: Site, engine: Rtpengine, homes: list[Home], phones: Phones
) -> None:
    one, other = phones.at(homes[0]), phones.at(homes[0])
    talks(server, engine, one, other, "direct")


def test_two_phones_without_a_router_speak_directly(
    server: Site, engine: Rtpengine, streets: list[Street], phones: Phones
) -> None:
    """At two public addresses: nothing differs, so nothing is relayed."""
    one, other = phones.at(streets[0]), phones.at(streets[1])
    talks(server, engine, one, other, "direct")
