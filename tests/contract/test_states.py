"""The index of states: what commits write to it, in memory and in Redis, and how it is mended."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from redis.asyncio import Redis

from registrar.commands.doctor_states import judge_states
from registrar.errors import StoreUnavailable
from registrar.model import Binding, Deny, Epoch, IpMode, Phone, Process, Reason, Snapshot, Update
from registrar.ports import Location, StateIndex
from registrar.rules.register import expire, hear, silence
from registrar.rules.standing import Entry, Standing
from registrar.rules.update import build_update, noted, refuse
from registrar.store import keys
from registrar.store.location_memory import MemoryLocation
from registrar.store.location_redis import RedisLocation
from registrar.store.scripts import PLACE
from registrar.store.state_index import BUILDING
from registrar.store.state_keeper import EVERY_SECONDS, StateKeeper
from registrar.store.state_members import Members
from registrar.store.state_walk import StateWalk, Walked
from tests.contract.conftest import KINDS
from tests.contract.servers import Server, client, running
from tests.figures import FIGURE
from tests.patience import SOAK, limit

PHONE, OTHER, USER = "0123456789abcdef01234567", "0123456789abcdef01234568", "u7"
ACME, RIVAL = "a" * 24, "b" * 24
NOTHING: Final = Snapshot()


@dataclass
class Times:
    """A wall clock that is turned by hand."""

    now: float = field(default_factory=lambda: float(int(time.time())))

    def __call__(self) -> Epoch:
        return Epoch(self.now)


@dataclass
class Store:
    """A location, its index, and what corrects it."""

    location: Location
    index: StateIndex

    async def state(self, phone: str = PHONE, customer: str = ACME) -> tuple[str, str] | None:
        (entry,) = await self.index.entries(customer, [phone])
        return (entry.standing.reason, entry.standing.transport) if entry else None

    async def commit(self, update: Update, phone: str = PHONE) -> Snapshot:
        """Commit over what is known. Answers what is known then."""
        assert await self.location.commit(phone, self.location.known(phone), update) is None
        return update.after


@pytest.fixture
def times() -> Times:
    return Times()


@asynccontextmanager
async def opened(server: Server, times: Times, node: str = "a") -> AsyncIterator[RedisLocation]:
    location = RedisLocation(server.url, times, Process(node, "g1"))
    async with asyncio.timeout(limit(60) + MANY / 50), asyncio.TaskGroup() as tasks:
        running_wire = tasks.create_task(location.wire.run())
        await location.wire.opened.wait()
        try:
            yield location
        finally:
            running_wire.cancel()
            location.wire.close()


@pytest.fixture(params=[pytest.param("memory", id="memory"), *KINDS])
async def store(request: pytest.FixtureRequest, times: Times) -> AsyncIterator[Store]:
    if request.param == "memory":
        memory = MemoryLocation(times)
        yield Store(memory, memory.states)
        return
    with running(request.param) as server:
        async with opened(server, times) as location:
            yield Store(location, location.state_index)


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[Redis]:
    async with client(server) as opened_client:
        yield opened_client


def binding(times: Times, transport: str = "udp", seconds: int = 3_600, **changes: object) -> Binding:
    now = int(times.now)
    made = Binding(
        contact="sip:200@10.0.0.7",
        expires_at=now + seconds,
        call_id="call-1",
        cseq=1,
        public_ip="198.51.100.7",
        public_port=5060,
        transport=transport,
        node="a",
        generation="g1",
        registered_at=now,
        refreshed_at=now,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name fields that exist


def update(
    before: Snapshot,
    times: Times,
    *bindings: Binding,
    reason: Reason = Reason.UNREGISTERED,
    customer: str = ACME,
) -> Update:
    times.now += 0.01
    return build_update(before, bindings, (), times(), reason=reason, customer=customer)


def refused(before: Snapshot, times: Times, why: str = "ip-locked", phone: str = PHONE) -> Update:
    who = Phone(phone, 1, "x" * 32, "acme.test", ACME, True, "200", "p", 1, IpMode.LOCKED)
    times.now += 0.01
    return refuse(before, (), who, "203.0.113.9", 5060, Deny(why), times())


# What the port means, whatever is behind it


async def test_a_phone_without_a_state_has_no_entry(store: Store, times: Times) -> None:
    await store.commit(noted(NOTHING, (), times()))
    assert await store.index.entries(ACME, [PHONE, OTHER]) == [None, None]
    assert await store.index.entries(ACME, []) == []


async def test_the_entry_follows_the_life_of_a_phone(store: Store, times: Times) -> None:
    stands = await store.commit(update(NOTHING, times, binding(times, "tls")))
    assert await store.state() == ("registered", "tls")
    stands = await store.commit(update(stands, times, binding(times, "wss", refreshed_at=int(times.now) + 1)))
    assert await store.state() == ("registered", "wss")
    await store.commit(update(stands, times, reason=Reason.SOCKET_CLOSED))
    assert await store.state() == ("socket-closed", "wss")
    await store.commit(refused(store.location.known(PHONE), times))
    assert await store.state() == ("ip-rejected", "wss")
    await store.commit(refused(store.location.known(PHONE), times, "bad-contact"))
    assert await store.state() == ("ip-rejected", "wss")
    await store.commit(update(store.location.known(PHONE), times, binding(times)))
    assert await store.state() == ("registered", "udp")


async def test_a_silent_phone_is_offline_until_it_is_heard(store: Store, times: Times) -> None:
    stands = await store.commit(update(NOTHING, times, binding(times)))
    silent = silence(stands, list(stands.bindings), times())
    stands = await store.commit(update(stands, times, *silent.bindings, reason=Reason.PING_TIMEOUT))
    assert await store.state() == ("ping-timeout", "udp")
    heard = hear(stands, list(stands.bindings), "ping-answered", times())
    await store.commit(update(stands, times, *heard.bindings, reason=Reason.REGISTERED))
    assert await store.state() == ("registered", "udp")


async def test_an_expiry_is_a_change_of_state(store: Store, times: Times) -> None:
    stands = await store.commit(update(NOTHING, times, binding(times, seconds=60)))
    times.now += 61
    left = expire(stands, times())
    await store.commit(update(stands, times, *left.bindings, reason=Reason.EXPIRED))
    assert await store.state() == ("expired", "udp")


async def test_a_refused_phone_that_never_registered_has_no_transport(store: Store, times: Times) -> None:
    await store.commit(refused(NOTHING, times))
    assert await store.state() == ("ip-rejected", "")


async def test_a_phone_that_was_deleted_leaves_the_index(store: Store, times: Times) -> None:
    await store.commit(update(NOTHING, times, binding(times)))
    await store.index.drop(OTHER, ACME)
    assert await store.state() == ("registered", "udp")
    await store.index.drop(PHONE, ACME)
    assert await store.state() is None
    await store.index.settle(PHONE, ACME)
    assert await store.state() is None, "who has it in doubt does not bring it back"


async def test_a_user_that_gets_a_password_again_is_in_the_index_again(store: Store, times: Times) -> None:
    await store.commit(update(NOTHING, times, binding(times)), USER)
    await store.commit(update(store.location.known(USER), times, reason=Reason.REVOKED), USER)
    await store.index.drop(USER, ACME)
    assert await store.state(USER) is None
    await store.commit(update(store.location.known(USER), times, binding(times, "tls")), USER)
    await store.index.settle(USER, ACME)
    assert await store.state(USER) == ("registered", "tls")


async def test_customers_do_not_share_an_index(store: Store, times: Times) -> None:
    await store.commit(update(NOTHING, times, binding(times)))
    await store.commit(update(NOTHING, times, binding(times), customer=RIVAL), OTHER)
    assert await store.state(OTHER) is None
    assert await store.state(OTHER, RIVAL) == ("registered", "udp")


# What only a server shows


async def scanned(redis: Redis, customers: dict[str, str]) -> dict[str, Counter[str]]:
    """Customer -> word -> phones, by a scan of all status hashes."""
    found: dict[str, Counter[str]] = {customer: Counter() for customer in customers.values()}
    names: list[str] = [name async for name in redis.scan_iter("registrar:status:*", count=5_000)]
    for key in names:
        phone = key.partition("{")[2].rstrip("}")
        online, reason, transport = await redis.hmget(key, "online", "reason", "transport")
        if online is not None and phone in customers:
            words = ("u" if phone.startswith("u") else "p", str(reason), str(transport or "-"))
            found[customers[phone]][" ".join(words)] += 1
    return found


async def indexed(redis: Redis, customer: str) -> Counter[str]:
    """Word -> phones, as the index counts them. The three keys of a customer must agree."""
    states, order, counts = keys.states(customer)
    numbers: dict[str, str] = await redis.hgetall(counts)  # type: ignore[assignment]  # it decodes
    entries: dict[str, str] = await redis.hgetall(states)  # type: ignore[assignment]  # it decodes
    kinds = {phone: "u" if phone.startswith("u") else "p" for phone in entries}
    words = {phone: f"{kinds[phone]} {entry.partition(' ')[2]}" for phone, entry in entries.items()}
    assert sorted(f"{word} {phone}" for phone, word in words.items()) == await redis.zrange(order, 0, -1)
    assert Counter(words.values()) == {word: int(number) for word, number in numbers.items()}
    return Counter(words.values())


@dataclass
class Rows:
    """The phones in the database, by customer, and what happens after the walk has read them."""

    phones: dict[str, list[str]]
    deleted: list[str] = field(default_factory=list)
    later: Callable[[], Awaitable[None]] | None = None
    asked: int = 0

    async def members(self) -> Members:
        read = Members({customer: list(phones) for customer, phones in self.phones.items()}, self.deleted)
        if self.later is not None:
            await self.later()
        return read

    async def owners(self, phones: Sequence[str]) -> dict[str, str]:
        self.asked += 1
        return {one: customer for customer, some in self.phones.items() for one in some if one in phones}


async def walked(
    location: RedisLocation, rows: Rows | dict[str, list[str]], *, repair: bool = True
) -> Walked:
    known = rows if isinstance(rows, Rows) else Rows(rows)
    return await StateWalk(location.state_index, known, repair=repair, rest=0.0, patience=0.0).run()


async def test_a_refresh_writes_nothing_to_the_index(server: Server, times: Times, redis: Redis) -> None:
    async with opened(server, times) as location:
        first = update(NOTHING, times, binding(times))
        assert await location.commit(PHONE, NOTHING, first) is None
        before = await redis.info("commandstats")
        later = binding(times, cseq=2, refreshed_at=int(times.now) + 60, seconds=3_700)
        assert await location.commit(PHONE, first.after, update(first.after, times, later)) is None
        after = await redis.info("commandstats")
    scripts = [stats["cmdstat_evalsha"]["calls"] for stats in (before, after)]
    assert scripts[1] - scripts[0] == 1
    assert await redis.hget(keys.states(ACME)[0], PHONE) == f"{first.after.version} registered udp"


async def test_the_loser_of_a_race_corrects_what_it_announced(
    server: Server, times: Times, redis: Redis
) -> None:
    """Its version is the higher one, as that of a node whose clock is ahead."""
    async with opened(server, times) as one, opened(server, times, "b") as other:
        mine = update(NOTHING, times, binding(times, "tcp"))
        theirs = update(NOTHING, times, binding(times, "wss", node="b"))
        ahead = replace(theirs, after=replace(theirs.after, version=mine.after.version + 5_000_000))
        assert await one.commit(PHONE, NOTHING, mine) is None
        assert await other.commit(PHONE, NOTHING, ahead) == mine.after
        assert await indexed(redis, ACME) == {"p registered wss": 1}
        other.state_index._patience = 0.1
        assert await other.state_writer.settle()
        assert await indexed(redis, ACME) == {"p registered tcp": 1}


async def test_an_entry_from_the_past_does_not_win(server: Server, times: Times, redis: Redis) -> None:
    """The winner of a commit finds a higher version in the index: it corrects that when it has won."""
    async with opened(server, times) as location:
        first = update(NOTHING, times, binding(times, "tcp"))
        late = Entry(first.after.version + 10, Standing("expired", "udp"))
        words = (PHONE, late.version, late.standing.reason, late.standing.transport, "*")
        await redis.eval(PLACE.text, 3, *keys.states(ACME), *words)
        assert await location.commit(PHONE, NOTHING, first) is None
        assert await indexed(redis, ACME) == {"p expired udp": 1}
        location.state_index._patience = 0.0
        assert await location.state_writer.settle()
        assert await indexed(redis, ACME) == {"p registered tcp": 1}


async def test_two_nodes_that_write_one_phone_leave_the_truth(
    server: Server, times: Times, redis: Redis
) -> None:
    chance = random.Random(14)
    async with opened(server, times) as one, opened(server, times, "b") as other:
        nodes = (one, other)
        for location in nodes:
            location.state_index._patience = 0.05
        for _ in range(100):
            times.now += 0.01
            updates = []
            for location in nodes:
                transport = chance.choice(["udp", "tcp", "tls", "wss", ""])
                bindings = (binding(times, transport),) if transport else ()
                made = update(location.known(PHONE), times, *bindings)
                skewed = made.after.version + chance.randrange(50_000)
                updates.append(replace(made, after=replace(made.after, version=skewed)))
            await asyncio.gather(
                *(
                    node.commit(PHONE, node.known(PHONE), made)
                    for node, made in zip(nodes, updates, strict=True)
                )
            )
        assert await one.state_writer.settle()
        assert await other.state_writer.settle()
        assert (await scanned(redis, {PHONE: ACME}))[ACME] == await indexed(redis, ACME)


async def test_a_phone_that_two_nodes_revoke_stays_out_of_the_index(
    server: Server, times: Times, redis: Redis
) -> None:
    """Both hear that it was deleted; the one whose commit was refused has its entry in doubt."""
    async with opened(server, times) as one, opened(server, times, "b") as other:
        first = update(NOTHING, times, binding(times, "tls"))
        assert await one.commit(PHONE, NOTHING, first) is None
        for location in (one, other):
            gone = update(first.after, times, reason=Reason.REVOKED)
            await location.commit(PHONE, first.after, gone)
            await location.state_index.drop(PHONE, "")
        assert await other.state_writer.settle()
        assert await indexed(redis, ACME) == {}
        assert await redis.hget(keys.status(PHONE), "reason") == "revoked"


async def test_an_unknown_customer_is_read_from_the_status(
    server: Server, times: Times, redis: Redis
) -> None:
    async with opened(server, times) as location:
        first = update(NOTHING, times, binding(times))
        assert await location.commit(PHONE, NOTHING, first) is None
        gone = update(first.after, times, reason=Reason.EXPIRED, customer="")
        assert await location.commit(PHONE, first.after, gone) is None
        location.state_index._patience = 0.0
        assert await location.state_writer.settle()
        assert await indexed(redis, ACME) == {"p expired udp": 1}


async def test_an_answer_that_never_came_is_made_good(server: Server, times: Times, redis: Redis) -> None:
    """Redis dies after it was told: nobody knows what it has. When it is back, the entry is read again."""
    async with opened(server, times) as location:
        first = update(NOTHING, times, binding(times))
        assert await location.commit(PHONE, NOTHING, first) is None
        location.wire._drop("a cable was pulled")
        with pytest.raises(Exception, match="cable"):
            await location.commit(PHONE, first.after, update(first.after, times))
        await location.back.wait()
        location.state_writer.doubt(PHONE, ACME)
        await redis.hset(keys.states(ACME)[0], OTHER, "1 registered udp")
        assert await location.state_writer.settle()
        assert await redis.hget(keys.states(ACME)[0], PHONE) == f"{first.after.version} registered udp"


@pytest.mark.parametrize("gone", ["states", "counts", "order", "all"])
async def test_a_walk_finds_and_mends_what_is_missing(
    server: Server, times: Times, redis: Redis, gone: str
) -> None:
    async with opened(server, times) as location:
        for phone in (PHONE, OTHER, USER):
            assert await location.commit(phone, NOTHING, update(NOTHING, times, binding(times))) is None
        members = {ACME: [PHONE, OTHER, USER, "0" * 24], RIVAL: []}
        right = await indexed(redis, ACME)
        assert right == {"p registered udp": 2, "u registered udp": 1}
        assert (await walked(location, members, repair=False)).is_right
        names = dict(zip(("states", "order", "counts"), keys.states(ACME), strict=True))
        await redis.delete(*(names.values() if gone == "all" else [names[gone]]))
        found = await walked(location, members, repair=False)
        assert not found.is_right
        await walked(location, members)
        assert await indexed(redis, ACME) == right


async def test_a_walk_removes_phones_that_do_not_exist(server: Server, times: Times, redis: Redis) -> None:
    async with opened(server, times) as location:
        for phone in (PHONE, OTHER):
            assert await location.commit(phone, NOTHING, update(NOTHING, times, binding(times))) is None
        await redis.delete(keys.status(OTHER))
        found = await walked(location, {ACME: [OTHER]})
        assert found == Walked(phones=1, wrong=2, examples=[OTHER, PHONE])
        assert await indexed(redis, ACME) == {}


async def test_a_phone_that_is_created_during_a_walk_stays_in_the_index(
    server: Server, times: Times, redis: Redis
) -> None:
    """The walk has read the phones; then one is created and registers, before the walk reads the index."""
    async with opened(server, times) as location:
        rows = Rows({ACME: [PHONE]})

        async def created() -> None:
            if OTHER not in rows.phones[ACME]:
                rows.phones[ACME].append(OTHER)
                assert await location.commit(OTHER, NOTHING, update(NOTHING, times, binding(times))) is None

        assert await location.commit(PHONE, NOTHING, update(NOTHING, times, binding(times))) is None
        rows.later = created
        assert await walked(location, rows) == Walked(phones=1)
        assert await indexed(redis, ACME) == {"p registered udp": 2}
        assert await redis.hget(keys.status(OTHER), "customer") == ACME
        assert await walked(location, rows, repair=False) == Walked(phones=2)


async def test_a_phone_that_is_deleted_during_a_walk_leaves_the_index(
    server: Server, times: Times, redis: Redis
) -> None:
    """The walk knows it, and finds its entry gone and its status marked: neither is wrong."""
    async with opened(server, times) as location:
        rows = Rows({ACME: [PHONE, OTHER]})

        async def deleted() -> None:
            rows.phones[ACME] = [PHONE]
            await location.state_index.drop(OTHER, ACME)

        for phone in (PHONE, OTHER):
            assert await location.commit(phone, NOTHING, update(NOTHING, times, binding(times))) is None
        rows.later = deleted
        for repair in (False, True):
            assert (await walked(location, rows, repair=repair)).is_right
        assert await indexed(redis, ACME) == {"p registered udp": 1}


async def test_a_phone_that_is_deleted_while_its_entry_is_mended_leaves_the_index(
    server: Server, times: Times, redis: Redis
) -> None:
    """Its process has dropped the entry, and the walk, which had asked before, has written it again."""
    async with opened(server, times) as location:
        assert await location.commit(PHONE, NOTHING, update(NOTHING, times, binding(times))) is None
        await location.state_index.drop(PHONE, ACME)

        class Late(Rows):
            async def owners(self, phones: Sequence[str]) -> dict[str, str]:
                found = await super().owners(phones)
                self.phones[ACME] = []
                return found

        assert await walked(location, Late({ACME: [PHONE]})) == Walked(phones=1, wrong=1, examples=[PHONE])
        assert await indexed(redis, ACME) == {}


async def test_a_registered_phone_that_was_taken_for_deleted_is_named_and_mended(
    server: Server, times: Times, redis: Redis
) -> None:
    async with opened(server, times) as location:
        for phone in (PHONE, OTHER):
            assert await location.commit(phone, NOTHING, update(NOTHING, times, binding(times))) is None
        await location.state_index.drop(OTHER, ACME)
        rows = Rows({ACME: [PHONE, OTHER]})
        found = await walked(location, rows, repair=False)
        assert found == Walked(phones=2, wrong=1, examples=[OTHER])
        assert OTHER in judge_states(found, repaired=False).detail
        assert await walked(location, rows) == found
        assert await indexed(redis, ACME) == {"p registered udp": 2}
        await location.state_index.settle(OTHER, ACME)
        assert await walked(location, rows, repair=False) == Walked(phones=2)


async def test_an_entry_under_another_customer_goes_and_the_phone_stays(
    server: Server, times: Times, redis: Redis
) -> None:
    async with opened(server, times) as location:
        assert await location.commit(PHONE, NOTHING, update(NOTHING, times, binding(times))) is None
        await redis.eval(PLACE.text, 3, *keys.states(RIVAL), PHONE, 1, "expired", "tls", "*")
        rows = Rows({ACME: [PHONE], RIVAL: []})
        assert await walked(location, rows) == Walked(phones=1, wrong=1, examples=[PHONE])
        assert await indexed(redis, ACME) == {"p registered udp": 1}
        assert await indexed(redis, RIVAL) == {}
        assert await redis.hget(keys.status(PHONE), "customer") == ACME


async def test_the_index_of_a_deleted_customer_is_removed(server: Server, times: Times, redis: Redis) -> None:
    async with opened(server, times) as location:
        assert await location.commit(PHONE, NOTHING, update(NOTHING, times, binding(times))) is None
        rows = Rows({}, deleted=[ACME])
        assert await walked(location, rows, repair=False) == Walked()
        assert await redis.exists(*keys.states(ACME)) == 3
        assert await walked(location, rows) == Walked()
        assert await redis.exists(*keys.states(ACME)) == 0


async def test_an_index_that_is_built_again_says_so_until_it_is_whole(
    server: Server, times: Times, redis: Redis
) -> None:
    async with opened(server, times) as location:
        for phone in (PHONE, OTHER):
            assert await location.commit(phone, NOTHING, update(NOTHING, times, binding(times))) is None
        await redis.delete(keys.states(ACME)[1])
        await redis.set(keys.STATES_CHECKED, "7")
        seen: list[tuple[bool, object]] = []

        async def look() -> None:
            says = await redis.hexists(keys.states(ACME)[2], BUILDING)
            seen.append((says, await redis.get(keys.STATES_CHECKED)))

        rows = Rows({ACME: [PHONE, OTHER]})
        walk = StateWalk(location.state_index, rows, repair=True, rest=0.0, after_chunk=look)
        assert (await walk.run()).customers == 1
        assert seen == [(True, "0"), (True, "0")]
        assert await redis.hgetall(keys.states(ACME)[2]) == {"p registered udp": "2"}


async def test_a_walk_that_was_cut_off_is_due_again_for_any_process(
    server: Server, times: Times, redis: Redis
) -> None:
    """Another walk that clears the index takes over: the end of the first one does not call it whole."""
    async with opened(server, times) as location:
        assert await location.commit(PHONE, NOTHING, update(NOTHING, times, binding(times))) is None
        rows = Rows({ACME: [PHONE]})
        keeper = StateKeeper(location._runner, location.state_index, rows, "b", times)
        times.now += 1
        assert await keeper.look() == Walked(phones=1)
        assert await keeper.look() is None
        index = location.state_index
        await index.clear(ACME, "of a process that died")
        assert not await index.agrees(ACME)
        await index.clear(ACME, "later")
        await index.built(ACME, "of a process that died")
        assert not await index.agrees(ACME)
        found = await keeper.look(is_first=True)
        assert found == Walked(phones=1, wrong=1, examples=[PHONE], customers=1)
        assert await index.agrees(ACME)
        assert await indexed(redis, ACME) == {"p registered udp": 1}
        assert float(await redis.get(keys.STATES_CHECKED) or 0) == times.now


async def test_an_index_that_was_never_compared_is_not_called_compared(
    server: Server, times: Times, redis: Redis
) -> None:
    async with opened(server, times) as location:
        await location.state_index.clear(ACME, "mark")
        assert await redis.exists(keys.STATES_CHECKED) == 0


async def test_one_process_walks_and_only_when_it_is_due(server: Server, times: Times, redis: Redis) -> None:
    async with opened(server, times) as location:
        status = {"online": "1", "reason": "registered", "transport": "tls"}
        for name, value in status.items():  # as an earlier version wrote it
            await redis.hset(keys.status(PHONE), name, value)

        def keeper(name: str) -> StateKeeper:
            return StateKeeper(location._runner, location.state_index, Rows({ACME: [PHONE]}), name, times)

        one, other = keeper("a"), keeper("b")
        await redis.set(keys.STATES_WALK, "c")
        assert await one.look(is_first=True) is None
        await redis.delete(keys.STATES_WALK)
        assert await one.look(is_first=True) == Walked(phones=1, wrong=1, examples=[PHONE])
        assert await indexed(redis, ACME) == {"p registered tls": 1}
        times.now += 60
        assert await one.look() is await other.look(is_first=True) is None
        late = keeper("c")
        assert await late.look(is_first=True) is None
        assert await late.look() == Walked(phones=1)
        assert await late.look() is None
        times.now += EVERY_SECONDS + 1
        assert await one.look() == Walked(phones=1)
        await asyncio.sleep(0.05)
        assert await redis.exists(keys.STATES_WALK) == 0


async def test_a_refusal_is_noted_under_its_address(server: Server, times: Times, redis: Redis) -> None:
    async with opened(server, times) as location:
        first = refused(NOTHING, times)
        assert await location.commit(PHONE, NOTHING, first) is None
        second = refused(first.after, times, "bad-contact")
        assert await location.commit(PHONE, first.after, second) is None
        await location.load([PHONE])  # the notes left with the command before this one, or sooner
        await asyncio.sleep(0.05)
    entry = json.loads(str(await redis.hget(keys.refusals(ACME)[0], "203.0.113.9")))
    assert (entry["count"], entry["phones"]) == (2, [PHONE])
    assert entry["reasons"] == {"ip-locked": 1, "bad-contact": 1}


# The large round


MANY: Final = 100_000 if SOAK else 300
IN_A_BREATH: Final = 100


async def test_the_counts_are_those_of_a_scan_two_seconds_after_the_last_change(
    times: Times, record_property: Callable[[str, object], None]
) -> None:
    """Registrations, expiries, refusals and revocations by two nodes that race for one phone in five."""
    chance = random.Random(2)
    customers = {f"{number:024x}": f"{number % 3:024x}" for number in range(MANY)}
    phones = list(customers)
    steps = [phones, chance.sample(phones, MANY // 2), chance.sample(phones, MANY // 2), phones[::7]]
    breaths = [step[at : at + IN_A_BREATH] for step in steps for at in range(0, len(step), IN_A_BREATH)]
    with running("valkey") as server:
        async with client(server) as redis, opened(server, times) as one, opened(server, times, "b") as other:
            jobs = [asyncio.create_task(node.state_writer.run()) for node in (one, other)]
            for some in breaths:
                lives = (_live((one, other), phone, customers[phone], times, chance) for phone in some)
                await asyncio.gather(*lives)
            await asyncio.sleep(1.8)
            counted = {customer: await _counts(redis, customer) for customer in set(customers.values())}
            scan = await scanned(redis, customers)
            assert counted == scan
            assert {customer: await indexed(redis, customer) for customer in scan} == scan
            sizes = [
                await redis.memory_usage(key, samples=0) for one_of in scan for key in keys.states(one_of)
            ]
            octets = sum(filter(None, sizes)) / MANY
            record_property(
                FIGURE,
                f"{MANY} phones: {octets:.0f} octets of the index each, {sum(scan.values(), Counter())}",
            )
            for job in jobs:
                job.cancel()


async def _counts(redis: Redis, customer: str) -> Counter[str]:
    """What the API reads."""
    found: dict[str, str] = await redis.hgetall(keys.states(customer)[2])  # type: ignore[assignment]  # it decodes
    return Counter({word: int(number) for word, number in found.items()})


async def _live(
    nodes: tuple[RedisLocation, RedisLocation], phone: str, customer: str, times: Times, chance: random.Random
) -> None:
    """One change of a phone, at one node or at both at once."""
    node, rival = chance.sample(nodes, 2)
    try:
        (before,) = await node.load([phone])
    except StoreUnavailable:
        await asyncio.sleep(0.5)
        return
    times.now += 1e-5
    fate = chance.random()
    now = times()

    def bound(transport: str) -> Update:
        made = binding(times, transport, node=chance.choice("ab"))
        return build_update(before, (made,), (), now, customer=customer)

    if not before.bindings or fate < 0.3:
        mine = bound(chance.choice(["udp", "tcp", "tls", "ws", "wss"]))
    elif fate < 0.4:
        who = Phone(phone, 1, "x" * 32, "acme.test", customer, True, "200", "p", 1, IpMode.LOCKED)
        mine = refuse(before, (), who, "203.0.113.9", 5060, Deny("ip-locked"), now)
    else:
        reasons = (
            Reason.UNREGISTERED,
            Reason.EXPIRED,
            Reason.NODE_LOST,
            Reason.REVOKED,
            Reason.SOCKET_CLOSED,
        )
        whose = customer if fate < 0.9 else ""
        mine = build_update(before, (), (), now, reason=chance.choice(reasons), customer=whose)
    commits = [node.commit(phone, before, mine)]
    if fate > 0.8:
        theirs = bound(chance.choice(["udp", "wss"]))
        version = theirs.after.version + chance.randrange(3_000_000)
        commits.append(
            rival.commit(phone, before, replace(theirs, after=replace(theirs.after, version=version)))
        )
    with suppress(StoreUnavailable):  # a busy machine: the commit was written or not
        await asyncio.gather(*commits)
