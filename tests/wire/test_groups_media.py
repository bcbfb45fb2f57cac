"""A group of a page, a phone over UDP and one over TLS, with sound; feature codes and pickup from baresip.

Neither baresip 1.0 nor baresip-python subscribes to dialogs. So the lamp is that of a phone of our own.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import pytest

from tests.peers.process import PeerFailed
from tests.peers.watching import WatchingPhone
from tests.wire.callers import Callers, Extension
from tests.wire.office import Office, Person, Place
from tests.wire.site import Site, within
from tests.wire.sound import Desk, Room, Studio, Voice, Web, assert_talk, end

pytestmark = pytest.mark.wire

WRITTEN_SECONDS: Final = 5.0
"""How late baresip may write what it has received."""


@dataclass(frozen=True)
class Floor:
    """Two callers, and the members of a group by their transports."""

    room: Room
    group: Place
    callers: dict[str, Voice]
    members: dict[str, Voice]
    extensions: dict[str, Extension]

    @property
    def site(self) -> Site:
        return self.room.site

    def state(self, member: str) -> dict[str, str]:
        """What Redis has of a member."""
        return Person(self.extensions[member], ()).state(self.site)

    def desk(self, member: str) -> Desk:
        """A member that is a baresip."""
        desk = self.members[member]
        assert isinstance(desk, Desk)
        return desk


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    with (
        Studio.open(tmp_path_factory.mktemp("studio")) as studio,
        studio.site("auto") as site,
        Room(studio, site, tmp_path_factory.mktemp("room")) as room,
    ):
        extensions = {kind: room.extension() for kind in ("wss", "udp", "tls")}
        members: dict[str, Voice] = {
            kind: room.web(extension=whose) if kind == "wss" else room.desk(kind, extension=whose)
            for kind, whose in extensions.items()
        }
        callers: dict[str, Voice] = {"page": room.web(), "desk phone": room.desk("tcp")}
        people = [Person(whose, ()) for whose in extensions.values()]
        group = Office(Callers(site)).group(people, pickup=True)
        yield Floor(room, group, callers, members, extensions)


@pytest.mark.parametrize(("caller", "member"), [("page", "udp"), ("page", "tls"), ("desk phone", "wss")])
def test_all_ring_and_one_has_the_call_with_sound(floor: Floor, caller: str, member: str) -> None:
    calling, answering = floor.callers[caller], floor.members[member]
    calling.call(floor.group.number)
    for one in floor.members.values():
        one.wait_ring()
    answering.answer()
    calling.wait_talking()
    for kind, one in floor.members.items():
        if kind == member:
            continue
        one.wait_over()
        if isinstance(one, Web):
            assert one.page.why == "Another phone answered."
        elif isinstance(one, Desk):
            within(WRITTEN_SECONDS, partial(_is_written, one, "Reason: SIP;cause=200"), "it knows why")
    assert_talk(calling, answering)
    assert floor.room.media() == ["relayed"]
    end(calling, answering)


def _is_written(desk: Desk, words: str) -> bool:
    return words in desk.words()


def dial(desk: Desk, code: str, phrase: str) -> None:
    """Dial a feature code at a baresip: its call ends with this reason phrase, and with `cause=200`."""
    before = desk.words().count(f"SIP/2.0 480 {phrase}")
    with pytest.raises(PeerFailed, match=phrase):
        desk.phone.call(desk.uri(code))
    said = f"SIP/2.0 480 {phrase}"  # what it writes of it may come a moment later
    within(WRITTEN_SECONDS, lambda: desk.words().count(said) == before + 1, said)


def test_a_call_is_picked_up_from_baresip(floor: Floor) -> None:
    """baresip-python rings for the call that asks to be answered at once, and the test answers it."""
    calling, called, picking = floor.callers["page"], floor.desk("udp"), floor.desk("tls")
    calling.call(called.number)
    called.wait_ring()
    dial(picking, f"**{called.number}", "Picked Up")
    picking.wait_ring()
    within(
        WRITTEN_SECONDS, partial(_is_written, picking, "Answer-Mode: Auto"), "it is asked to answer at once"
    )
    picking.answer()
    calling.wait_talking()
    called.wait_over()
    assert_talk(calling, picking)
    assert floor.room.media() == ["relayed"]
    end(picking, calling)


async def test_do_not_disturb_from_baresip_and_its_lamp(floor: Floor) -> None:
    desk, calling = floor.desk("udp"), floor.callers["page"]
    extra = floor.site.new_phone(extension=floor.extensions["udp"].id)
    watcher = await WatchingPhone.open(extra.account, floor.site.listeners["tcp"], "tcp")
    async with watcher:
        assert (await watcher.register()).status == 200
        switch = await watcher.watch("*76")
        await switch.shows("terminated")
        await asyncio.to_thread(dial, desk, "*76", "Do Not Disturb On")
        await switch.shows("confirmed")
        assert floor.state("udp")["dnd"] == "1"
        calling.call(desk.number)
        await asyncio.to_thread(calling.wait_over)
        assert isinstance(calling, Web)
        assert calling.page.why.startswith("The person does not want to be disturbed.")
        await asyncio.to_thread(dial, desk, "*76", "Do Not Disturb Off")
        await switch.shows("terminated")
        assert "dnd" not in floor.state("udp")
