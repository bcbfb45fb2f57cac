"""Softphones that are set up by a link: real ones load their file and register; the board shows the link."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.config.qr_reader import read_qr
from tests.peers.baresip import Baresip
from tests.peers.browser import Browser
from tests.peers.linphone import Linphone
from tests.peers.ports import free_port
from tests.peers.process import wait_until
from tests.peers.registrar import DIRECT
from tests.wire.looks import looks_well
from tests.wire.need import need, need_browser
from tests.wire.operators import Operators
from tests.wire.site import Handset, Site

pytestmark = pytest.mark.wire

CARD = ".softphone"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a listener for phones, on loopback and so without TLS."""
    place = f"127.0.0.1:{free_port()}"
    settings = {"prov_http": place, "prov_url": f"http://{place}", "prov_plain": "1"}
    with Site(tmp_path_factory.mktemp("office"), **settings) as site:
        yield site


def linked(site: Site, handset: Handset, client: str) -> dict[str, Any]:
    reply = site.api("POST", f"/pbx/sipphone/{handset.id}/provisioning", {"link": client})
    assert reply.status == 200, reply
    made: dict[str, Any] = reply.body
    return made


def status_of(url: str) -> int:
    try:
        with DIRECT.open(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def check_first_contact(site: Site, handset: Handset, url: str) -> None:
    """The phone is online, locked to where it loaded the file, and the link is spent."""
    shown = site.phone(handset)
    assert (shown["ip"]["mode"], shown["ip"]["address"]) == ("LOCKED", "127.0.0.1")
    assert shown["status"]["configLoaded"] is not None
    assert status_of(url) == 404


def test_linphone_loads_its_link_and_registers(office: Site, tmp_path: Path) -> None:
    need("linphone-daemon")
    handset = office.new_phone()
    made = linked(office, handset, "linphone")
    assert read_qr(made["qr"]) == made["url"]
    with Linphone(tmp_path, made["url"]) as phone:
        wait_until(lambda: bool(office.status(handset)["online"]), "Linphone is registered")
        assert phone.running
        check_first_contact(office, handset, made["url"])


def test_baresip_registers_with_the_line_of_its_link(office: Site, tmp_path: Path) -> None:
    need("baresip")
    extension = office.api("POST", "/pbx/extension", {"number": "7901", "name": 'Åse "Bo" <x>; \\ Ø'})
    handset = office.new_phone(extension=extension.body["_id"])
    made = linked(office, handset, "baresip")
    with DIRECT.open(made["url"]) as answer:
        line = answer.read().decode()
    with Baresip(tmp_path, handset.account, office.sip, line=line):
        assert office.status(handset)["online"] is True
        check_first_contact(office, handset, made["url"])


@pytest.fixture
def operators(office: Site, tmp_path: Path) -> Iterator[Operators]:
    need_browser()
    with Browser(tmp_path / "chromium") as chromium:
        people = Operators(office, chromium)
        yield people
        people.close()


def test_the_board_sets_up_a_softphone(office: Site, operators: Operators, tmp_path: Path) -> None:
    handset = office.new_phone()
    page = operators.board("MANAGER", place=f"#/phones/{handset.id}")
    page.until("offered", lambda: page.exists(CARD))
    assert "locked to the address" in page.text_of(CARD)
    page.press("Make a link")
    page.until("made", lambda: page.exists(f"{CARD} [name=link]"))
    url = page.tab.evaluate("document.querySelector('[name=link]').value")
    assert page.tab.evaluate("document.activeElement.textContent") == "Link for Linphone"
    assert "opens once, until" in page.text_of(CARD)
    drawn = page.tab.evaluate(f"document.querySelector('{CARD} svg').outerHTML")
    assert read_qr(drawn) == url
    assert handset.account.password not in page.tab.text() + drawn
    looks_well(page, tmp_path, "softphone")
    page.press("Copy the link")
    page.until("copied", lambda: "The link is" in page.text_of(f"{CARD} .done"))
    assert status_of(url) == 200
    page.until("in the journal", lambda: "Link for a softphone made" in page.tab.text())
    page.choose("client", "microsip")
    page.until("another softphone", lambda: not page.exists(f"{CARD} [name=link]"))
    page.press("Make a link")
    page.until("made", lambda: page.exists(f"{CARD} [name=link]"))
    assert not page.exists(f"{CARD} svg")
    assert page.tab.problems() == []


def test_a_viewer_is_offered_no_link(office: Site, operators: Operators) -> None:
    handset = office.new_phone()
    page = operators.board("VIEWER", place=f"#/phones/{handset.id}")
    page.until("shown", lambda: page.text_of(".headline") == "Never registered")
    assert not page.exists(CARD)
