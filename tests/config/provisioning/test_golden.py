"""The files of three phones of each writer, as they were read and approved once.

After a change on purpose: run this file with `GOLDEN=write`, and look at each difference.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Final

from config.models.versions import VERSIONS
from config.provisioning import files
from config.provisioning.files import Meant
from config.provisioning.render import WRITERS, render, stub
from config.provisioning.view import Provisioned
from tests.config.provisioning import phones
from tests.every import every

GOLDEN: Final = Path(__file__).parent / "golden"
APPROVED: Final = Path(__file__).parent / "versions.json"
KINDS: Final = {"empty": phones.empty, "full": phones.full, "worst": phones.worst}


def all_files(phone: Provisioned) -> str:
    """Return each file that the phone loads at its boot, and what is not in it."""
    names = files.names(phone.writer, phone.mac, phone.model)
    asked = [name for name in names if files.meant(phone.writer, phone.mac, name) is not None]
    return "".join(_shown(phone, name) for name in asked)


def _shown(phone: Provisioned, name: str) -> str:
    file = render(phone, name)
    left_out = "".join(f"--- left out: {one.field}: {one.reason}\n" for one in file.left_out)
    warnings = "".join(f"--- warning: {warning}\n" for warning in file.warnings)
    return f"=== {file.name} ({file.content_type})\n{file.text}{left_out}{warnings}"


@every("kind", KINDS)
@every("writer", WRITERS)
def test_a_file_is_what_was_approved(writer: str, kind: str) -> None:
    text = all_files(KINDS[kind](writer))
    path = GOLDEN / f"{writer}-{kind}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_bytes().decode()


def test_a_writer_that_writes_another_file_has_another_version() -> None:
    """Then an upgrade tells that its phones have not loaded it. Warnings of the preview are in no file."""
    now = {writer: {"version": VERSIONS[writer], "files": _digest(writer)} for writer in WRITERS}
    approved = json.loads(APPROVED.read_text())
    if os.environ.get("GOLDEN") == "write":
        APPROVED.write_text(json.dumps(now, indent=2) + "\n")
    for writer, one in now.items():
        before = approved.get(writer, one)
        if one["files"] != before["files"]:
            assert one["version"] > before["version"], (
                f"config/models/versions.py: {writer} needs a new version"
            )
    assert now == json.loads(APPROVED.read_text()), "run this file with GOLDEN=write"


def _digest(writer: str) -> str:
    """The digest of the files of all three phones."""
    texts = [line for kind in KINDS.values() for line in all_files(kind(writer)).splitlines(keepends=True)]
    return hashlib.sha256("".join(line for line in texts if not line.startswith("--- ")).encode()).hexdigest()


@every("writer", WRITERS)
def test_a_stub_names_the_next_url_and_no_account(writer: str) -> None:
    text = stub(writer, "https://prov.example/p/first/", phones.MAC)
    assert "prov.example" in text
    assert "p/first" in text
    phone = phones.full(writer)
    assert phone.account.username not in text
    assert phone.account.password not in text


@every("writer", WRITERS)
def test_only_the_configuration_has_an_account(writer: str) -> None:
    phone = phones.full(writer)
    for name in files.names(writer, phone.mac, phone.model):
        meaning = files.meant(writer, phone.mac, name)
        if meaning in (Meant.STUB, Meant.COMMON):
            assert phone.account.password not in render(phone, name).text


def test_each_golden_file_has_its_test() -> None:
    expected = {f"{writer}-{kind}.txt" for writer in WRITERS for kind in KINDS}
    assert {path.name for path in GOLDEN.iterdir()} == expected
