"""An engine of our own that speaks the ng protocol in this process, and loses or says what it is told to."""

import asyncio
from collections.abc import Callable
from typing import Final

from registrar.store.ng import Decoded, Encodable, decode, encode
from tests.peers.ports import free_port

PONG: Final = b" d6:result4:ponge"


class NgEngine(asyncio.DatagramProtocol):
    """Answers as `answer` says; None: the datagram is lost."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, Decoded]] = []
        self.answer: Callable[[bytes, Decoded], bytes | None] = lambda cookie, _: cookie + PONG
        self.port = free_port()
        self.peer = ("", 0)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", self.port)
        )

    @property
    def cookies(self) -> list[bytes]:
        return [cookie for cookie, _ in self.heard]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.peer = addr
        cookie, _, body = data.partition(b" ")
        self.heard.append((cookie, decode(body)))
        answer = self.answer(*self.heard[-1])
        if answer is not None:
            self.transport.sendto(answer, addr)

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    def commands(self, name: str) -> list[dict[bytes, Decoded]]:
        """Those of this name that it heard, each once."""
        bodies = {cookie: body for cookie, body in self.heard if isinstance(body, dict)}
        return [body for body in bodies.values() if body[b"command"] == name.encode()]

    def says(self, **answers: dict[str, Encodable] | None) -> None:
        """What it answers to commands by their names; None is silence. Pings get a pong, others `ok`."""

        def answer(cookie: bytes, body: Decoded) -> bytes | None:
            assert isinstance(body, dict) and isinstance(body[b"command"], bytes)
            name = body[b"command"].decode()
            said = answers.get(name, {"result": "pong" if name == "ping" else "ok"})
            return None if said is None else cookie + b" " + encode(said)

        self.answer = answer

    def stop(self) -> None:
        self.transport.close()
