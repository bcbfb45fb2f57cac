"""handlers/registration/pings.py: who is silent over UDP is offline until it is heard."""

from dataclasses import replace

import pytest

from registrar.model import Binding, Flow, IpMode, Snapshot
from registrar.rules.pings import PREFIX
from registrar.sip import Request, parse

from ..world import ELSEWHERE, HOME, Device, World, phone

LOCKED = phone(mode=IpMode.LOCKED, address=HOME)
STEP = 0.25


def world_of(*phones: object, **more: object) -> World:
    return World(*(phones or (LOCKED,)), **more)  # type: ignore[arg-type]  # as World takes them


async def registered(world: World, contact: str = "10.0.0.7") -> Device:
    device = Device(world, contact=contact)
    assert (await device.register()).status == 200
    return device


async def pass_time(world: World, seconds: float) -> None:
    """Time passes in the small steps of the job."""
    end = world.clock.now + seconds
    while world.clock.now < end:
        world.clock.now += min(STEP, end - world.clock.now)
        await world.pings.step()


def pings(world: World) -> list[Request]:
    """What was sent since it was asked last."""
    messages = [parse(raw) for raw in world.sent]
    world.sent.clear()
    assert all(isinstance(message, Request) and message.method == "OPTIONS" for message in messages)
    return [message for message in messages if isinstance(message, Request)]


def answer(world: World, ping: Request, address: str = HOME, port: int = 5060) -> bool:
    return world.pings.ping_answered(ping.via.branch, Flow("udp", "192.0.2.10", 5060, address, port))


def status(world: World) -> dict[str, str]:
    return world.location.status["id-u"]


def counted(world: World, result: str) -> float | None:
    return world.metrics.registry.get_sample_value("registrar_pings_total", {"result": result})


async def test_a_phone_that_answers_has_a_round_trip_and_was_just_seen() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 15)
    (ping,) = pings(world)
    assert ping.target == "sip:200@10.0.0.7"
    world.clock.now += 0.04
    assert answer(world, ping)
    await world.pings.step()
    assert float(status(world)["rttMs"]) == pytest.approx(40, abs=0.1)
    assert status(world)["lastSeen"] == str(int(world.clock.now))
    await pass_time(world, 20)
    assert (status(world)["online"], counted(world, "answered"), counted(world, "sent")) == ("1", 1, 1)
    assert world.metrics.registry.get_sample_value("registrar_ping_seconds_count") == 1


async def test_it_is_pinged_again_and_again() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 15)
    for _ in range(4):
        (ping,) = pings(world)
        assert answer(world, ping)
        await pass_time(world, 30)
    assert counted(world, "answered") == 4


@pytest.mark.parametrize(("roll", "at"), [(0.0, 0), (0.5, 15), (0.99, 29.7)])
async def test_the_first_ping_comes_at_any_moment_of_the_interval(roll: float, at: float) -> None:
    world = world_of()
    world.roll = roll
    await registered(world)
    if at:
        await pass_time(world, at - 0.1)
        assert pings(world) == []
    await pass_time(world, 0.2)
    assert len(pings(world)) == 1


async def test_a_silent_phone_is_pinged_four_times_and_offline_after_16_seconds() -> None:
    world = world_of()
    await registered(world)
    sent: list[float] = []
    begin = world.clock.now
    for _ in range(64 + 60):
        await pass_time(world, STEP)
        sent += [world.clock.now - begin] * len(world.sent)
        branches = {ping.via.branch for ping in pings(world)}
        assert len(branches) <= 1
        if status(world)["online"] == "0":
            break
    assert sent == [15, 17, 21, 29]
    assert world.clock.now - begin == 31
    assert status(world)["reason"] == "ping-timeout"
    (binding,) = world.snapshot().bindings
    assert binding.silent_since == int(world.clock.now)
    assert world.events() == ["registered", "lost"]
    phone, update = world.location.updates[-1]
    assert (phone, update.customer, update.events[0].reason) == ("id-u", "acme", "ping-timeout")
    assert (counted(world, "timeout"), len(world.pings)) == (1, 1)


async def silent(world: World) -> Device:
    """A phone that registered and was found silent just now."""
    device = await registered(world)
    await pass_time(world, 31)
    assert (status(world)["online"], status(world)["reason"]) == ("0", "ping-timeout")
    world.sent.clear()
    return device


def is_back(world: World) -> bool:
    return (status(world)["online"], status(world)["reason"], world.snapshot().bindings[0].silent_since) == (
        "1",
        "registered",
        0,
    )


async def test_a_silent_phone_is_pinged_on_more_and_more_seldom() -> None:
    world = world_of()
    await silent(world)
    began, sent, branches = world.clock.now, [], set()
    while world.clock.now < began + 300:
        await pass_time(world, STEP)
        for ping in pings(world):
            sent.append(round(world.clock.now - began))
            branches.add(ping.via.branch)
    assert sent == [4, 8, 16, 32, 64, 124, 184, 244]
    assert len(branches) == len(sent), "each is a request of its own"
    assert world.events() == ["registered", "lost"]
    assert len(world.location.updates) == 2, "nothing is written while nothing changes"


async def test_a_silent_phone_that_answers_is_back_within_a_second() -> None:
    world = world_of()
    await silent(world)
    since = world.clock.now
    await pass_time(world, 16)
    ping = pings(world)[-1]
    world.clock.now += 0.04
    assert answer(world, ping)
    await world.pings.step()
    assert is_back(world)
    assert world.events() == ["registered", "lost", "registered"]
    assert world.location.updates[-1][1].events[0].reason == "ping-answered"
    assert int(status(world)["since"]) > since
    await pass_time(world, 0.25)
    assert float(status(world)["rttMs"]) == pytest.approx(40, abs=0.1)
    assert status(world)["lastSeen"] == str(int(since + 16.04))
    await pass_time(world, 45.75)
    assert len(pings(world)) == 4, "it is pinged like any other"
    assert status(world)["reason"] == "ping-timeout"


async def test_only_the_last_ping_of_a_silent_phone_can_be_answered() -> None:
    world = world_of()
    await silent(world)
    await pass_time(world, 9)
    first, second = pings(world)
    assert not answer(world, first)
    assert not answer(world, second, port=5061)
    assert not answer(world, second, address=ELSEWHERE)
    await pass_time(world, 1)
    assert not is_back(world)
    assert answer(world, second)
    await world.pings.step()
    assert is_back(world)


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE"])
async def test_a_request_of_a_silent_phone_brings_it_back_whatever_it_asks(method: str) -> None:
    world = world_of()
    device = await silent(world)
    await device.register(3_600 if method == "REGISTER" else None, method=method)
    assert is_back(world)
    assert world.events() == ["registered", "lost", "registered"]
    reason = world.location.updates[-1][1].events[0].reason
    assert reason == ("registered" if method == "REGISTER" else "heard")
    await pass_time(world, 10)
    assert len(world.pings) == 1
    assert world.pings.silent_places == {}


async def test_a_request_over_another_node_brings_it_back_and_its_own_node_finds_out() -> None:
    here = world_of()
    device = await silent(here)
    device.world = there = world_of(node="b", beside=here)
    await device.register(None, method="MESSAGE")
    assert is_back(here)
    assert (len(there.pings), len(here.pings)) == (0, 1)
    await pass_time(here, 190)
    assert status(here)["reason"] == "ping-timeout", "it answers pings no more than before"
    assert here.events() == ["registered", "lost", "registered", "lost"]


async def test_a_request_from_another_place_proves_nothing_of_what_is_bound() -> None:
    world = world_of(phone())
    device = await silent(world)
    device.address = ELSEWHERE
    await device.register(None, method="MESSAGE")
    assert not is_back(world)


async def test_what_comes_from_the_place_of_a_silent_phone_makes_it_be_pinged_at_once() -> None:
    world = world_of()
    await silent(world)
    await pass_time(world, 70)
    world.sent.clear()
    assert (HOME, 5060) in world.pings.silent_places
    world.pings.stirred(HOME, 5061)
    world.pings.stirred(ELSEWHERE, 5060)
    await world.pings.step()
    assert pings(world) == []
    for _ in range(100):  # however often
        world.pings.stirred(HOME, 5060)
        await world.pings.step()
    (ping,) = pings(world)
    assert not is_back(world), "who speaks from there may be anybody"
    assert answer(world, ping)
    await world.pings.step()
    assert is_back(world)


async def test_a_proven_request_brings_back_its_own_phone_alone() -> None:
    other = phone("v", mode=IpMode.LOCKED, address=HOME)
    world = world_of(LOCKED, other)
    await registered(world)
    neighbour = Device(world, account=other, contact="10.0.0.9")
    assert (await neighbour.register()).status == 200
    await pass_time(world, 31)
    world.pings.heard("id-u", Flow("udp", "192.0.2.10", 5060, HOME, 5061))
    await world.pings.step()
    assert not is_back(world)
    world.pings.heard("id-u", Flow("udp", "192.0.2.10", 5060, HOME, 5060))
    await world.pings.step()
    assert is_back(world)
    assert world.location.status["id-v"]["online"] == "0"


async def test_a_silent_phone_is_bound_until_it_runs_out_and_is_offline_for_its_silence() -> None:
    world = world_of()
    await silent(world)
    since = status(world)["since"]
    assert int(status(world)["expiresAt"]) == world.snapshot().bindings[0].expires_at > world.clock.now
    world.clock.now = world.snapshot().bindings[0].expires_at + 1
    await world.expiry.sweep()
    assert world.snapshot().bindings == ()
    assert (status(world)["reason"], status(world)["since"]) == ("ping-timeout", since)
    assert world.events() == ["registered", "lost", "expired"]
    await pass_time(world, 130)
    assert (len(world.pings), world.pings.silent_places) == (0, {})


async def test_a_silent_phone_that_takes_its_registration_back_says_so() -> None:
    world = world_of()
    device = await silent(world)
    assert (await device.register(0)).status == 200
    assert (status(world)["online"], status(world)["reason"]) == ("0", "unregistered")
    assert len(world.pings) == 0


async def test_a_new_start_goes_on_with_the_silent() -> None:
    before = world_of()
    await silent(before)
    world = world_of(beside=before)
    world.pings.adopt(await world.location.everybody())
    await pass_time(world, 5)
    assert (len(world.pings), list(world.pings.silent_places)) == (1, [(HOME, 5060)])
    (ping,) = pings(world)
    assert answer(world, ping)
    await world.pings.step()
    assert is_back(world)


async def test_who_is_back_while_the_store_is_away_is_told_of_when_it_is_there() -> None:
    world = world_of()
    await silent(world)
    await pass_time(world, 4)
    world.location.away = True
    assert answer(world, pings(world)[0])
    await pass_time(world, 1)
    assert not is_back(world)
    world.location.away = False
    await pass_time(world, 1)
    assert is_back(world)


async def test_somebody_who_writes_meanwhile_does_not_keep_a_phone_away() -> None:
    world = world_of()
    await silent(world)
    await pass_time(world, 4)
    assert answer(world, pings(world)[0])
    world.location.rivals = 3
    await world.pings.step()
    assert (is_back(world), world.location.rivals) == (True, 0)


async def test_the_silent_of_two_devices_leaves_the_phone_online() -> None:
    world = world_of()
    await registered(world, "10.0.0.7")
    other = Device(world, contact="10.0.0.8")
    other.flow = Flow("udp", "192.0.2.10", 5060, HOME, 5062)
    other.nonce = ""
    assert (await other.register()).status == 200
    for _ in range(4):
        await pass_time(world, 8)
        for ping in pings(world):
            if "10.0.0.8" in ping.target:
                answer(world, ping, port=5062)
    assert (status(world)["online"], status(world)["publicPort"]) == ("1", "5062")
    assert [bool(binding.silent_since) for binding in world.snapshot().bindings] == [False, True]
    await other.register(0)
    assert (status(world)["online"], status(world)["reason"]) == ("0", "ping-timeout")


# Somebody rings for its sake


async def test_whom_others_ring_for_is_asked_within_seconds() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 15)
    assert answer(world, pings(world)[0])
    began, sent = world.clock.now, []
    while status(world)["online"] == "1" and world.clock.now < began + 60:
        assert not world.pings.hurry("id-u", HOME, 5060)
        await pass_time(world, 1)
        sent += [world.clock.now - began] * len(pings(world))
    assert sent == [4, 6, 10, 18]
    assert world.clock.now - began == 20
    assert world.pings.hurry("id-u", HOME, 5060)
    assert not world.pings.hurry("id-u", HOME, 5061)
    assert not world.pings.hurry("nobody", HOME, 5060)


async def test_all_sendings_of_a_ping_are_one_request() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 20)
    first, second = pings(world)
    assert (first.via.branch, first.call_id, first.cseq) == (second.via.branch, second.call_id, second.cseq)


@pytest.mark.parametrize("after", [16, 20, 30.9])
async def test_an_answer_at_the_last_moment_counts(after: float) -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, after)
    assert answer(world, pings(world)[-1])
    await pass_time(world, 10)
    assert status(world)["online"] == "1"


async def test_of_a_ping_that_was_sent_again_no_round_trip_is_told() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 17)
    first, _ = pings(world)
    assert answer(world, first)
    await world.pings.step()
    assert "rttMs" not in status(world)
    assert world.metrics.registry.get_sample_value("registrar_ping_seconds_count") == 0


@pytest.mark.parametrize(
    ("branch", "address", "port"),
    [
        pytest.param("", ELSEWHERE, 5060, id="from another address"),
        pytest.param("", HOME, 5061, id="from another port"),
        pytest.param(PREFIX + "1", HOME, 5060, id="a guessed branch"),
        pytest.param(PREFIX, HOME, 5060, id="no number"),
    ],
)
async def test_a_forged_answer_is_none(branch: str, address: str, port: int) -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 15)
    (ping,) = pings(world)
    assert not world.pings.ping_answered(
        branch or ping.via.branch, Flow("udp", "192.0.2.10", 5060, address, port)
    )
    await pass_time(world, 16.5)
    assert status(world)["reason"] == "ping-timeout"


async def test_an_answer_over_a_connection_from_the_same_address_is_none() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 15)
    (ping,) = pings(world)
    assert not world.pings.ping_answered(ping.via.branch, Flow("tcp", "192.0.2.10", 5060, HOME, 5060, 1))


async def test_an_answer_counts_once() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 15)
    (ping,) = pings(world)
    assert (answer(world, ping), answer(world, ping)) == (True, False)
    assert counted(world, "answered") == 1


async def test_a_register_that_refreshes_the_binding_is_a_sign_of_life() -> None:
    world = world_of()
    device = await registered(world)
    await pass_time(world, 30)
    assert len(pings(world)) == 4
    assert (await device.register()).status == 200
    await pass_time(world, 10)
    assert status(world)["online"] == "1"
    await pass_time(world, 60)
    assert status(world)["reason"] == "ping-timeout"


async def test_a_phone_that_took_its_registration_back_is_not_pinged() -> None:
    world = world_of()
    device = await registered(world)
    await device.register(0)
    await pass_time(world, 60)
    assert (pings(world), len(world.pings)) == ([], 0)


async def test_each_binding_has_a_ping_of_its_own() -> None:
    """Several devices behind one address, with one credential each or all with one."""
    other = phone("v", mode=IpMode.LOCKED, address=HOME)
    world = world_of(LOCKED, other)
    await registered(world, "10.0.0.7")
    await registered(world, "10.0.0.8")
    neighbour = Device(world, account=other, contact="10.0.0.9")
    neighbour.to = "sip:200@acme.test"
    assert (await neighbour.register()).status == 200
    await pass_time(world, 15)
    found = pings(world)
    assert sorted(ping.target for ping in found) == [f"sip:200@10.0.0.{host}" for host in (7, 8, 9)]
    assert len({ping.via.branch for ping in found}) == 3
    alive = next(ping for ping in found if ping.target == "sip:200@10.0.0.8")
    assert answer(world, alive)
    await pass_time(world, 17)
    assert [binding.contact for binding in world.snapshot().heard(world.clock())] == ["sip:200@10.0.0.8"]
    assert (status(world)["online"], world.location.status["id-v"]["online"]) == ("1", "0")


async def test_no_connection_is_pinged() -> None:
    world = world_of()
    device = Device(world)
    device.flow = world.lines.dial("tcp")
    assert (await device.register()).status == 200
    await pass_time(world, 60)
    assert pings(world) == []


def behind_the_edge(world: World, *more: str) -> Device:
    """A phone whose requests an edge has passed on."""
    device = Device(world)
    device.flow = Flow("udp", "192.0.2.10", 5060, HOME, 40_000, hop_ip="192.0.2.201", hop_port=5060)
    device.more = more
    return device


async def test_no_phone_behind_an_edge_is_pinged() -> None:
    """The edge keeps the flow, and it alone knows whether that is open."""
    world = world_of()
    device = behind_the_edge(world, "Path: <sip:192.0.2.201;lr;ob>", "Supported: path")
    answer = await device.register()
    assert (answer.status, dict(answer.headers)["Path"]) == (200, "<sip:192.0.2.201;lr;ob>")
    assert world.snapshot().bindings[0].path == "<sip:192.0.2.201;lr;ob>"
    await pass_time(world, 60)
    assert (pings(world), status(world)["online"], status(world)["publicIpAddress"]) == ([], "1", HOME)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        pytest.param(("Path: <sip:192.0.2.201;lr>",), 200, id="a phone that does not know Path"),
        pytest.param((), 403, id="no Path"),
        pytest.param(("Path: <sip:198.51.100.66;lr>",), 400, id="to elsewhere"),
    ],
)
async def test_an_edge_must_say_the_way_back(more: tuple[str, ...], status: int) -> None:
    world = world_of()
    answer = await behind_the_edge(world, *more).register()
    assert answer.status == status
    assert "Path" not in dict(answer.headers)
    assert bool(world.snapshot().bindings) is (status == 200)


async def test_a_phone_that_moves_from_udp_to_tcp_is_not_pinged_any_more() -> None:
    world = world_of()
    device = await registered(world)
    device.flow = world.lines.dial("tcp")
    assert (await device.register()).status == 200
    await pass_time(world, 60)
    assert (pings(world), status(world)["online"]) == ([], "1")


async def test_a_phone_that_moved_to_another_node_is_let_go() -> None:
    """Nobody tells this node; its answer is not shown, so it looks."""
    here = world_of()
    there = world_of(node="b", beside=here)
    device = await registered(here)
    await pass_time(here, 16)
    assert answer(here, pings(here)[0])
    await pass_time(here, 5)
    device.world = there
    assert (await device.register()).status == 200
    await pass_time(here, 75)
    for ping in pings(here):
        answer(here, ping)
    seen = status(here)["lastSeen"]
    await pass_time(here, 35)
    assert (len(here.pings), status(here)["lastSeen"]) == (0, seen)
    assert (len(there.pings), status(here)["online"], status(here)["node"]) == (1, "1", "b")


async def test_a_phone_that_answers_only_at_its_new_node_stays() -> None:
    here = world_of()
    there = world_of(node="b", beside=here)
    device = await registered(here)
    device.world = there
    assert (await device.register()).status == 200
    await pass_time(here, 40)
    assert len(pings(here)) >= 4
    assert (status(here)["online"], len(here.pings)) == ("1", 0)


async def test_what_an_earlier_start_has_left_is_pinged() -> None:
    before = world_of()
    await registered(before)
    world = world_of(beside=before)
    world.pings.adopt(await world.location.everybody())
    await world.pings.step()
    await pass_time(world, 31.5)
    assert len(pings(world)) == 4
    assert status(world)["reason"] == "ping-timeout"


async def test_of_another_node_nothing_is_adopted() -> None:
    before = world_of()
    await registered(before)
    world = world_of(node="b", beside=before)
    world.pings.adopt(await world.location.everybody())
    await pass_time(world, 40)
    assert (len(world.pings), pings(world), status(world)["online"]) == (0, [], "1")


async def test_while_the_store_is_away_adopted_phones_wait() -> None:
    before = world_of()
    await registered(before)
    world = world_of(beside=before)
    world.location.away = True
    world.pings.adopt(["id-u"])
    await pass_time(world, 20)
    assert len(world.pings) == 0
    world.location.away = False
    await world.pings.step()
    assert len(world.pings) == 1


async def test_while_the_store_is_away_nobody_is_ended_and_the_silent_are_asked_again() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 15)
    world.location.away = True
    await pass_time(world, 17)
    assert len(world.pings) == 1
    world.location.away = False
    world.sent.clear()
    await pass_time(world, 30)
    assert answer(world, pings(world)[0])
    await pass_time(world, 10)
    assert status(world)["online"] == "1"


async def test_an_answer_that_could_not_be_written_is_written_with_the_next() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 15)
    world.location.away = True
    assert answer(world, pings(world)[0])
    await world.pings.step()
    world.location.away = False
    await pass_time(world, 30)
    assert "rttMs" not in status(world)
    assert answer(world, pings(world)[0])
    await world.pings.step()
    assert "rttMs" in status(world)


async def test_somebody_who_writes_meanwhile_does_not_save_a_silent_phone() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 30.75)
    world.location.rivals = 3
    await pass_time(world, 0.5)
    assert status(world)["reason"] == "ping-timeout"
    assert world.location.rivals == 0


async def test_a_register_in_the_very_moment_of_the_end_wins() -> None:
    world = world_of()
    device = await registered(world)
    await pass_time(world, 30.75)

    async def refresh() -> None:
        world.location.before_commit = None
        assert (await device.register()).status == 200

    world.location.before_commit = refresh
    await pass_time(world, 0.5)
    assert world.location.before_commit is None
    assert (status(world)["online"], world.events()) == ("1", ["registered"])


async def test_what_the_store_has_lost_is_not_ended_in_it() -> None:
    """It will be told of it again; until then a commit would make the loss the truth."""
    world = world_of()
    await registered(world)
    await pass_time(world, 30)
    world.location.stored.clear()
    written = len(world.location.updates)
    await pass_time(world, 10)
    assert (len(world.location.updates), len(world.pings)) == (written, 1)


async def test_when_we_were_late_ourselves_silence_proves_nothing() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 30.5)
    world.sent.clear()
    world.clock.now += 10  # the process was stopped
    await world.pings.step()
    assert status(world)["online"] == "1"
    (ping,) = pings(world)
    assert answer(world, ping)
    await pass_time(world, 10)
    assert status(world)["online"] == "1"


async def test_who_cannot_be_reached_by_us_is_not_silent() -> None:
    world = world_of()
    await registered(world)
    world.can_send = False
    await pass_time(world, 120)
    assert status(world)["online"] == "1"
    world.can_send = True
    await pass_time(world, 16)
    assert answer(world, pings(world)[0])


async def test_without_a_way_from_here_nobody_is_silent() -> None:
    world = world_of()
    world.local_ip = ""
    await registered(world)
    await pass_time(world, 120)
    assert (pings(world), status(world)["online"]) == ([], "1")


async def test_a_listener_that_is_gone_is_not_sent_by() -> None:
    world = world_of()
    device = Device(world)
    device.flow = Flow("udp", "192.0.2.10", 5070, HOME, 5060, 1)
    assert (await device.register()).status == 200
    assert world.snapshot().bindings[0].flow == 1
    await pass_time(world, 120)
    assert (pings(world), status(world)["online"]) == ([], "1")


async def test_a_binding_that_ran_out_is_not_pinged() -> None:
    world = world_of()
    device = Device(world)
    assert (await device.register(60)).status == 200
    await pass_time(world, 16)
    assert answer(world, pings(world)[0])
    world.clock.now += 60
    await pass_time(world, 40)
    assert (pings(world), len(world.pings)) == ([], 0)


async def test_little_is_written_while_nothing_changes() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 15)
    written: set[str] = set()
    for _ in range(20):
        (ping,) = pings(world)
        assert answer(world, ping)
        await pass_time(world, 30)
        written.add(status(world)["lastSeen"])
    assert 9 <= len(written) <= 12


async def test_the_status_of_a_phone_that_was_revoked_meanwhile_is_left_alone() -> None:
    world = world_of()
    await registered(world)
    await pass_time(world, 15)
    status(world)["online"] = "0"
    world.location.stored["id-u"] = Snapshot(world.snapshot().version + 1)
    assert answer(world, pings(world)[0])
    await pass_time(world, 1)
    assert ("rttMs" in status(world), len(world.pings)) == (False, 0)


async def test_an_older_state_changes_nothing() -> None:
    world = world_of()
    await registered(world)
    older = replace(world.snapshot(), version=world.snapshot().version - 1, bindings=())
    world.pings.bound("id-u", older)
    assert len(world.pings) == 1


async def test_many_changes_leave_no_heap_of_old_entries() -> None:
    world = world_of()
    for number in range(5_000):
        binding = replace(Binding(f"sip:{number}@h", 1 << 40, "c", 1), node="a")
        world.pings.bound("id-u", Snapshot(number + 1, (binding,)))
    assert len(world.pings) == 1
    assert len(world.pings._heap) < 1_100


async def test_the_registrar_says_what_is_bound_also_while_the_store_is_away() -> None:
    world = world_of()
    device = await registered(world)
    await device.register()
    assert [phone for phone, _ in world.bound] == ["id-u", "id-u"]
    world.location.away = True
    assert (await device.register()).status == 200
    assert len(world.bound) == 3
    assert world.bound[-1][1].bindings[0].cseq == device.cseq


async def test_a_query_says_nothing_new() -> None:
    world = world_of()
    device = await registered(world)
    await device.register(None)
    assert len(world.bound) == 1


async def test_phones_over_udp_are_counted_and_the_silent_among_them() -> None:
    def shown(name: str, **labels: str) -> float | None:
        return world.metrics.registry.get_sample_value(f"registrar_phones{name}", labels)

    world = world_of()
    assert (shown("", transport="udp"), shown("_silent")) == (0, 0)
    first = await registered(world)
    await registered(world, "10.0.0.8")
    assert (shown("", transport="udp"), shown("_silent")) == (1, 0), "one phone with two devices"
    await pass_time(world, 80)
    assert (shown("", transport="udp"), shown("_silent")) == (1, 2)
    assert (await first.register()).status == 200
    assert (shown("", transport="udp"), shown("_silent")) == (1, 0), "both are at one address"
