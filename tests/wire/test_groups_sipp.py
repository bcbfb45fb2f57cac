"""Groups whose members are sipp: who rings, who is told what, what the caller sees (docs/calls.md)."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.sipp_member import Member, answers, listed, loses, refuses
from tests.wire.callers import Callers, eventually
from tests.wire.conftest import Report
from tests.wire.need import need
from tests.wire.office import Office, Person

pytestmark = pytest.mark.wire


@pytest.fixture
def office(callers: Callers) -> Office:
    need("sipp")
    return Office(callers)


@pytest.fixture
async def caller(callers: Callers) -> CallingPhone:
    return await callers.phone(callers.extension().handset)


def crew(
    stack: ExitStack, tmp: Path, office: Office, people: Sequence[Person], acts: Sequence[str]
) -> list[Member]:
    """sipp at each device, registered, in the order of the people."""
    devices = [(one.extension.number, handset) for one in people for handset in one.extension.handsets]
    server = office.callers.site.sip
    members = [
        Member(tmp, handset.account, number, server, act)
        for (number, handset), act in zip(devices, acts, strict=True)
    ]
    return [stack.enter_context(member) for member in members]


async def test_six_devices_ring_and_five_are_told_why_not(
    office: Office, caller: CallingPhone, tmp_path: Path, report: Report
) -> None:
    people = [Person(office.callers.extension(2), ()) for _ in range(3)]
    acts = [loses(), loses(), answers(1.0), loses(), loses(), loses()]
    with ExitStack() as stack:
        members = await asyncio.to_thread(crew, stack, tmp_path, office, people, acts)
        outgoing = await caller.call(office.group(people).number)
        answer = await outgoing.answered()
        assert f"<sip:{people[1].extension.number}@" in answer.header("p-asserted-identity")
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
    people = [Person(office.callers.extension(), ()) for _ in range(4)]
    acts = [
        refuses("603 Decline"),
        refuses("302 Moved Temporarily", "Contact: <sip:1@127.0.0.1:9>\n"),
        refuses("486 Busy Here"),
        answers(1.5),
    ]
    with ExitStack() as stack:
        members = await asyncio.to_thread(crew, stack, tmp_path, office, people, acts)
        outgoing = await caller.call(office.group(people).number)
        await outgoing.answered()
        assert set(outgoing.statuses) <= {100, 180, 182, 200}
        await eventually(lambda: all(one.received("ACK") for one in members), "each answer is acknowledged")
        assert (await outgoing.bye()).status == 200
