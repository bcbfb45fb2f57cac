"""No writer has a name that is not in the reviewed table: a typo would be a setting that no phone reads.

`known_names.csv` has each name with N for its numbers, and the public source that confirms it.
"""

import csv
import re
from dataclasses import replace
from pathlib import Path

from config.provisioning.files import config_name
from config.provisioning.render import WRITERS, render
from tests.config.provisioning import phones
from tests.config.provisioning.parsers import PARSERS
from tests.every import every

TABLE = Path(__file__).parent / "known_names.csv"
_ATTRIBUTES = re.compile(r" (?:idx|perm|ua|context|lp|label)=\S*")


def known(writer: str) -> list[str]:
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["source"] for row in rows)
    return [row["name"] for row in rows if row["writer"] == writer]


def name_of(written: str) -> str:
    return re.sub(r"\d+", "N", _ATTRIBUTES.sub("", written)).removesuffix("/label")


@every("writer", WRITERS)
def test_each_name_is_known(writer: str) -> None:
    phone = replace(phones.full(writer), extra="")
    settings = PARSERS[writer](render(phone, config_name(writer, phone.mac, phone.model)).text)
    assert sorted({name_of(name) for name, _ in settings}) == sorted(known(writer))


def test_the_table_has_writers_alone() -> None:
    with TABLE.open(newline="") as file:
        assert {row["writer"] for row in csv.DictReader(file)} == set(WRITERS)
