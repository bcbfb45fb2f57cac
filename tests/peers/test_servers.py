"""The peers themselves: what the suites above them rely on."""

import asyncio
from pathlib import Path

import pytest

from tests.peers import procfs
from tests.peers.process import PeerFailed, Process, lacking
from tests.peers.redis import RedisServer

pytestmark = pytest.mark.wire


@pytest.mark.skipif(bool(lacking("redis-server", "redis-cli")), reason="no redis-server here")
def test_redis_keeps_what_it_acknowledged_over_kill_9(tmp_path: Path) -> None:
    with RedisServer(tmp_path, options=("--appendfsync", "always")) as redis:
        redis.cli("set", "key", "value")
        pid = redis.pid
        redis.kill9()
        assert not procfs.alive(pid)
        redis.start()
        assert redis.cli("get", "key") == "value"
        assert redis.info("persistence")["aof_enabled"] == "1"


def test_a_program_that_ends_early_is_told_with_its_last_words(tmp_path: Path) -> None:
    process = Process("brief", ["sh", "-c", "echo the reason >&2; exit 3"], tmp_path)
    process.start()
    with pytest.raises(PeerFailed, match="the reason"):
        process.wait_ready(lambda: False)


def test_kill_9_ends_forked_workers_too(tmp_path: Path) -> None:
    with Process("parent", ["sh", "-c", "sleep 60 & wait"], tmp_path) as process:
        process.wait_ready(lambda: len(procfs.tree(process.pid)) == 2)
        family = procfs.tree(process.pid)
        process.kill9()
    assert not [pid for pid in family if procfs.alive(pid)]


def test_workers_left_behind_are_ended_too(tmp_path: Path) -> None:
    with Process("parent", ["sh", "-c", "sleep 60 & wait"], tmp_path) as process:
        process.wait_ready(lambda: len(procfs.tree(process.pid)) == 2)
        family = procfs.tree(process.pid)
        process.stop()
    assert not [pid for pid in family if procfs.alive(pid)]


def test_a_program_outlives_the_loop_in_which_it_was_started(tmp_path: Path) -> None:
    with_loop = Process("sleeper", ["sleep", "60"], tmp_path)
    try:
        asyncio.run(asyncio.to_thread(with_loop.start))
        assert with_loop.running
    finally:
        with_loop.close()


def test_cpu_time_is_counted_over_the_whole_tree(tmp_path: Path) -> None:
    with Process("busy", ["sh", "-c", "while :; do :; done & wait"], tmp_path) as process:
        process.wait_ready(lambda: procfs.cpu_seconds(procfs.tree(process.pid)) >= 0.05)
        assert procfs.cpu_seconds([process.pid]) < 0.05
        assert procfs.resident_bytes(procfs.tree(process.pid)) > 0
