"""Two nodes with one Redis, one database and one media relay: sound between their phones, and one dies."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.peers.redis import RedisServer
from tests.wire.need import need
from tests.wire.site import Site, within
from tests.wire.sound import Room, Studio, assert_talk, connect, end

pytestmark = pytest.mark.wire

LOST_SECONDS: Final = 10.0
OVER_SECONDS: Final = 30.0
Nodes = tuple[Site, Site]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    need("redis-server")
    with Studio.open(tmp_path_factory.mktemp("studio")) as studio:
        yield studio


@pytest.fixture(scope="module")
def nodes(studio: Studio) -> Iterator[Nodes]:
    with RedisServer(studio.tmp / "redis") as redis:
        data, url = str(studio.tmp / "data"), redis.url
        with (
            studio.site("a", data_dir=data, redis_url=url) as a,
            studio.site("b", tenant=a.demo(), data_dir=data, redis_url=url) as b,
        ):
            yield a, b


@pytest.fixture
def room(studio: Studio, nodes: Nodes, tmp_path: Path) -> Iterator[Room]:
    """What is made or looked at, is through node B, which lives longer."""
    with Room(studio, nodes[1], tmp_path) as room:
        yield room


def test_a_browser_on_one_node_and_a_desk_phone_on_the_other(room: Room, nodes: Nodes) -> None:
    a, b = nodes
    web, desk = room.web(site=a), room.desk("udp", site=b)
    for caller, callee in ((web, desk), (desk, web)):
        connect(caller, callee)
        assert_talk(caller, callee)
        assert room.media() == ["relayed"]
        end(caller, callee)


def test_when_a_node_is_killed_the_other_goes_on(room: Room, nodes: Nodes) -> None:
    """Its phones are offline within 10 s; of all the calls its own alone are disturbed."""
    a, b = nodes
    web, desk = room.web(site=a), room.desk("udp", site=b)
    one, other = room.desk("udp", site=b), room.desk("tcp", site=b)
    connect(web, desk)
    connect(one, other)
    assert_talk(web, desk)
    a.kill9()
    begun = time.monotonic()
    assert_talk(one, other)
    end(one, other)
    left = LOST_SECONDS - (time.monotonic() - begun)
    within(left, lambda: not b.status(web.handset)["online"], "the browser is offline")
    assert b.status(web.handset)["reason"] == "node-lost"
    assert b.status(desk.handset)["online"]
    connect(other, one)
    assert_talk(other, one)
    end(one, other)
    within(OVER_SECONDS, lambda: desk.phone.state(desk.current) == "closed", "what node A had is over")
