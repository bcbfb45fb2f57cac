"""The files of softphones: one writer for each client, which escapes a value or refuses it.

No writer puts the password into a URL. What a client scans is made of the link alone (`Client.scanned`).
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from .draft import Draft, Unwritable
from .render import File
from .view import Account, Server

XML: Final = "application/xml; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
LPCONFIG: Final = "http://www.linphone.org/xsds/lpconfig.xsd"

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?")
_USER: Final = re.compile(r"[A-Za-z0-9._~!*'&+$-]+")
"""Characters that need no escape in a SIP URI (RFC 3261 section 25.1) and mean nothing to a client."""
_ENDS: Final = re.compile(r"^[\s']|[\s']$")
"""What Windows drops at the ends of a value in an ini file."""
_TRANSPORTS: Final = ("udp", "tcp", "tls")
_NOT_XML: Final = re.compile(
    "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\r\n\t\x7f-\x9f\u2028\u2029]"
)
"""What XML 1.0 cannot carry, and controls that a reader may change or drop."""


@dataclass(frozen=True, slots=True)
class Client:
    """One kind of softphone, and how it is given an account."""

    title: str
    """Its name as people know it."""
    file: str
    """The name of its file; the file of one client is not that of another."""
    content_type: str
    write: Callable[[Account, Server, Draft], str]
    scanned: Callable[[str], str | None]
    """Return what the client scans or opens for the URL of its file, or None if it takes no URL."""
    hint: str
    """What a person does with the link."""

    def render(self, account: Account, server: Server) -> File:
        """Return the file with the account. Raise `Unwritable` if the format cannot carry a value."""
        _check(account, server)
        draft = Draft()
        text = self.write(account, server, draft)
        return File(self.file, self.content_type, text, tuple(draft.left_out), tuple(draft.warnings))


def of_file(name: str) -> Client | None:
    """Return the client whose file has this name, or None."""
    return next((client for client in CLIENTS.values() if client.file == name), None)


# XML


def _linphone(account: Account, server: Server, draft: Draft) -> str:
    """Return what Linphone loads by "remote configuration"; it loads it once, as the link opens once."""
    user, domain = account.username, account.domain
    identity = f"<sip:{user}@{domain}>"
    sections = {
        "misc": {"transient_provisioning": "1"},
        "sip": {"default_proxy": "0"},
        "auth_info_0": {
            "username": user,
            "userid": user,
            "passwd": account.password,
            "realm": domain,
            "domain": domain,
        },
        "proxy_0": {
            "reg_proxy": f"<{_uri(server)}>",
            "reg_route": f"<{_uri(server)};lr>",
            "reg_identity": f"{_quoted(account.display_name)} {identity}"
            if account.display_name
            else identity,
            "reg_expires": str(server.expires),
            "reg_sendregister": "1",
        },
    }
    body = "".join(_section(name, entries) for name, entries in sections.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<config xmlns="{LPCONFIG}">\n{body}</config>\n'


def _section(name: str, entries: Mapping[str, str]) -> str:
    rows = (
        f'    <entry name={quoteattr(entry)} overwrite="true">{_xml(value, entry)}</entry>\n'
        for entry, value in entries.items()
    )
    return f"  <section name={quoteattr(name)}>\n{''.join(rows)}  </section>\n"


def _acrobits(account: Account, server: Server, draft: Draft) -> str:
    """Return the account XML of Acrobits, which Groundwire and Cloud Softphone read."""
    pairs = [
        ("title", _title(account)),
        ("username", account.username),
        ("password", account.password),
        ("authUsername", account.username),
        ("userDisplayName", account.display_name),
        ("host", account.domain),
        ("proxy", _place(server)),
        ("transport", "tls+sip:" if server.transport == "tls" else server.transport),
        ("expires", str(server.expires)),
    ]
    return _document("account", pairs)


def _gswave(account: Account, server: Server, draft: Draft) -> str:
    """Return the account of Grandstream Wave, which has no word for the transport."""
    if server.transport != "udp":
        draft.warnings.append(
            f"set the transport to {server.transport} in the app: this file has no field for it"
        )
    pairs = [
        ("RegisterServer", account.domain),
        ("OutboundServer", _place(server)),
        ("UserID", account.username),
        ("AuthID", account.username),
        ("AuthPass", account.password),
        ("AccountName", _title(account)),
        ("DisplayName", account.display_name),
    ]
    return _document("AccountConfig", pairs, attributes=' version="1"', inside="Account")


def _document(root: str, pairs: Iterable[tuple[str, str]], attributes: str = "", inside: str = "") -> str:
    rows = "".join(f"  <{name}>{_xml(value, name)}</{name}>\n" for name, value in pairs if value)
    body = f"<{inside}>\n{rows}</{inside}>\n" if inside else rows
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}{attributes}>\n{body}</{root}>\n'


def _xml(value: str, field: str) -> str:
    """Return the text of an element."""
    if _NOT_XML.search(value):
        raise Unwritable(field, "control characters cannot be written into XML")
    return escape(value)


# Lines


def _microsip(account: Account, server: Server, draft: Draft) -> str:
    """Return a `microsip.ini` with one account. The program reads it in the code page of its Windows."""
    pairs = [
        ("label", _title(account)),
        ("server", _place(server)),
        ("proxy", _place(server)),
        ("domain", account.domain),
        ("username", account.username),
        ("password", account.password),
        ("authID", account.username),
        ("displayName", account.display_name),
        ("transport", server.transport),
        ("registerRefresh", str(server.expires)),
    ]
    rows = "".join(_ini(name, value, draft) for name, value in pairs if value)
    return f"[Settings]\r\naccountId=1\r\n[Account1]\r\n{rows}"


def _ini(name: str, value: str, draft: Draft) -> str:
    """Return one line; a name for people is left out if the file cannot carry it."""
    if value.isascii() and value.isprintable() and not _ENDS.search(value) and '"' not in value:
        return f"{name}={value}\r\n"
    if name not in ("label", "displayName"):
        raise Unwritable(
            name, "MicroSIP reads ASCII without double quotes, and no blanks or quotes at the ends"
        )
    draft.leave(name, "the file of MicroSIP carries plain ASCII only")
    return ""


def _baresip(account: Account, server: Server, draft: Draft) -> str:
    """Return one line of baresip's `accounts`; a value there ends at a blank or a semicolon."""
    if re.search(r'[\s;,<>"\\]', account.password) or not account.password.isprintable():
        raise Unwritable("password", 'baresip cannot read blanks, controls and any of ; , < > " \\ in it')
    name = f"{_quoted(account.display_name)} " if account.display_name else ""
    return (
        f"{name}<sip:{account.username}@{account.domain};transport={server.transport}>"
        f";auth_user={account.username};auth_pass={account.password}"
        f';outbound="{_uri(server)}";regint={server.expires}\n'
    )


def _quoted(name: str) -> str:
    """Return a display name as a quoted string (RFC 3261 section 25.1)."""
    if not name.isprintable():
        raise Unwritable("displayName", "control characters cannot be written into a display name")
    return '"{}"'.format(name.replace("\\", "\\\\").replace('"', '\\"'))


# JSON


def _device(account: Account, server: Server, draft: Draft) -> str:
    """Return the account as JSON, for programs of one's own."""
    found = {
        "username": account.username,
        "password": account.password,
        "domain": account.domain,
        "displayName": account.display_name,
        "number": account.number,
        "server": {"host": server.host, "port": server.port, "transport": server.transport},
        "proxy": _uri(server),
        "expires": server.expires,
    }
    return json.dumps(found, indent=2) + "\n"


# What all of them share


def _check(account: Account, server: Server) -> None:
    """Raise `Unwritable` for a part of a SIP URI that would need an escape."""
    if not _USER.fullmatch(account.username):
        raise Unwritable("username", "it has characters that a SIP URI cannot carry as they are")
    for field, host in (("domain", account.domain), ("server", server.host)):
        if not _HOST.fullmatch(host):
            raise Unwritable(field, "it is not the name or the address of a host")
    if server.transport not in _TRANSPORTS:
        raise Unwritable("transport", f"a softphone uses one of {', '.join(_TRANSPORTS)}")


def _place(server: Server) -> str:
    host = server.host.strip("[]")
    return f"[{host}]:{server.port}" if ":" in host else f"{host}:{server.port}"


def _uri(server: Server) -> str:
    return f"sip:{_place(server)};transport={server.transport}"


def _title(account: Account) -> str:
    """Return a name for the account in the client; it is never empty."""
    return account.number or account.username


def _as_it_is(url: str) -> str:
    return url


def _provlink(url: str) -> str:
    """Return the URL with the scheme that opens Groundwire; there is none for plain HTTP."""
    scheme, _, rest = url.partition("://")
    return f"provlinkbs://{rest}" if scheme == "https" else url


def _never(_url: str) -> None:
    """Return None: the client reads a file, or only pictures that would hold the password."""


CLIENTS: Final[Mapping[str, Client]] = {
    "linphone": Client(
        "Linphone", "linphone.xml", XML, _linphone, _as_it_is,
        "Scan the code in the app, or enter the link under remote provisioning.",
    ),
    "acrobits": Client(
        "Groundwire (Acrobits)", "account.xml", XML, _acrobits, _provlink,
        "Scan the code with the camera of the telephone, which opens Groundwire.",
    ),
    "gswave": Client(
        "Grandstream Wave", "gswave.xml", XML, _gswave, _never,
        "The app takes no link. Open the link in a browser, and enter what it shows.",
    ),
    "microsip": Client(
        "MicroSIP", "microsip.ini", TEXT, _microsip, _never,
        "Save the file as microsip.ini in the folder of MicroSIP's settings.",
    ),
    "baresip": Client(
        "baresip", "baresip", TEXT, _baresip, _never,
        "Append the line to the file accounts of baresip.",
    ),
    "device": Client(
        "Another program (JSON)", "device.json", JSON, _device, _never,
        "Let your program load the link: the file has the account as JSON.",
    ),
}  # fmt: skip
"""Name of a client in the API -> how it is set up. Zoiper is missing: no URL suffices for it."""
