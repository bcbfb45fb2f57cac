"""A load tool for HTTP in a process of its own: some connections that are kept, one request each at a time.

Reads one JSON object from standard input and writes one to standard output; see `Plan` in tests/bench/api.py.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

LIMIT: Final = 1 << 22
"""Bytes that are read in advance: a page of 1,000 phones has about two million."""


class Connection:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> tuple[int, int]:
        """The status, and the length of the body, which is read to its end."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        await self._reader.readexactly(length)
        return status, length

    def close(self) -> None:
        self._writer.close()


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Every case after the other."""
    results = {}
    for case in plan["cases"]:
        requests = [_request(plan, *request) for request in case["requests"]]
        results[case["name"]] = await _case(plan, requests, case["count"], case["concurrency"])
    return results


async def _case(plan: dict[str, Any], requests: list[bytes], count: int, concurrency: int) -> dict[str, Any]:
    """`count` requests in turn, `concurrency` of them at any moment; a tenth before that is not counted."""
    endless = itertools.cycle(requests)
    opened = [
        Connection(*await asyncio.open_connection(plan["host"], plan["port"], limit=LIMIT))
        for _ in range(concurrency)
    ]
    statuses: dict[str, int] = {}
    times: list[float] = []
    sizes: list[int] = []

    async def work(connection: Connection, turns: Iterator[int], *, counted: bool) -> None:
        for _ in turns:
            begin = time.perf_counter()
            status, length = await connection.ask(next(endless))
            if counted:
                times.append(time.perf_counter() - begin)
                sizes.append(length)
                statuses[str(status)] = statuses.get(str(status), 0) + 1

    async def all_of(number: int, *, counted: bool) -> float:
        turns = iter(range(number))
        begin = time.perf_counter()
        await asyncio.gather(*(work(connection, turns, counted=counted) for connection in opened))
        return time.perf_counter() - begin

    warm_up = max(concurrency, count // 10)
    await all_of(warm_up, counted=False)
    seconds = await all_of(count, counted=True)
    for connection in opened:
        connection.close()
    return {
        "asked": warm_up + count,
        "seconds": seconds,
        "times": times,
        "statuses": statuses,
        "bytes": sum(sizes) / len(sizes),
    }


def _request(plan: dict[str, Any], method: str, path: str, body: object, token: str) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {plan['host']}:{plan['port']}\r\n"
        f"Authorization: Bearer {plan['tokens'][token]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def main() -> None:
    """From standard input to standard output."""
    json.dump(asyncio.run(run(json.load(sys.stdin))), sys.stdout)


if __name__ == "__main__":
    main()
