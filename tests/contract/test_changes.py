"""The table of changes, as a SIP process follows it: no change is missed, and none is read for nothing."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from config import clock as api_clock
from config.noted import KEPT_SECONDS, forget, note
from registrar.errors import StoreUnavailable
from registrar.metrics import Metrics
from registrar.model import Change, Epoch
from registrar.store.change_follower import AGAIN_SECONDS, MAX_HEARD, Follower
from registrar.store.changes_sql import SqlChanges
from registrar.store.database import connect
from registrar.store.freshness import Freshness
from tests.contract.test_phones import Hands

HOUR = 3_600.0
EVERYBODY = Change(everybody=True)


@dataclass
class Followed:
    """A database, a process that follows its changes, and what that was told."""

    writer: AsyncEngine
    reader: AsyncEngine
    clock: Hands = field(default_factory=Hands)
    told: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.freshness = Freshness(self.clock)
        self.metrics = Metrics()
        self.follower = self.another()

    def another(self) -> Follower:
        """A process that starts now."""

        async def changed(change: Change) -> None:
            self.told.append(change)
            if change.everybody:
                self.freshness.missed()

        changes = SqlChanges(self.reader)
        now = Epoch(api_clock.epoch_now())
        return Follower(changes, self.freshness, lambda: now, self.clock, self.metrics, changed)

    async def note(self, *changes: Change) -> tuple[int, ...]:
        async with self.writer.begin() as connection:
            return (await note(connection, *changes)).rows

    async def execute(self, statement: str, **values: object) -> None:
        async with self.writer.begin() as connection:
            await connection.execute(text(statement), values)

    async def after(self, seconds: float) -> list[Change]:
        """What a poll after this time tells."""
        self.clock.now += seconds
        self.told.clear()
        await self.follower.poll()
        return list(self.told)


@pytest.fixture
async def followed(migrated_url: str) -> AsyncIterator[Followed]:
    made = Followed(connect(migrated_url), connect(migrated_url, read_only=True))
    await made.follower.poll()
    yield made
    await made.reader.dispose()
    await made.writer.dispose()


async def test_each_noted_change_is_told_once(followed: Followed) -> None:
    read_at = followed.clock.now
    await followed.note(Change(phones=("p1", "p2"), dial_plan="c1"), Change(customer="c2"))
    await followed.note(Change(phones=("p2", "u7")))
    expected = [Change(phones=("p1", "p2", "u7")), Change(dial_plan="c1"), Change(customer="c2")]
    assert await followed.after(2) == expected
    for _ in range(int(AGAIN_SECONDS)):
        assert await followed.after(2) == []
    assert followed.freshness.is_fresh(read_at + 1)
    assert followed.metrics.registry.get_sample_value("registrar_changes_unheard_total") == 6


async def test_what_was_announced_is_not_told_again(followed: Followed) -> None:
    rows = await followed.note(Change(phones=("p1", "p2")))
    followed.follower.heard(rows[:1])
    assert await followed.after(2) == [Change(phones=("p2",))]


async def test_a_process_that_hears_of_many_rows_forgets_them_rather_than_grow(followed: Followed) -> None:
    rows = await followed.note(Change(phones=("p1",)))
    followed.follower.heard(rows)
    followed.follower.heard(range(10**6, 10**6 + MAX_HEARD))
    assert await followed.after(2) == [Change(phones=("p1",))]


@pytest.mark.parametrize("backend", [pytest.param("postgresql", marks=pytest.mark.wire)])
async def test_a_transaction_that_is_held_open_is_told_when_it_commits(followed: Followed) -> None:
    """Its rows have smaller numbers than those that were told before."""
    async with followed.writer.connect() as held, held.begin() as transaction:
        (early,) = (await note(held, Change(phones=("early",)))).rows
        (late,) = await followed.note(Change(phones=("late",)))
        assert early < late
        assert await followed.after(2) == [Change(phones=("late",))]
        for _ in range(5):
            assert await followed.after(2) == []
        await transaction.commit()
    assert await followed.after(2) == [Change(phones=("early",))]
    assert await followed.after(2) == []


@pytest.mark.parametrize("backend", [pytest.param("postgresql", marks=pytest.mark.wire)])
async def test_a_number_that_was_given_back_is_waited_for_a_minute(followed: Followed) -> None:
    async with followed.writer.connect() as connection, connection.begin() as transaction:
        await note(connection, Change(phones=("never",)))
        await transaction.rollback()
    await followed.note(*(Change(phones=(f"p{number}",)) for number in range(50)))
    await followed.after(2)
    assert len(await SqlChanges(followed.reader).since(followed.follower._floor)) > 50
    await followed.after(AGAIN_SECONDS)
    await followed.after(2)
    assert len(await SqlChanges(followed.reader).since(followed.follower._floor)) == 1


async def test_an_idle_poll_is_one_statement_with_one_row(followed: Followed) -> None:
    await followed.note(*(Change(phones=(f"p{number}",)) for number in range(50)))
    await followed.after(2)
    seen: list[str] = []

    def note_statement(*given: object) -> None:
        seen.append(str(given[2]))

    event.listen(Engine, "before_cursor_execute", note_statement)
    try:
        for _ in range(10):
            assert await followed.after(2) == []
    finally:
        event.remove(Engine, "before_cursor_execute", note_statement)
    assert len([one for one in seen if one != "BEGIN"]) == 10
    assert len(await SqlChanges(followed.reader).since(followed.follower._floor)) == 1


async def test_a_process_that_was_away_for_longer_than_rows_are_kept_has_missed_changes(
    followed: Followed,
) -> None:
    read_at = followed.clock.now
    await followed.note(Change(phones=("p1",)))
    await followed.note(Change(phones=("p2",)))
    await followed.execute("UPDATE change SET at = at - :kept", kept=KEPT_SECONDS + 1)
    assert await forget(followed.writer) == 2
    assert await forget(followed.writer) == 0, "the newest row stays"
    assert await followed.after(HOUR) == [EVERYBODY]
    assert not followed.freshness.is_fresh(read_at)
    assert followed.freshness.is_fresh(followed.clock.now)
    assert followed.metrics.registry.get_sample_value("registrar_changes_missed_total") == 1
    await followed.note(Change(phones=("p3",)))
    assert await followed.after(2) == [Change(phones=("p3",))]


async def test_a_process_that_was_away_for_less_has_missed_none(followed: Followed) -> None:
    read_at = followed.clock.now + 1
    await followed.note(Change(phones=("p1",)))
    await followed.after(2)
    await followed.note(Change(phones=("p2",)))
    assert await forget(followed.writer) == 0
    assert await followed.after(HOUR) == [Change(phones=("p2",))]
    assert followed.freshness.is_fresh(read_at)


async def test_another_database_under_the_same_name_is_noticed(followed: Followed) -> None:
    """A backup was restored."""
    await followed.note(*(Change(phones=(f"p{number}",)) for number in range(5)))
    await followed.after(2)
    await followed.execute("DELETE FROM change WHERE seq > 1")
    assert await followed.after(2) == [EVERYBODY]


async def test_an_empty_table_says_nothing(followed: Followed) -> None:
    await followed.execute("DELETE FROM change")
    with pytest.raises(StoreUnavailable, match="empty"):
        await followed.after(2)
    assert followed.told == [EVERYBODY]
    with pytest.raises(StoreUnavailable, match="empty"):
        await followed.after(2)
    assert followed.told == []


async def test_without_a_database_nothing_is_followed_and_later_nothing_was_missed(
    followed: Followed,
) -> None:
    read_at = followed.clock.now + 1
    await followed.after(HOUR)
    await followed.execute("DROP VIEW change_v1")
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await followed.after(2)
    assert not followed.freshness.is_fresh(read_at), "the last poll is six seconds old"
    assert followed.freshness.is_believed(followed.freshness.right_at(read_at))
    await followed.execute("CREATE VIEW change_v1 AS SELECT seq, what, id, at FROM change")
    assert await followed.after(2) == []
    assert followed.freshness.is_fresh(read_at)


async def test_a_process_that_starts_is_told_nothing_of_before(followed: Followed) -> None:
    await followed.note(Change(phones=("p1",)))
    followed.follower = followed.another()
    assert await followed.after(1) == []
    await followed.note(Change(phones=("p2",)))
    assert await followed.after(2) == [Change(phones=("p2",))]
