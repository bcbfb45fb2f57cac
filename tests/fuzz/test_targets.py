"""What the fuzzer is given to begin with holds, and so does anything hypothesis thinks of."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.every import every
from tests.fuzz import TARGETS
from tests.registrar.sip.strategies import anything, unhurried


def target(name: str) -> Any:
    return importlib.import_module(f"tests.fuzz.{name}")


SEEDS = [(name, seed) for name in TARGETS for seed in target(name).SEEDS]


@every(("name", "seed"), SEEDS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(SEEDS)])
def test_every_seed_holds(name: str, seed: bytes) -> None:
    target(name).check(seed)


@pytest.mark.parametrize("name", TARGETS)
@unhurried
@given(data=st.one_of(st.binary(max_size=300), anything.map(lambda text: text.encode("utf-8", "replace"))))
def test_anything_holds(name: str, data: bytes) -> None:
    check: Callable[[bytes], None] = target(name).check
    check(data)
    check(b"0" + data)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_at_all_holds(name: str) -> None:
    target(name).check(b"")
