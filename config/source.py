"""Where a request came from, and under which name it reached us."""

import re
from collections.abc import Sequence
from typing import Final

from starlette.requests import HTTPConnection

from registrar.model import Network
from registrar.rules.proxies import forwarded

HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")


def source_address(connection: HTTPConnection, trusted: Sequence[Network]) -> str:
    """The peer, or what a trusted proxy says: the rightmost X-Forwarded-For that is no proxy of ours."""
    peer = connection.client.host if connection.client else ""
    try:
        return forwarded(peer, ",".join(connection.headers.getlist("x-forwarded-for")), trusted)
    except ValueError:  # what is written down of a request must not depend on rubbish in a header
        return peer


def request_host(connection: HTTPConnection) -> str:
    """The host of the request without its port; empty when it names none."""
    match = HOST.fullmatch(connection.headers.get("host", ""))
    return match[1] if match else ""
