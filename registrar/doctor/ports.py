"""The check of the listeners' ports: free, held by a running registrar, or held by another program."""

import contextlib
import errno
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from registrar.driver import to_tag
from registrar.errors import SipError
from registrar.sip import Response, parse

from .finding import Finding, fail, ok

WHAT: Final = "port"
PROBE_SECONDS: Final = 1.5
TRIES: Final = 2
"""Datagrams may be lost, even on the local machine."""
MAX_ANSWER: Final = 65_535
LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
SECURE: Final = ("tls", "wss", "https", "prov_https", "prov_https_legacy")
PHONES: Final = b"download protocol:"
"""Part of a file that any phone may load from us."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address of one setting."""

    setting: str
    """The name of the setting, for example REGISTRAR_SIP_UDP."""
    kind: str
    """udp, tcp, tls, ws, wss, http or https; prov_http, prov_https or prov_https_legacy for phones' files."""
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind} {host}:{self.port}"


def check(listener: Listener, *tag_keys: bytes) -> Finding:
    """Return whether the listener's address can be bound, as `serve` would do it, or which program holds it.

    `tag_keys` are the keys of the To tags of this installation's answers, by which a running registrar is
    recognised; more than one while the secret key is replaced.
    """
    if listener.port == 0:
        return ok(WHAT, f"{listener}: the kernel chooses")
    try:
        _bind(listener)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return _unusable(listener, error)
    else:
        return ok(WHAT, f"{listener} is free")
    if any(_is_ours(listener, key) for key in tag_keys):
        return ok(WHAT, f"{listener} is held by a running registrar")
    return fail(
        WHAT,
        f"{listener} is held by something else, or by a registrar that does not answer",
        f"ss -lpn 'sport = :{listener.port}' names it; or change {listener.setting}",
    )


def _unusable(listener: Listener, error: OSError) -> Finding:
    detail = f"{listener}: {error.strerror}"
    if error.errno == errno.EADDRNOTAVAIL:
        return fail(WHAT, detail, f"it is not an address of this machine: change {listener.setting}")
    if error.errno == errno.EACCES:
        return fail(WHAT, detail, f"run with CAP_NET_BIND_SERVICE, or change {listener.setting}")
    return fail(WHAT, detail, f"change {listener.setting}")


def _bind(listener: Listener) -> None:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    kind = socket.SOCK_DGRAM if listener.kind == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as trial:
        if kind == socket.SOCK_STREAM:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(listener.host != "::"))
        trial.bind((listener.host, listener.port))


def _is_ours(listener: Listener, tag_key: bytes) -> bool:
    ask: dict[str, Callable[[], bool]] = {
        "udp": lambda: _answers_sip(listener, tag_key),
        "tcp": lambda: _answers_sip(listener, tag_key),
        "tls": lambda: _answers_sip(listener, tag_key),
        "ws": lambda: b"SIP over WebSocket" in _page(listener, "/"),
        "wss": lambda: b"SIP over WebSocket" in _page(listener, "/"),
        "http": lambda: b'{"status":"up"}' in _page(listener, "/health/live"),
        "https": lambda: b'{"status":"up"}' in _page(listener, "/health/live"),
        "prov_http": lambda: PHONES in _page(listener, "/startup.cfg"),
        "prov_https": lambda: PHONES in _page(listener, "/startup.cfg"),
        "prov_https_legacy": lambda: PHONES in _page(listener, "/startup.cfg"),
    }
    try:
        return ask[listener.kind]()
    except (OSError, ValueError, SipError):
        return False


def _answers_sip(listener: Listener, tag_key: bytes) -> bool:
    """Return whether the answer to OPTIONS has the To tag that only a process with our key can make."""
    branch, call_id = "z9hG4bK" + secrets.token_hex(8), secrets.token_hex(12)
    request = _options(listener, branch, call_id)
    wanted = to_tag(tag_key, branch, call_id, "1 OPTIONS")
    answer = _ask_datagram(listener, request) if listener.kind == "udp" else _ask_stream(listener, request)
    message = parse(answer)
    return isinstance(message, Response) and f"tag={wanted}" in (message.headers.get("to") or "")


def _options(listener: Listener, branch: str, call_id: str) -> bytes:
    transport = listener.kind.upper()
    host = _target(listener)[0]
    shown = f"[{host}]" if ":" in host else host
    uri = f"sip:{shown}:{listener.port}"
    lines = (
        f"OPTIONS {uri} SIP/2.0",
        f"Via: SIP/2.0/{transport} {shown}:9;branch={branch};rport",
        "Max-Forwards: 70",
        f"From: <sip:doctor@{shown}>;tag={branch[-8:]}",
        f"To: <{uri}>",
        f"Call-ID: {call_id}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _target(listener: Listener) -> tuple[str, int]:
    return LOOPBACK.get(listener.host, listener.host), listener.port


def _ask_datagram(listener: Listener, request: bytes) -> bytes:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.settimeout(PROBE_SECONDS / TRIES)
        probe.connect(_target(listener))
        for _ in range(TRIES):
            probe.send(request)
            try:
                return probe.recv(MAX_ANSWER)
            except TimeoutError:
                continue
    raise TimeoutError


def _ask_stream(listener: Listener, request: bytes) -> bytes:
    with _connected(listener) as probe:
        probe.sendall(request)
        return _read(probe, lambda answer: b"\r\n\r\n" in answer)


def _page(listener: Listener, path: str) -> bytes:
    """Return the response to a GET, headers included."""
    request = f"GET {path} HTTP/1.1\r\nHost: {_target(listener)[0]}\r\nConnection: close\r\n\r\n"
    with _connected(listener) as probe:
        probe.sendall(request.encode())
        return _read(probe, lambda _answer: False)


def _read(probe: socket.socket, is_whole: Callable[[bytes], bool]) -> bytes:
    """Return the bytes received until they are whole, or until the peer closes or times out."""
    answer = b""
    with contextlib.suppress(TimeoutError):
        while len(answer) < MAX_ANSWER and not is_whole(answer) and (piece := probe.recv(MAX_ANSWER)):
            answer += piece
    return answer


def _connected(listener: Listener) -> socket.socket:
    opened = socket.create_connection(_target(listener), timeout=PROBE_SECONDS)
    if listener.kind not in SECURE:
        return opened
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the response identifies the program, not the certificate
    context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(opened)
    except OSError:
        opened.close()
        raise
