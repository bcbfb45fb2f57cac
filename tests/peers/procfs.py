"""What the kernel says about processes: their children, the CPU they used, the memory they hold."""

import os
from pathlib import Path
from typing import Final

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
PARENT, SESSION, USER_TICKS, SYSTEM_TICKS = 1, 3, 11, 12
"""Positions in /proc/PID/stat after the name, see proc(5)."""


def _stat(pid: int) -> list[str]:
    return _fields(Path(f"/proc/{pid}/stat"))


def _fields(stat: Path) -> list[str]:
    """What stands after the name, which may hold spaces and brackets; empty when the process is gone."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def name(pid: int) -> str:
    """The program's name as the kernel keeps it (at most 15 characters), empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    """Whether the process runs. A dead one that nobody has collected yet does not."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def stopped(pid: int) -> bool:
    """Whether none of the process' threads runs any more: a signal stops them one by one."""
    threads = map(_fields, Path(f"/proc/{pid}/task").glob("*/stat"))
    return all(not fields or fields[0] in "TtZX" for fields in threads)


def session(leader: int) -> list[int]:
    """The living processes of a session, also when its leader is gone and they have no other parent left."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if (stat := _stat(pid)) and int(stat[SESSION]) == leader and alive(pid)]


def tree(root: int) -> list[int]:
    """`root` and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[PARENT]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [root] if _stat(root) else []
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children.get(pid, ()))
    return found


def cpu_seconds(pids: list[int]) -> float:
    """User and system time that these processes used since they started."""
    fields = [stat for pid in pids if (stat := _stat(pid))]
    return sum(int(stat[USER_TICKS]) + int(stat[SYSTEM_TICKS]) for stat in fields) / TICKS_PER_SECOND


def resident_bytes(pids: list[int]) -> int:
    """Memory these processes hold, where a page that several share counts once (proportional set size)."""
    return sum(_proportional_kib(pid) for pid in pids) * 1024


def _proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
