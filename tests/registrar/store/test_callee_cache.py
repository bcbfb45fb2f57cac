"""What is believed of a dial plan, and for how long; the clock is turned by hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from registrar.errors import StoreUnavailable
from registrar.model import Devices, Emergency, Feature, FeatureKind, Phone
from registrar.rules.features import reserved_words
from registrar.store import announce, callee_cache
from registrar.store.callee_cache import (
    MAX_DIALLED,
    MAX_SELECTS,
    NOBODY_SECONDS,
    SELECT_SECONDS,
    CachedCallees,
)
from registrar.store.directory_cache import CachedDirectory
from registrar.store.freshness import BELIEVED_SECONDS, FRESH_SECONDS, Freshness
from tests.contract.test_phones import Hands, Rows, believing, phone
from tests.every import every
from tests.patience import limit

ACME = "acme"


def anna(**changes: object) -> Phone:
    return replace(phone(), **{"name": "Anna"} | changes)  # type: ignore[arg-type]  # fields that exist


ANNA = anna()
REACHED = Devices("200", "Anna", (ANNA,))


def cached() -> tuple[CachedCallees, Rows, Hands]:
    callees, rows, clock, _ = followed()
    return callees, rows, clock


def followed() -> tuple[CachedCallees, Rows, Hands, Freshness]:
    rows, clock = Rows(ANNA), Hands()
    freshness = Freshness(clock)
    return CachedCallees(rows, clock, freshness), rows, clock, freshness


@pytest.mark.parametrize(
    ("dialled", "seconds"),
    [
        pytest.param("200", FRESH_SECONDS, id="somebody"),
        pytest.param("999", NOBODY_SECONDS, id="nobody"),
    ],
)
async def test_an_answer_is_fresh_for_its_time(dialled: str, seconds: float) -> None:
    callees, rows, clock = cached()
    first = await callees.called(ACME, dialled)
    assert first == (REACHED if dialled == "200" else None)
    clock.now += seconds
    assert await callees.called(ACME, dialled) == first
    assert rows.dialled == [(ACME, dialled)]
    clock.now += 0.001
    rows.rows["id-anna"] = anna(name="Anne", extension=dialled)
    again = await callees.called(ACME, dialled)
    assert again is not None and again.name == "Anne"
    assert len(rows.dialled) == 2


async def test_one_number_is_somebody_else_for_another_customer() -> None:
    callees, rows, _ = cached()
    assert await callees.called(ACME, "200") == REACHED
    assert await callees.called("rival", "200") is None
    assert rows.dialled == [(ACME, "200"), ("rival", "200")]


@pytest.mark.parametrize(
    "dialled",
    ["", "x" * (MAX_DIALLED + 1), "20\u00e4", "2\n00", "2\x0000"],
    ids=["nothing", "too long", "outside ASCII", "a line break", "a NUL"],
)
async def test_what_nobody_can_be_called_is_not_asked_for(dialled: str) -> None:
    callees, rows, _ = cached()
    assert await callees.called(ACME, dialled) is None
    assert rows.dialled == []


async def test_a_change_puts_every_answer_in_doubt() -> None:
    callees, rows, _ = cached()
    for dialled in ("200", "201"):
        await callees.called(ACME, dialled)
    rows.rows["id-anna"] = anna(extension="201")
    callees.doubt()
    assert await callees.called(ACME, "200") is None
    assert await callees.called(ACME, "201") == Devices("201", "Anna", (anna(extension="201"),))
    assert len(rows.dialled) == 4


async def test_a_change_of_one_dial_plan_leaves_the_others_as_they_are() -> None:
    callees, rows, _ = cached()
    for customer in (ACME, "rival"):
        await callees.called(customer, "200")
    callees.doubt(ACME)
    for customer in ("rival", ACME, "rival", ACME):
        await callees.called(customer, "200")
    assert rows.dialled == [(ACME, "200"), ("rival", "200"), (ACME, "200")]


async def test_a_change_of_everything_is_newer_than_that_of_one_dial_plan() -> None:
    callees, rows, _ = cached()
    callees.doubt(ACME)
    await callees.called(ACME, "200")
    callees.doubt()
    for _ in range(2):
        await callees.called(ACME, "200")
    assert len(rows.dialled) == 2


async def test_changes_of_more_customers_than_are_known_put_all_in_doubt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callee_cache, "MAX_CUSTOMERS", 2)
    callees, rows, _ = cached()
    for customer in ("a", "b"):
        callees.doubt(customer)
    await callees.called(ACME, "200")
    callees.doubt("a")
    await callees.called(ACME, "200")
    assert len(rows.dialled) == 1, "one of those that are known"
    callees.doubt("c")
    for _ in range(2):
        await callees.called(ACME, "200")
    assert len(rows.dialled) == 2


async def test_whoever_asks_for_one_number_at_once_shares_one_select() -> None:
    callees, rows, _ = cached()
    rows.gate = asyncio.Event()
    asked = [asyncio.create_task(callees.called(ACME, "200")) for _ in range(50)]
    await asyncio.sleep(0.01)
    asked[0].cancel()
    rows.gate.set()
    assert await asyncio.gather(*asked[1:]) == [REACHED] * 49
    assert rows.dialled == [(ACME, "200")]
    assert await callees.called(ACME, "200") == REACHED, "who gave up took nobody with him"
    assert len(rows.dialled) == 1


async def test_a_select_that_began_before_a_change_answers_nobody_who_asks_after_it() -> None:
    callees, rows, clock = cached()
    rows.gate = asyncio.Event()
    before = asyncio.create_task(callees.called(ACME, "200"))
    await asyncio.sleep(0.01)
    rows.rows["id-anna"] = newer = anna(name="Anne", version=2)
    callees.doubt()
    clock.now += 1
    slow, rows.gate = rows.gate, None
    assert await callees.called(ACME, "200") == Devices("200", "Anne", (newer,))
    slow.set()
    assert await before == REACHED
    assert await callees.called(ACME, "200") == Devices("200", "Anne", (newer,)), "the older read came last"
    assert len(rows.dialled) == 2


async def test_a_change_during_a_select_makes_its_answer_stale() -> None:
    callees, rows, _ = cached()
    rows.gate = asyncio.Event()
    asked = asyncio.create_task(callees.called(ACME, "200"))
    await asyncio.sleep(0.01)
    callees.doubt()
    rows.gate.set()
    assert await asked == REACHED
    await callees.called(ACME, "200")
    assert len(rows.dialled) == 2


@pytest.mark.parametrize(
    ("seconds", "changed", "dialled", "believed"),
    [
        pytest.param(FRESH_SECONDS + 1, False, "200", True, id="no longer fresh"),
        pytest.param(BELIEVED_SECONDS, True, "200", True, id="ten minutes old, and something changed"),
        pytest.param(BELIEVED_SECONDS + 1, False, "200", False, id="older"),
        pytest.param(BELIEVED_SECONDS, False, "999", True, id="nobody, ten minutes ago"),
        pytest.param(BELIEVED_SECONDS + 1, False, "999", False, id="nobody, longer ago"),
        pytest.param(1, True, "999", False, id="nobody, but something changed"),
        pytest.param(1, False, "201", False, id="never asked"),
    ],
)
async def test_without_a_database_an_answer_is_believed_for_ten_minutes(
    seconds: float, changed: bool, dialled: str, believed: bool
) -> None:
    callees, rows, clock = cached()
    answers = {number: await callees.called(ACME, number) for number in ("200", "999")}
    rows.away = True
    clock.now += seconds
    if changed:
        callees.doubt()
    if believed:
        assert await callees.called(ACME, dialled) == answers[dialled]
        return
    with pytest.raises(StoreUnavailable, match="away"):
        await callees.called(ACME, dialled)


async def test_an_answer_stays_good_as_long_as_changes_are_followed() -> None:
    callees, rows, clock, freshness = followed()
    await callees.called(ACME, "200")
    clock.now += 3_600
    freshness.followed(clock())
    assert await callees.called(ACME, "200") == REACHED
    assert len(rows.dialled) == 1
    callees.doubt()
    rows.away = True
    clock.now += BELIEVED_SECONDS
    assert await callees.called(ACME, "200") == REACHED, "it was right when it was last used"
    clock.now += 1
    with pytest.raises(StoreUnavailable):
        await callees.called(ACME, "200")


async def test_a_database_that_hangs_is_away_and_asked_again() -> None:
    callees, rows, clock = cached()
    await callees.called(ACME, "200")
    clock.now += FRESH_SECONDS + 1
    rows.gate = asyncio.Event()
    started = asyncio.get_running_loop().time()
    known, unknown = await asyncio.gather(
        callees.called(ACME, "200"), callees.called(ACME, "999"), return_exceptions=True
    )
    assert asyncio.get_running_loop().time() - started < limit(SELECT_SECONDS + 0.2)
    assert known == REACHED
    assert isinstance(unknown, StoreUnavailable)
    rows.gate = None
    assert await callees.called(ACME, "999") is None


async def test_only_a_few_selects_run_at_once() -> None:
    callees, rows, _ = cached()
    rows.gate = asyncio.Event()
    asked = [asyncio.create_task(callees.called(ACME, str(number))) for number in range(20)]
    await asyncio.sleep(0.01)
    assert len(rows.dialled) == MAX_SELECTS
    rows.gate.set()
    assert await asyncio.gather(*asked) == [None] * 20
    assert len(rows.dialled) == 20


async def test_numbers_that_reach_nobody_do_not_push_out_those_that_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callee_cache, "MAX_CALLEES", 10)
    callees, rows, _ = cached()
    await callees.called(ACME, "200")
    for number in range(300, 400):
        assert await callees.called(ACME, str(number)) is None
    asked = len(rows.dialled)
    for dialled in ("200", "399", "390"):
        await callees.called(ACME, dialled)
    assert len(rows.dialled) == asked
    await callees.called(ACME, "389")
    assert len(rows.dialled) == asked + 1, "the oldest went"


async def test_the_dial_plan_is_not_read_for_reserved_words() -> None:
    async with knowing() as (directory, rows):
        asked = list(rows.dialled)
        rows.away = True
        for word in ("112", "1-1-2", "112;phone-context=+44", "%31%31%32"):
            assert await directory.called(ACME, word) == Emergency("112")
        assert await directory.called(ACME, "urn:service:sos") == Emergency("urn:service:sos")
        for word in ("*72201%23", "*72201#", "%2A72201"):
            assert await directory.called(ACME, word) == Feature(FeatureKind.CFU_ON, "*72", "201")
        assert rows.dialled == asked
        with pytest.raises(StoreUnavailable):
            await directory.called(ACME, "1120")


async def test_an_installation_has_its_own_reserved_words() -> None:
    rows = Rows(anna(extension="*76"))
    directory = CachedDirectory(rows, Hands(), reserved=reserved_words([], ["114"]))
    found = await directory.called(ACME, "*76")
    assert isinstance(found, Devices) and found.number == "*76"
    assert await directory.called(ACME, "114") == Emergency("114")


@contextlib.asynccontextmanager
async def knowing() -> AsyncIterator[tuple[CachedDirectory, Rows]]:
    """A directory of Anna that knows whom 200 reaches."""
    rows = Rows(ANNA, phone("bent", extension="201"))
    async with believing(rows) as (directory, clock):
        await directory.find("anna", "acme.test")
        await directory.find("bent", "acme.test")
        assert (
            await directory.called(ACME, "200")
            == Devices("200", "Anna", (ANNA,))
            == await directory.called(ACME, "200")
        )
        assert len(rows.dialled) == 1
        clock.now += 1
        yield directory, rows


async def _reread(directory: CachedDirectory, _rows: Rows) -> None:
    await directory.reread(["id-bent"])


async def _reread_in_vain(directory: CachedDirectory, rows: Rows) -> None:
    rows.away = True
    with pytest.raises(StoreUnavailable):
        await directory.reread(["u1"])
    rows.away = False


async def _of_a_customer(directory: CachedDirectory, _rows: Rows) -> None:
    await directory.members("rival")


async def _dial_plan(directory: CachedDirectory, _rows: Rows) -> None:
    directory.heard(announce.decode(f"dialplan {ACME}"))


async def _before_there_was_a_word_for_it(directory: CachedDirectory, _rows: Rows) -> None:
    """A config API of an earlier version names a SIP user that does not exist."""
    change = announce.decode("phone u17")
    directory.heard(change)
    assert await directory.reread(change.phones) == []


async def _everybody(directory: CachedDirectory, _rows: Rows) -> None:
    directory.heard(announce.decode("everybody"))


async def _gap(directory: CachedDirectory, _rows: Rows) -> None:
    directory.forget_freshness()


async def _found_gone(directory: CachedDirectory, rows: Rows) -> None:
    known = await directory.find("bent", "acme.test")
    assert known is not None
    del rows.rows["id-bent"]
    assert await directory.lock(known, "192.0.2.1") == (None, False)


@every(
    "hear",
    [
        pytest.param(_reread, id="a phone changed"),
        pytest.param(_reread_in_vain, id="a phone changed that cannot be read"),
        pytest.param(_of_a_customer, id="a customer changed"),
        pytest.param(_dial_plan, id="the dial plan of the customer changed"),
        pytest.param(_before_there_was_a_word_for_it, id="the same, as it was said before"),
        pytest.param(_everybody, id="too much changed to name it"),
        pytest.param(_gap, id="changes may have been missed"),
        pytest.param(_found_gone, id="a phone is gone"),
    ],
)
async def test_whatever_the_directory_hears_of_is_read_again(
    hear: Callable[[CachedDirectory, Rows], Awaitable[None]],
) -> None:
    async with knowing() as (directory, rows):
        await hear(directory, rows)
        rows.rows["id-anna"] = newer = anna(name="Anne", version=2)
        assert await directory.called(ACME, "200") == Devices("200", "Anne", (newer,))
