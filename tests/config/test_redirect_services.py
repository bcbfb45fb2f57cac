"""config/redirect: each service against a mock that checks its signatures, and has every fault."""

import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import clock
from config.redirect import xmlrpc
from config.redirect.client import MAX_ANSWER, Client
from config.redirect.outcome import DONE, Service, Unanswered, Verdict
from config.redirect.services import SERVICES, VENDORS, made, service_for
from tests.config.vendors import (
    CUT,
    HANG,
    SERVE,
    Asked,
    Reply,
    Vendor,
    account,
    faulty,
    spelled,
    vendor,
)
from tests.every import every

MAC = "0004139ABCDE"
URL = "https://prov.test/p/abcdefghijklmnopqrstuvwxyz/0004139ABCDE.xml?a=1&b=<2>"
LATER = "https://prov.test/p/zyxwvutsrqponmlkjihgfedcba/file"

DOCTYPE = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
ANSWER = "<methodResponse><params><param><value>{}</value></param></params></methodResponse>"


class Desk:
    """A service of the test, and what asks it."""

    def __init__(self, name: str, here: Vendor, seconds: float = 10.0) -> None:
        self.name, self.here = name, here
        self.client = Client(seconds=seconds)
        self.service = made([account(name, here)], self.client, clock.epoch_now)[name]
        self.mac = spelled(name, MAC)

    def known(self) -> str | None:
        return self.here.known.get(self.mac)

    def with_password(self, password: str) -> Service:
        wrong = account(self.name, self.here, password)
        return made([wrong], self.client, clock.epoch_now)[self.name]


@pytest.fixture(params=sorted(SERVE))
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    async with vendor(SERVE[request.param]) as here:
        made = Desk(request.param, here)
        yield made
        await made.client.close()


async def test_a_phone_is_registered_registered_again_and_forgotten(desk: Desk) -> None:
    assert await desk.service.register(MAC, URL) == DONE
    assert desk.known() == ("the URL of the account" if desk.name == "gaps" else URL)
    assert await desk.service.register(MAC, LATER) == DONE
    assert desk.name == "gaps" or desk.known() == LATER
    assert await desk.service.deregister(MAC) == DONE
    assert desk.here.known == {}
    assert desk.here.forged == []


async def test_a_phone_that_the_service_does_not_know_is_forgotten_already(desk: Desk) -> None:
    assert await desk.service.deregister(MAC) == DONE


async def test_a_phone_of_another_provider_is_foreign(desk: Desk) -> None:
    desk.here.foreign.add(desk.mac)
    outcome = await desk.service.register(MAC, URL)
    assert outcome.verdict is Verdict.FOREIGN
    assert outcome.error
    assert desk.known() is None


async def test_a_wrong_password_is_no_verdict_about_the_phone(desk: Desk) -> None:
    service = desk.with_password("another one")
    if desk.name == "gaps":  # it has no status for that
        assert (await service.register(MAC, URL)).error == "3: signature error"
    else:
        with pytest.raises(Unanswered, match="401"):
            await service.register(MAC, URL)
    assert len(desk.here.forged) == 1
    assert desk.known() is None


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        pytest.param((500, b"no"), "status 500", id="a fault of the server"),
        pytest.param((503, b""), "status 503", id="the server is away"),
        pytest.param((429, b""), "status 429", id="too many requests"),
        pytest.param((302, b""), "redirects are not followed", id="a redirect"),
        pytest.param((200, b"\xff\xfe"), "not UTF-8", id="no text"),
        pytest.param((200, b"[" * 100_000), "not ", id="deep rubbish"),
        pytest.param((200, b"x" * (MAX_ANSWER + 1)), "longer than", id="an endless answer"),
        pytest.param(CUT, "no connection", id="a cut connection"),
    ],
)
async def test_a_faulty_answer_is_tried_again(desk: Desk, reply: Reply, words: str) -> None:
    with faulty(desk.here, lambda _: reply), pytest.raises(Unanswered, match=words):
        await desk.service.register(MAC, URL)
    assert await desk.service.register(MAC, URL) == DONE, "nothing of the fault is kept"


async def test_a_service_that_hangs_is_left_after_its_time(desk: Desk) -> None:
    hurried = Desk(desk.name, desk.here, seconds=0.05)
    with faulty(desk.here, lambda _: HANG), pytest.raises(Unanswered, match=r"no answer within 0\.05 s"):
        await hurried.service.register(MAC, URL)
    await hurried.client.close()


async def test_a_service_that_is_not_there_is_tried_again() -> None:
    async with vendor(SERVE["snom"]) as here:
        gone = Desk("snom", here)
    with pytest.raises(Unanswered, match="no connection"):
        await gone.service.register(MAC, URL)
    await gone.client.close()


@every("error", ["malformed_mac", "malformed_url", "url_invalid:x"])
@every("name", ["snom", "gigaset", "yealink"])
async def test_a_refusal_of_a_phone_is_final(name: str, error: str) -> None:
    array = f"<data><value><boolean>0</boolean></value><value><string>Error:{error}</string></value></data>"
    text = ANSWER.format(f"<array>{array}</array>")
    async with vendor(lambda *_: (200, text.encode())) as here:
        desk = Desk(name, here)
        outcome = await desk.service.register(MAC, URL)
        await desk.client.close()
    assert (outcome.verdict, outcome.error) == (Verdict.REFUSED, f"Error:{error}")


YMCS_CODES = [
    ("800001", Verdict.REFUSED),
    ("800002", Verdict.REFUSED),
    ("800004", Verdict.FOREIGN),
    ("800007", Verdict.REFUSED),
    ("900400", Verdict.REFUSED),
]


@pytest.mark.parametrize(("code", "verdict"), YMCS_CODES, ids=[code for code, _ in YMCS_CODES])
async def test_ymcs_has_codes_for_its_refusals(code: str, verdict: Verdict) -> None:
    def fault(asked: Asked) -> Reply | None:
        body = json.dumps({"code": code, "message": "words", "requestId": "1"}).encode()
        return (400, body) if asked.target.startswith("/v2/rps") else None

    async with vendor(SERVE["ymcs"]) as here:
        desk = Desk("ymcs", here)
        with faulty(here, fault):
            outcome = await desk.service.register(MAC, URL)
        await desk.client.close()
    assert (outcome.verdict, outcome.error) == (verdict, f"{code} words")


async def test_ymcs_keeps_its_token_and_gets_another_one_when_it_is_void() -> None:
    async with vendor(SERVE["ymcs"]) as here:
        desk = Desk("ymcs", here)
        await desk.service.register(MAC, URL)
        await desk.service.deregister(MAC)
        assert [one.target for one in here.asked].count("/v2/token") == 1
        here.tokens.clear()
        with pytest.raises(Unanswered, match="401"):
            await desk.service.register(MAC, URL)
        assert await desk.service.register(MAC, URL) == DONE
        await desk.client.close()


async def test_sraps_sends_its_key_to_no_other_server() -> None:
    def fault(asked: Asked) -> Reply | None:
        link = {"links": {"company": "http://127.0.0.2:1/api/v1/companies/7"}}
        return (200, json.dumps(link).encode()) if "/tokens/" in asked.target else None

    async with vendor(SERVE["sraps"]) as here:
        desk = Desk("sraps", here)
        with faulty(here, fault), pytest.raises(Unanswered, match="names another server"):
            await desk.service.register(MAC, URL)
        await desk.client.close()
    assert len(here.asked) == 1


async def test_sraps_looks_up_once_what_does_not_change() -> None:
    async with vendor(SERVE["sraps"]) as here:
        desk = Desk("sraps", here)
        await desk.service.register(MAC, URL)
        await desk.service.deregister(MAC)
        await desk.client.close()
    assert [one.method for one in here.asked] == ["GET", "GET", "GET", "PUT", "DELETE"]
    nonces = [one.headers["authorization"].partition('nonce="')[2].partition('"')[0] for one in here.asked]
    assert len(set(nonces)) == 5


# Answers by XML-RPC


@every(
    ("text", "words"),
    [
        (DOCTYPE + ANSWER.format("&b;"), "declaration"),
        (ANSWER.format("<![CDATA[x]]>"), "declaration"),
        ("", "not XML"),
        ("<a>", "not XML"),
        ("\0", "not XML"),
        ("<a/>", "another form"),
        (ANSWER.format("<boolean>1</boolean>"), "another form"),
        (ANSWER.format("<array><data><value>1</value><value>2</value></data></array>"), "another form"),
        (
            "<methodResponse><fault><value>4: no such method</value></fault></methodResponse>",
            "no such method",
        ),
    ],
)
def test_another_answer_by_xmlrpc_is_refused(text: str, words: str) -> None:
    with pytest.raises(Unanswered, match=words):
        xmlrpc.parse(text)


@given(st.text() | st.text("<>/!&;abdefmnoprstuvy[]= \"'\0"))
def test_any_text_is_an_answer_or_unanswered(text: str) -> None:
    for one in (text, ANSWER.format(f"<array><data>{text}</data></array>")):
        try:
            xmlrpc.parse(one)
        except Unanswered:
            continue


def test_the_preferred_service_with_an_account_takes_the_phones_of_a_vendor() -> None:
    assert service_for("snom", {"snom", "sraps"}) == "sraps"
    assert service_for("snom", {"snom"}) == service_for("snom", set()) == "snom"
    assert service_for("yealink", {"ymcs"}) == "ymcs"
    assert (service_for("manual", set()), service_for(None, {"snom"})) == ("manual", None)
    assert set(SERVICES) == {*SERVE, "manual"}
    assert len(VENDORS) == 5
