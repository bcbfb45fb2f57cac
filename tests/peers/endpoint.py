"""One UDP socket of asyncio that many phones share; an answer finds its request by the branch."""

import asyncio
from types import TracebackType
from typing import Self

from tests.peers.phone import (
    DEADLINE,
    Account,
    Address,
    Answer,
    Caller,
    branch_of,
    final,
    final_answer,
    retransmissions,
)


class Endpoint(asyncio.DatagramProtocol):
    """Sends requests and gives back their final answers; it survives a server that is not there."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self._waiting: dict[bytes, asyncio.Future[Answer]] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self.address: Address = ("", 0)

    @classmethod
    async def open(cls, server: Address, source: Address = ("127.0.0.1", 0)) -> Self:
        """An endpoint bound to `source`; close it, an open one can hang the loop's end."""
        loop = asyncio.get_running_loop()
        transport, endpoint = await loop.create_datagram_endpoint(lambda: cls(server), local_addr=source)
        endpoint._transport = transport
        endpoint.address = transport.get_extra_info("sockname")[:2]
        return endpoint

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        branch = branch_of(data)
        waiting = self._waiting.get(branch)
        if addr[:2] != self._server or waiting is None or waiting.done():
            return
        if answer := final_answer(data, branch):
            waiting.set_result(answer)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens on the server's port now: the retransmission may find somebody."""

    async def exchange(self, request: bytes, deadline: float = DEADLINE) -> Answer:
        """Send, retransmit, and return the final answer. Raises TimeoutError."""
        branch = branch_of(request)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[branch] = answer
        try:
            for wait in retransmissions(deadline):
                self.send(request)
                done, _ = await asyncio.wait([answer], timeout=wait)
                if done:
                    return answer.result()
        finally:
            del self._waiting[branch]
        raise TimeoutError(f"no final answer within {deadline:g} s")

    def send(self, datagram: bytes) -> None:
        """Send raw bytes and wait for nothing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(datagram, self._server)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await asyncio.sleep(0)  # the loop closes the socket in its next turn


class Phone:
    """One phone on an endpoint that others may share."""

    def __init__(self, account: Account, endpoint: Endpoint, *, user_agent: str = "phone") -> None:
        self.caller = Caller(account, endpoint.address, user_agent=user_agent)
        self._endpoint = endpoint

    async def register(
        self, expires: int | None = 3600, *, reuse: bool = False, deadline: float = DEADLINE
    ) -> Answer:
        """A whole registration: the final answer, whatever its status. Raises TimeoutError."""
        steps = self.caller.registration(expires, reuse=reuse)
        request = next(steps)
        while True:
            answer = await self._endpoint.exchange(request, deadline)
            try:
                request = steps.send(answer)
            except StopIteration as done:
                return final(done)
