"""What the kernel says about the TCP connections of a process."""

import os
from pathlib import Path
from typing import Final

from tests.peers.phone import Address

LOCAL, REMOTE, STATE, INODE = 1, 2, 3, 9
"""Positions in a line of /proc/PID/net/tcp, see proc(5)."""
ESTABLISHED: Final = "01"


def local_ports(pid: int, server: Address) -> set[int]:
    """The local ports of its open connections to a server on IPv4; empty when the process is gone."""
    own = _inodes(pid)
    rows = [line.split() for line in _lines(Path(f"/proc/{pid}/net/tcp"))]
    return {
        _port(row[LOCAL])
        for row in rows
        if row[STATE] == ESTABLISHED and row[INODE] in own and _port(row[REMOTE]) == server[1]
    }


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)


def _inodes(pid: int) -> set[str]:
    """Of the sockets that it has open."""
    try:
        links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}


def _lines(table: Path) -> list[str]:
    """Without the headline."""
    try:
        return table.read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return []
