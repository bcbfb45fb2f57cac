"""The text that `serve` and `demo` print: the listeners, the first steps, and accounts to try."""

import json
from typing import Any, Final
from urllib.parse import urlencode

from config import board
from config import phone as phone_page
from config.page import NOT_BUILT
from registrar.settings import Settings
from registrar.transport import local

from .installation import OUTSIDE, WILDCARDS, Installation

LOCK: Final = (
    "An account for each example of README.md. The first contact locks an account to the address it comes",
    "from; from another one it then gets 403, until you open it: README.md, section Register a phone.",
)
STEPS: Final = (
    ("registrar login create EMAIL", "a login for the board"),
    ("registrar token --level ADMIN", "a token for the API"),
    ("POST /customer", "a customer with a SIP domain"),
    ("POST /pbx/extension", "a number of the customer"),
    ("POST /pbx/sipphone", "a phone of the number: username and password to register with"),
    ("registrar serve --demo", "or all of this at once: a customer with accounts to try"),
)
CHECKS: Final = (
    ("registrar status", "who is online, and why not"),
    ("registrar doctor", "what keeps it from its work, and what to do about it"),
)


def print_first_steps(installation: Installation, *, sip: bool, api: bool) -> None:
    """Print where the registrar listens, and what to do next."""
    settings = installation.settings
    if api:
        print_api(settings)
        print(f"board        {board_line(settings)}")
    if sip:
        print(f"SIP server   {sip_servers(settings)}")
    print("First steps")
    for what, why in (*STEPS, *CHECKS) if api else CHECKS:
        print(f"  {what:<30} {why}")
    print(end="", flush=True)


def print_workers(workers: int, *, api: bool) -> None:
    """Print how many processes serve phones."""
    beside = ", and one for the API" if api else ""
    print(f"workers      {workers} for phones{beside} (REGISTRAR_WORKERS)", flush=True)


def print_api(settings: Settings) -> None:
    """Print the URLs of the API and its documentation."""
    api = api_url(settings)
    print(f"API          {api}   documentation: {api}/docs")


def board_line(settings: Settings) -> str:
    """Return the URL of the board, or how to build it."""
    return f"{api_url(settings)}/" if board.PAGE.is_built else NOT_BUILT


def print_demo(installation: Installation, tenant: dict[str, Any]) -> None:
    """Print the demo tenant: the API, a token, an account for each example, and a login for the board."""
    settings = installation.settings
    print_api(settings)
    print(f"ADMIN token  {tenant['token']}")
    if installation.provisioning().is_on:
        print(f"phones       {settings.prov_url}   their configuration: docs/provisioning.md")
    print(f"SIP server   {sip_servers(settings)}; domain {tenant['domain']}")
    print("\n".join(("", *LOCK)))
    for example, phone in tenant["examples"].items():
        _print_account(example, phone)
    _print_browser(settings, tenant["webrtc"])
    _print_board(settings, tenant["login"])


def _print_account(example: str, phone: dict[str, Any]) -> None:
    print(f"{example:<12} extension {phone['extensionNumber']}")
    print(f"  username   {phone['username']}")
    print(f"  password   {phone['password']}")
    print(f"  phone id   {phone['_id']}")


def _print_browser(settings: Settings, phone: dict[str, Any]) -> None:
    if not settings.sip_wss:
        print("browser      off: no secure WebSocket listens (REGISTRAR_SIP_WSS)", flush=True)
        return
    host, port = settings.sip_wss[0]
    server = f"wss://{_shown(host)}:{port}"
    _print_account("browser", phone)
    print(f"  server     {server}")
    account = {name: phone[name] for name in ("username", "password", "domain")} | {"server": server}
    if "iceServers" in phone:
        account["ice"] = json.dumps(phone["iceServers"], separators=(",", ":"))
    link = f"{api_url(settings)}/phone#{urlencode(account, safe=':/')}"
    print(f"  page       {link if phone_page.PAGE.is_built else NOT_BUILT}", flush=True)


def _print_board(settings: Settings, login: dict[str, str | None]) -> None:
    print(f"board        {board_line(settings)}")
    print(f"  login      {login['username']}")
    print(f"  password   {login['password'] or 'the one that was set later'}", flush=True)


def sip_servers(settings: Settings) -> str:
    """Return the addresses for phones: `127.0.0.1:5060 (UDP, TCP); from other machines 10.0.0.5`."""
    found: dict[str, list[str]] = {}
    hosts = set()
    for name, listeners in (("UDP", settings.sip_udp), ("TCP", settings.sip_tcp), ("TLS", settings.sip_tls)):
        for host, port in listeners[:1]:
            found.setdefault(f"{_shown(host)}:{port}", []).append(name)
            hosts.add(host)
    if not found:
        return "none listens"
    places = ", ".join(f"{place} ({', '.join(names)})" for place, names in found.items())
    outside = local.towards(OUTSIDE[0]) if hosts.intersection(WILDCARDS) else ""
    return f"{places}; from other machines {outside}" if outside else places


def api_url(settings: Settings) -> str:
    """Return the URL of the API for programs on this machine."""
    scheme, listeners = ("http", settings.http) if settings.http else ("https", settings.https)
    host, port = listeners[0] if listeners else ("127.0.0.1", 0)
    return f"{scheme}://{_shown(host)}:{port}"


def _shown(host: str) -> str:
    """Return the address of a listener as a program on this machine can use it."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
