"""The heap of deadlines."""

from random import Random

from registrar.model import Mono
from registrar.transaction.deadlines import SLACK, Deadlines
from registrar.transaction.key import Key

A, B = Key("a"), Key("b")


def drain(deadlines: Deadlines, now: float) -> list[str]:
    found = []
    while (key := deadlines.pop(Mono(now))) is not None:
        found.append(str(key))
    return found


def test_the_earliest_comes_first() -> None:
    deadlines = Deadlines()
    deadlines.set(B, Mono(2))
    deadlines.set(A, Mono(1))
    assert deadlines.head() == 1.0
    assert drain(deadlines, 2) == ["a", "b"]
    assert deadlines.head() is None


def test_nothing_is_due_before_its_time() -> None:
    deadlines = Deadlines()
    deadlines.set(A, Mono(1))
    assert drain(deadlines, 0.9) == []
    assert drain(deadlines, 1) == ["a"]


def test_a_moved_deadline_counts_where_it_moved_to() -> None:
    deadlines = Deadlines()
    deadlines.set(A, Mono(1))
    deadlines.set(A, Mono(3))
    assert deadlines.head() == 3.0
    deadlines.set(A, Mono(2))
    assert drain(deadlines, 2) == ["a"]
    assert drain(deadlines, 9) == []


def test_a_withdrawn_deadline_never_comes() -> None:
    deadlines = Deadlines()
    deadlines.set(A, Mono(1))
    deadlines.set(A, None)
    deadlines.set(B, None)
    assert deadlines.head() is None
    assert drain(deadlines, 9) == []


def test_a_deadline_set_twice_comes_once() -> None:
    deadlines = Deadlines()
    deadlines.set(A, Mono(1))
    deadlines.set(A, Mono(1))
    deadlines.set(A, Mono(2))
    deadlines.set(A, Mono(1))
    assert drain(deadlines, 9) == ["a"]


def test_what_was_withdrawn_takes_no_room() -> None:
    deadlines = Deadlines()
    deadlines.set(B, Mono(5))
    for at in range(10_000):
        deadlines.set(A, Mono(at + 10))
        deadlines.set(A, None)
    assert len(deadlines._heap) <= 2 + SLACK
    assert drain(deadlines, 20_000) == ["b"]


def test_it_says_what_a_plain_table_says() -> None:
    random = Random(17)
    deadlines = Deadlines()
    plain: dict[str, float] = {}
    now = 0.0
    for _ in range(20_000):
        key = f"k{random.randrange(50)}"
        if random.random() < 0.3:
            deadlines.set(Key(key), None)
            plain.pop(key, None)
        else:
            plain[key] = now + random.randrange(20)
            deadlines.set(Key(key), Mono(plain[key]))
        assert deadlines.head() == min(plain.values(), default=None)
        if random.random() < 0.1:
            now += random.randrange(5)
            due = sorted(key for key, at in plain.items() if at <= now)
            assert sorted(drain(deadlines, now)) == due
            for key in due:
                del plain[key]
