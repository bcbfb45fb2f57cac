"""Middleware for responses: HEAD sends no body (RFC 9110 9.3.2), and long bodies are compressed."""

import asyncio
import zlib
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from .access import is_safe
from .preconditions import CODED
from .web import Middleware

MIN_BYTES: Final = 1_025
"""Bodies over 1 KiB are compressed."""
PIECE_BYTES: Final = 64 * 1024
"""Bytes compressed in one step of 1 to 2 ms, because the same event loop may serve SIP."""
LEVEL: Final = 1
"""Twice as fast as the default, for a tenth more octets."""
UNCOMPRESSED: Final = ("text/event-stream",)
"""Its messages are short, and the state of a compressor has more octets than all else of a stream."""
GZIP: Final = 16 + zlib.MAX_WBITS


class _HeadersSent(Exception):
    """Signals that the headers, all that HEAD asks for, were sent."""


class Heads(Middleware):
    """Handles HEAD as GET without a body, on every path where GET is safe."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "HEAD" or not is_safe(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def headers_only(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            if message.get("more_body", False):
                raise _HeadersSent  # ends the stream, so that a long list is not read to its end for HEAD

        try:
            await self._app({**scope, "method": "GET"}, receive, headers_only)
        except* _HeadersSent:
            pass


class Gzip(Middleware):
    """Compresses bodies over 1 KiB for clients that accept gzip, streamed ones too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).add_vary_header("Accept-Encoding")
            await send(message)

        accepted = accepts_gzip(Headers(scope=scope).get("accept-encoding", ""))
        await self._app(scope, receive, _Compressed(varied).send if accepted else varied)


def accepts_gzip(header: str) -> bool:
    """Return whether Accept-Encoding names gzip or `*` with a weight other than 0."""
    weights: dict[str, str] = {}
    for part in header.lower().split(","):
        coding, _, weight = part.partition(";")
        weights[coding.strip()] = weight.replace(" ", "").removeprefix("q=") or "1"
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight.strip("0.") != ""


class _Compressed:
    """One response. Its headers are held back until the first part of the body shows how long it is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._squeeze: zlib._Compress | None = None

    async def send(self, message: Message) -> None:
        """Forward a message of the application, with its body compressed."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._start is not None:
            start, self._start = self._start, None
            headers = MutableHeaders(scope=start)
            kind = headers.get("content-type", "").partition(";")[0]
            is_fit = "content-encoding" not in headers and kind not in UNCOMPRESSED
            if is_fit and (more or len(body) >= MIN_BYTES):
                self._squeeze = zlib.compressobj(LEVEL, wbits=GZIP)
                headers["Content-Encoding"] = "gzip"
                tag = headers.get("etag", "")
                if tag.endswith('"'):  # another representation: its strong ETag differs
                    headers["ETag"] = f'{tag[:-1]}{CODED}"'
                del headers["Content-Length"]
                if not more:
                    body, more = await self._squeezed(body, last=True), False
                    headers["Content-Length"] = str(len(body))
                    self._squeeze = None
            await self._send(start)
        if self._squeeze is not None:
            body = await self._squeezed(body, last=not more)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _squeezed(self, body: bytes, *, last: bool) -> bytes:
        squeeze = self._squeeze
        if squeeze is None:
            return body
        pieces = []
        for start in range(0, len(body), PIECE_BYTES):
            pieces.append(squeeze.compress(body[start : start + PIECE_BYTES]))
            if start + PIECE_BYTES < len(body):
                await asyncio.sleep(0)
        pieces.append(squeeze.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH))
        return b"".join(pieces)
