"""baresip-python that calls, answers, holds and transfers, speaks a tone and measures what it hears.

It runs in a child process, which is this module run as a program; orders go to it over a Unix socket, which
no network namespace keeps from it. One order is a line of JSON, and so is its answer.
"""

import array
import asyncio
import json
import logging
import math
import shutil
import signal
import socket
import sys
import tempfile
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.patience import limit
from tests.peers.baresip_python import ROOT
from tests.peers.phone import Account, Address
from tests.peers.process import PeerFailed, Process
from tests.peers.rtp import RATE, goertzel, level

ORDER_SECONDS: Final = limit(30.0)
FRAME_SECONDS: Final = 0.02
AHEAD_SECONDS: Final = 0.12
"""So much of the tone waits to be sent: a busy machine lets nobody write for as long."""
LOUD: Final = 8_000
PROCESS: Final = "baresip-calling"


@dataclass(frozen=True)
class Sound:
    """What came in within the last second."""

    samples: int
    level: float
    """The root mean square, 0 for silence."""
    shares: dict[float, float]
    """How much of it is in each tone that was asked for."""


class BaresipCaller:
    """One account over UDP, TCP or TLS. All methods block, and raise PeerFailed when baresip refuses."""

    def __init__(
        self,
        tmp: Path,
        account: Account,
        server: Address,
        *,
        transport: str = "udp",
        address: str = "127.0.0.1",
        tone: float = 440.0,
        interval: int = 600,
        params: tuple[str, ...] = (),
    ) -> None:
        """`address` is that of its own interface, `tone` what it says in every call.

        `params` are more parameters of its account, for example `mediaenc=srtp-mand`.
        """
        folder = tmp / f"{PROCESS}-{account.username}"
        folder.mkdir(parents=True, exist_ok=True)
        self._short = Path(tempfile.mkdtemp(prefix="baresip-"))  # the path of a socket has 108 octets
        order = {
            "username": account.username,
            "password": account.password,
            "domain": account.domain,
            "transport": transport,
            "registrar": "sip:{}:{};transport={}".format(*server, transport),
            "interval": interval,
            "address": address,
            "tone": tone,
            "params": params,
            "control": str(self._short / "control"),
        }
        (folder / "order.json").write_text(json.dumps(order))
        self._control = str(self._short / "control")
        argv = [sys.executable, "-P", "-m", "tests.peers.baresip_calling", "order.json"]
        self._process = Process(PROCESS, argv, folder, environment={"PYTHONPATH": str(ROOT)})

    @property
    def output(self) -> str:
        """What it printed last, its SIP messages among it."""
        return self._process.last_lines(10_000)

    def call(self, uri: str) -> int:
        """Call somebody, and return when that is answered: the number of the call."""
        return int(self._do("call", uri=uri))

    def wait_incoming(self, within: float = 10.0) -> int:
        """The number of a call that rings here."""
        return int(self._do("incoming", within=within))

    def answer(self, call: int) -> None:
        """Take it, and return when the call stands."""
        self._do("answer", call=call)

    def reject(self, call: int) -> None:
        """486."""
        self._do("reject", call=call)

    def hang_up(self, call: int) -> None:
        self._do("hangup", call=call)

    def hold(self, call: int) -> None:
        self._do("hold", call=call)

    def resume(self, call: int) -> None:
        self._do("resume", call=call)

    def transfer(self, call: int, uri: str) -> None:
        """Blind transfer: return when the other one has reached it."""
        self._do("transfer", call=call, uri=uri)

    def attended_transfer(self, call: int, consulted: int) -> None:
        """Join the other side of a call with that of another one."""
        self._do("attended", call=call, consulted=consulted)

    def state(self, call: int) -> str:
        """incoming, outgoing, established or closed; on hold by the other side: held."""
        return str(self._do("state", call=call))

    def heard(self, call: int, *tones: float) -> Sound:
        """What came in within the last second."""
        found = self._do("heard", call=call, tones=list(tones))
        return Sound(
            found["samples"], found["level"], dict(zip(tones, map(float, found["shares"]), strict=True))
        )

    def _do(self, what: str, **details: object) -> Any:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ORDER_SECONDS)
            line.connect(self._control)
            line.sendall(json.dumps({"do": what, **details}).encode() + b"\n")
            answer = json.loads(line.makefile().readline() or '{"error": "it ended"}')
        if "error" in answer:
            raise PeerFailed(f"baresip cannot {what}: {answer['error']}\n{self._process.last_lines()}")
        return answer["done"]

    def start(self) -> None:
        """Start, and return when it is registered."""
        self._process.start()
        self._process.wait_ready(lambda: Path(self._control).exists())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()
        shutil.rmtree(self._short, ignore_errors=True)


# The child


class _Phone:
    """Serves the orders."""

    def __init__(self, agent: Any, tone: float) -> None:
        self._agent = agent
        self._tone = tone
        self._calls: list[Any] = []
        self._heard: dict[int, deque[int]] = {}
        self._ringing: asyncio.Queue[int] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        agent.on_incoming(lambda call: self._ringing.put_nowait(self._add(call)))
        agent.on_transfer_call(lambda call: self._ringing.put_nowait(self._add(call)))

    def _add(self, call: Any) -> int:
        self._calls.append(call)
        number = len(self._calls) - 1
        self._heard[number] = deque(maxlen=RATE)
        self._tasks.append(asyncio.ensure_future(self._sound(number)))
        return number

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One order."""
        order = json.loads(await reader.readline())
        try:
            answer = {"done": await getattr(self, f"_do_{order.pop('do')}")(**order)}
        except Exception as error:  # whatever it is, the test must hear of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def _do_call(self, uri: str) -> int:
        call = await self._agent.dial(uri)
        number = self._add(call)
        await call.wait_established()
        return number

    async def _do_incoming(self, within: float) -> int:
        return await asyncio.wait_for(self._ringing.get(), limit(within))

    async def _do_answer(self, call: int) -> None:
        await self._calls[call].answer()
        await self._calls[call].wait_established()

    async def _do_reject(self, call: int) -> None:
        await self._calls[call].reject()

    async def _do_hangup(self, call: int) -> None:
        await self._calls[call].hangup()

    async def _do_hold(self, call: int) -> None:
        await self._calls[call].hold()

    async def _do_resume(self, call: int) -> None:
        await self._calls[call].resume()

    async def _do_transfer(self, call: int, uri: str) -> None:
        await self._calls[call].transfer(uri)

    async def _do_attended(self, call: int, consulted: int) -> None:
        await self._calls[call].attended_transfer(self._calls[consulted])

    async def _do_state(self, call: int) -> str:
        one = self._calls[call]
        state = str(one.state.value)
        return "held" if state == "established" and one.remote_on_hold else state

    async def _do_heard(self, call: int, tones: list[float]) -> dict[str, Any]:
        heard = self._heard[call]
        heard.clear()
        await asyncio.sleep(1.0)
        samples = list(heard)
        shares = [goertzel(samples, tone) for tone in tones]
        return {"samples": len(samples), "level": level(samples), "shares": shares}

    async def _sound(self, number: int) -> None:
        """Speak and listen until the call is over."""
        import baresip

        call, said = self._calls[number], 0
        while call.state.value != "closed":
            with suppress(baresip.AudioNotActive, baresip.AudioRestarted, baresip.StaleHandleError):
                info = call.audio.info()
                if info.tx_ready:
                    missing = int(AHEAD_SECONDS * info.tx_sample_rate) - info.tx_buffered // 2
                    if missing > 0:
                        said += call.audio.write(_wave(self._tone, info.tx_sample_rate, said, missing)) // 2
                if info.rx_ready:
                    self._heard[number].extend(array.array("h", call.audio.read(65_536)))
            await asyncio.sleep(FRAME_SECONDS)


def _wave(tone: float, rate: int, start: int, count: int) -> bytes:
    turn = 2 * math.pi * tone / rate
    return array.array("h", (int(LOUD * math.sin(turn * at)) for at in range(start, start + count))).tobytes()


async def _be_a_phone(order: dict[str, Any]) -> None:
    """Register, and serve orders until SIGTERM."""
    import baresip  # has no wheel for some machines, whose other tests import this module

    asked_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_end.set)
    configuration = baresip.Config(
        net_interface=order["address"],
        max_concurrent_calls=10,
        extra_config_text=f"sip_listen {order['address']}:0\n",
        sip_trace=True,
    )
    account = baresip.Account(
        order["username"],
        order["domain"],
        order["password"],
        transport=order["transport"],
        registrar=order["registrar"],
        reg_interval=order["interval"],
        extra_params=(f'outbound="{order["registrar"]}"', *order["params"]),
    )
    runtime = baresip.Runtime()
    await runtime.start(configuration)
    try:
        agent = await baresip.UserAgent.create(runtime, account, transfer_policy="auto")
        await agent.register()
        server = await asyncio.start_unix_server(_Phone(agent, order["tone"]).serve, order["control"])
        async with server:
            await asked_to_end.wait()
    finally:
        await runtime.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("baresip.native.sip").setLevel(logging.DEBUG)
    asyncio.run(_be_a_phone(json.loads(Path(sys.argv[1]).read_text())))
