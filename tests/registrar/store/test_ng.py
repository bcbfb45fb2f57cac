"""The ng protocol against an engine of our own, which loses datagrams when it is told to."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import StoreUnavailable
from registrar.store import ng
from tests.every import every
from tests.patience import limit
from tests.peers.ng_engine import PONG, NgEngine


@every(
    ("value", "text"),
    [
        (0, b"i0e"),
        (-7, b"i-7e"),
        ("", b"0:"),
        ("æ", b"2:\xc3\xa6"),
        (b"\x00e", b"2:\x00e"),
        ([], b"le"),
        (("a", 1), b"l1:ai1ee"),
        ({}, b"de"),
        ({"b": 1, "a": ["x"]}, b"d1:al1:xe1:bi1ee"),
    ],
)
def test_values_as_bencode(value: ng.Encodable, text: bytes) -> None:
    assert ng.encode(value) == text


VALUES = st.recursive(
    st.integers(-(10**18), 10**18) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


def with_byte_keys(value: object) -> object:
    if isinstance(value, dict):
        return {key.encode(): with_byte_keys(item) for key, item in value.items()}
    return [with_byte_keys(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_what_is_encoded_is_decoded(value: ng.Encodable) -> None:
    assert ng.decode(ng.encode(value)) == with_byte_keys(value)


@every(
    "text",
    [
        *(b"", b"i", b"ie", b"i-e", b"i1", b"i1 e", b"i--1e", b"5:abc", b"-1:", b"1", b":", b"l", b"li1e"),
        *(b"d1:ae", b"di1ei2ee", b"i1ei2e", b"i" + b"1" * 5000 + b"e", b"9" * 30 + b":x"),
        b"l" * 100 + b"e" * 100,
        b"l" * 100_000,
    ],
)
def test_what_is_no_bencode_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        ng.decode(text)


@given(st.binary(max_size=60) | st.text("dlei:0123-a", max_size=60).map(str.encode))
def test_any_octets_are_a_value_or_refused(text: bytes) -> None:
    try:
        ng.decode(text)
    except ValueError:
        return


@pytest.fixture
async def engine() -> AsyncIterator[NgEngine]:
    engine = NgEngine()
    await engine.start()
    yield engine
    engine.transport.close()


@pytest.fixture
async def client(engine: NgEngine) -> AsyncIterator[ng.Ng]:
    client = ng.Ng("127.0.0.1", engine.port)
    yield client
    client.close()


async def test_a_command_and_its_answer(engine: NgEngine, client: ng.Ng) -> None:
    assert await client.command("offer", call_id="x", flags=["a", "b"]) == {b"result": b"pong"}
    assert [body for _, body in engine.heard] == [
        {b"command": b"offer", b"call-id": b"x", b"flags": [b"a", b"b"]}
    ]


async def test_a_lost_datagram_is_sent_again_under_its_cookie(engine: NgEngine, client: ng.Ng) -> None:
    engine.answer = lambda cookie, _: cookie + PONG if len(engine.heard) == 3 else None
    begin = time.monotonic()
    assert await client.command("ping") == {b"result": b"pong"}
    assert 0.25 < time.monotonic() - begin < limit(0.9)
    assert len(engine.heard) == 3
    assert len(set(engine.cookies)) == 1


async def test_every_command_has_a_cookie_of_its_own(engine: NgEngine, client: ng.Ng) -> None:
    await asyncio.gather(*(client.command("ping") for _ in range(50)))
    assert len(set(engine.cookies)) == 50


async def test_two_clients_have_no_cookie_in_common(engine: NgEngine, client: ng.Ng) -> None:
    other = ng.Ng("127.0.0.1", engine.port)
    await client.command("ping")
    await other.command("ping")
    other.close()
    assert len(set(engine.cookies)) == 2


async def test_answers_find_their_commands_in_any_order(engine: NgEngine, client: ng.Ng) -> None:
    def backwards(cookie: bytes, body: ng.Decoded) -> bytes | None:
        if len(engine.heard) == 2:
            for held, command in reversed(engine.heard):
                assert isinstance(command, dict) and isinstance(command[b"call-id"], bytes)
                engine.transport.sendto(held + b" " + ng.encode({"for": command[b"call-id"]}), engine.peer)
        return None

    engine.answer = backwards
    answers = await asyncio.gather(client.command("query", call_id="a"), client.command("query", call_id="b"))
    assert answers == [{b"for": b"a"}, {b"for": b"b"}]


@pytest.mark.parametrize(
    "stray", [b"", b" ", b"another" + PONG, b"{} l", b"{} i1e", b"{} d", b"{} d6:result4:ponge?"]
)
async def test_what_is_no_answer_is_passed_over(engine: NgEngine, client: ng.Ng, stray: bytes) -> None:
    engine.answer = lambda cookie, _: (
        stray.replace(b"{}", cookie) if len(engine.heard) == 1 else cookie + PONG
    )
    assert await client.command("ping") == {b"result": b"pong"}
    assert len(engine.heard) == 2


async def test_an_engine_that_says_nothing_is_given_up(engine: NgEngine, client: ng.Ng) -> None:
    engine.answer = lambda cookie, _: None
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match="no answer"):
        await client.command("ping")
    assert 0.9 < time.monotonic() - begin < limit(1.6)
    assert len(engine.heard) == 4


async def test_an_engine_that_is_away_is_noticed_at_once_and_found_again(engine: NgEngine) -> None:
    client = ng.Ng("127.0.0.1", engine.port)
    await client.command("ping")
    engine.transport.close()
    await asyncio.sleep(0.01)
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match="refused"):
        await client.command("ping")
    assert time.monotonic() - begin < limit(0.5)
    await engine.start()
    assert await client.command("ping") == {b"result": b"pong"}
    client.close()


async def test_a_host_that_nobody_knows_is_an_engine_that_is_away() -> None:
    client = ng.Ng("no-such-host.invalid", 2223)
    with pytest.raises(StoreUnavailable):
        await client.command("ping")


async def test_more_commands_than_can_be_waited_for_are_refused(engine: NgEngine, client: ng.Ng) -> None:
    engine.answer = lambda cookie, _: None
    tasks = [asyncio.create_task(client.command("ping")) for _ in range(ng.MAX_OUTSTANDING)]
    while client._wire is None or len(client._wire._waiting) < ng.MAX_OUTSTANDING:
        await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="too many"):
        await client.command("ping")
    client.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}


async def test_a_command_that_nobody_waits_for_any_more_is_forgotten(engine: NgEngine, client: ng.Ng) -> None:
    engine.answer = lambda cookie, _: None
    task = asyncio.create_task(client.command("ping"))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    engine.answer = lambda cookie, _: cookie + PONG
    assert await client.command("ping") == {b"result": b"pong"}
