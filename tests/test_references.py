"""What docstrings, comments and documents point to exists: documents, their headings, numbered decisions."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.every import every

ROOT: Final = Path(__file__).parent.parent
PROGRAM: Final = ("registrar", "config", "tests", "deploy")
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
DECISION: Final = re.compile(r"\bdecisions? ([0-9]+|D[0-9]+)", re.IGNORECASE)
SHORT: Final = re.compile(r"(?<![#\w])D([0-9]{1,2})\b(?![\"-])")
"""`D17` as it is cited in parentheses and lists; not a colour, nor the name of a product."""
DOCUMENT: Final = re.compile(r"(?<![\w/.-])((?:docs/)?[\w-]+\.md)\b")
LINK: Final = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
FILE: Final = re.compile(r"`((?:tests|registrar|config|deploy|docs)/[A-Za-z0-9_/.]+)`")


def sources() -> list[Path]:
    found = [path for folder in PROGRAM for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if path != Path(__file__))


EVERYWHERE: Final = [*sources(), *PAGES]


def lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        yield f"{path.relative_to(ROOT)}:{number}", line


def decided() -> set[str]:
    page = (ROOT / "docs/decisions.md").read_text()
    numbers = re.findall(r"^([0-9]+)\. ", page, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)], "each number once, in order"
    return {*numbers, *re.findall(r"^\| (D[0-9]+) \|", page, re.MULTILINE)}


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page, and those that the page gives itself."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    named = re.findall(r'<a id="([\w-]+)"></a>', page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings} | {*named}


def test_decisions_that_are_cited_are_on_their_page() -> None:
    known = decided()
    named = [(place, number) for path in EVERYWHERE for place, line in lines(path) for number in cited(line)]
    assert len(named) > 50
    assert [(place, number) for place, number in named if number not in known] == []


def cited(line: str) -> list[str]:
    names = [f"D{number}" for number in SHORT.findall(line)] if "(D" in line or "ecisions D" in line else []
    return [*DECISION.findall(line), *names]


def test_documents_that_are_named_are_there() -> None:
    there = {page.name for page in PAGES} | {f"docs/{page.name}" for page in PAGES if page.parent != ROOT}
    named = [
        (place, name) for path in EVERYWHERE for place, line in lines(path) for name in DOCUMENT.findall(line)
    ]
    assert len(named) > 50
    assert [(place, name) for place, name in named if name not in there] == []


@every("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    wrong = []
    for target, anchor in LINK.findall(page.read_text()):
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(f"{target}#{anchor}")
    assert wrong == []


@every("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    """A name may be the beginning of several."""
    assert [name for name in FILE.findall(page.read_text()) if not list(ROOT.glob(f"{name}*"))] == []


def test_what_is_looked_for_would_be_seen() -> None:
    """The checks can fail: a number that is on no page, and a document that is in no folder."""
    assert cited("see decision 999 (D99)") == ["999", "D99"]
    assert "999" not in decided() and "D99" not in decided()
    assert DOCUMENT.findall("see docs/nothing.md, and style.md") == ["docs/nothing.md", "style.md"]
