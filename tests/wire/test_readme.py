"""README.md followed word by word, as its reader does: the default ports, and a network beside loopback.

Only placeholders are filled in, with what `registrar serve --demo` (what `make run` ends in) prints.
"""

import math
import os
import re
import struct
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.peers.baresip import MODULES
from tests.peers.browser import Browser
from tests.peers.browser_phone import MICROPHONE, NEAR, SOUND, BrowserPhone
from tests.peers.netns import Namespace
from tests.peers.process import CLEAN_ENVIRONMENT, Process
from tests.peers.registrar import COMMAND
from tests.wire.need import need, need_browser, need_namespace
from tests.wire.site import FreshSite, Site, within

pytestmark = pytest.mark.wire

ROOT: Final = Path(__file__).parent.parent.parent
README: Final = (ROOT / "README.md").read_text()
SECONDS: Final = 60.0
DESK_TONE: Final = 440
BARESIP: Final = """\
audio_player aufile,/dev/null
audio_source aufile,tone.wav
audio_alert aufile,/dev/null
module_path {modules}
module g711.so
module aufile.so
module uuid.so
module_app account.so
module_app menu.so
"""
"""What baresip needs where there is no sound card; it chooses the address that it comes from by itself."""
Account = dict[str, str]


@pytest.fixture(scope="module")
def network() -> Iterator[Namespace]:
    """A machine with a network card, for the whole module: the ports of README are free in it."""
    need("sipp", "baresip", "rtpengine", "curl", "redis-cli")
    need_browser()
    need_namespace()
    with Namespace() as network, network.entered():
        yield network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def site(network: Namespace, folder: Path) -> Iterator[Site]:
    """What the two commands of the walk-through start: rtpengine, and `make run` that uses it."""
    (line,) = re.findall(r"^ +(rtpengine .+)$", README, re.MULTILINE)
    argv = line.replace("YOUR_ADDRESS", network.address).split()
    assert "`REGISTRAR_RTPENGINE=127.0.0.1:2223 make run`" in README
    settings = {
        "sip_udp": "0.0.0.0:5060",
        "sip_tcp": "0.0.0.0:5060",
        "sip_tls": "0.0.0.0:5061",
        "sip_wss": "0.0.0.0:8443",
        "http": "127.0.0.1:8080",
        "ping_seconds": "30",
        "rtpengine": "127.0.0.1:2223",
        "data_dir": str(folder / ".registrar"),
    }
    made = FreshSite(folder, arguments=("serve", "--demo"), tenant=None, transports=(), **settings)
    made.http = ("127.0.0.1", 8080)
    with Process("rtpengine", argv, folder), made as site:
        within(SECONDS, lambda: "page   " in site.out, "the accounts are printed")
        yield site


def printed(site: Site, example: str) -> Account:
    """What is printed for one example."""
    told = site.out
    block = re.search(rf"^{example} +extension .*\n(?:  .*\n)+", told, re.MULTILINE)
    token = re.search(r"^ADMIN token +(\S+)$", told, re.MULTILINE)
    assert block and token, told
    fields = re.findall(r"^  (username|password|phone id|page) +(\S+)$", block[0], re.MULTILINE)
    return dict(fields) | {"token": token[1]}


def filled(text: str, account: Account) -> str:
    """The text with its placeholders filled in."""
    names = {"USERNAME": "username", "PASSWORD": "password", "PHONE_ID": "phone id", "TOKEN": "token"}
    for placeholder, name in names.items():
        text = re.sub(rf"\b{placeholder}\b", account[name], text)
    return text


def section(title: str) -> str:
    return README.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def block(title: str, beginning: str) -> str:
    """The shell block of a section that begins so."""
    blocks = re.findall(r"^```sh\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)
    (found,) = [text for text in blocks if text.startswith(beginning)]
    return str(found)


def shell(script: str, folder: Path) -> str:
    """Run it in the folder where `make run` was called; what it prints."""
    script = script.replace(".venv/bin/registrar", str(COMMAND)).replace("deploy/", f"{ROOT}/deploy/")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=CLEAN_ENVIRONMENT | {"PATH": f"/usr/bin:/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def baresip(folder: Path, account: Account, *, more: str = "") -> Process:
    """baresip with the line of README in its file of accounts."""
    (line,) = re.findall(r"^<sip:USERNAME@.+$", README, re.MULTILINE)
    place = folder / f"baresip-{account['username']}"
    place.mkdir(exist_ok=True)
    (place / "accounts").write_text(f"{filled(line, account)}{more}\n")
    (place / "config").write_text(BARESIP.format(modules=MODULES))
    _write_tone(place / "tone.wav")
    return Process("baresip", ["baresip", "-f", str(place)], place)


def _write_tone(path: Path) -> None:
    """A minute of a tone, as baresip reads it: 16 bit, mono, 8 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        samples = (int(12_000 * math.sin(math.tau * DESK_TONE * at / 8_000)) for at in range(60 * 8_000))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


def state(site: Site, account: Account) -> dict[str, object]:
    """The live status of an account."""
    reply = site.api("GET", f"/pbx/sipphone/{account['phone id']}", token=account["token"])
    assert reply.status == 200, reply
    shown: dict[str, object] = reply.body["status"]
    return shown


def test_sipp_and_baresip_register_with_the_accounts_of_theirs(
    site: Site, network: Namespace, folder: Path
) -> None:
    sipp, phone = printed(site, "sipp"), printed(site, "baresip")
    shell(filled(block("Register a phone", "sipp "), sipp), folder)
    assert (state(site, sipp)["online"], state(site, sipp)["publicIpAddress"]) == (True, "127.0.0.1")
    with baresip(folder, phone):
        within(SECONDS, lambda: state(site, phone)["online"], "baresip is registered")
        assert state(site, phone)["publicIpAddress"] == network.address


def test_an_account_is_locked_and_opened_as_written(site: Site, network: Namespace, folder: Path) -> None:
    account = printed(site, "sipp")
    script = filled(block("Register a phone", "sipp "), account)
    shell(script, folder)
    with baresip(folder, account) as phone:
        within(SECONDS, lambda: "403" in phone.last_lines(), "baresip is refused: locked to loopback")
        assert state(site, account)["lastRejectedReason"] == "ip-locked"
    shell(filled(block("Register a phone", "curl "), account), folder)
    with baresip(folder, account):
        within(
            SECONDS,
            lambda: state(site, account)["publicIpAddress"] == network.address,
            "baresip is let in, and locks it again",
        )
    shown = site.api("GET", f"/pbx/sipphone/{account['phone id']}", token=account["token"]).body
    assert (shown["ip"]["mode"], shown["ip"]["address"]) == ("LOCKED", network.address)


def test_its_status_is_asked_for_as_written(site: Site, folder: Path) -> None:
    account = printed(site, "sipp")
    told = shell(filled(block("Ask for its status", "curl "), account), folder)
    assert account["username"] in told
    assert "online" in told and "registered" in told


@pytest.fixture
def browser(network: Namespace, tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path) as browser:
        yield browser


def test_a_browser_calls_the_desk_phone(site: Site, browser: Browser, folder: Path) -> None:
    desk, page = printed(site, "desk phone"), printed(site, "browser")
    phone = BrowserPhone(browser)
    with baresip(folder, desk, more=";answermode=auto"):
        within(SECONDS, lambda: state(site, desk)["online"], "the desk phone is registered")
        script = f"window.toneHertz = {phone.tone};\n{SOUND.read_text()}"
        assert browser.open(page["page"], script=script, permissions=[NEAR, MICROPHONE]) == 200
        within(SECONDS, lambda: browser.state()["registration"] == "registered", "the page is registered")
        assert "type the desk phone's extension, `201`, and press Enter" in README
        phone.call("201")
        phone.wait("talking", within=SECONDS)
        assert phone.listens_to(DESK_TONE, within=SECONDS)
        calls = site.api("GET", "/pbx/call", token=desk["token"]).body
        assert "201" in str(calls)
        phone.hang_up()
