"""People look at calls, and end them: /pbx/call over phones that really call each other."""

import asyncio
from typing import Any

import pytest

from tests.patience import limit
from tests.wire.callers import Callers, call_events, calls_of, eventually
from tests.wire.site import Site

pytestmark = pytest.mark.wire

HANGUP_SECONDS = 2.0


async def ask(site: Site, method: str, path: str) -> tuple[int, dict[str, Any]]:
    """The phones go on meanwhile."""
    reply = await asyncio.to_thread(site.api, method, path)
    return reply.status, reply.body


async def listed(site: Site, query: str) -> list[dict[str, Any]]:
    status, body = await ask(site, "GET", f"/pbx/call?{query}")
    assert status == 200 and body["total"] == len(body["calls"])
    rows: list[dict[str, Any]] = body["calls"]
    return rows


async def test_a_call_that_is_talked_is_seen_and_ended(callers: Callers) -> None:
    site = callers.site
    a, b, anna, bert = await callers.pair("udp", "tcp")
    outgoing = await a.call(bert.number)
    call_id = outgoing.invite.request.call_id
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    (ringing,) = await listed(site, f"extension={bert.number}&state=ringing")
    assert ringing["callee"] == {"phone": None, "number": bert.number, "name": bert.name, "transport": None}
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()

    (talked,) = await listed(site, f"extension={anna.number}")
    assert await listed(site, f"extension={anna.number}&state=ringing") == []
    status, shown = await ask(site, "GET", f"/pbx/call/{talked['_id']}")
    assert status == 200 and shown["duration"] < 10
    assert (shown["_id"], shown["callId"], shown["state"]) == (ringing["_id"], call_id, "answered")
    assert shown["caller"] == {
        "phone": anna.handset.id,
        "number": anna.number,
        "name": anna.name,
        "transport": "udp",
    }
    assert shown["callee"] == {
        "phone": bert.handset.id,
        "number": bert.number,
        "name": bert.name,
        "transport": "tcp",
    }
    assert (shown["media"], shown["answeredAt"] is not None) == ("direct", True)

    begin = asyncio.get_running_loop().time()
    assert await ask(site, "DELETE", f"/pbx/call/{shown['_id']}") == (200, {"success": True})
    assert asyncio.get_running_loop().time() - begin < limit(HANGUP_SECONDS)
    await asyncio.gather(outgoing.asked("BYE"), incoming.asked("BYE"))
    assert (await ask(site, "GET", f"/pbx/call/{shown['_id']}"))[0] == 404
    assert (await ask(site, "DELETE", f"/pbx/call/{shown['_id']}"))[0] == 404
    assert await listed(site, f"extension={anna.number}") == []
    await eventually(lambda: len(call_events(site, call_id)) == 3, "its end is told")
    started, answered, ended = call_events(site, call_id)
    assert [row["event"] for row in (started, answered, ended)] == [
        "call-started", "call-answered", "call-ended"
    ]  # fmt: skip
    assert (ended["reason"], ended["by"], ended["status"]) == ("api", "api", "")
    assert float(ended["talkSeconds"]) < 10 and ended["ringSeconds"] == answered["ringSeconds"]
    assert (ended["call"], ended["phone"], ended["calleePhone"]) == (
        shown["_id"], anna.handset.id, bert.handset.id
    )  # fmt: skip


async def test_a_call_that_rings_is_ended(callers: Callers) -> None:
    site = callers.site
    a, b, anna, bert = await callers.pair()
    outgoing = await a.call(bert.number)
    call_id = outgoing.invite.request.call_id
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    (ringing,) = await listed(site, f"extension={anna.number}")
    assert await ask(site, "DELETE", f"/pbx/call/{ringing['_id']}") == (200, {"success": True})
    await incoming.cancelled()
    assert (await outgoing.final()).status == 487
    assert calls_of(site, call_id) == []
    await eventually(lambda: len(call_events(site, call_id)) == 2, "its end is told")
    ended = call_events(site, call_id)[-1]
    assert (ended["event"], ended["reason"], ended["by"]) == ("call-ended", "api", "api")
