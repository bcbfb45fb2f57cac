"""The budget of wrong passwords as one process sees it."""

from typing import Final

import pytest

from registrar.model import Epoch
from registrar.rules.guesses import (
    FREE,
    HOLD_SECONDS,
    MAX_LOGS,
    PER_ACCOUNT,
    PER_SOURCE,
    WINDOW_SECONDS,
    Guesser,
    Ledger,
    Taken,
    guesser,
)
from registrar.rules.proxies import one_source

NOW: Final = Epoch(1_790_000_000.0)
SOURCE: Final = "198.51.100.7"


def anna(number: int = 0) -> Guesser:
    return guesser(SOURCE, f"anna{number}@acme.test", 64)


def after(seconds: float) -> Epoch:
    return Epoch(NOW + seconds)


def spent(ledger: Ledger, accounts: int, each: int) -> None:
    for number in range(accounts):
        for _ in range(each):
            ledger.add(anna(number), NOW)


@pytest.mark.parametrize(
    ("address", "prefix", "source"),
    [
        pytest.param("198.51.100.7", 64, "198.51.100.7", id="IPv4"),
        pytest.param("2001:db8:0:1:aaaa::1", 64, "2001:db8:0:1::/64", id="IPv6: one network"),
        pytest.param("2001:db8::1", 128, "2001:db8::1/128", id="IPv6: one address"),
        pytest.param("fe80::1%eth0", 64, "fe80::/64", id="with a zone"),
        pytest.param("not:an:address", 64, "not:an:address", id="no address"),
    ],
)
def test_what_counts_as_one_source(address: str, prefix: int, source: str) -> None:
    assert one_source(address, prefix) == source


def test_a_mark_tells_accounts_apart_and_shows_none() -> None:
    one, other = anna(1), anna(2)
    assert one.mark != other.mark and one == anna(1)
    assert "anna" not in one.mark and len(one.mark) == 18
    assert len(guesser(SOURCE, "x" * 60_000, 64).mark) == 18
    assert guesser(SOURCE, "\udc80", 64).mark


def test_the_tenth_wrong_password_holds_the_account_for_five_minutes() -> None:
    ledger = Ledger()
    for _ in range(PER_ACCOUNT - 1):
        ledger.add(anna(), NOW)
    assert ledger.held_until(anna(), NOW, good=False) == FREE
    ledger.add(anna(), NOW)
    assert ledger.held_until(anna(), NOW, good=False) == NOW + HOLD_SECONDS
    assert ledger.held_until(anna(), NOW, good=True) == NOW + HOLD_SECONDS, "ten each, for good ones, too"
    assert ledger.held_until(anna(2), NOW, good=False) == FREE
    assert ledger.held_until(Guesser("203.0.113.9", anna().mark), NOW, good=False) == FREE
    assert ledger.held_until(anna(), after(HOLD_SECONDS), good=False) == FREE


def test_after_a_hold_one_more_is_allowed_until_the_window_is_over() -> None:
    ledger = Ledger()
    spent(ledger, 1, PER_ACCOUNT)
    ledger.add(anna(), after(HOLD_SECONDS))
    assert ledger.held_until(anna(), after(HOLD_SECONDS + 1), good=False) == after(2 * HOLD_SECONDS)
    assert not ledger.held_until(anna(), after(WINDOW_SECONDS), good=False), "one is left in the window"


def test_sixty_wrong_passwords_hold_the_source_but_not_who_is_good_there() -> None:
    ledger = Ledger()
    spent(ledger, PER_SOURCE - 1, 1)
    assert ledger.source_held_until(SOURCE, NOW) == FREE
    ledger.add(anna(99), NOW)
    assert ledger.source_held_until(SOURCE, NOW) == NOW + HOLD_SECONDS
    assert ledger.held_until(anna(200), NOW, good=False) == NOW + HOLD_SECONDS
    assert ledger.held_until(anna(200), NOW, good=True) == FREE


def test_what_was_right_is_taken_back() -> None:
    ledger = Ledger()
    spent(ledger, 1, PER_ACCOUNT - 1)
    ledger.add(anna(), after(1))
    ledger.remove(anna(), after(1))
    ledger.remove(anna(7), NOW)
    assert ledger.held_until(anna(), after(1), good=False) == FREE
    assert ledger.is_suspect(anna(), after(1)) and ledger.is_watched(SOURCE, after(1))


def test_everything_is_forgotten_after_the_window() -> None:
    ledger = Ledger()
    spent(ledger, PER_SOURCE, 1)
    assert ledger.is_watched(SOURCE, after(WINDOW_SECONDS - 1))
    assert not ledger.is_watched(SOURCE, after(WINDOW_SECONDS))
    assert not ledger.is_suspect(anna(), after(WINDOW_SECONDS))


def test_a_hold_of_another_process_counts() -> None:
    ledger = Ledger()
    ledger.tell(SOURCE, after(10))
    ledger.tell(anna(1), after(20))
    assert ledger.is_watched(SOURCE, NOW)
    assert ledger.held_until(anna(), NOW, good=False) == after(10)
    assert ledger.held_until(anna(), NOW, good=True) == FREE
    assert ledger.held_until(anna(1), NOW, good=True) == after(20)
    assert ledger.held_until(anna(1), after(20), good=True) == FREE
    assert ledger.is_watched(SOURCE, after(19)) and not ledger.is_watched(SOURCE, after(20))


def test_memory_has_an_end() -> None:
    ledger = Ledger()
    for number in range(MAX_LOGS + 1):
        ledger.add(Guesser(f"source {number}", "mark"), NOW)
    assert not ledger.is_watched("source 0", NOW), "the oldest are forgotten first"
    assert ledger.is_watched(f"source {MAX_LOGS}", NOW)


@pytest.mark.parametrize(
    ("taken", "held"),
    [
        pytest.param(Taken(entry="1"), False, id="taken"),
        pytest.param(Taken(account_held_until=after(1)), True, id="the account is held"),
        pytest.param(Taken(source_held_until=after(1)), True, id="the source is held"),
        pytest.param(Taken(account_held_until=after(-1)), False, id="it was held"),
    ],
)
def test_what_the_shared_budget_says(taken: Taken, held: bool) -> None:
    assert taken.is_held(NOW) is held
