"""What a source of datagrams is answered beyond its due."""

import pytest

from registrar.model import Mono
from registrar.rules.amplification import ALLOWANCE, MAX_SOURCES, Amplification

HERE = "198.51.100.7"


def test_a_source_has_one_allowance() -> None:
    ledger = Amplification()
    assert ledger.spend(HERE, ALLOWANCE - 1, Mono(5.0))
    assert not ledger.spend(HERE, 2, Mono(5.1))
    assert ledger.spend(HERE, 1, Mono(5.2))
    assert not ledger.spend(HERE, 1, Mono(6.1))


def test_it_is_full_again_after_a_second_without_spending() -> None:
    ledger = Amplification()
    assert ledger.spend(HERE, ALLOWANCE, Mono(5.0))
    assert not ledger.spend(HERE, 1, Mono(5.9))
    assert ledger.spend(HERE, ALLOWANCE, Mono(6.0)), "what was refused was not spent"


def test_no_second_sees_two() -> None:
    """Wherever it begins."""
    ledger, spent = Amplification(), []
    for tick in range(3_000):
        now = Mono(tick / 500)
        if ledger.spend(HERE, 300, now):
            spent.append(now)
    assert all(sum(300 for at in spent if start <= at < start + 1) <= ALLOWANCE for start in spent)
    assert len(spent) >= 3 * (ALLOWANCE // 300)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        pytest.param(HERE, "198.51.100.8", False, id="two addresses"),
        pytest.param("2001:db8::1", "2001:db8::ffff:2", True, id="one network of IPv6"),
        pytest.param("2001:db8::1", "2001:db8:0:1::1", False, id="two networks of IPv6"),
    ],
)
def test_who_is_one_source(one: str, other: str, shared: bool) -> None:
    ledger = Amplification()
    assert ledger.spend(one, ALLOWANCE, Mono(1.0))
    assert ledger.spend(other, 1, Mono(1.0)) is not shared


def test_its_memory_has_an_end() -> None:
    ledger = Amplification()
    for number in range(MAX_SOURCES + 10):
        fits = ledger.spend(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1, Mono(1.0))
        assert fits is (number < MAX_SOURCES)
    assert len(ledger) == MAX_SOURCES
    assert ledger.spend(HERE, 1, Mono(2.0))
    assert len(ledger) == 1
