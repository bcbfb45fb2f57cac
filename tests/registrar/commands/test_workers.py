"""How many workers there are, and which sockets each of them has."""

from pathlib import Path

import pytest

from registrar.commands.side import Side
from registrar.commands.workers import MOST_BY_DEFAULT, Ports, cores, count
from registrar.errors import ConfigurationError
from registrar.settings import Settings, read
from tests.every import every
from tests.peers.ports import free_port


def settings(**given: str) -> Settings:
    quiet = {f"sip_{name}": "" for name in ("udp", "tcp", "tls", "ws", "wss")}
    return read({f"REGISTRAR_{name.upper()}": value for name, value in (quiet | given).items()})


@every(
    ("text", "most"),
    [("max 100000", 1_000), ("200000 100000", 2), ("50000 100000", 1), ("nonsense", 1_000), ("", 1_000)],
)
def test_a_container_uses_the_cores_that_it_may(text: str, most: int, tmp_path: Path) -> None:
    quota = tmp_path / f"cpu.max {text}"
    quota.write_text(text)
    assert cores(quota) == min(cores(tmp_path / "missing"), most) >= 1


@every(
    ("workers", "side", "number"),
    [
        ("1", Side.ALL, 0),
        ("2", Side.ALL, 2),
        ("2", Side.SIP, 2),
        ("2", Side.API, 0),
        ("64", Side.ALL, 64),
    ],
)
def test_the_number_of_workers(workers: str, side: Side, number: int) -> None:
    assert count(settings(workers=workers), side) == number


def test_each_core_has_a_worker_up_to_a_limit_if_it_is_wished() -> None:
    assert count(settings(workers="auto"), Side.ALL) == min(MOST_BY_DEFAULT, cores())
    assert count(settings(), Side.ALL) == 0, "one process is the default"


@every("workers", ["0", "65", "two", "-1", ""])
def test_another_number_of_workers_is_refused(workers: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"REGISTRAR_WORKERS: .* is not auto or a number from 1 to 64"
    ):
        settings(workers=workers)


@every("given", [{"node_sip": "127.0.0.1:65534"}, {"node_tls": "127.0.0.1:65535"}])
def test_ports_between_nodes_that_run_out_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"2 workers want the ports from 65535 on"):
        Ports(settings(**given), 2)


def test_each_worker_has_its_sockets_and_a_name() -> None:
    """The first one is called as a process that is alone, so that it goes on with its phones."""
    port, own = free_port(), free_port()
    where = f"127.0.0.1:{port}"
    given = {"sip_udp": where, "sip_tcp": where, "node_sip": f"127.0.0.1:{own - 2}"}
    ports = Ports(settings(**given), 2)
    try:
        second = ports.of(2, is_first_start=True)
        assert second.sockets["udp", ("127.0.0.1", port)].getsockname() == ("127.0.0.1", port)
        assert second.sockets["tcp", ("127.0.0.1", port)].getsockname() == ("127.0.0.1", port)
        assert second.node_sip(f"127.0.0.1:{own - 2}", "unix:///x") == f"127.0.0.1:{own}"
        assert (second.name("n"), second.siblings("n")) == ("n/2", frozenset({"n"}))
        assert sorted(second.outboxes) == [1, 2]
    finally:
        ports.close()
