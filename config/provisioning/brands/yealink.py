"""Yealink desk phones: lines `name = value`."""

from ..files import config_name
from ..syntax import Draft, Pair, equals
from ..view import Account, Provisioned, Server

HEAD = "#!version:1.0.0.1\n"
TRANSPORTS = {"udp": 0, "tcp": 1, "tls": 2}


def config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of a phone."""
    draft.add("static.auto_provision.server.url", phone.server.url)
    _account(draft, 1, phone.account, phone.server)
    return HEAD + equals(draft.pairs)


def common(phone: Provisioned, name: str) -> str:
    """Return the boot file, which names the configuration."""
    name = config_name(phone.writer, phone.mac, phone.model)
    return f'{HEAD}include:config "{name}"\noverwrite_mode = 1\n'


def stub(url: str) -> str:
    """Return a file that says only where to load from."""
    return HEAD + equals([Pair("static.auto_provision.server.url", url)])


def _account(draft: Draft, line: int, account: Account, server: Server) -> None:
    prefix = f"account.{line}."
    draft.add(prefix + "enable", 1)
    draft.add(prefix + "user_name", account.username, "username")
    draft.add(prefix + "auth_name", account.username, "username")
    draft.add(prefix + "password", account.password, "password")
    draft.add(prefix + "display_name", account.display_name, "employee.name")
    draft.add(prefix + "sip_server.1.address", account.domain)
    draft.add(prefix + "sip_server.1.transport_type", TRANSPORTS[server.transport])
    draft.add(prefix + "sip_server.1.expires", server.expires)
