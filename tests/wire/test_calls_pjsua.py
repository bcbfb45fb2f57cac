"""pjsua2 with its default settings: a large INVITE goes by TCP although the phone is registered over UDP."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.peers.calling_session import Incoming
from tests.peers.calling_transactions import Server
from tests.peers.pjsua import PjsuaPhone
from tests.peers.ports import free_port
from tests.wire.callers import Callers, Extension, call_keys, eventually, talk
from tests.wire.need import need, need_module
from tests.wire.site import Site, within
from tests.wire.sizes import LONGEST_URI

pytestmark = pytest.mark.wire

TALK_SECONDS: Final = 60.0
IDLE: Final = "is being destroyed due to timeout in idle timer"
"""What pjsip says of a connection that it closes after 33 s."""


class OnePort(Site):
    """UDP and TCP on one port, as phones that change from one to the other expect it; TLS on another."""

    def __init__(self, tmp: Path) -> None:
        place = ("127.0.0.1", free_port())
        listener = "{}:{}".format(*place)
        super().__init__(tmp, sip_udp=listener, sip_tcp=listener, transports=("tls",))
        self.sip = place
        self.listeners |= {"udp": place, "tcp": place}


@pytest.fixture(scope="module")
def one_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need("redis-cli")
    need_module("pjsua2")
    with OnePort(tmp_path_factory.mktemp("pjsua")) as site:
        site.demo()
        yield site


@pytest.fixture
async def callers(one_port: Site) -> AsyncIterator[Callers]:
    """Its phones."""
    async with Callers(one_port) as callers:
        yield callers
    within(5, lambda: not call_keys(one_port), "no call is left")


@asynccontextmanager
async def desk(
    callers: Callers, tmp: Path, extension: Extension | None = None, **settings: Any
) -> AsyncIterator[PjsuaPhone]:
    """A phone of pjsua2 that is registered, over UDP unless `settings` say otherwise."""
    account = (extension or callers.extension()).handset.account
    phone = PjsuaPhone(tmp, account, settings.pop("server", callers.site.sip), **settings)
    await asyncio.to_thread(phone.start)
    try:
        yield phone
    finally:
        await asyncio.to_thread(phone.close)


async def connected(callers: Callers, phone: PjsuaPhone) -> tuple[int, Incoming]:
    """The desk phone calls somebody, by TCP, who takes it."""
    called = callers.extension()
    b = await callers.phone(called.handset)
    call = await asyncio.to_thread(phone.call, f"sip:{called.number}@{called.handset.account.domain}")
    incoming = await b.incoming()
    incoming.ring()
    incoming.answer()
    await incoming.acknowledged()
    await asyncio.to_thread(phone.wait_state, call, "CONFIRMED")
    assert went_by_tcp(phone, "INVITE")
    return call, incoming


def went_by_tcp(desk: PjsuaPhone, method: str) -> bool:
    """Whether its last request of that method did."""
    sent: list[str] = re.findall(rf"TX [0-9]+ bytes Request msg {method}/.* to (TCP|UDP) ", desk.output)
    return sent[-1] == "TCP"


@pytest.mark.timed
async def test_after_a_minute_one_hangs_up_and_another_holds(callers: Callers, tmp_path: Path) -> None:
    """The connection of their INVITE is closed by then: both come by a new one, and are challenged."""
    async with desk(callers, tmp_path / "first") as first, desk(callers, tmp_path / "second") as second:
        call, incoming = await connected(callers, first)
        other_call, other_incoming = await connected(callers, second)
        await asyncio.sleep(TALK_SECONDS)
        assert IDLE in first.output and IDLE in second.output

        await asyncio.to_thread(first.hang_up, call)
        await incoming.asked("BYE")
        await asyncio.to_thread(first.wait_state, call, "DISCONNCTD")
        assert went_by_tcp(first, "BYE")
        assert "407/BYE" in first.output and "200/BYE" in first.output

        await asyncio.to_thread(second.hold, other_call)
        held = await other_incoming.asked("INVITE")
        assert b"a=sendonly" in held.request.body
        assert went_by_tcp(second, "INVITE")
        assert (await other_incoming.bye()).status == 200
        await asyncio.to_thread(second.wait_state, other_call, "DISCONNCTD")


async def test_it_joins_two_calls_of_somebody_else(callers: Callers, tmp_path: Path) -> None:
    """An attended transfer with pjsua2 as transferee: it must be able to hold the URI that it is told.

    A talks to it and to C and joins them, as SIP.js does: REFER with the Contact that A was shown of C.
    """
    bert, carl = callers.extension(), callers.extension()
    a = await callers.phone(callers.extension().handset, "tcp")
    c = await callers.phone(carl.handset)
    async with desk(callers, tmp_path, bert, answers=True):
        first = await a.call(bert.number)
        await first.answered()
        second, consulted = await talk(a, c, carl.number)
        with_c = second.dialog
        replaces = f"{with_c.call_id};to-tag={with_c.remote_tag};from-tag={with_c.local_tag}"
        target = f"<{with_c.target}?Replaces={quote(replaces, safe='')}>"
        assert len(target.strip("<>")) <= LONGEST_URI
        assert (await first.request("REFER", [f"Refer-To: {target}"])).status == 202
        rung = await c.incoming(nth=1)
        assert rung.invite.header("replaces") == replaces
        assert rung.number == bert.number
        rung.answer()
        await rung.acknowledged()
        assert (await consulted.bye()).status == 200
        await second.asked("BYE")
        await eventually(lambda: told(a.requests), "the transferor is told that it worked")
        assert (await first.bye()).status == 200
        assert (await rung.bye()).status == 200


def told(requests: Sequence[Server]) -> bool:
    """Whether a NOTIFY says 200."""
    return any(b"SIP/2.0 200" in one.request.body for one in requests)


@pytest.mark.parametrize("scheme", ["sips", "sip"])
async def test_a_phone_of_sips_calls_and_is_called(callers: Callers, tmp_path: Path, scheme: str) -> None:
    """All of it by TLS, whether the other side is dialled as `sips:` or as `sip:` (RFC 3261 26.2.2)."""
    bert, other = callers.extension(), callers.extension()
    b = await callers.phone(other.handset, "tls")
    domain = bert.handset.account.domain
    server = callers.site.tls
    async with desk(callers, tmp_path, bert, server=server, transport="tls", scheme="sips") as phone:
        assert all(contact.startswith("sips:") for contact in callers.site.contacts(bert.handset))
        call = await asyncio.to_thread(phone.call, f"{scheme}:{other.number}@{domain}")
        incoming = await b.incoming()
        incoming.ring()
        incoming.answer()
        await incoming.acknowledged()
        await asyncio.to_thread(phone.wait_state, call, "CONFIRMED")
        await asyncio.to_thread(phone.hold, call)
        await incoming.asked("INVITE")
        assert (await incoming.bye()).status == 200
        await asyncio.to_thread(phone.wait_state, call, "DISCONNCTD")

        outgoing = await b.call(bert.number)
        came = await asyncio.to_thread(phone.incoming)
        await asyncio.to_thread(phone.answer, came)
        await outgoing.answered()
        await asyncio.to_thread(phone.hang_up, came)
        await outgoing.asked("BYE")
