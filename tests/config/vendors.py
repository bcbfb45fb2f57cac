"""Redirect services of vendors on loopback: they check signatures with code of their own, and have faults."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import re
import time
import xmlrpc.client
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from config.settings import RedirectAccount

USER, PASSWORD = "user", "a long password"
SKEW_SECONDS = 60


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Reply = tuple[int, bytes]
HANG: Reply = (0, b"hang")
CUT: Reply = (0, b"cut")


@dataclass
class Vendor:
    """A server on loopback. `fault` answers before `serve` does, if it has something to say."""

    serve: Callable[["Vendor", Asked], Reply]
    port: int = 0
    known: dict[str, str] = field(default_factory=dict)
    """MAC address -> URL, as the service has them now."""
    foreign: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    forged: list[Asked] = field(default_factory=list)
    """Requests with a wrong signature."""
    fault: Callable[[Asked], Reply | None] | None = None
    at_once: int = 0
    most_at_once: int = 0
    tokens: set[str] = field(default_factory=set)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._answer(reader, writer):
                    pass
        finally:
            writer.transport.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = first.split(" ")
        asked = Asked(method, target, headers, body)
        self.asked.append(asked)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        status, content = (self.fault and self.fault(asked)) or self.serve(self, asked)
        self.at_once -= 1
        if (status, content) == HANG:
            await asyncio.sleep(3_600)
        if (status, content) == CUT:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<method")
            await writer.drain()
            return False
        location = "Location: http://127.0.0.1:1/\r\n" if 300 <= status < 400 else ""
        writer.write(f"HTTP/1.1 {status} X\r\n{location}Content-Length: {len(content)}\r\n\r\n".encode())
        writer.write(content)
        await writer.drain()
        return True

    def refuse(self, asked: Asked) -> Reply:
        """Note that a signature is wrong."""
        self.forged.append(asked)
        return 401, b"{}"


@contextlib.asynccontextmanager
async def vendor(serve: Callable[[Vendor, Asked], Reply]) -> AsyncIterator[Vendor]:
    """A service for the length of the block."""
    here = Vendor(serve)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.get_running_loop().create_task(here.connected(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    here.port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


# Checks of signatures


def is_basic(asked: Asked) -> bool:
    """RFC 7617: the name and the password, in the clear."""
    kind, _, text = asked.headers.get("authorization", "").partition(" ")
    return kind == "Basic" and base64.b64decode(text) == f"{USER}:{PASSWORD}".encode()


def is_hawk(here: Vendor, asked: Asked) -> bool:
    """The text of the Hawk protocol, 1.1: the hash of the body, then the MAC of the request."""
    header = asked.headers.get("authorization", "")
    given = dict(re.findall(r'(\w+)="([^"]*)"', header))
    kind = asked.headers.get("content-type", "").split(";")[0].strip().lower()
    hashed = hashlib.sha256()
    for part in ("hawk.1.payload\n", kind, "\n"):
        hashed.update(part.encode())
    hashed.update(asked.body)
    hashed.update(b"\n")
    payload = base64.b64encode(hashed.digest()).decode()
    fields = [given.get("ts", ""), given.get("nonce", ""), asked.method, asked.target]
    text = "hawk.1.header\n" + "\n".join([*fields, "127.0.0.1", str(here.port), payload, ""]) + "\n"
    mac = hmac.new(PASSWORD.encode(), text.encode(), "sha256").digest()
    is_fresh = abs(int(given.get("ts", "0")) - time.time()) < SKEW_SECONDS
    is_signed = hmac.compare_digest(given.get("mac", ""), base64.b64encode(mac).decode())
    return (
        header.startswith("Hawk ")
        and given["id"] == USER
        and given["hash"] == payload
        and is_fresh
        and is_signed
    )


# The services


def said(is_done: bool, text: str) -> Reply:
    return 200, xmlrpc.client.dumps(([is_done, text],), methodresponse=True).encode()


def call_of(asked: Asked) -> tuple[str, list[str]]:
    values, method = xmlrpc.client.loads(asked.body.decode())
    return str(method), [str(value) for value in values]


def snom(here: Vendor, asked: Asked) -> Reply:
    """secure-provisioning.snom.com by XML-RPC."""
    if not is_basic(asked):
        return here.refuse(asked)
    method, (mac, *rest) = call_of(asked)
    if mac in here.foreign:
        return said(False, "Error:owned_by_other_user")
    if not re.fullmatch("[0-9A-F]{12}", mac):
        return said(False, "Error:malformed_mac")
    if method == "redirect.deregisterPhone":
        return said(True, "Ok") if here.known.pop(mac, None) else said(False, "Error:not_found")
    assert method == "redirect.registerPhone"
    if not rest[0].startswith("https://"):
        return said(False, f"Error:malformed_url {rest[0]}")
    here.known[mac] = rest[0]
    return said(True, "Ok")


def yealink(here: Vendor, asked: Asked) -> Reply:
    """The RPS of Yealink; the text of its answers has no type."""
    if not is_basic(asked):
        return here.refuse(asked)
    method, (mac, *rest) = call_of(asked)
    done, text = True, "Ok"
    if mac in here.foreign:
        done, text = False, "Error:owned_by_other_user"
    elif method == "redirect.deRegisterDevice":
        done, text = here.known.pop(mac, None) is not None, "Error:device not exist"
    else:
        assert (method, rest[2]) == ("redirect.registerDeviceWithUniqueUrl", "1")
        here.known[mac] = rest[1]
    value = f"<value><boolean>{int(done)}</boolean></value><value>{text}</value>"
    array = f"<params><param><value><array><data>{value}</data></array></value></param></params>"
    return 200, f'<?xml version="1.0"?><methodResponse>{array}</methodResponse>'.encode()


def gigaset(here: Vendor, asked: Asked) -> Reply:
    """prov.gigaset.net by XML-RPC: also an entry of the same account is in use."""
    if not is_basic(asked):
        return here.refuse(asked)
    method, (mac, *rest) = call_of(asked)
    if method == "autoprov.deregisterDevice":
        gone = mac not in here.foreign and here.known.pop(mac, "")
        return said(True, "") if gone else said(False, f"mac_not_exist:{mac}")
    if mac in here.foreign or mac in here.known:
        return said(False, f"mac_already_in_use:{mac}")
    if not rest[0].startswith("https://"):
        return said(False, f"url_invalid:{rest[0]}")
    here.known[mac] = rest[0]
    return said(True, "")


def sraps(here: Vendor, asked: Asked) -> Reply:
    """api.sraps.snom.com: JSON, signed by Hawk."""
    if not is_hawk(here, asked):
        return here.refuse(asked)
    place = asked.target
    if asked.method == "GET":
        answers: dict[str, Any] = {
            f"/api/v1/tokens/{USER}": {"links": {"company": f"{here.base}/api/v1/companies/7"}},
            "/api/v1/companies/7": {"links": {"endpoints": f"{here.base}/api/v1/companies/7/endpoints/"}},
            "/api/v1/settings/?page_size=1000": [
                {"param_name": "language", "uuid": "u1"},
                {"param_name": "setting_server", "uuid": "u2"},
            ],
        }
        return (200, json.dumps(answers[place]).encode()) if place in answers else (404, b"{}")
    mac = place.removeprefix("/api/v1/companies/7/endpoints/")
    if mac in here.foreign:
        return 403, b'{"detail": "taken_mac_or_forbidden"}'
    if asked.method == "DELETE":
        return (204, b"") if here.known.pop(mac, None) else (404, b'{"detail": "Not found."}')
    sent = json.loads(asked.body)
    assert (sent["mac"], sent["autoprovisioning_enabled"]) == (mac, True)
    here.known[mac] = sent["settings_manager"]["u2"]["value"]
    return 200, b"{}"


def ymcs(here: Vendor, asked: Asked) -> Reply:
    """eu-api.ymcs.yealink.com: JSON, with a token of OAuth 2."""
    assert abs(int(asked.headers["timestamp"]) / 1000 - time.time()) < SKEW_SECONDS
    assert re.fullmatch("[0-9a-f]{32}", asked.headers["nonce"])
    sent = json.loads(asked.body)
    if asked.target == "/v2/token":
        if not is_basic(asked) or sent != {"grant_type": "client_credentials"}:
            return here.refuse(asked)
        here.tokens.add(f"token{len(here.asked)}")
        token = {"access_token": f"token{len(here.asked)}", "token_type": "bearer", "expires_in": 3600}
        return 200, json.dumps(token).encode()
    if asked.headers["authorization"].removeprefix("Bearer ") not in here.tokens:
        return here.refuse(asked)
    if asked.target == "/v2/rps/delDevices":
        assert sent["deviceIdType"] == "mac"
        (mac,) = sent["deviceIds"]
        if here.known.pop(mac, None):
            return 200, b'{"total": 1, "successCount": 1, "failureCount": 0, "errors": []}'
        errors = [{"field": mac, "msg": "Device does not exist"}]
        return 200, json.dumps({"successCount": 0, "failureCount": 1, "errors": errors}).encode()
    assert asked.target == "/v2/rps/addDevicesByMac"
    (row,) = sent
    error = (
        "800004 Device already managed by another organization"
        if row["mac"] in here.foreign
        else "800003 Resource already exists"
        if row["mac"] in here.known
        else ""
    )
    if error:
        errors = [{"mac": row["mac"], "sn": "", "errorInfo": error}]
        return 200, json.dumps({"successCount": 0, "failureCount": 1, "errors": errors}).encode()
    here.known[row["mac"]] = row["uniqueServerUrl"]
    return 200, b'{"total": 1, "successCount": 1, "failureCount": 0, "errors": []}'


GAPS_TIME = "1792345678"


def gaps(here: Vendor, asked: Asked) -> Reply:
    """fm.grandstream.com: JSON, signed with the time that the service has told."""
    if asked.method == "GET":
        return 200, json.dumps({"time": int(GAPS_TIME)}).encode()
    query = asked.target.partition("?")[2]
    mac = hmac.new(PASSWORD.encode(), digestmod="sha1")
    mac.update(asked.body)
    mac.update(GAPS_TIME.encode())
    if query != f"sig={mac.hexdigest()}&time={GAPS_TIME}":
        here.forged.append(asked)
        return 200, b'{"code": 3, "desc": "signature error"}'
    sent = json.loads(asked.body)
    assert sent["cid"] == USER
    (phone,) = sent["params"]["macs"]
    if phone in here.foreign:
        return 200, b'{"code": 11, "desc": "Device already managed by another organization"}'
    if sent["method"] == "unDeviceProvision":
        here.known.pop(phone, None)
    else:
        assert sent["method"] == "redirectDefault"
        here.known[phone] = "the URL of the account"
    return 200, b'{"code": 0}'


PATHS = {
    "snom": "/xmlrpc/",
    "yealink": "/xmlrpc",
    "gigaset": "/rpc",
    "sraps": "/api/v1/",
    "ymcs": "",
    "gaps": "/p",
}
SERVE: dict[str, Callable[[Vendor, Asked], Reply]] = {
    "snom": snom, "sraps": sraps, "yealink": yealink, "ymcs": ymcs, "gaps": gaps, "gigaset": gigaset
}  # fmt: skip


def account(service: str, here: Vendor, password: str = PASSWORD) -> RedirectAccount:
    """The account at a service of the test."""
    return RedirectAccount(service, here.base + PATHS[service], USER, password)


def spelled(service: str, mac: str) -> str:
    """A MAC address as the service has it."""
    if service == "yealink":
        return "-".join(mac[at : at + 2] for at in range(0, 12, 2))
    return mac if service in ("snom", "gigaset") else mac.lower()


@contextlib.contextmanager
def faulty(here: Vendor, fault: Callable[[Asked], Reply | None]) -> Iterator[None]:
    """The service has a fault for the length of the block."""
    here.fault = fault
    try:
        yield
    finally:
        here.fault = None
