"""registrar/doctor/redis.py: what Redis says about itself, judged."""

import pytest

from registrar.doctor import Finding, Level
from registrar.doctor.redis import Info, Told, judge
from tests.every import every

GOOD = {
    "redis_version": "7.4.2",
    "maxmemory_policy": "noeviction",
    "maxmemory": 0,
    "used_memory": 3 << 20,
    "aof_enabled": 1,
    "role": "master",
}
VALKEY = {"server_name": "valkey", "redis_version": "7.2.4", "valkey_version": "9.1.2"}
MEMORY_ONLY = {"aof_enabled": 0}
MB = 1 << 20


def judged(info: Info | None = None, save: str | None = "", ahead: float = 0.0) -> list[Finding]:
    return judge(Told({**GOOD, **(info or {})}, save, ahead))


def test_a_good_one_is_well() -> None:
    findings = judged()
    assert {finding.level for finding in findings} == {Level.OK}
    details = [finding.detail for finding in findings]
    assert details == [
        "Redis 7.4.2",
        "3 MB used of no limit, noeviction",
        "kept on disk: append-only",
        "0.0 s from that of Redis",
    ]


def test_valkey_has_a_version_of_its_own() -> None:
    assert judged(VALKEY)[0].detail == "Valkey 9.1.2"


@every(
    ("info", "level", "told"),
    [
        pytest.param({"redis_version": "6.2.14"}, Level.FAIL, "6.2.14 is too old", id="old"),
        pytest.param({"redis_version": "10.0.0"}, Level.OK, "", id="two digits"),
        pytest.param({"redis_version": ""}, Level.FAIL, "too old", id="no version"),
        pytest.param({"maxmemory_policy": "allkeys-lru"}, Level.WARN, "with a memory limit", id="may evict"),
        pytest.param(
            {"maxmemory_policy": "allkeys-lru", "maxmemory": 100 * MB}, Level.FAIL, "evicts", id="evicts"
        ),
        pytest.param({"maxmemory": 100 * MB, "used_memory": 60 * MB}, Level.OK, "", id="room"),
        pytest.param({"maxmemory": 100 * MB, "used_memory": 80 * MB}, Level.WARN, "80 MB", id="little room"),
        pytest.param({"maxmemory": 100 * MB, "used_memory": 96 * MB}, Level.FAIL, "is full", id="full"),
        pytest.param({"aof_enabled": 0}, Level.WARN, "nothing is kept on disk", id="memory only"),
        pytest.param({"aof_last_write_status": "err"}, Level.FAIL, "aof_last_write_status", id="disk"),
        pytest.param({"rdb_last_bgsave_status": "err"}, Level.FAIL, "rdb_last_bgsave", id="snapshot"),
        pytest.param({"role": "slave"}, Level.FAIL, "replica", id="replica"),
    ],
)
def test_what_is_wrong_is_told(info: dict[str, object], level: Level, told: str) -> None:
    findings = [finding for finding in judged(info) if finding.level is not Level.OK]
    if level is Level.OK:
        assert findings == []
        return
    (finding,) = findings
    assert finding.level is level
    assert told in finding.detail
    assert finding.advice


def test_snapshots_are_kept_too() -> None:
    assert judged(MEMORY_ONLY, "3600 1")[2].detail == "kept on disk: snapshots"
    assert judged(save="3600 1")[2].detail == "kept on disk: append-only and snapshots"
    assert judged(MEMORY_ONLY, None)[2].level is Level.WARN


@pytest.mark.parametrize(
    ("ahead", "level", "told"),
    [
        (1.9, Level.OK, "1.9 s from"),
        (-1.9, Level.OK, "1.9 s from"),
        (2.5, Level.WARN, "ours is 2.5 s behind"),
        (-90.0, Level.WARN, "ours is 90.0 s ahead of"),
    ],
)
def test_clocks_that_differ_are_told(ahead: float, level: Level, told: str) -> None:
    finding = judged(ahead=ahead)[3]
    assert finding.level is level
    assert told in finding.detail
