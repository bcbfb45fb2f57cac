"""The limits of the operating system."""

from typing import Final

from .finding import Finding, ok, warn

WHAT: Final = "open files"
FEW_DESCRIPTORS: Final = 4_096


def open_files(limit: int, connections: int) -> Finding:
    """Return the finding about open files.

    `limit` is the number of files that a process started here may open. It leaves room for `connections`
    connections.
    """
    detail = f"{limit} from here, room for {connections} connections of phones (TCP, TLS, WebSocket)"
    if limit < FEW_DESCRIPTORS:
        return warn(WHAT, detail, "ulimit -n 65536, or LimitNOFILE=65536 in the unit")
    return ok(WHAT, detail)
