"""Registrations as tests spell them: a phone on any transport, lines of our own, what a 200 lists."""

import re
from typing import Final

import pytest

from tests.peers.phone import Account, Answer, BlockingPhone, UdpPhone
from tests.peers.registrar import TRANSPORTS
from tests.peers.stream import TcpPhone
from tests.peers.websocket_phone import WsPhone
from tests.wire.site import Site

EVERY: Final = ("udp", *TRANSPORTS)
on_every_transport: Final = pytest.mark.parametrize("transport", EVERY)
on_streams: Final = pytest.mark.parametrize("transport", ("tcp", "tls"))
on_websockets: Final = pytest.mark.parametrize("transport", ("ws", "wss"))
on_connections: Final = pytest.mark.parametrize("transport", TRANSPORTS)

INSTANCE: Final = '+sip.instance="<urn:uuid:00000000-0000-4000-8000-00000000000{}>"'


def phone_on(
    site: Site, transport: str, account: Account, source: tuple[str, int] = ("127.0.0.1", 0)
) -> BlockingPhone:
    """A phone with a socket of its own."""
    server = site.listeners[transport]
    match transport:
        case "udp":
            return UdpPhone(account, server, source=source)
        case "ws" | "wss":
            return WsPhone(account, server, secure=transport == "wss", source=source)
        case _:
            return TcpPhone(account, server, secure=transport == "tls", source=source)


def contact(name: str, *, port: int = 5060, params: str = "") -> str:
    """A Contact value somewhere behind a NAT."""
    return f"<sip:{name}@192.168.7.10:{port}>{params}"


def uris(answer: Answer) -> dict[str, int]:
    """The contacts that a 200 lists, each with the seconds it has left."""
    found = re.findall(r"<([^>]+)>[^,]*?;expires=(\d+)", ", ".join(answer.all("contact")))
    return {uri: int(seconds) for uri, seconds in found}


def send(
    phone: BlockingPhone, *lines: str, uri: str = "", to: str = "", old: bytes = b"", new: bytes = b""
) -> Answer:
    """An authorized REGISTER with these header lines, with `old` replaced by `new` before it leaves."""
    account = phone.caller.account
    uri, to = uri or f"sip:{account.domain}", to or account.uri
    answer = phone.exchange(phone.caller.request("REGISTER", uri, to, lines))
    assert answer.status == 401, answer
    assert phone.caller.learn(answer)
    authorized = (*lines, phone.caller.credentials("REGISTER", uri))
    return phone.exchange(phone.caller.request("REGISTER", uri, to, authorized).replace(old, new))
