"""Calls at their edges: what phones may do that is unusual, wrong or malicious, and what must come of it."""

import asyncio
from typing import Final

import pytest

from tests.peers.calling import CallingPhone
from tests.peers.calling_dialog import joined
from tests.peers.calling_session import Incoming, Outgoing
from tests.wire.callers import Callers, call_events, calls_of, eventually, stranger

pytestmark = pytest.mark.wire

PUSHED: Final = (
    "pn-provider=apns;pn-prid=" + "f0" * 32 + ":remote&" + "0f" * 32 + ":voip;pn-param=AB12.org.example.phone"
)
"""What a telephone that is woken by push says in its Contact (RFC 8599)."""


async def rung(callers: Callers) -> tuple[Outgoing, Incoming, Incoming]:
    """A call that two phones of one extension ring for: the caller, who will answer, who will not."""
    anna, bert = callers.extension(), callers.extension(phones=2)
    a = await callers.phone(anna.handset)
    b, c = [await callers.phone(handset) for handset in bert.handsets]
    outgoing = await a.call(bert.number)
    first, second = await b.incoming(), await c.incoming()
    for incoming in (first, second):
        incoming.ring()
    return outgoing, first, second


async def test_a_refused_call_was_never_answered(callers: Callers) -> None:
    a, b, _, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    (await b.incoming()).refuse(486)
    assert (await outgoing.final()).status == 486
    call_id = outgoing.invite.request.call_id
    await eventually(lambda: len(call_events(callers.site, call_id)) > 1, "it has ended")
    events = call_events(callers.site, call_id)
    assert [event["event"] for event in events] == ["call-started", "call-ended"]
    assert (events[-1]["reason"], events[-1]["talkSeconds"]) == ("busy", "")


async def test_who_only_rang_cannot_end_the_call(callers: Callers) -> None:
    """It was given a token for this Call-ID; its dialog has come to nothing all the same."""
    outgoing, winner, loser = await rung(callers)
    winner.answer()
    await outgoing.answered()
    await winner.acknowledged()
    await loser.cancelled()
    loser.phone.automatic["BYE"] = 481
    outgoing.phone.automatic["BYE"] = 481
    assert (await loser.bye()).status == 481
    outgoing.phone.forget("a dialog that we do not know")
    assert len(calls_of(callers.site, outgoing.dialog.call_id)) == 1
    assert (await outgoing.bye()).status == 200


async def test_an_early_dialog_may_end_and_the_call_go_on(callers: Callers) -> None:
    """Section 15: a caller may say BYE to one of those that ring."""
    outgoing, winner, loser = await rung(callers)
    await eventually(lambda: len(outgoing.dialogs) == 2, "both ring")
    dialog = outgoing.dialogs[loser.dialog.local_tag]
    head = dialog.head("BYE", dialog.number(), outgoing.phone.via())
    assert (await outgoing.phone.ask(joined(head)).final(5)).status == 200
    loser.refuse(487)
    winner.answer()
    await outgoing.answered()
    assert len(calls_of(callers.site, outgoing.dialog.call_id)) == 1
    assert (await outgoing.bye()).status == 200
    await eventually(lambda: not calls_of(callers.site, outgoing.dialog.call_id), "it has ended")


async def test_the_reason_of_a_cancel_names_nobody(callers: Callers) -> None:
    a, b, anna, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    outgoing.cancel([f'Reason: SIP;cause=200;text="{a.account.username}"'])
    assert (await incoming.cancelled()).listed("reason") == [f'SIP;cause=200;text="{anna.number}"']
    assert (await outgoing.final()).status == 487


async def test_a_cancel_in_a_dialog_is_for_nothing_too(callers: Callers) -> None:
    """The token of a call does not make it a request of the call: it never leaves us."""
    outgoing, _, _, b = await callers.talking()
    before = len(b.received)
    cancel = outgoing.begin("CANCEL")
    assert (await cancel.final(5)).status == 481
    await asyncio.sleep(0.2)
    assert len(b.received) == before
    assert (await outgoing.bye()).status == 200


@pytest.mark.parametrize("first", ["udp", "tcp", "wss"])
async def test_where_a_caller_is_is_not_told(callers: Callers, first: str) -> None:
    """Neither its Via nor the address that its packets come from."""
    a, b, _, bert = await callers.pair(first, "wss" if first == "wss" else "udp")
    outgoing = await a.call(bert.number, body=b"")
    incoming = await b.incoming()
    assert len(incoming.invite.all("via")) == 1
    told = "\n".join(value for name, value in incoming.invite.headers if name not in ("call-id", "cseq"))
    assert a.caller.sent_by.rpartition(" ")[2] not in told
    incoming.refuse(486)
    assert (await outgoing.final()).status == 486


async def test_a_long_contact_makes_a_call_as_well(callers: Callers) -> None:
    a, b = callers.extension(), callers.extension()
    phones: list[CallingPhone] = []
    for extension in (a, b):
        phone = await callers.connect(extension.handset, "tcp", instance="urn:uuid:" + "6f1c1f4e-" * 4)
        phone.caller.contact = f"{phone.contact};{PUSHED}"
        assert (await phone.register()).status == 200
        phones.append(phone)
    outgoing = await phones[0].call(b.number)
    incoming = await phones[1].incoming()
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    assert (await incoming.request("INFO")).status == 200
    assert (await outgoing.bye()).status == 200


async def test_a_phone_that_moves_on_udp_keeps_its_call(callers: Callers) -> None:
    """Its new registration tells where it is; nobody waits for an answer from where it was."""
    anna, bert = callers.extension(), callers.extension()
    a = await callers.phone(anna.handset)
    b = await callers.phone(bert.handset, instance="urn:uuid:6f1c1f4e-8a7b-4c1d-9e2f-0a1b2c3d4e5f")
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    b.vanish()
    moved = await callers.phone(bert.handset, instance="urn:uuid:6f1c1f4e-8a7b-4c1d-9e2f-0a1b2c3d4e5f")
    moved.adopt(incoming, b)
    assert (await outgoing.request("INFO")).status == 200
    assert (await incoming.bye()).status == 200


async def test_a_dialog_is_its_tags(callers: Callers) -> None:
    """A BYE with a tag that is not the other side's is the sender's own mistake, and ends nothing."""
    outgoing, _, _, b = await callers.talking()
    wrong = stranger(outgoing.dialog, remote=f"<sip:x@{b.account.domain}>;tag=wrong", remote_tag="wrong")
    head = wrong.head("BYE", outgoing.dialog.number(), outgoing.phone.via())
    assert (await outgoing.phone.ask(joined(head)).final(5)).status == 481
    b.forget("a dialog that we do not know")
    assert len(calls_of(callers.site, outgoing.dialog.call_id)) == 1
    assert (await outgoing.bye()).status == 200
