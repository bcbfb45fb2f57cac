"""Feature codes, forwards and pickup, as a phone dials them (docs/calls.md)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.calling_message import Message
from tests.peers.calling_session import Incoming, Outgoing
from tests.wire.callers import Callers, eventually, talk
from tests.wire.office import Office, Person
from tests.wire.site import Site

pytestmark = pytest.mark.wire

NO_ANSWER_SECONDS: Final = 2
QUIET_SECONDS: Final = 0.5


@pytest.fixture(scope="module")
def quick(switchboard: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A process beside the shared one, with the same phones, that forwards calls early."""
    with Site(
        tmp_path_factory.mktemp("quick"),
        tenant=switchboard.demo(),
        transports=("tcp", "tls", "wss"),
        data_dir=switchboard.settings["data_dir"],
        no_answer_seconds=str(NO_ANSWER_SECONDS),
        alert_info="true",
    ) as site:
        yield site


@pytest.fixture
async def office(quick: Site) -> AsyncIterator[Office]:
    async with Callers(quick) as callers:
        yield Office(callers)


async def dial(phone: CallingPhone, word: str) -> tuple[int, str, str]:
    """Status, reason phrase and Reason of a call that ends at once."""
    final: Message = await (await phone.call(word)).final()
    return final.status, final.first.split(" ", 2)[2], final.header("reason")


def done(text: str) -> tuple[int, str, str]:
    return 480, text, "SIP;cause=200"


# Wishes


async def test_do_not_disturb(office: Office) -> None:
    ann, bob = await office.people(2)
    site = office.callers.site
    assert await dial(bob.phone, "*76") == done("Do Not Disturb On")
    assert bob.state(site)["dnd"] == "1"
    outgoing = await ann.phone.call(bob.extension.number)
    final = await outgoing.final()
    assert final.first == "SIP/2.0 480 Do Not Disturb"
    group = office.group([bob])
    assert (await (await ann.phone.call(group.number)).final()).status == 480
    assert await dial(bob.phone, "*78") == done("Do Not Disturb On")
    assert await dial(bob.phone, "*79") == done("Do Not Disturb Off")
    assert "dnd" not in bob.state(site)
    assert await dial(bob.phone, "*76") == done("Do Not Disturb On")
    assert await dial(bob.phone, "*76") == done("Do Not Disturb Off")
    assert (await talk(ann.phone, bob.phone, bob.extension.number))[0]


async def test_every_call_is_forwarded(office: Office) -> None:
    ann, bob, cat = await office.people(3)
    number = cat.extension.number
    assert await dial(bob.phone, f"*72{number}") == done(f"Forwarding To {number}")
    outgoing, incoming = await talk(ann.phone, cat.phone, bob.extension.number)
    assert incoming.number == ann.extension.number
    assert "reason=unconditional;counter=1" in incoming.invite.header("diversion")
    assert bob.phone.calls == []
    assert (await outgoing.bye()).status == 200
    assert await dial(bob.phone, "*73") == done("Forwarding Off")
    outgoing, _ = await talk(ann.phone, bob.phone, bob.extension.number)
    assert (await outgoing.bye()).status == 200
    rows: list[Any] = []

    def told() -> bool:
        rows[:] = office.callers.site.api("GET", f"/audit?customer=all&object={bob.id}&type=person").body[
            "rows"
        ]
        return len(rows) == 2

    await eventually(told, "both are in the audit log")
    assert [(row["before"], row["after"]) for row in rows] == [
        ({"cfu": number}, {"cfu": ""}),
        ({"cfu": ""}, {"cfu": number}),
    ]
    by = {(row["accessLevel"], row["via"], row["ip"]) for row in rows}
    assert by == {("PHONE", f"phone:{bob.extension.handset.id}", "127.0.0.1")}


@pytest.mark.parametrize(("status", "forwarded"), [(486, True), (600, True), (603, False), (480, False)])
async def test_a_call_is_forwarded_when_busy(office: Office, status: int, forwarded: bool) -> None:
    ann, bob, cat = await office.people(3)
    assert (await dial(bob.phone, f"*90{cat.extension.number}"))[0] == 480
    outgoing = await ann.phone.call(bob.extension.number)
    (await bob.phone.incoming()).refuse(status)
    if not forwarded:
        assert (await outgoing.final()).status == status
        return
    incoming = await cat.phone.incoming()
    assert "reason=user-busy" in incoming.invite.header("diversion")
    incoming.answer()
    await outgoing.answered()
    assert (await outgoing.bye()).status == 200
    assert (await dial(bob.phone, "*91")) == done("Forwarding When Busy Off")


async def test_a_call_is_forwarded_when_not_answered(office: Office) -> None:
    ann, bob, cat = await office.people(3)
    assert (await dial(bob.phone, f"*92{cat.extension.number}"))[0] == 480
    outgoing = await ann.phone.call(bob.extension.number)
    first = await bob.phone.incoming()
    first.ring()
    await outgoing.provisional(180)
    second = await cat.phone.incoming(NO_ANSWER_SECONDS + 5)
    assert not (await first.cancelled()).listed("reason"), "the call was missed"
    assert "reason=no-answer" in second.invite.header("diversion")
    second.answer()
    await outgoing.answered()
    assert (await outgoing.bye()).status == 200
    await bob.phone.register(expires=0)
    outgoing, third = await talk(ann.phone, cat.phone, bob.extension.number)
    assert "reason=unavailable" in third.invite.header("diversion")
    assert (await outgoing.bye()).status == 200


async def test_a_call_is_forwarded_to_a_group(office: Office) -> None:
    ann, bob, cat, dan = await office.people(4)
    group = office.group([cat, dan])
    for code in ("*72", "*90"):
        assert (await dial(bob.phone, f"{code}{group.number}"))[0] == 480
        outgoing = await ann.phone.call(bob.extension.number)
        if code == "*90":
            (await bob.phone.incoming()).refuse(486)
        nth = len(cat.phone.calls)
        calls = [await one.phone.incoming(nth=max(nth - 1, 0) if nth else 0) for one in (cat, dan)]
        calls[-1].answer()
        await outgoing.answered()
        assert (await outgoing.bye()).status == 200
        assert await dial(bob.phone, "*73") == done("Forwarding Off")
        cat.phone.calls.clear()
        dan.phone.calls.clear()
        bob.phone.calls.clear()


async def test_a_circle_of_forwards_ends(office: Office) -> None:
    ann, bob, cat = await office.people(3)
    assert (await dial(bob.phone, f"*72{cat.extension.number}"))[0] == 480
    assert (await dial(cat.phone, f"*72{bob.extension.number}"))[0] == 480
    assert (await (await ann.phone.call(bob.extension.number)).final()).status == 482


async def test_codes_that_cannot_be_served(office: Office) -> None:
    ann = await office.person()
    queue = office.queue({"extension": (await office.person()).id})
    assert (await dial(ann.phone, "*729999"))[0] == 404
    assert (await dial(ann.phone, "*459999"))[0] == 404
    assert (await dial(ann.phone, f"*45{queue.number}"))[0] == 403
    assert (await dial(ann.phone, "*8"))[:2] == (404, "Nothing To Pick Up")
    assert (await dial(ann.phone, "*99"))[0] == 404
    assert (await ann.phone.request("MESSAGE", "*76", body=b"x")).status == 405


@pytest.mark.parametrize(
    "word", ["112", "999", "sip:911@{host}", "urn:service:sos", "urn:service:sos.police"]
)
async def test_an_emergency_call_is_told_that_there_is_no_way(office: Office, word: str) -> None:
    ann = await office.person()
    host = ann.phone.account.domain
    final = await (await ann.phone.call(word.format(host=host))).final()
    assert final.status == 503
    assert "emergency" in final.header("warning")
    entries = office.callers.site.redis("xrevrange", "registrar:events", "+", "-", "count", "20")
    events = [dict(zip(words[::2], words[1::2], strict=True)) for _, words in entries]
    (event,) = [one for one in events if one["event"] == "emergency-call" and one["person"] == ann.id]
    assert event["caller"] == ann.extension.number
    assert event["callee"] == word.removeprefix("sip:").partition("@")[0]


async def test_a_queue_is_left_and_joined(office: Office) -> None:
    ann, bob, cat = await office.people(3)
    queue = office.queue(
        {"extension": bob.id, "ringSecs": 20}, {"extension": cat.id, "permanent": True}, name="Help"
    )
    assert await dial(bob.phone, f"*45{queue.number}") == done("Left Help")
    assert bob.state(office.callers.site)[f"out:{queue.id}"] == "1"
    outgoing = await ann.phone.call(queue.number)
    (await cat.phone.incoming()).answer()
    await outgoing.answered()
    assert bob.phone.calls == []
    assert (await outgoing.bye()).status == 200
    assert await dial(bob.phone, f"*45{queue.number}") == done("Joined Help")
    outgoing = await ann.phone.call(queue.number)
    (await bob.phone.incoming()).answer()
    await outgoing.answered()
    assert (await outgoing.bye()).status == 200
    assert (await dial(cat.phone, f"*45{queue.number}"))[0] == 403


# Pickup


async def ringing_at(caller: Person, called: Person) -> tuple[Outgoing, Incoming]:
    """The two sides of a call that rings."""
    outgoing = await caller.phone.call(called.extension.number)
    incoming = await called.phone.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    return outgoing, incoming


@pytest.mark.parametrize("code", ["**{number}", "*8", "*8{group}"])
async def test_a_call_is_picked_up(office: Office, code: str) -> None:
    ann, bob, cat = await office.people(3)
    group = office.group([bob, cat], pickup=True)
    outgoing, incoming = await ringing_at(ann, bob)
    word = code.format(number=bob.extension.number, group=group.number)
    assert await dial(cat.phone, word) == done("Picked Up")
    taken = await cat.phone.incoming()
    assert taken.number == ann.extension.number
    assert taken.invite.header("alert-info").endswith(";info=alert-autoanswer;delay=0")
    assert taken.invite.header("call-info").endswith(";answer-after=0")
    assert taken.invite.header("answer-mode") == "Auto"
    taken.answer()
    assert f"<sip:{cat.extension.number}@" in (await outgoing.answered()).header("p-asserted-identity")
    assert any(one.startswith("SIP;cause=200") for one in (await incoming.cancelled()).listed("reason"))
    await taken.acknowledged()
    assert (await taken.bye()).status == 200
    await outgoing.asked("BYE")


async def test_a_call_of_a_group_is_picked_up(office: Office) -> None:
    ann, bob, cat = await office.people(3)
    office.group([bob, cat], pickup=True)
    ringing = office.group([bob], ringExclusive=True)
    outgoing = await ann.phone.call(ringing.number)
    incoming = await bob.phone.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    assert await dial(cat.phone, f"**{bob.extension.number}") == done("Picked Up")
    (await cat.phone.incoming()).answer()
    await outgoing.answered()
    await incoming.cancelled()
    assert (await outgoing.bye()).status == 200
    await eventually(lambda: "claimCall" not in bob.state(office.callers.site), "no claim is left")


async def test_who_may_not_pick_up(office: Office) -> None:
    ann, bob, cat = await office.people(3)
    group = office.group([bob, cat])
    outgoing, incoming = await ringing_at(ann, bob)
    assert (await dial(cat.phone, f"**{bob.extension.number}"))[0] == 403
    assert (await dial(cat.phone, f"*8{group.number}"))[0] == 403
    office.change(group, controllers=[cat.id])
    assert await dial(cat.phone, f"**{bob.extension.number}") == done("Picked Up")
    taken = await cat.phone.incoming()
    taken.refuse(486)
    await asyncio.sleep(QUIET_SECONDS)
    assert incoming.server.cancel is None, "it rings on where it rang"
    outgoing.cancel()
    assert (await outgoing.final()).status == 487
    assert (await dial(cat.phone, f"**{bob.extension.number}"))[:2] == (404, "Nothing To Pick Up")


async def test_own_alert_info_tells_the_kind_of_call(office: Office) -> None:
    ann, bob = await office.people(2)
    auto = ["Alert-Info: Auto Answer", "Answer-Mode: Auto", "Call-Info: <sip:x@y>;answer-after=0"]
    for number, kind in ((bob.extension.number, "internal"), (office.group([bob]).number, "group")):
        nth = len(bob.phone.calls)
        outgoing = await ann.phone.call(number, lines=auto)
        invite = (await bob.phone.incoming(nth=nth)).invite
        assert invite.all("alert-info") == [f"<http://registrar.invalid>;info=alert-{kind};x-line-id=0"]
        assert (invite.header("answer-mode"), invite.header("call-info")) == ("", "")
        outgoing.cancel()
        assert (await outgoing.final()).status == 487
