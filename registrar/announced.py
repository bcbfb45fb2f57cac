"""What a proxy announces before the first octet of a connection, read from its socket."""

import asyncio
import socket

from registrar.rules.proxy_header import Ends, needed, parse


async def ends_of(accepted: socket.socket) -> Ends | None:
    """Read the PROXY header and not one octet more. Return its ends; None: the proxy speaks for itself.

    `accepted` does not block. Raise ValueError if something else comes, OSError if the peer goes.
    """
    loop, octets = asyncio.get_running_loop(), b""
    while wanted := needed(octets):
        more = await loop.sock_recv(accepted, wanted)
        if not more:
            raise ConnectionAbortedError("gone within the PROXY header")
        octets += more
    return parse(octets)
