"""A desk phone with default settings: pjsua2, which millions of phones and apps are made of.

It runs in a child process, which is this module run as a program; orders go to it over a Unix socket, which
no network namespace keeps from it. One order is a line of JSON, and so is its answer.
"""

import json
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.patience import limit
from tests.peers.phone import Account, Address
from tests.peers.process import PeerFailed, Process, wait_until

ROOT: Final = Path(__file__).parents[2]
PROCESS: Final = "pjsua"
ORDER_SECONDS: Final = limit(30.0)
SOON: Final = 15.0
TURN_MS: Final = 10


def _parameter(scheme: str, transport: str) -> str:
    """What a URI says of its transport: nothing where its scheme does."""
    return "" if (scheme, transport) in (("sip", "udp"), ("sips", "tls")) else f";transport={transport}"


class PjsuaPhone:
    """One account over UDP, TCP or TLS, with pjsip's default codecs and behaviour. All methods block."""

    def __init__(
        self,
        tmp: Path,
        account: Account,
        server: Address,
        *,
        transport: str = "udp",
        scheme: str = "sip",
        address: str = "127.0.0.1",
        interval: int = 300,
        answers: bool = False,
    ) -> None:
        """`address` is that of its own interface; `answers`: it takes each call at once.

        `scheme` is that of its own URI and of the server's: with `sips` it goes by TLS.
        """
        folder = tmp / f"{PROCESS}-{account.username}"
        folder.mkdir(parents=True, exist_ok=True)
        self._short = Path(tempfile.mkdtemp(prefix="pjsua-"))  # the path of a socket has 108 octets
        self._control = str(self._short / "control")
        order = {
            "username": account.username,
            "password": account.password,
            "domain": account.domain,
            "server": f"{scheme}:{server[0]}:{server[1]}{_parameter(scheme, transport)}",
            "scheme": scheme,
            "address": address,
            "interval": interval,
            "answers": answers,
            "control": self._control,
        }
        (folder / "order.json").write_text(json.dumps(order))
        argv = [sys.executable, "-P", "-m", "tests.peers.pjsua", "order.json"]
        self._process = Process(PROCESS, argv, folder, environment={"PYTHONPATH": str(ROOT)})

    @property
    def output(self) -> str:
        """What it printed last, its SIP messages among it."""
        return self._process.last_lines(20_000)

    def call(self, uri: str) -> int:
        """Call somebody: the number of the call, which need not be answered yet."""
        return int(self._do("call", uri=uri))

    def incoming(self) -> int:
        """The number of the call that came last, once there is one."""
        wait_until(lambda: self._do("incoming") is not None, f"a call comes\n{self.output}", SOON)
        return int(self._do("incoming"))

    def answer(self, call: int) -> None:
        self._do("answer", call=call)

    def hang_up(self, call: int) -> None:
        self._do("hangup", call=call)

    def hold(self, call: int) -> None:
        self._do("hold", call=call)

    def resume(self, call: int) -> None:
        self._do("resume", call=call)

    def state(self, call: int) -> str:
        """CALLING, EARLY, CONFIRMED, DISCONNCTD and so on, in pjsip's own words."""
        return str(self._do("state", call=call)[0])

    def status(self, call: int) -> int:
        """The last status of a call."""
        return int(self._do("state", call=call)[1])

    def calls(self) -> list[int]:
        """The numbers of all calls that are there."""
        return [int(number) for number in self._do("calls")]

    def wait_state(self, call: int, state: str, within: float = SOON) -> None:
        """Until a call is in a state."""
        wait_until(lambda: self.state(call) == state, f"call {call} is {state}\n{self.output}", within)

    def _do(self, what: str, **details: object) -> Any:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ORDER_SECONDS)
            line.connect(self._control)
            line.sendall(json.dumps({"do": what, **details}).encode() + b"\n")
            answer = json.loads(line.makefile().readline() or '{"error": "it ended"}')
        if "error" in answer:
            raise PeerFailed(f"pjsua2 cannot {what}: {answer['error']}\n{self._process.last_lines()}")
        return answer["done"]

    def start(self) -> None:
        """Start, and return when it is registered."""
        self._process.start()
        self._process.wait_ready(lambda: Path(self._control).exists())
        wait_until(lambda: bool(self._do("registered")), f"it registers\n{self.output}")

    def kill9(self) -> None:
        """End it without a word, as a power cut does."""
        self._process.kill9()

    def close(self) -> None:
        """Stop it."""
        self._process.close()
        shutil.rmtree(self._short, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# The child


def _kinds(pj: Any, desk: "_Desk") -> tuple[Any, Any]:
    """A call and an account that tell the desk what happens."""

    class Call(pj.Call):  # type: ignore[misc]  # the package has no types
        def onCallTransferRequest(self, prm: Any) -> None:
            prm.newCall = desk.followed = Call(desk.account)

        def onCallReplaced(self, prm: Any) -> None:
            desk.calls[prm.newCallId] = Call(desk.account, prm.newCallId)

        def onCallState(self, prm: Any) -> None:
            desk.calls.setdefault(self.getInfo().id, self)

    class Phone(pj.Account):  # type: ignore[misc]
        def onIncomingCall(self, prm: Any) -> None:
            call = desk.calls[prm.callId] = Call(self, prm.callId)
            desk.came.append(prm.callId)
            answer = pj.CallOpParam()
            answer.statusCode = 200 if desk.answers else 180
            call.answer(answer)

    return Call, Phone


class _Desk:
    """Serves the orders."""

    def __init__(self, pj: Any, order: dict[str, Any]) -> None:
        self._pj = pj
        self.calls: dict[int, Any] = {}
        self.came: list[int] = []
        self.answers: bool = order["answers"]
        self.followed: Any = None
        """Kept, or pjsua2 would lose the call that a transfer has made."""
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.maxCalls = 16
        config.logConfig.level = config.logConfig.consoleLevel = 5
        self.endpoint.libInit(config)
        self.endpoint.audDevManager().setNullDev()
        bound = pj.TransportConfig()
        bound.boundAddress = order["address"]
        self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, bound)
        self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_TCP, bound)
        self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_TLS, bound)
        self.endpoint.libStart()
        settings = pj.AccountConfig()
        settings.idUri = f"{order['scheme']}:{order['username']}@{order['domain']}"
        settings.regConfig.registrarUri = f"{order['scheme']}:{order['domain']}"
        settings.regConfig.timeoutSec = order["interval"]
        settings.sipConfig.proxies.append(f"{order['server']};lr")
        settings.sipConfig.authCreds.append(
            pj.AuthCredInfo("digest", "*", order["username"], 0, order["password"])
        )
        settings.mediaConfig.transportConfig.boundAddress = order["address"]
        self._call, phone = _kinds(pj, self)
        self.account = phone()
        self.account.create(settings)

    def do_registered(self) -> bool:
        return bool(self.account.getInfo().regIsActive)

    def do_call(self, uri: str) -> int:
        call = self._call(self.account)
        call.makeCall(uri, self._pj.CallOpParam(True))
        self.calls[call.getInfo().id] = call
        return int(call.getInfo().id)

    def do_calls(self) -> list[int]:
        return [number for number, call in self.calls.items() if call.isActive()]

    def do_incoming(self) -> int | None:
        return self.came[-1] if self.came else None

    def do_answer(self, call: int) -> None:
        answer = self._pj.CallOpParam()
        answer.statusCode = 200
        self.calls[call].answer(answer)

    def do_hangup(self, call: int) -> None:
        self.calls[call].hangup(self._pj.CallOpParam())

    def do_hold(self, call: int) -> None:
        self.calls[call].setHold(self._pj.CallOpParam(True))

    def do_resume(self, call: int) -> None:
        again = self._pj.CallOpParam(True)
        again.opt.flag = self._pj.PJSUA_CALL_UNHOLD
        self.calls[call].reinvite(again)

    def do_state(self, call: int) -> list[Any]:
        if not self.calls[call].isActive():
            return ["DISCONNCTD", 0]
        info = self.calls[call].getInfo()
        return [info.stateText, info.lastStatusCode]

    def serve(self, door: socket.socket) -> None:
        """One order, if there is any."""
        try:
            line, _ = door.accept()
        except BlockingIOError:
            return
        with line:
            line.setblocking(True)
            order = json.loads(line.makefile().readline())
            try:
                answer = {"done": getattr(self, f"do_{order.pop('do')}")(**order)}
            except Exception as error:  # whatever it is, the test must hear of it
                answer = {"error": f"{type(error).__name__}: {error}"}
            line.sendall(json.dumps(answer).encode() + b"\n")


def _be_a_phone(order: dict[str, Any]) -> None:
    """Register, and serve orders until SIGTERM."""
    import pjsua2  # has no wheel for some machines, whose other tests import this module

    asked_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_end.append(number))
    desk = _Desk(pjsua2, order)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{order['control']}.new")
        door.listen(8)
        door.setblocking(False)
        Path(f"{order['control']}.new").rename(order["control"])  # whoever sees it is heard
        while not asked_to_end:
            desk.endpoint.libHandleEvents(TURN_MS)
            desk.serve(door)
    desk.endpoint.libDestroy()


if __name__ == "__main__":
    _be_a_phone(json.loads(Path(sys.argv[1]).read_text()))
