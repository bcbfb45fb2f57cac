"""Groups whose members are sipp: who rings, who is told what, what the caller sees (docs/calls.md)."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.sipp_member import Member, answers, listed, loses, refuses
from tests.wire.callers import Callers, Extension, eventually
from tests.wire.conftest import Report
from tests.wire.need import need
from tests.wire.office import Office

pytestmark = pytest.mark.wire


@pytest.fixture
def office(callers: Callers) -> Office:
    need("sipp")
    return Office(callers)


@pytest.fixture
async def caller(callers: Callers) -> CallingPhone:
    return await callers.phone(callers.extension().handset)


class Crew:
    """sipp for each device of some people."""

    def __init__(self, stack: ExitStack, tmp: Path, people: Sequence[Extension], acts: Sequence[str]) -> None:
        self._stack, self._tmp = stack, tmp
        self._devices = [(one, handset) for one in people for handset in one.handsets]
        self._acts = acts
        self.members: list[Member] = []

    def start(self, office: Office) -> None:
        """Register all of them and start their sipp."""
        for (one, handset), act in zip(self._devices, self._acts, strict=True):
            member = Member(self._tmp, handset.account, one.number, office.callers.site.sip, act)
            self.members.append(self._stack.enter_context(member))


async def crew(
    stack: ExitStack, tmp: Path, office: Office, people: Sequence[Extension], acts: Sequence[str]
) -> list[Member]:
    """sipp at each device, in the order of the people."""
    made = Crew(stack, tmp, people, acts)
    await asyncio.to_thread(made.start, office)
    return made.members


async def test_six_devices_ring_and_five_are_told_why_not(
    office: Office, caller: CallingPhone, tmp_path: Path, report: Report
) -> None:
    people = [office.callers.extension(2) for _ in range(3)]
    acts = [loses(), loses(), answers(1.0), loses(), loses(), loses()]
    with ExitStack() as stack:
        members = await crew(stack, tmp_path, office, people, acts)
        outgoing = await caller.call(office.group(people).number)
        answer = await outgoing.answered()
        assert f"<sip:{people[1].number}@" in answer.header("p-asserted-identity")
        ringing = [one for one in outgoing.invite.responses if 100 < one.status < 200]
        assert [one.status for one in ringing] == [180]
        losers = [one for at, one in enumerate(members) if at != 2]
        await eventually(lambda: all(one.received("ACK") for one in losers), "each 487 is acknowledged")
        assert (await outgoing.bye()).status == 200
        await eventually(lambda: members[2].received("BYE"), "the winner hears of the end")
        assert [len(one.received("INVITE")) for one in members] == [1] * 6
        for one in losers:
            (cancel,) = one.received("CANCEL")
            reasons = listed(cancel, "Reason")
            assert any(reason.startswith("SIP;cause=200") for reason in reasons), cancel
            assert "Q.850;cause=26" in reasons
        assert members[2].received("CANCEL") == []
        report(f"sipp: {len(members)} INVITEs, {len(losers)} CANCELs with both Reasons, one 180")


async def test_603_302_and_486_of_members_end_nothing(
    office: Office, caller: CallingPhone, tmp_path: Path
) -> None:
    people = [office.callers.extension() for _ in range(4)]
    acts = [
        refuses("603 Decline"),
        refuses("302 Moved Temporarily", "Contact: <sip:1@127.0.0.1:9>\n"),
        refuses("486 Busy Here"),
        answers(1.5),
    ]
    with ExitStack() as stack:
        members = await crew(stack, tmp_path, office, people, acts)
        outgoing = await caller.call(office.group(people).number)
        await outgoing.answered()
        assert set(outgoing.statuses) <= {100, 180, 182, 200}
        await eventually(lambda: all(one.received("ACK") for one in members), "each answer is acknowledged")
        assert (await outgoing.bye()).status == 200
