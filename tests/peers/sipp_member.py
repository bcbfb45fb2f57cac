"""sipp as one phone of a group over UDP: it does one thing with a call, and keeps all messages."""

import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.peers.phone import Account, Address
from tests.peers.ports import free_port
from tests.peers.process import Process
from tests.peers.sipp_calls import Extension, Phones

BETWEEN: Final = re.compile(r"^-{20,}.*\n", re.MULTILINE)
RECEIVED: Final = re.compile(r"UDP message received \[\d+\] bytes ?:\s*\n\n(.*)", re.DOTALL)

_RESPONSE: Final = """<send{retrans}><![CDATA[

SIP/2.0 {status}
[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:]{tag}
[last_Call-ID:]
{cseq}
{headers}Content-Length: {length}

{body}]]></send>"""
_SDP: Final = """v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 4002 RTP/AVP 0
a=rtpmap:0 PCMU/8000

"""
_CONTACT: Final = "Contact: <sip:sipp@[local_ip]:[local_port]>\n"
_INVITED: Final = (
    '<recv request="OPTIONS" optional="true" next="ping"/><recv request="INVITE"><action>'
    '<ereg regexp="[0-9]+ INVITE" search_in="hdr" header="CSeq:" assign_to="cseq"/></action></recv>'
)
_PING: Final = '<label id="ping"/>{}<label id="end"/>'


def response(
    status: str, *, tagged: bool = True, cseq: str = "[last_CSeq:]", headers: str = "", body: str = ""
) -> str:
    """A step of a scenario that answers the last request."""
    return _RESPONSE.format(
        status=status,
        retrans=' retrans="500"' if status.startswith("200") and body else "",
        tag=";tag=[pid]s[call_number]" if tagged else "",
        cseq=cseq,
        headers=headers,
        length="[len]" if body else "0",
        body=body,
    )


RINGING: Final = response("180 Ringing", headers=_CONTACT)
CANCELLED: Final = (
    '<recv request="CANCEL"/>'
    + response("200 OK")
    + response("487 Request Terminated", cseq="CSeq: [$cseq]")
    + '<recv request="ACK"/>'
)


def answers(after: float) -> str:
    """Ring, and answer after that many seconds; then the caller hangs up."""
    return (
        RINGING
        + f'<pause milliseconds="{round(after * 1000)}"/>'
        + response("200 OK", headers=f"{_CONTACT}Content-Type: application/sdp\n", body=_SDP)
        + '<recv request="ACK"/><recv request="BYE"/>'
        + response("200 OK", tagged=False)
    )


def loses() -> str:
    """Ring until the call is cancelled."""
    return RINGING + CANCELLED


def refuses(status: str, headers: str = "") -> str:
    """Refuse the call."""
    return response(status, headers=headers) + '<recv request="ACK"/>'


class Member:
    """One phone: registered from the port that sipp then has."""

    def __init__(self, tmp: Path, account: Account, number: str, server: Address, act: str) -> None:
        port = free_port()
        self._phones = Phones([Extension(account, number)], server, port)
        folder = tmp / f"sipp-member-{port}"
        folder.mkdir(parents=True)
        (folder / "scenario.xml").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="member">\n'
            f'{_INVITED}{act}<nop next="end"/>{_PING.format(response("200 OK"))}\n'
            '<Reference variables="cseq"/>\n</scenario>\n'
        )
        self._messages = folder / "messages.log"
        self._process = Process(
            "sipp",
            [
                *("sipp", f"{server[0]}:{server[1]}", "-sf", "scenario.xml", "-t", "u1", "-nostdin"),
                *("-i", "127.0.0.1", "-p", str(port), "-cp", str(free_port())),
                *("-default_behaviors", "abortunexp", "-trace_msg", "-message_file", "messages.log"),
                *("-trace_err", "-error_file", "errors.log"),
            ],
            folder,
        )

    def start(self) -> None:
        """Register, and then be there for calls."""
        self._phones.register()
        self._process.start()

    def received(self, method: str) -> list[str]:
        """The requests with this method that came, in their order."""
        text = self._messages.read_text(errors="replace") if self._messages.exists() else ""
        found = [RECEIVED.match(part) for part in BETWEEN.split(text)]
        return [one[1] for one in found if one and one[1].startswith(f"{method} ")]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill9()


def listed(message: str, name: str) -> Sequence[str]:
    """The values of a header of a message as sipp has written it."""
    lines = [line.partition(":") for line in message.split("\n")]
    return [value.strip() for key, _, value in lines if key.strip().lower() == name.lower()]
