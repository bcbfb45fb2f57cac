"""Pairs of real phones call each other, and each hears the other one's tone: direct and through the relay."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.need import in_soak
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


@pytest.mark.parametrize("desk", ["tls", in_soak("udp")])
def test_a_browser_and_a_desk_phone(room: Room, desk: str) -> None:
    talks(room, "wss", desk, "relayed")


@pytest.mark.parametrize("kind", ["wss", in_soak("tcp"), "udp"])
def test_phones_of_one_kind_are_not_relayed(room: Room, kind: str) -> None:
    talks(room, kind, kind, "direct")


@pytest.mark.parametrize("kind", [in_soak("wss"), "udp"])
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


def test_a_browser_calls_a_desk_phone_that_demands_srtp(room: Room) -> None:
    """It refuses RTP (488) and gets a second offer; in the next call it gets SRTP at once."""
    web, desk = room.web(), room.desk(params=("mediaenc=srtp-mand",))
    for _ in range(2):
        connect(web, desk)
        assert_talk(web, desk)
        assert room.media() == ["relayed"]
        end(web, desk)
        assert desk.words().count("SIP/2.0 488") == 1
    connect(desk, web)
    assert_talk(desk, web)
    end(desk, web)


def test_two_desk_phones_of_which_one_demands_srtp(room: Room) -> None:
    secure, plain = room.desk("tcp", params=("mediaenc=srtp-mand",)), room.desk("udp")
    for caller, callee in ((plain, secure), (secure, plain)):
        connect(caller, callee)
        assert_talk(caller, callee)
        assert room.media() == ["relayed"]
        end(caller, callee)


def test_a_desk_phone_with_dtls_and_no_ice_calls_a_browser(room: Room) -> None:
    """It is no browser: its description has keys by DTLS, and no ICE."""
    desk, web = room.desk(params=("mediaenc=dtls_srtp",)), room.web()
    connect(desk, web)
    assert_talk(desk, web)
    assert room.media() == ["relayed"]
    end(desk, web)
