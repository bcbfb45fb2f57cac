"""Requests of asyncio phones: an answer finds its request by the branch; one UDP socket that many share."""

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


class Exchanges:
    """The requests on their way over one socket; a transport gives `send` and `close`, and calls `take`."""

    retransmits = False

    def __init__(self, transport: str) -> None:
        self.transport = transport
        """As a Via names it."""
        self.address: Address = ("", 0)
        """What phones on it call themselves."""
        self.lost: ConnectionError | None = None
        """Why nothing can be sent any more."""
        self._waiting: dict[bytes, asyncio.Future[Answer]] = {}

    async def exchange(self, request: bytes, deadline: float = DEADLINE) -> Answer:
        """Send, and return the final answer. Raises TimeoutError, or ConnectionError when it is lost."""
        branch = branch_of(request)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[branch] = answer
        try:
            for wait in retransmissions(deadline) if self.retransmits else (deadline,):
                self.send(request)
                done, _ = await asyncio.wait([answer], timeout=wait)
                if done:
                    return answer.result()
        finally:
            del self._waiting[branch]
        raise TimeoutError(f"no final answer within {deadline:g} s")

    def take(self, message: bytes) -> None:
        """One message from the server: whoever waits for it gets it, any other is thrown away."""
        branch = branch_of(message)
        waiting = self._waiting.get(branch)
        if waiting is not None and not waiting.done() and (answer := final_answer(message, branch)):
            waiting.set_result(answer)

    def lose(self, error: ConnectionError) -> None:
        """Nothing can come any more: tell all who wait."""
        self.lost = error
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)

    def send(self, message: bytes) -> None:
        """Send raw bytes and wait for nothing."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await asyncio.sleep(0)  # the loop closes the socket in its next turn


class Endpoint(Exchanges, asyncio.DatagramProtocol):
    """One UDP socket; it survives a server that is not there."""

    retransmits = True

    def __init__(self, server: Address) -> None:
        super().__init__("UDP")
        self._server = server
        self._socket: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, server: Address, source: Address = ("127.0.0.1", 0)) -> Self:
        """An endpoint bound to `source`; close it, an open one can hang the loop's end."""
        loop = asyncio.get_running_loop()
        transport, endpoint = await loop.create_datagram_endpoint(lambda: cls(server), local_addr=source)
        endpoint._socket = transport
        endpoint.address = transport.get_extra_info("sockname")[:2]
        return endpoint

    def turn_to(self, server: Address) -> None:
        """Speak with another server from now on."""
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        if addr[:2] == self._server:
            self.take(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens on the server's port now: the retransmission may find somebody."""

    def send(self, message: bytes) -> None:
        if self._socket is not None and not self._socket.is_closing():
            self._socket.sendto(message, self._server)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class Phone:
    """One phone on an endpoint that others may share."""

    def __init__(
        self, account: Account, endpoint: Exchanges, *, user_agent: str = "phone", instance: str = ""
    ) -> None:
        self.caller = Caller(
            account,
            endpoint.address,
            transport=endpoint.transport,
            user_agent=user_agent,
            instance=instance,
        )
        self._endpoint = endpoint

    def move(self, endpoint: Exchanges) -> None:
        """Go on over another connection."""
        self._endpoint = endpoint
        self.caller.move(endpoint.address)

    async def register(
        self, expires: int | None = 3600, *, reuse: bool = False, deadline: float = DEADLINE
    ) -> Answer:
        """A whole registration: the final answer, whatever its status.

        Raises TimeoutError, or ConnectionError when the connection is lost.
        """
        steps = self.caller.registration(expires, reuse=reuse)
        request = next(steps)
        while True:
            answer = await self._endpoint.exchange(request, deadline)
            try:
                request = steps.send(answer)
            except StopIteration as done:
                return final(done)
