"""config/feed: the ring of events, keys that repeat, and who sees what; without a server."""

from collections.abc import Collection, Mapping

import orjson
import pytest

from config.access import AccessLevel
from config.auth import Caller, Claims
from config.feed.owners import Owners
from config.feed.reader import Reader
from config.feed.ring import REMEMBERED, RING, Keys, Ring
from config.feed.told import MAX_DATA, Own, Sight, Told, Wanted, tell
from registrar.store.event_stream import Entry
from tests.every import every

ACME = "acme"
CALLER = Caller(AccessLevel.MANAGER, ACME, "anna")
TOKEN = Claims(AccessLevel.MANAGER, ACME, "anna", 1)


def told(number: int, **fields: str) -> Told:
    return tell(
        Entry(f"{number}-0", {"event": "lost"} | fields), fields.get("customer", ACME), is_repeat=False
    )


def reader(wanted: Wanted | None = None, customers: frozenset[str] | None = None) -> Reader:
    return Reader(CALLER, TOKEN, None, Sight(customers), wanted or Wanted())


def test_an_event_is_encoded_once_as_a_message() -> None:
    one = tell(Entry("7-1", {"event": "lost", "time": "5", "phone": "p"}), ACME, is_repeat=False)
    event, data, id, *rest = one.frame.decode().split("\n")
    assert (event, id, rest) == ("event: lost", "id: 7-1", ["", ""])
    assert orjson.loads(data.removeprefix("data: ")) == {
        "key": "7-1", "event": "lost", "time": 5, "phone": "p", "customer": ACME
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a\nevent: b", "a\r\ndata: c", "", "\n\n", "x" * 999])
def test_the_name_of_an_event_cannot_break_a_message(name: str) -> None:
    frame = tell(Entry("7-1", {"event": name}), ACME, is_repeat=False).frame.decode()
    assert [line.partition(":")[0] for line in frame.split("\n")] == ["event", "data", "id", "", ""]


def test_of_an_entry_that_is_too_long_the_name_is_told() -> None:
    long = tell(Entry("7-1", {"event": "lost", "userAgent": "x" * MAX_DATA}), ACME, is_repeat=False)
    assert len(long.frame) < 200 and b'"event":"lost"' in long.frame


@pytest.mark.parametrize(("own", "knows"), [("200", True), ("201", False)], ids=["caller", "callee"])
def test_a_person_is_not_told_who_calls(own: str, knows: bool) -> None:
    call = told(7, event="call-ended", caller="200", phone="p", callId="c@host", by="200", callee="201")
    person = Sight(frozenset({ACME}), Own(numbers=frozenset({own})))
    assert person.sees(call) and (b'"caller":"200"' in person.shown(call)) is knows
    shown = orjson.loads(person.shown(call).split(b"data: ")[1].split(b"\n")[0])
    assert knows or not {"caller", "phone", "callId", "by"} & set(shown)
    assert shown["callee"] == "201"
    assert Sight(frozenset({ACME})).shown(call) == call.frame, "staff is told"


def test_the_ring_keeps_the_newest_events_and_their_positions() -> None:
    ring = Ring()
    ring.begin((0, 0))
    assert ring.covers((0, 0)) and ring.position((0, 0)) == ring.last == 0
    for start in range(0, 3 * RING, 64):
        ring.add([told(number) for number in range(start + 1, start + 65)])
    assert RING <= ring.last - ring.first < 2 * RING
    assert ring.newest == (3 * RING, 0) and ring.last == 3 * RING
    first = ring.since(ring.first, 1)[0].id
    assert ring.covers((first[0] - 1, 0)) and not ring.covers((first[0] - 2, 0))
    assert ring.position((2_999, 5)) == 2_999 or not ring.covers((2_999, 5))
    assert [one.id for one in ring.since(ring.position((3 * RING - 2, 0)), 9)] == [
        (3 * RING - 1, 0), (3 * RING, 0)
    ]  # fmt: skip


def test_a_ring_that_begins_again_has_no_old_positions() -> None:
    ring = Ring()
    ring.add([told(1), told(2)])
    ring.begin((9, 0))
    assert (ring.first, ring.last, ring.newest) == (2, 2, (9, 0))
    assert not ring.covers((8, 0)) and ring.covers((9, 0))


def test_a_key_is_remembered_for_a_thousand_entries() -> None:
    keys = Keys()
    assert not keys.is_repeat("one") and keys.is_repeat("one")
    assert not any(keys.is_repeat(str(number)) for number in range(REMEMBERED - 1))
    assert keys.is_repeat("one")
    assert not any(keys.is_repeat(f"more {number}") for number in range(REMEMBERED))
    assert not keys.is_repeat("one")


@every(
    ("fields", "seen"),
    [
        pytest.param({"phone": "mine"}, True, id="a phone"),
        pytest.param({"phone": "other"}, False, id="another phone"),
        pytest.param({"phone": "other", "calleePhone": "mine"}, True, id="a call that it answered"),
        pytest.param({"phone": "other", "callee": "200"}, True, id="a call that it missed"),
        pytest.param({"phone": "other", "caller": "201", "callee": "202"}, False, id="a foreign call"),
        pytest.param({"person": "anna"}, True, id="a wish"),
        pytest.param({"person": "bent"}, False, id="a wish of another person"),
        pytest.param({}, False, id="nothing"),
        pytest.param({"phone": "mine", "customer": "rival"}, False, id="another customer"),
    ],
)
def test_a_person_sees_its_own(fields: dict[str, str], seen: bool) -> None:
    own = Own(frozenset({"mine"}), frozenset({"anna"}), frozenset({"200"}))
    assert Sight(frozenset({ACME}), own).sees(told(1, **fields)) is seen


def test_who_sees_no_customer_sees_nothing() -> None:
    assert not Sight(frozenset()).sees(told(1)) and not Sight(frozenset()).sees(told(1, customer=""))
    assert not Sight(frozenset({ACME})).sees(told(1, customer=""))
    assert Sight(None).sees(told(1, customer=""))


def test_a_reader_that_waits_goes_past_what_it_does_not_see() -> None:
    mine, other = reader(customers=frozenset({ACME})), reader(customers=frozenset({"rival"}))
    behind = reader(customers=frozenset({"rival"}))
    behind.position = -3
    for one in (mine, other, behind):
        one.heard([told(1), told(2)], frozenset({ACME}), 0, 2)
    assert (mine.position, other.position, behind.position) == (0, 2, -3)


async def test_a_reader_wakes_for_what_it_wants() -> None:
    one = reader(Wanted(events=frozenset({"lost"})))
    one.heard([told(1, event="expired")], frozenset({ACME}), 0, 1)
    await one.wait(0.01)
    assert one.position == 1
    one.heard([told(2)], frozenset({ACME}), 1, 2)
    await one.wait(60)
    assert one.position == 1 and len(one.chosen([told(2), told(3, event="expired")])) == 1
    one.end()
    await one.wait(60)
    assert one.over


async def test_customers_are_looked_up_once_and_learned_from_events() -> None:
    asked: list[set[str]] = []

    async def look_up(phones: Collection[str]) -> Mapping[str, str]:
        asked.append(set(phones))
        return {phone: ACME for phone in phones if phone != "gone"}

    owners = Owners(look_up)
    entries = [
        Entry("1-0", {"phone": "known", "customer": "rival"}),
        Entry("2-0", {"phone": "known", "customer": ""}),
        Entry("3-0", {"phone": "new"}),
        Entry("4-0", {"phone": "gone"}),
        Entry("5-0", {"event": "dnd"}),
    ]
    assert await owners.of(entries) == ["rival", "rival", ACME, "", ""]
    assert await owners.of(entries) == ["rival", "rival", ACME, "", ""]
    assert asked == [{"new", "gone"}]
