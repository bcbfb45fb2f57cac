"""Pairs of real phones call each other, and each hears the other one's tone: direct and through the relay."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.site import Site
from tests.wire.sound import Room, Studio, assert_both_silent, assert_talk, connect, end

pytestmark = pytest.mark.wire


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio.open(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


@pytest.fixture(scope="module")
def server(studio: Studio) -> Iterator[Site]:
    """It uses the relay where it must."""
    with studio.site("auto") as site:
        yield site


@pytest.fixture(scope="module")
def relaying(studio: Studio) -> Iterator[Site]:
    """Another one, whose calls all go through the relay."""
    with studio.site("always", media="always") as site:
        yield site


@pytest.fixture
def room(studio: Studio, server: Site, tmp_path: Path) -> Iterator[Room]:
    with Room(studio, server, tmp_path) as room:
        yield room


@pytest.fixture
def relayed(studio: Studio, relaying: Site, tmp_path: Path) -> Iterator[Room]:
    with Room(studio, relaying, tmp_path) as room:
        yield room


def talks(room: Room, first: str, second: str, media: str) -> None:
    """Both call each other once, hear each other, and the one that was called hangs up first."""
    one, other = room.voice(first), room.voice(second)
    for caller, callee in ((one, other), (other, one)):
        connect(caller, callee)
        assert_talk(caller, callee)
        assert room.media() == [media]
        assert len(room.studio.engine.sessions()) == (media == "relayed")
        end(callee, caller)


@pytest.mark.parametrize("desk", ["tls", "udp"])
def test_a_browser_and_a_desk_phone(room: Room, desk: str) -> None:
    talks(room, "wss", desk, "relayed")


@pytest.mark.parametrize("kind", ["wss", "tcp", "udp"])
def test_phones_of_one_kind_are_not_relayed(room: Room, kind: str) -> None:
    talks(room, kind, kind, "direct")


@pytest.mark.parametrize("kind", ["wss", "udp"])
def test_phones_of_one_kind_are_relayed_where_it_is_wanted(relayed: Room, kind: str) -> None:
    talks(relayed, kind, kind, "relayed")


@pytest.mark.parametrize("holder", ["browser", "desk phone"])
def test_hold_and_resume(room: Room, holder: str) -> None:
    web, desk = room.web(), room.desk()
    connect(web, desk)
    assert_talk(web, desk)
    one, other = (web, desk) if holder == "browser" else (desk, web)
    one.hold()
    other.wait_held()
    assert_both_silent(one, other)
    one.resume()
    assert_talk(one, other)
    end(one, other)
