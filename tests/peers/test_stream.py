"""Phones on connections, and how they cut a stream into messages."""

import asyncio
from pathlib import Path

import pytest

from tests.peers.phone import Account, BlockingPhone
from tests.peers.pipe import HungUp
from tests.peers.ports import free_port
from tests.peers.stand_in import serving
from tests.peers.stream import KEEP_ALIVE, Messages, TcpPhone
from tests.peers.websocket_phone import WsPhone

ACCOUNT = Account("phone", "secret", "example.org")
ONE = b"SIP/2.0 200 OK\r\nl: 3\r\nVia: x\r\n\r\nabc"
OTHER = b"SIP/2.0 100 Trying\r\nVia: x\r\n\r\n"
STREAM = b"\r\n" + ONE + b"\r\n\r\n" + OTHER + ONE


@pytest.mark.parametrize("size", [1, 2, 7, len(STREAM)])
def test_messages_are_whole_however_they_were_split(size: int) -> None:
    messages = Messages()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert [whole for piece in pieces for whole in messages.feed(piece)] == [ONE, OTHER, ONE]
    assert messages.pongs == 3
    assert messages.rest == b""


def phone(transport: str, port: int) -> BlockingPhone:
    kind = WsPhone if transport.startswith("ws") else TcpPhone
    secure = transport in ("tls", "wss")
    return kind(ACCOUNT, ("127.0.0.1", port), secure=secure, instance="0d6f")


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
async def test_a_phone_registers_over_its_connection(transport: str, tmp_path: Path) -> None:
    port, serve = free_port(), serving(tmp_path)[transport]

    def talk() -> tuple[BlockingPhone, list[int | None]]:
        made = phone(transport, port)
        return made, [made.register().granted(made.caller.contact) for _ in range(2)]

    async with serve(port):
        talker, granted = await asyncio.to_thread(talk)
    assert granted == [600, 600]
    shown = talker.sent[0].decode()
    assert f"Via: SIP/2.0/{transport.upper()} " in shown
    assert ';+sip.instance="<urn:uuid:0d6f>"' in shown
    assert (";transport=ws>" in shown and ".invalid" in shown) == transport.startswith("ws")
    with pytest.raises(HungUp):
        await asyncio.to_thread(talker.register)
    talker.close()


async def test_a_keep_alive_is_answered(tmp_path: Path) -> None:
    port = free_port()

    def talk() -> int:
        with TcpPhone(ACCOUNT, ("127.0.0.1", port)) as made:
            made.send(KEEP_ALIVE)
            assert made.pipe.receive(0.2) is None
            return made.pipe.pongs

    async with serving(tmp_path)["tcp"](port):
        assert await asyncio.to_thread(talk) == 1
