"""config/places.py with a clock of the test: who gets a place, who makes room, and that all come back."""

from dataclasses import dataclass, field
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.places import HttpLimits, Place, Places
from registrar.model import Mono

SMALL = HttpLimits(strangers_per_source=3, known_per_source=4, total=8)
ANNA, BOB, PROXY = "192.0.2.1", "198.51.100.7", "10.0.0.1"


@dataclass
class Hall:
    """A table of places, its clock, and who was sent away."""

    limits: HttpLimits = SMALL
    now: float = 100.0
    ended: list[Place] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places = Places(lambda: Mono(self.now), self.limits, [ip_network("10.0.0.0/8")])

    def comes(self, ip: str = ANNA) -> Place:
        place = self.places.admit(ip)
        assert place is not None
        place.on_end(lambda: self.ended.append(place))
        return place

    def come(self, count: int, ip: str = ANNA) -> list[Place]:
        return [self.comes(ip) for _ in range(count)]


def on_trial(places: list[Place]) -> list[bool]:
    return [place.trial_ends is not None for place in places]


def test_the_limits_are_those_of_the_documentation() -> None:
    limits = HttpLimits()
    assert (limits.strangers_per_source, limits.known_per_source) == (64, 2_048)
    assert (limits.header_seconds, limits.body_seconds, limits.octets_a_second) == (10, 10, 65_536)
    assert (limits.handshake_seconds, limits.idle_seconds) == (5, 65)


def test_one_more_stranger_than_its_source_may_have_is_on_trial() -> None:
    hall = Hall()
    assert on_trial(hall.come(4)) == [False, False, False, True]
    assert on_trial(hall.come(1, BOB)) == [False]
    assert hall.ended == []


def test_a_stranger_that_waited_for_a_while_makes_room() -> None:
    hall = Hall()
    first, second, _ = hall.come(3)
    hall.now += 1
    assert on_trial(hall.come(2)) == [False, False]
    assert hall.ended == [first, second]
    assert len(hall.places) == 3


def test_whoever_is_being_answered_makes_no_room() -> None:
    hall = Hall()
    first, second, _ = hall.come(3)
    assert first.asks(ANNA, claims=False)
    hall.now += 1
    hall.comes()
    assert hall.ended == [second]


def test_whoever_had_an_answer_last_makes_room_last() -> None:
    hall = Hall()
    first, second, third = hall.come(3)
    assert first.asks(ANNA, claims=False)
    hall.now += 1
    first.answered()
    hall.now += 1
    hall.come(3)
    assert hall.ended == [second, third, first]


def test_a_good_token_ends_the_trial_and_leaves_the_place_of_a_stranger() -> None:
    hall = Hall()
    places = hall.come(4)
    for place in places:
        assert place.asks(ANNA, claims=True)
        assert place.is_known()
        place.answered()
    assert on_trial(places) == [False] * 4
    assert on_trial(hall.come(4)) == [False, False, False, True]
    assert hall.ended == []


def test_a_request_without_credentials_is_refused_when_as_many_are_answered() -> None:
    hall = Hall()
    *others, last = hall.come(4)
    assert [place.asks(ANNA, claims=False) for place in others] == [True] * 3
    assert not last.asks(ANNA, claims=False)
    last.answered()
    assert last.trial_ends == 102
    assert hall.ended == []


def test_whoever_asks_needs_the_place_more_than_who_says_nothing() -> None:
    hall = Hall()
    first, *_, last = hall.come(4)
    assert last.asks(ANNA, claims=False)
    assert last.trial_ends is None
    assert hall.ended == [first]


def test_the_trial_is_over_when_another_one_has_left() -> None:
    hall = Hall()
    first, *_, last = hall.come(4)
    first.release()
    assert last.asks(ANNA, claims=False)
    assert last.trial_ends is None
    assert hall.ended == []


def test_even_known_callers_have_a_limit() -> None:
    hall = Hall(HttpLimits(strangers_per_source=3, known_per_source=2))
    known = [place for place in hall.come(3) if place.is_known()]
    assert len(known) == 2
    known[0].release()
    assert hall.comes().is_known()


def test_a_token_that_comes_again_is_counted_once() -> None:
    hall = Hall(HttpLimits(known_per_source=1))
    place = hall.comes()
    assert [place.is_known(), place.is_known()] == [True, True]


def test_when_all_places_are_taken_the_source_with_the_most_makes_room() -> None:
    hall = Hall()
    flood = [place for n in range(3) for place in hall.come(2, f"203.0.113.{n}")]
    flood += hall.come(2, "203.0.113.0")
    assert len(hall.places) == 8
    bob = hall.comes(BOB)
    assert hall.ended == [flood[0]]
    assert bob.trial_ends is None
    assert len(hall.places) == 8


def test_a_source_with_its_full_number_makes_room_for_its_own() -> None:
    hall = Hall()
    hall.come(3, BOB)
    flood = hall.come(5)
    more = hall.comes()
    assert hall.ended == [flood[0]]
    assert more.trial_ends is not None


def test_nobody_is_sent_away_for_more_when_all_are_being_answered() -> None:
    hall = Hall()
    for place in hall.come(8):
        place.asks(ANNA, claims=True)
    assert hall.places.admit(BOB) is None
    assert hall.ended == []


def test_a_stranger_makes_room_before_a_known_caller_does() -> None:
    hall = Hall()
    assert all(place.is_known() for place in hall.come(4))
    stranger, *_ = hall.come(4, BOB)
    hall.comes("203.0.113.7")
    assert hall.ended == [stranger]


def test_a_known_caller_makes_room_when_no_stranger_does() -> None:
    hall = Hall()
    first, second, *others = [place for place in hall.come(4) if place.is_known()]
    assert len(others) == 2
    hall.come(4, PROXY)
    assert first.asks(ANNA, claims=True)
    hall.comes(BOB)
    assert hall.ended == [second]


def test_the_connections_of_proxies_are_not_ended() -> None:
    hall = Hall()
    hall.come(8, PROXY)
    hall.now += 60
    assert hall.places.admit(BOB) is None
    assert hall.ended == []


def test_all_of_a_network_of_ipv6_is_one_source() -> None:
    hall = Hall()
    same = [hall.comes(f"2001:db8::{n}") for n in range(4)]
    assert on_trial(same) == [False, False, False, True]
    assert on_trial(hall.come(1, "2001:db8:0:1::1")) == [False]


# Behind a trusted proxy


def test_a_proxy_has_as_many_connections_as_it_needs() -> None:
    hall = Hall()
    proxied = hall.come(8, PROXY)
    assert on_trial(proxied) == [False] * 8
    assert [place.asks(PROXY, claims=False) for place in proxied] == [True] * 8


def test_what_a_proxy_forwards_counts_while_it_is_answered() -> None:
    hall = Hall()
    proxied = hall.come(6, PROXY)
    assert [place.asks(ANNA, claims=False) for place in proxied[:4]] == [True, True, True, False]
    assert proxied[4].asks(BOB, claims=False)
    for place in proxied:
        place.answered()
    assert [place.asks(ANNA, claims=False) for place in proxied[:3]] == [True, True, True]
    assert on_trial(proxied) == [False] * 6


def test_a_good_token_counts_behind_a_proxy_too() -> None:
    hall = Hall()
    proxied = hall.come(6, PROXY)
    for place in proxied[:4]:
        assert place.asks(ANNA, claims=True)
        assert place.is_known()
    assert proxied[4].asks(ANNA, claims=True)
    assert not proxied[4].is_known()
    proxied[0].answered()
    assert proxied[5].asks(ANNA, claims=True)
    assert proxied[5].is_known()


def test_the_same_source_counts_with_and_without_the_proxy() -> None:
    hall = Hall()
    assert [place.asks(ANNA, claims=False) for place in hall.come(3)] == [True] * 3
    (proxied,) = hall.come(1, PROXY)
    assert not proxied.asks(ANNA, claims=False)


# Whatever happens


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["come", "ask", "claim", "know", "answer", "release", "wait"]),
        st.integers(0, 11),
        st.sampled_from([ANNA, BOB, PROXY]),
    ),
    max_size=80,
)


@given(STEPS)
def test_whatever_happens_places_are_neither_lost_nor_made(steps: list[tuple[str, int, str]]) -> None:
    hall, all_places = Hall(), list[Place]()
    for what, number, source in steps:
        place = all_places[number % len(all_places)] if all_places else None
        match what, place:
            case "come", _:
                came = hall.places.admit(source)
                all_places += [came] if came is not None else []
            case "wait", _:
                hall.now += number / 4
            case "ask" | "claim", Place():
                place.asks(source if place.proxied else place.source or ANNA, claims=what == "claim")
            case "know", Place():
                place.is_known()
            case "answer", Place():
                place.answered()
            case "release", Place():
                place.release()
    assert len(hall.places) <= SMALL.total
    for place in all_places:
        place.release()
        place.release()
    assert len(hall.places) == 0
    assert on_trial(hall.come(4)) == [False, False, False, True]


@pytest.mark.parametrize("step", ["asks", "is_known", "answered"])
def test_a_place_that_was_given_back_counts_no_more(step: str) -> None:
    hall = Hall()
    (place,) = hall.come(1, PROXY)
    assert place.asks(ANNA, claims=True)
    place.release()
    match step:
        case "asks":
            assert place.asks(ANNA, claims=False)
        case "is_known":
            assert place.is_known()
        case _:
            place.answered()
    assert len(hall.places) == 0
    assert on_trial(hall.come(3)) == [False] * 3
