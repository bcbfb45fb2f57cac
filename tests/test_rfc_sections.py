"""Every section of an RFC that is cited is in tests/rfc_sections.csv with its title, and no other is."""

import csv
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.every import every

ROOT: Final = Path(__file__).parent.parent
LIST: Final = ROOT / "tests/rfc_sections.csv"
PROGRAM: Final = ("registrar", "config", "tests")
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
GAP: Final = r"(?: |\n[ \t]*(?:#[ \t]+)?)"
"""A space, or a new line with the beginning of a comment."""
AND: Final = rf"(?:,{GAP}|,?{GAP}(?:and|to){GAP})"
NUMBER: Final = r"[0-9]{1,2}(?:\.[0-9]{1,2})*(?![0-9])"
"""At most two digits between the dots: `3261, 5626` is two RFCs and not a section."""
DOTTED: Final = r"[0-9]{1,2}(?:\.[0-9]{1,2})+(?![0-9])"
STEP: Final = rf"{GAP}steps?{GAP}[0-9]+(?:{AND}[0-9]+(?!\.?[0-9]))*"
"""`steps 6 and 7` of a section: these are numbers of steps."""
MANY: Final = rf"[Ss]ections{GAP}{NUMBER}(?:{STEP})?(?:{AND}{NUMBER}(?:{STEP})?)*"
ONE: Final = rf"[Ss]ection{GAP}{NUMBER}(?:{STEP})?(?:{AND}{DOTTED}(?:{STEP})?)*"
"""A number without a dot continues the list only after `sections`: `section 9.1, 3 times` names one."""
SIGNS: Final = rf"§{NUMBER}(?:{AND}§{NUMBER})*"
NAMED: Final = rf"(?:{MANY}|{ONE}|{SIGNS})"
PLAIN: Final = rf"(?:{GAP}{NUMBER}|,{GAP}{DOTTED})(?:{AND}{DOTTED})*"
"""`RFC 9110 8.3 and 8.4`: numbers alone, directly after the RFC."""
CITED: Final = re.compile(
    rf"\bRFC{GAP}?(?P<before>[0-9]{{4}})(?:,?{GAP}(?P<named>{NAMED})|(?P<plain>{PLAIN}))"
    rf"|(?P<of>{NAMED}){GAP}of{GAP}RFC{GAP}(?P<after>[0-9]{{4}})"
    rf"|(?<![0-9.,])(?P<row>[0-9]{{4}}) (?P<signs>{SIGNS})"
    rf"|\b(?P<alone>{MANY}|{ONE})"
)
SIP: Final = "3261"
"""The RFC of a section that is cited alone."""
OTHERS: Final = {
    "registrar/rules/privacy.py": {"4.2": "3323", "4.1.1.3": "3323"},
    "registrar/rules/session.py": {"8.1": "4028", "8.2": "4028"},
    "tests/wire/test_calls_timers.py": {"8.1": "4028", "8.2": "4028"},
}
"""Sections that are cited alone and belong to the RFC of their module."""


class Citation(NamedTuple):
    """A section of an RFC, and the file that cites it."""

    rfc: str
    section: str
    place: str


def sources() -> list[Path]:
    """Return the modules and pages whose citations count: all but this one, which has examples."""
    found = [path for folder in PROGRAM for path in (ROOT / folder).rglob("*.py")]
    return [*sorted(path for path in found if path != Path(__file__)), *PAGES]


def sections(text: str) -> list[str]:
    """Return the numbers in a list such as `sections 7.1, 8 and 9`, without those of steps."""
    return re.findall(NUMBER, re.sub(STEP, "", text))


def cited(text: str, name: str) -> Iterator[Citation]:
    """Find the citations in a file. A section that is cited alone belongs to RFC 3261, or is in OTHERS."""
    for match in CITED.finditer(text):
        part = match.groupdict(default="")
        rfc = part["before"] or part["after"] or part["row"]
        place = f"{name}:{text.count(chr(10), 0, match.start()) + 1}"
        numbers = [part[key] for key in ("named", "plain", "of", "signs", "alone")]
        for section in sections("".join(numbers)):
            yield Citation(rfc or OTHERS.get(name, {}).get(section, SIP), section, place)


@functools.cache
def citations() -> list[Citation]:
    """Return every citation of the program, its tests and its documents."""
    names = [(path, path.relative_to(ROOT).as_posix()) for path in sources()]
    return [citation for path, name in names for citation in cited(path.read_text(), name)]


def listed() -> list[tuple[str, str, str]]:
    """Return the rows of the list: RFC, section, title."""
    with LIST.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["rfc", "section", "title"]
    return [(rfc, section, title) for rfc, section, title in rows]


ROWS: Final = listed()


def test_every_section_that_is_cited_is_in_the_list() -> None:
    known = {(rfc, section) for rfc, section, _ in ROWS}
    assert len(citations()) > 400
    assert [citation for citation in citations() if (citation.rfc, citation.section) not in known] == []


def test_every_section_in_the_list_is_cited() -> None:
    named = {(citation.rfc, citation.section) for citation in citations()}
    assert [row for row in ROWS if row[:2] not in named] == []


def test_the_list_is_in_order_and_has_each_section_once_with_a_title() -> None:
    numbers = [(int(rfc), *map(int, section.split("."))) for rfc, section, _ in ROWS]
    assert numbers == sorted(set(numbers))
    assert [row for row in ROWS if not row[2].strip()] == []


@every(
    ("text", "expected"),
    [
        ("RFC 3261 section 10.3", ["3261 10.3"]),
        ("RFC 6026, section 7.1.", ["6026 7.1"]),
        ("RFC 4475 3.1.2.9", ["4475 3.1.2.9"]),
        ("RFC 5626 6, 7.1", ["5626 6", "5626 7.1"]),
        ("RFC 9110, 8.3 and 8.4", ["9110 8.3", "9110 8.4"]),
        ("RFC 3261 sections 7, 19.1, 20 and 25", ["3261 7", "3261 19.1", "3261 20", "3261 25"]),
        ("RFC 3261 sections 16.6 to 16.10", ["3261 16.6", "3261 16.10"]),
        ("RFC 3261 section 10.3 step 7 and 10.2.4", ["3261 10.3", "3261 10.2.4"]),
        ("RFC 3261 section 10.3 steps 1, 4 and 5", ["3261 10.3"]),
        ("RFC 7616 section 3.4 and RFC 3261 section 26.4.1", ["7616 3.4", "3261 26.4.1"]),
        ("sections 9.2 and 17.1.3 of RFC 3261", ["3261 9.2", "3261 17.1.3"]),
        ("RFC 4320 and section 8.8 of RFC 6026", ["6026 8.8"]),
        ("| 3261 §9, §12 | 5626 §4.4.1, §6, 8760 |", ["3261 9", "3261 12", "5626 4.4.1", "5626 6"]),
        ("RFC 3261 §10", ["3261 10"]),
        ("is filled (RFC\n    3581 section 4)", ["3581 4"]),
        ("# RFC 3261 section\n    # 16.4 says", ["3261 16.4"]),
        ("the route (section 16.4)", ["3261 16.4"]),
        ("RFC 3261 section 9.1, 3 times", ["3261 9.1"]),
        ("RFC 3261, 5626 and RFC 4475 needs 3,361", []),
        ("RFC 5322 and 6531, RFC 2069 without qop", []),
    ],
)
def test_the_search_finds_what_it_should(text: str, expected: list[str]) -> None:
    assert [f"{found.rfc} {found.section}" for found in cited(text, "a.py")] == expected


def test_a_section_that_is_cited_alone_may_belong_to_another_rfc() -> None:
    (name, *_) = OTHERS
    assert list(cited("\n(section 4.2)", name)) == [Citation("3323", "4.2", f"{name}:2")]


def test_a_section_that_is_not_there_would_be_seen() -> None:
    """Both checks can fail: RFC 3261 has no section 31, and no file cites section 1."""
    sections_of_sip = {section for rfc, section, _ in ROWS if rfc == SIP}
    assert not {"1", "31"} & sections_of_sip
    assert [found.section for found in cited("RFC 3261 section 31", "a.py")] == ["31"]
