"""What stands in the documents and in deploy/ is true of the program."""

import configparser
import re
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from registrar import settings
from registrar.handlers import answers
from registrar.model import Binding, Call, CallState, Cause, Ending, Epoch, EventKind, Party, Reason, Refusal
from registrar.rules import status
from registrar.rules.access import TOLD, told
from registrar.store import call_codec, scripts, wish_cache
from tests.every import every

ROOT = Path(__file__).parent.parent
VARIABLE = re.compile(r"REGISTRAR_[A-Z0-9_]+")


def text(name: str) -> str:
    return (ROOT / name).read_text()


def test_every_setting_is_documented_and_no_other() -> None:
    named = set(VARIABLE.findall(text("docs/settings.md"))) - {"REGISTRAR_"}
    known = {f"REGISTRAR_{name.upper()}" for name in settings.Settings.model_fields}
    assert named - {settings.CONFIG} == known


def test_the_example_environment_can_be_used() -> None:
    lines = re.findall(r"^#?(REGISTRAR_[A-Z_]+)=(.*)$", text("deploy/env.example"), re.MULTILINE)
    own = {
        name: re.sub(
            "PASSWORD|.*[a-z]-.*-own-.*|the-(static-auth|key-of).*", "own-" + "0123456789" * 4, value
        )
        for name, value in lines
    }
    assert settings.read(own).domain == "registrar.localhost"
    assert own["REGISTRAR_SECRET_KEY"] != dict(lines)["REGISTRAR_SECRET_KEY"], "placeholders are refused"


@every("word", [*EventKind, *Reason])
def test_the_redis_contract_names_every_event_and_reason(word: str) -> None:
    assert f"`{word}`" in text("docs/redis.md")


def test_the_redis_contract_names_every_field_of_the_status() -> None:
    binding = Binding("c", 1, "i", 1)
    fields = status.online_fields((binding,), 1) | status.rejected_fields("ip", "r", Epoch(1), online=True)
    page = text("docs/redis.md")
    assert [name for name in fields if f"`{name}`" not in page] == []


def test_the_redis_contract_names_every_transport() -> None:
    (row,) = re.findall(r"^\| `transport` \| (.+) \|$", text("docs/redis.md"), re.MULTILINE)
    assert row == ", ".join(f"`{name}`" for name in ("udp", "tcp", "tls", "ws", "wss"))


@pytest.mark.parametrize(("letter", "value"), [("b", Binding), ("r", Refusal)], ids=["bindings", "refusals"])
def test_the_redis_contract_has_the_fields_of_a_row_in_their_order(letter: str, value: type[Any]) -> None:
    (row,) = re.findall(rf"^- `{letter}`: `\[\[([^\]]+)\]", text("docs/redis.md"), re.MULTILINE)
    names = [re.sub("_(.)", lambda found: found[1].upper(), name) for name in value.__dataclass_fields__]
    assert [name.strip() for name in row.split(",")] == names


def test_the_redis_contract_names_everything_that_is_written_of_a_call() -> None:
    call = Call("i", "c", "u", "d", Party("p", "200"), Party("", "201"), CallState.RINGING, 1.0)
    ended = call_codec.ended_event(call, Ending(Cause.LOST, 1.0))
    kinds = (call_codec.STARTED, call_codec.ANSWERED, call_codec.ENDED)
    page = text("docs/redis.md").partition("## Calls")[2].partition("\n## ")[0]
    words = [*call_codec.encode(call), *ended, *kinds, *CallState, *Cause]
    assert [word for word in words if f"`{word}`" not in page] == []


def test_the_redis_contract_names_everything_that_is_written_of_a_person() -> None:
    written = "".join(script.text for script in (scripts.CLAIM, scripts.ANSWERED, scripts.ENDED))
    fields = set(re.findall(r"'((?:claim|last|wrap)[A-Z][A-Za-z]+)'", written))
    words = {*fields, *wish_cache.NEWS_OF, *wish_cache.NEWS_OF.values(), *wish_cache.QUIET, "queue"}
    page = text("docs/redis.md").partition("## People")[2].partition("\n## ")[0]
    assert len(fields) == 8
    assert [word for word in words if f"`{word}`" not in page] == []


@every("word", TOLD)
def test_the_page_of_refusals_has_each_with_what_the_phone_is_told(word: str) -> None:
    page = text("docs/warnings.md")
    assert f"`{word}`" in page
    assert f"`{told(word, '<ip>')}`" in page or word == "too-many-contacts"


@every("answer", [value for value in vars(answers).values() if isinstance(value, answers.Answer)], ids=str)
def test_every_refusal_of_no_request_in_particular_says_why(answer: answers.Answer) -> None:
    assert answer.why


def test_the_unit_of_systemd_starts_what_is_installed() -> None:
    unit = configparser.ConfigParser(strict=False)
    unit.read_string(text("deploy/systemd/registrar.service"))
    assert unit["Service"]["ExecStart"].endswith(".venv/bin/registrar serve")
    scripts = tomllib.loads(text("pyproject.toml"))["project"]["scripts"]
    assert "registrar" in scripts


def test_the_scenario_for_sipp_is_a_whole_registration() -> None:
    body = text("deploy/sipp/register.xml").replace('<!DOCTYPE scenario SYSTEM "sipp.dtd">', "")
    steps = [step.get("response") or "send" for step in ET.fromstring(body)]
    assert steps == ["send", "401", "send", "200"]


def test_the_image_copies_only_what_is_there() -> None:
    sources = re.findall(r"^COPY (?!--from)(.+) \S+$", text("deploy/Dockerfile"), re.MULTILINE)
    names = [name for line in sources for name in line.split()]
    assert names and all((ROOT / name).exists() for name in names)


def test_the_services_of_the_composition_use_known_settings() -> None:
    named = set(VARIABLE.findall(text("deploy/compose.yaml")))
    assert named <= {f"REGISTRAR_{name.upper()}" for name in settings.Settings.model_fields}


@pytest.mark.parametrize("script", ["deploy/peers.sh", "deploy/compile.sh", "deploy/page.sh", ".ci/run"])
def test_a_script_is_one(script: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)
