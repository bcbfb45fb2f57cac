"""deploy/systemd/registrar.service: what it forbids is much, and nothing that `registrar serve` needs."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.peers.confined import confined
from tests.peers.phone import UdpPhone
from tests.peers.ports import free_port
from tests.peers.process import CLEAN_ENVIRONMENT, Process
from tests.peers.registrar import COMMAND
from tests.wire.connected import registered
from tests.wire.need import need, need_namespace
from tests.wire.site import Site

pytestmark = pytest.mark.wire

ROOT: Final = Path(__file__).parents[2]
UNIT: Final = ROOT / "deploy" / "systemd" / "registrar.service"
MOST: Final = 3.0


def test_its_exposure_is_small() -> None:
    need("systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", "security", "--offline=true", str(UNIT)],
        env={**CLEAN_ENVIRONMENT, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= MOST


class ConfinedSite(Site):
    """A server under what the unit forbids; only its data directory can be written."""

    fresh = True

    def __init__(self, tmp: Path) -> None:
        state = tmp / "state"
        state.mkdir()
        https = f"127.0.0.1:{free_port()}"
        transports = ("tcp", "tls", "ws", "wss")
        super().__init__(tmp, transports=transports, https=https, data_dir=str(state))
        environment = {**self.environment, "PYTHONPATH": str(ROOT)}
        argv = confined(UNIT, state, str(COMMAND), "serve")
        self._process = Process("registrar", argv, self._folder, environment=environment)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfinedSite]:
    need("systemd-analyze", "setpriv", "unshare")
    need_namespace()
    with ConfinedSite(tmp_path_factory.mktemp("confined")) as site:
        yield site


def test_what_it_forbids_breaks_nothing(site: ConfinedSite) -> None:
    """Its own Valkey, SQLite, a certificate, passwords, phones over every transport, and the end."""
    handset = site.new_phone()
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register(60).status == 200
    assert site.status(handset)["online"] is True
    for transport in ("tcp", "tls", "ws", "wss"):
        with registered(site, site.new_phone(), transport):
            pass
    assert site.health("ready") == 200
    assert "Traceback" not in site.log_text
    assert site.metric("registrar_unhandled_exceptions_total") == 0


@pytest.mark.parametrize(
    ("attempt", "error"),
    [
        pytest.param("open('/usr/share/here', 'w')", "OSError", id="write outside"),
        pytest.param("import os; os.setuid(1)", "PermissionError", id="be another user"),
        pytest.param("import os; os.chown('/proc/self', 1, 1)", "PermissionError", id="change an owner"),
        pytest.param("import socket; socket.socket(socket.AF_PACKET)", "PermissionError", id="see packets"),
        pytest.param(
            "import mmap; mmap.mmap(-1, 4096, prot=7)", "PermissionError", id="write what is executed"
        ),
        pytest.param(
            "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
            "AssertionError",
            id="make a namespace",
        ),
        pytest.param("open('/dev/vda')", "FileNotFoundError", id="read a disk"),
        pytest.param("open('/proc/sys/kernel/hostname', 'w')", "OSError", id="change the kernel"),
    ],
)
def test_what_it_forbids_is_forbidden(site: ConfinedSite, attempt: str, error: str) -> None:
    """The confinement of the test above is one."""
    argv = confined(UNIT, Path(site.settings["data_dir"]), sys.executable, "-c", attempt)
    environment = {**CLEAN_ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert error in done.stderr.splitlines()[-1], done.stderr
