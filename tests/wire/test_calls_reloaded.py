"""Pages of JsSIP and SIP.js that are loaded anew in a call, or lose their connection in it; with sound."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.peers.cable import Cable
from tests.wire.need import in_soak
from tests.wire.site import Site, within
from tests.wire.sound import Room, Studio, assert_talk, connect, end

pytestmark = pytest.mark.wire

LATEST_SECONDS: Final = 12.0
ROOM_SECONDS: Final = 6.0
"""For a machine that does other things, too."""
WAIT_SECONDS: Final = 60.0
PAGES: Final = [
    pytest.param("jssip", True, id="jssip-caller"),
    in_soak("jssip", False, id="jssip-callee"),
    in_soak("sipjs", True, id="sipjs-caller"),
    pytest.param("sipjs", False, id="sipjs-callee"),
]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio.open(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


@pytest.fixture(scope="module")
def server(studio: Studio) -> Iterator[Site]:
    with studio.site("auto") as site:
        yield site


@pytest.fixture
def room(studio: Studio, server: Site, tmp_path: Path) -> Iterator[Room]:
    with Room(studio, server, tmp_path) as room:
        yield room


@pytest.mark.parametrize(("library", "page_calls"), PAGES)
def test_a_page_that_is_loaded_anew_has_left_its_call(room: Room, library: str, page_calls: bool) -> None:
    """The desk phone is told, and the page can be called at once."""
    page, desk = room.stranger(library), room.desk()
    connect(*((page, desk) if page_calls else (desk, page)))
    assert_talk(page, desk)
    began = time.monotonic()
    page.page.reload()
    within(WAIT_SECONDS, lambda: desk.phone.state(desk.current) == "closed", "the desk phone knows")
    assert time.monotonic() - began < LATEST_SECONDS + ROOM_SECONDS
    events = room.site.events((page if page_calls else desk).handset)
    assert [entry["reason"] for entry in events if entry["event"] == "call-ended"] == ["lost"]
    connect(desk, page)
    assert_talk(page, desk)
    end(page, desk)


@pytest.mark.parametrize(("library", "page_calls"), PAGES)
def test_a_page_whose_connection_alone_was_cut_keeps_its_call(
    room: Room, library: str, page_calls: bool
) -> None:
    with Cable(room.site.wss, room.studio.network.address) as cable:
        page, desk = room.stranger(library, server=cable.address), room.desk()
        connect(*((page, desk) if page_calls else (desk, page)))
        (before,) = room.site.bindings(page.handset)
        assert cable.cut() == 1
        page.page.wait_cut()
        assert_talk(page, desk)
        page.page.wait_registered()
        within(WAIT_SECONDS, lambda: before not in room.site.bindings(page.handset), "it is registered anew")
        time.sleep(LATEST_SECONDS)  # longer than anybody who has left is waited for
        assert_talk(page, desk)
        assert room.media() == ["relayed"]
        one, other = (page, desk) if page_calls else (desk, page)
        end(one, other)
