"""Cases that are one test: all run, and the failure says which ones were wrong."""

import inspect

import pytest

from tests.every import every

seen: list[int] = []


@every("number", [1, 2, pytest.param(3, id="three")])
@every("other", "ab")
def numbers(number: int, other: str) -> None:
    seen.append(number)
    assert number != 3, other


@every(("number", "error"), [(1, ValueError), (2, KeyError)], ids=["one", "two"])
async def refusals(number: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        if number == 1:
            raise ValueError


def test_each_case_runs_and_those_that_fail_are_named() -> None:
    seen.clear()
    with pytest.raises(ExceptionGroup) as caught:
        numbers()
    assert seen == [1, 1, 2, 2, 3, 3]
    (failed,) = caught.value.exceptions
    assert isinstance(failed, ExceptionGroup)
    assert failed.__notes__ == ["in the case three"]
    assert [error.__notes__ for error in failed.exceptions] == [["in the case a"], ["in the case b"]]


async def test_what_was_not_raised_is_a_failure_of_its_case() -> None:
    with pytest.raises(BaseExceptionGroup, match="1 of 2 cases") as caught:
        await refusals()
    (failed,) = caught.value.exceptions
    assert isinstance(failed, pytest.fail.Exception)
    assert failed.__notes__ == ["in the case two"]


def test_what_comes_from_elsewhere_stays_an_argument() -> None:
    @every("number", range(2))
    def both(number: int, folder: str) -> None:
        assert (number, folder) in [(0, "here"), (1, "here")]

    assert list(inspect.signature(both).parameters) == ["folder"]
    both(folder="here")


def test_no_case_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="there is no case"):
        every("number", [])
