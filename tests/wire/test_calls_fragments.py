"""Two networks and a cable between them, MTU 1500, on which no fragment passes: desk phones call over UDP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.peers.netns import Namespace
from tests.peers.ports import free_port
from tests.wire.callers import Callers
from tests.wire.need import need, need_namespace
from tests.wire.site import Site
from tests.wire.sizes import DESK, KINDS

pytestmark = pytest.mark.wire

HOME, OFFICE = "10.78.0.2", "10.78.0.1"
HEADERS: Final = 28
"""Octets of IP and UDP before what is said."""
MTU: Final = 1_500
SOON: Final = 2.0

Networks = tuple[Namespace, Namespace]


@pytest.fixture
def networks() -> Iterator[Networks]:
    """That of the phones, and that of the server."""
    need("redis-cli", "nft")
    need_namespace()
    with Namespace() as home, Namespace() as office:
        home.join(office, HOME, OFFICE, mtu=MTU)
        home.drop_fragments()
        office.drop_fragments()
        yield home, office


def test_a_packet_passes_and_its_pieces_do_not(networks: Networks) -> None:
    home, office = networks
    with home.socket() as sender, office.socket() as receiver:
        with office.entered():
            receiver.bind((OFFICE, 0))
        receiver.settimeout(SOON)
        for octets in (MTU - HEADERS + 1, MTU - HEADERS):
            sender.sendto(b"x" * octets, receiver.getsockname())
        assert len(receiver.recv(2 * MTU)) == MTU - HEADERS
        with pytest.raises(TimeoutError):
            receiver.recv(2 * MTU)


@pytest.mark.parametrize("name", ["five codecs", "+sip.instance"])
async def test_a_desk_phone_rings_is_answered_held_and_ended(
    networks: Networks, tmp_path: Path, name: str
) -> None:
    home, office = networks
    kind = next(kind for kind in KINDS if kind.name == name)
    place = (OFFICE, free_port())
    site = Site(tmp_path, sip_udp="{}:{}".format(*place))
    site.sip = site.listeners["udp"] = place
    with office.entered():
        site.start()
        try:
            async with Callers(site) as callers:
                whose = [callers.extension() for _ in range(2)]
                with home.entered():
                    a, b = [
                        await callers.phone(one.handset, source=(HOME, 0), instance=kind.instance)
                        for one in whose
                    ]
                outgoing = await a.call(whose[1].number, kind.sdp(a.media_port), DESK)
                incoming = await b.incoming()
                incoming.ring()
                await outgoing.provisional(180)
                incoming.answer(kind.sdp(b.media_port), DESK)
                await outgoing.answered()
                await incoming.acknowledged()
                for session, phone in ((outgoing, a), (incoming, b)):
                    held = await session.reinvite(kind.sdp(phone.media_port, 2, "sendonly"), DESK)
                    assert held.status == 200
                assert (await incoming.bye()).status == 200
                await outgoing.asked("BYE")
        finally:
            site.__exit__(None, None, None)
