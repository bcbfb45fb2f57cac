"""Many cases of a rule in one test: pytest spends 3 ms on each test, and such a case takes microseconds."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import pytest
from _pytest.mark import ParameterSet

Names = str | Sequence[str]
Ids = Iterable[object] | Callable[[Any], object] | None
Case = tuple[str, tuple[Any, ...]]
Test = Callable[..., Any]
MOST_SHOWN: Final = 20
"""Of the cases that fail: a rule that is broken altogether fails in hundreds."""
LONGEST_NAME: Final = 80
FAILURES: Final = (Exception, pytest.fail.Exception)
"""The second one, which `pytest.raises` raises, is no Exception."""


def every(names: Names, values: Iterable[Any], *, ids: Ids = None) -> Callable[[Test], Test]:
    """Return a decorator like `pytest.mark.parametrize`, but make one test of all cases.

    A case that fails stops no other, and the failure names it. What the test takes beside `names` comes from
    fixtures or from another decorator. All cases share it, so it must be a value that no case changes.
    """
    arguments = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    cases = _named(list(values), ids, single=len(arguments) == 1 and isinstance(names, str))
    assert cases, "there is no case"

    def decorate(test: Test) -> Test:
        whole = inspect.signature(test)
        left = [taken for name, taken in whole.parameters.items() if name not in arguments]

        def together(**others: Any) -> None:
            _raise(_failed(test, arguments, cases, others), len(cases))

        async def awaited(**others: Any) -> None:
            _raise(await _failed_in_turn(test, arguments, cases, others), len(cases))

        made: Any = awaited if inspect.iscoroutinefunction(test) else together
        for name in ("__name__", "__qualname__", "__doc__", "__module__"):
            setattr(made, name, getattr(test, name))
        made.__signature__ = whole.replace(parameters=left)
        made.pytestmark = list(getattr(test, "pytestmark", ()))
        return made  # type: ignore[no-any-return]  # it has the signature of the test

    return decorate


def _named(values: list[Any], ids: Ids, *, single: bool) -> list[Case]:
    """The values of each case behind its name."""
    given = [value.values if isinstance(value, ParameterSet) else value for value in values]
    cases = [
        tuple(case) if isinstance(value, ParameterSet) or not single else (case,)
        for value, case in zip(values, given, strict=True)
    ]
    names: list[object] = [case[0] if len(case) == 1 else case for case in cases]
    if callable(ids):
        names = ["-".join(str(ids(part)) for part in case) for case in cases]
    elif ids is not None:
        names = list(ids)
    own = [value.id if isinstance(value, ParameterSet) else None for value in values]
    chosen = [str(mine or name)[:LONGEST_NAME] for mine, name in zip(own, names, strict=True)]
    return list(zip(chosen, cases, strict=True))


def _failed(
    test: Test, names: list[str], cases: list[Case], others: Mapping[str, Any]
) -> list[BaseException]:
    failed: list[BaseException] = []
    for name, case in cases:
        try:
            test(**dict(zip(names, case, strict=True)), **others)
        except FAILURES as error:
            error.add_note(f"in the case {name}")
            failed.append(error)
    return failed


async def _failed_in_turn(
    test: Callable[..., Awaitable[None]], names: list[str], cases: list[Case], others: Mapping[str, Any]
) -> list[BaseException]:
    failed: list[BaseException] = []
    for name, case in cases:
        try:
            await test(**dict(zip(names, case, strict=True)), **others)
        except FAILURES as error:
            error.add_note(f"in the case {name}")
            failed.append(error)
    return failed


def _raise(failed: list[BaseException], cases: int) -> None:
    if failed:
        raise BaseExceptionGroup(f"{len(failed)} of {cases} cases", failed[:MOST_SHOWN])
