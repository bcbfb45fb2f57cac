"""Groups: who rings, what the caller hears, what the losers are told (docs/calls.md)."""

import asyncio
import itertools
import time
from typing import Final

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.calling_message import uri_of, user_of
from tests.wire.callers import Callers, call_events, calls_of, eventually, talk
from tests.wire.conftest import Report
from tests.wire.office import Office, rung

pytestmark = pytest.mark.wire

QUIET_SECONDS: Final = 0.5
"""How long nothing happens where nothing shall."""


@pytest.fixture
def office(callers: Callers) -> Office:
    return Office(callers)


@pytest.fixture
async def caller(callers: Callers) -> CallingPhone:
    return await callers.phone(callers.extension().handset)


async def test_all_devices_ring_and_the_losers_know_why(
    office: Office, caller: CallingPhone, report: Report
) -> None:
    people = await office.people(3, devices=2)
    group = office.group(people)
    begin = time.monotonic()
    outgoing = await caller.call(group.number)
    calls = await rung(people)
    report(f"6 phones ring after {(time.monotonic() - begin) * 1_000:.0f} ms")
    assert len({one.invite.branch for one in calls}) == 6
    for one in calls:
        one.ring()
    await outgoing.provisional(180)
    await asyncio.sleep(QUIET_SECONDS)
    ringing = [response for response in outgoing.invite.responses if 100 < response.status < 200]
    assert [response.status for response in ringing] == [180]
    assert (ringing[0].body, ringing[0].contact) == (b"", "")
    assert f"<sip:{group.number}@" in ringing[0].header("p-asserted-identity")
    calls[2].answer()
    answer = await outgoing.answered()
    assert f"<sip:{people[1].extension.number}@" in answer.header("p-asserted-identity"), "who answered"
    await calls[2].acknowledged()
    for at, one in enumerate(calls):
        if at == 2:
            continue
        reasons = (await one.cancelled()).listed("reason")
        assert any(reason.startswith("SIP;cause=200") for reason in reasons), reasons
        assert "Q.850;cause=26" in reasons
        await one.acknowledged()
    assert (await outgoing.bye()).status == 200
    assert [len(one.phone.requests) for one in calls] == [int(at == 2) for at in range(6)]
    await eventually(lambda: not calls_of(office.callers.site, calls[2].invite.call_id), "the call is gone")
    events = call_events(office.callers.site, calls[2].invite.call_id)
    assert [event["event"] for event in events] == ["call-started", "call-answered", "call-ended"]
    assert {event["via"] for event in events} == {group.number}
    assert events[-1]["callee"] == people[1].extension.number


async def test_one_member_ends_nothing(office: Office, caller: CallingPhone) -> None:
    people = await office.people(4)
    outgoing = await caller.call(office.group(people).number)
    calls = await rung(people)
    for one, status in zip(calls, (603, 302, 486), strict=False):
        one.refuse(status, ["Contact: <sip:1@127.0.0.1:9>"] if status == 302 else ())
        await one.acknowledged()
    calls[3].ring()
    await outgoing.provisional(180)
    await asyncio.sleep(QUIET_SECONDS)
    assert set(outgoing.statuses) <= {100, 180, 182}
    assert calls[3].server.cancel is None
    calls[3].answer()
    await outgoing.answered()
    assert (await outgoing.bye()).status == 200


@pytest.mark.parametrize(("said", "heard"), [(486, 486), (603, 486), (480, 480), (404, 480)])
async def test_a_group_that_refuses_ends_at_once(
    office: Office, caller: CallingPhone, said: int, heard: int
) -> None:
    people = await office.people(3)
    outgoing = await caller.call(office.group(people).number)
    for one in await rung(people):
        one.refuse(said)
    assert (await outgoing.final()).status == heard
    await eventually(
        lambda: not any("claimCall" in one.state(office.callers.site) for one in people), "no claim is left"
    )


async def test_ring_retry_rings_again_until_the_caller_gives_up(
    office: Office, caller: CallingPhone, report: Report
) -> None:
    people = await office.people(2)
    outgoing = await caller.call(office.group(people, ringRetry=True).number)
    times = []
    for nth in range(3):
        for one in await rung(people, nth):
            one.refuse(486)
        times.append(time.monotonic())
    gaps = [later - former for former, later in itertools.pairwise(times)]
    report("rings again after " + ", ".join(f"{gap:.1f} s" for gap in gaps))
    assert all(gap > 2.5 for gap in gaps)
    assert 182 in outgoing.statuses
    outgoing.cancel()
    assert (await outgoing.final()).status == 487


async def test_a_group_without_a_phone(office: Office, caller: CallingPhone, callers: Callers) -> None:
    absent = await office.person()
    for phone in absent.phones:
        await phone.register(expires=0)
    assert (await (await caller.call(office.group([absent]).number)).final()).status == 480
    assert (await (await caller.call(office.group([]).number)).final()).status == 480


async def test_the_caller_gives_up(office: Office, caller: CallingPhone) -> None:
    people = await office.people(2)
    outgoing = await caller.call(office.group(people).number)
    calls = await rung(people)
    for one in calls:
        one.ring()
    await outgoing.provisional(180)
    outgoing.cancel()
    for one in calls:
        assert not (await one.cancelled()).listed("reason"), "they did miss the call"
    assert (await outgoing.final()).status == 487


async def test_a_caller_who_is_a_member_does_not_ring_itself(office: Office) -> None:
    people = await office.people(2, devices=2)
    outgoing = await people[0].phone.call(office.group(people).number)
    for one in await rung(people[1:]):
        one.refuse(486)
    assert (await outgoing.final()).status == 486
    assert people[0].phones[1].calls == []


async def test_a_member_who_registers_late_rings_too(office: Office, caller: CallingPhone) -> None:
    people = await office.people(2)
    await people[1].phone.register(expires=0)
    outgoing = await caller.call(office.group(people).number)
    (first,) = await rung(people[:1])
    first.ring()
    await outgoing.provisional(180)
    await people[1].phone.register()
    (second,) = await rung(people[1:])
    second.answer()
    await outgoing.answered()
    await first.cancelled()
    assert (await outgoing.bye()).status == 200


async def test_members_who_come_and_go_while_it_rings(office: Office, caller: CallingPhone) -> None:
    people = await office.people(3)
    group = office.group(people[:2])
    outgoing = await caller.call(group.number)
    first, second = await rung(people[:2])
    first.ring()
    second.ring()
    await outgoing.provisional(180)
    office.change(group, members=[one.id for one in people[1:]])
    await first.cancelled()
    (third,) = await rung(people[2:])
    assert second.server.cancel is None
    third.answer()
    await outgoing.answered()
    assert (await outgoing.bye()).status == 200


NAMES: Final = [
    ("{displayName} - {srcPhoneNumber}", "{group} - {caller}"),
    ("{srcPhoneNumber}", "{caller}"),
    ('{dgrpName} Größe "x" \\', 'Größe "x" \\'),
    ("", ""),
]


@pytest.mark.parametrize(("form", "shown"), NAMES)
async def test_the_name_under_which_members_see_the_caller(
    office: Office, callers: Callers, form: str, shown: str
) -> None:
    extension = callers.extension()
    caller = await callers.phone(extension.handset)
    person = await office.person()
    group = office.group([person], callerNameFormat=form or None)
    outgoing = await caller.call(group.number)
    (incoming,) = await rung([person])
    wanted = shown.format(group=f"Group {group.number}", caller=extension.number) or extension.name
    assert incoming.name == wanted
    assert incoming.number == extension.number, "call-back goes to the caller"
    assert user_of(uri_of(incoming.invite.header("p-asserted-identity"))) == extension.number
    assert wanted.split()[-1].encode() in incoming.invite.header("p-asserted-identity").encode()
    incoming.refuse(486)
    assert (await outgoing.final()).status == 486


async def test_exclusive_one_call_at_a_time_and_in_order(
    office: Office, callers: Callers, report: Report
) -> None:
    """Three callers, one member: the others wait with 182, and come in the order in which they called."""
    member = await office.person()
    group = office.group([member], ringExclusive=True)
    extensions = [callers.extension() for _ in range(3)]
    numbers = [one.number for one in extensions]
    calls = []
    for at, phone in enumerate([await callers.phone(one.handset) for one in extensions]):
        calls.append(await phone.call(group.number))
        if at:
            queued = await calls[at].provisional(182)
            assert queued.first == f"SIP/2.0 182 Queued, Position {at + 1}"
        else:
            first = await member.phone.incoming()
            first.ring()
            await calls[0].provisional(180)
    assert group.waiting(callers.site)
    incoming = first
    for at, outgoing in enumerate(calls):
        assert len(member.phone.calls) == at + 1
        assert incoming.number == numbers[at]
        incoming.answer()
        await outgoing.answered()
        await asyncio.sleep(QUIET_SECONDS)
        assert len(member.phone.calls) == at + 1, "nothing rings while the member talks"
        assert (await outgoing.bye()).status == 200
        if at < 2:
            begin = time.monotonic()
            incoming = await member.phone.incoming(nth=at + 1)
            report(f"the next call rang {time.monotonic() - begin:.1f} s after the end of the last one")
            assert time.monotonic() - begin > 1.5, "two seconds of wrap-up"
    await eventually(lambda: group.waiting(callers.site) == [], "no call waits")
    await eventually(lambda: "claimCall" not in member.state(callers.site), "no claim is left")


@pytest.mark.parametrize("exclusive", [False, True])
async def test_a_member_in_a_call(
    office: Office, callers: Callers, caller: CallingPhone, exclusive: bool
) -> None:
    busy, idle = await office.people(2)
    extension = callers.extension()
    talking, _ = await talk(busy.phone, await callers.phone(extension.handset), extension.number)
    group = office.group([busy, idle], ringExclusive=exclusive)
    outgoing = await caller.call(group.number)
    (incoming,) = await rung([idle])
    incoming.ring()
    await outgoing.provisional(180)
    await asyncio.sleep(QUIET_SECONDS)
    assert len(busy.phone.calls) == (0 if exclusive else 1)
    outgoing.cancel()
    assert (await outgoing.final()).status == 487
    assert (await talking.bye()).status == 200


async def test_a_message_to_a_group_is_refused(office: Office, caller: CallingPhone) -> None:
    group = office.group(await office.people(1))
    assert (await caller.request("MESSAGE", group.number, body=b"to all")).status == 405
