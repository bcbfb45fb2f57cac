"""baresip-python, the newer baresip as a package: one account over UDP, TCP or TLS that registers and stays.

It runs in a child process, which is this module run as a program: so that its power can be cut.
"""

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.peers.phone import Account, Address
from tests.peers.process import Process

ROOT: Final = Path(__file__).parents[2]
REGISTERED: Final = "registered"
"""The line that it prints when it is."""
REFUSED: Final = 1
"""Its exit code when it could not register."""


class BaresipPython:
    """One account; it refreshes by itself, `interval` is what it asks for in seconds.

    Over TLS it talks to no server whose certificate `ca` does not vouch for.
    """

    def __init__(
        self,
        tmp: Path,
        account: Account,
        server: Address,
        *,
        transport: str = "udp",
        ca: Path | None = None,
        interval: int = 60,
        refresh_percent: int = 90,
    ) -> None:
        """`refresh_percent`, from 5 to 95: how much of the granted time it lets pass."""
        folder = tmp / f"baresip-python-{account.username}"
        folder.mkdir(parents=True, exist_ok=True)
        order = {
            "username": account.username,
            "password": account.password,
            "domain": account.domain,
            "transport": transport,
            "registrar": "sip:{}:{};transport={}".format(*server, transport),
            "ca": str(ca) if ca else "",
            "interval": interval,
            "refresh_percent": refresh_percent,
        }
        (folder / "order.json").write_text(json.dumps(order))
        # -P: the folder of this module has other modules with the names of packages.
        argv = [sys.executable, "-P", "-m", "tests.peers.baresip_python", "order.json"]
        self._process = Process("baresip-python", argv, folder, environment={"PYTHONPATH": str(ROOT)})

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """What it printed last."""
        return self._process.last_lines(10_000)

    def start(self) -> None:
        """Start, and return when it says that it is registered; PeerFailed when it is refused."""
        self._process.start()
        self._process.wait_ready(lambda: REGISTERED in self.output.splitlines())

    def refusal(self, within: float) -> str:
        """Start, and return all that it says of why it cannot register."""
        self._process.start()
        code = self._process.wait(within)
        assert code == REFUSED, f"ended with {code}: {self.output}"
        return self.output

    def kill9(self) -> None:
        """End it without a word, as a power cut does."""
        self._process.kill9()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()


async def _be_a_phone(order: dict[str, Any]) -> int:
    """Register and stay until SIGTERM, then take the registration back. The exit code."""
    import baresip  # has no wheel for some machines, whose other tests import this module

    asked_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_end.set)
    trusted = f"sip_cafile {order['ca']}\nsip_verify_server yes\n" if order["ca"] else ""
    configuration = baresip.Config(
        net_interface="127.0.0.1", extra_config_text=f"sip_listen 127.0.0.1:0\n{trusted}"
    )
    account = baresip.Account(
        order["username"],
        order["domain"],
        order["password"],
        transport=order["transport"],
        registrar=order["registrar"],
        reg_interval=order["interval"],
        extra_params=(f"rwait={order['refresh_percent']}",),
    )
    runtime = baresip.Runtime()
    await runtime.start(configuration)
    try:
        phone = await baresip.UserAgent.create(runtime, account)
        await phone.register()
        print(REGISTERED, flush=True)
        await asked_to_end.wait()
        await phone.unregister()
    except baresip.RegistrationError as refusal:
        print(refusal, flush=True)
        return REFUSED
    finally:
        await runtime.close()
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(asyncio.run(_be_a_phone(json.loads(Path(sys.argv[1]).read_text()))))
