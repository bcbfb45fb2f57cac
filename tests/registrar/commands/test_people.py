"""registrar/commands/people.py: names come from people, so they are text; the rest is in tests/wire."""

import pytest

from config.people import LivePerson, LiveWaiter, PartOfCall, Seat
from registrar.commands.people import MEMBERS, PEOPLE, WAITING, _member_cells, _person_cells, _print
from registrar.commands.people import _waiter_cells as waiter_cells

CALL = "1" * 32


def person(name: str) -> LivePerson:
    calls = (
        PartOfCall(CALL, "answered", True, "201", "Bent"),
        PartOfCall(CALL, "ringing", False, None, None),
    )
    return LivePerson(
        Seat("a" * 24, "200", name, (), ("q1",)), True, "300", None, None, frozenset({"q1"}), "talking",
        None, None, calls,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["[bold red]Anna[/bold red]", "[/x]", "a\x1b[2Jb\u202ec", "Ærlig Anna"])
def test_a_name_is_shown_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    _print(PEOPLE, [_person_cells(person(name))])
    shown = "".join(letter for letter in name if letter.isprintable())
    assert shown in capsys.readouterr().out


def test_a_row_has_a_cell_for_each_column() -> None:
    cells = _person_cells(person("Anna"))
    assert dict(zip(PEOPLE, cells, strict=True)) == {
        "extension": "200", "name": "Anna", "state": "talking", "since": "", "why": "", "dnd": "yes",
        "cfu": "300", "cfb": "", "cfnr": "", "calls": "to 201, from ?",
    }  # fmt: skip
    left = dict(zip(MEMBERS[2:], _member_cells(person("Anna"), "q1"), strict=True))
    assert (left["member"], left["joined"]) == ("200", "no")
    assert dict(zip(MEMBERS[2:], _member_cells(person("Anna"), "q2"), strict=True))["joined"] == "yes"
    waiter = dict(zip(WAITING[2:], waiter_cells(LiveWaiter(2, CALL, None, None, 1.0, "n1")), strict=True))
    assert (waiter["position"], waiter["from"], waiter["call"]) == ("2", "", CALL)
