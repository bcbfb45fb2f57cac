"""`registrar status --watch`: what happens to the phones, through a restart of Redis too."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers.phone import UdpPhone
from tests.peers.process import Process
from tests.peers.redis import RedisServer
from tests.peers.registrar import COMMAND
from tests.wire.need import need
from tests.wire.site import Handset, Site, within

pytestmark = pytest.mark.wire

SOON: Final = 3.0


class Watch:
    """The command while it runs."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def lines(self) -> list[str]:
        return self._process.out.read_text().splitlines()

    @property
    def told(self) -> list[str]:
        """What stands on standard error."""
        return self._process.err.read_text().splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def said(self, *words: str) -> bool:
        return any(all(word in line for word in words) for line in self.lines)

    def press_ctrl_c(self) -> int | None:
        return self._process.stop(signal.SIGINT, 5.0)


@contextmanager
def watching(site: Site, folder: Path, *arguments: str) -> Iterator[Watch]:
    argv = [str(COMMAND), "status", "--watch", *arguments]
    with Process("watch", argv, folder, environment=site.environment) as process:
        watch = Watch(process)
        within(10, lambda: watch.lines, "it shows the phones")
        yield watch


def register(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200


def come_and_go(site: Site, handset: Handset, watch: Watch) -> None:
    name = f"/{handset.account.username}  "
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200
        end = "registered  {}:{}  udp  phone".format(*phone.pipe.address)
        within(SOON, lambda: watch.said("  registered ", name + end), "the registration is told")
        assert phone.register(0).status == 200
        within(SOON, lambda: watch.said("  unregistered ", name), "the end is told")


def test_each_event_is_a_line(site: Site, tmp_path: Path) -> None:
    before = site.new_phone()
    with watching(site, tmp_path) as watch:
        assert watch.lines[0].split()[:3] == ["phone", "extension", "online"]
        assert watch.said(before.id, "never registered")
        later = site.new_phone()  # nobody could know it when it began
        for handset in (before, later):
            come_and_go(site, handset, watch)
        assert watch.press_ctrl_c() == 0
        assert watch.told == []


def test_one_phone_alone(site: Site, tmp_path: Path) -> None:
    mine, other = site.new_phone(), site.new_phone()
    with watching(site, tmp_path, mine.account.username, "--json") as watch:
        first = watch.objects[0]
        assert (first["event"], first["phone"], first["online"]) == ("status", mine.id, False)
        register(site, other)
        register(site, mine)
        within(SOON, lambda: len(watch.objects) >= 3, "its events are told")
        shown = watch.objects[1:]
        assert {entry["phone"] for entry in shown} == {mine.id}
        assert [entry["event"] for entry in shown] == ["locked", "registered"]
        assert shown[1]["username"] == mine.account.username
        assert isinstance(shown[1]["port"], int)
        assert watch.press_ctrl_c() == 0


def test_an_unknown_phone_is_one_line(site: Site, tmp_path: Path) -> None:
    argv = [str(COMMAND), "status", "--watch", "nobody"]
    process = Process("watch", argv, tmp_path, environment=site.environment)
    process.start()
    assert process.wait(20) == 2
    assert process.err.read_text() == "registrar: there is no phone nobody\n"


def test_nothing_is_missed_when_redis_restarts(tmp_path: Path) -> None:
    need("redis-server", "redis-cli")
    with RedisServer(tmp_path) as redis, Site(tmp_path, redis_url=redis.url) as site:
        handset = site.new_phone()
        with watching(site, tmp_path, "--json") as watch:
            register(site, handset)
            within(SOON, lambda: len(watch.objects) > len(site.accounts()) + 2, "it follows")
            redis.kill9()
            within(SOON, lambda: watch.told, "it says that Redis is away")
            redis.start()
            redis.cli("xadd", "registrar:events", "*", "phone", "gone", "event", "made")
            within(SOON, lambda: len(watch.told) == 2, "it says that Redis is back")
            assert watch.told[0].startswith("registrar: Redis is away: ")
            assert watch.told[1] == "registrar: Redis is back"
            within(SOON, lambda: watch.objects[-1]["event"] == "made", "what came meanwhile is told")
            told = [entry["id"] for entry in watch.objects if "id" in entry]
            assert len(told) == len(set(told)), "and nothing twice"
            redis.kill9()
            within(SOON, lambda: len(watch.told) == 3, "away again")
            assert watch.press_ctrl_c() == 0
            assert len(watch.told) == 3
