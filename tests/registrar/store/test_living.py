"""registrar/store/living.py: which processes count as living, before and after a look at the leases."""

from registrar.model import Process
from registrar.store.living import MAX_DOUBTED, Living

OWN, OTHER = Process("a", "g1"), Process("b", "g1")


def look(living: Living, *found: Process, sure: bool = True) -> None:
    living.looked(living.begin(), found, sure=sure)


def test_this_process_lives_and_its_predecessor_does_not() -> None:
    living = Living(OWN)
    assert living.lives(OWN)
    assert not living.lives(Process("a", "g0"))


def test_before_the_first_look_each_other_process_lives() -> None:
    assert Living(OWN).lives(OTHER)


def test_a_process_that_was_seen_lives_until_a_look_misses_it() -> None:
    living = Living(OWN)
    look(living, OTHER)
    assert living.lives(OTHER)
    look(living)
    assert not living.lives(OTHER)


def test_a_process_that_started_after_the_last_look_lives() -> None:
    living = Living(OWN)
    look(living)
    assert living.lives(OTHER)
    look(living, OTHER)
    assert living.lives(OTHER)


def test_a_look_that_began_before_the_question_decides_nothing() -> None:
    living = Living(OWN)
    early = living.begin()
    assert living.lives(OTHER)
    living.looked(early, (), sure=True)
    assert living.lives(OTHER)
    look(living)
    assert not living.lives(OTHER)


def test_another_generation_of_a_living_node_is_dead() -> None:
    living = Living(OWN)
    assert living.lives(Process("b", "g0"))
    look(living, OTHER)
    assert not living.lives(Process("b", "g0"))
    assert living.lives(OTHER)


def test_a_look_right_after_an_outage_declares_no_process_dead() -> None:
    living = Living(OWN)
    look(living, OTHER)
    assert living.lives(Process("c", "g1"))
    look(living, sure=False)
    assert living.lives(OTHER) and living.lives(Process("c", "g1"))
    look(living)
    assert not living.lives(Process("c", "g1"))


def test_a_process_that_comes_back_lives() -> None:
    living = Living(OWN)
    assert living.lives(OTHER)
    look(living)
    assert not living.lives(OTHER)
    look(living, OTHER)
    assert living.lives(OTHER)
    look(living)
    assert not living.lives(OTHER)


def test_only_so_many_are_remembered() -> None:
    living = Living(OWN)
    for number in range(MAX_DOUBTED + 5):
        living.lives(Process("b", str(number)))
    look(living)
    assert living.lives(Process("b", "0")), "forgotten, so it is asked about for the first time"
    assert not living.lives(Process("b", str(MAX_DOUBTED)))
