"""Softphones that are set up by a link: real ones load their file and register; the board shows the link."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.config.qr_reader import read_qr
from tests.peers.baresip import Baresip
from tests.peers.board_page import BoardPage
from tests.peers.browser import Browser
from tests.peers.linphone import Linphone
from tests.peers.phone import UdpPhone
from tests.peers.ports import free_port
from tests.peers.process import wait_until
from tests.peers.registrar import DIRECT
from tests.wire.looks import looks_well
from tests.wire.need import need, need_browser
from tests.wire.operators import Operators
from tests.wire.site import Handset, Site

pytestmark = pytest.mark.wire

CARD = ".softphone"
DESK = "[aria-labelledby=provisioning]"
ECHOED = (b"Via:", b"From:", b"To:", b"Call-ID:", b"CSeq:")
"""Header lines that an answer has from its request."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a listener for phones, on loopback and so without TLS."""
    place = f"127.0.0.1:{free_port()}"
    folder = tmp_path_factory.mktemp("office")
    with Site(folder, prov_http=place, prov_url=f"http://{place}", prov_plain="1") as site:
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
    reloads_a_desk_phone(office, page)


def reloads_a_desk_phone(office: Site, page: BoardPage) -> None:
    """The button sends a NOTIFY, and says what came of it."""
    desk = office.new_phone(sipPhoneModel=office.demo()["models"]["snom"], macAddress="000413922D24")
    with UdpPhone(desk.account, office.sip) as phone:
        assert phone.register().status == 200
        page.go(f"#/phones/{desk.id}")
        page.until("offered", lambda: "Reload the configuration" in page.tab.text())
        page.press("Reload the configuration")
        hears(phone, b"check-sync;reboot=false")
        page.until("said", lambda: "The phone was asked to load" in page.text_of(f"{DESK} .done"))
        page.until("in the journal", lambda: "Told to load its configuration" in page.tab.text())
        page.press("Restart the phone")
        page.tab.press("dialog button:text-is('Restart the phone')")
        hears(phone, b"check-sync;reboot=true")
        page.until("said", lambda: "told to restart" in page.text_of(f"{DESK} .done"))
        page.until("in the journal", lambda: "Told to restart" in page.tab.text())
        assert page.tab.problems() == []
        assert phone.register(0).status == 200
        page.press("Reload the configuration")
        page.until("offline", lambda: "The phone is offline" in page.text_of(f"{DESK} .problem"))


def hears(phone: UdpPhone, event: bytes) -> None:
    """Take a NOTIFY with this Event and accept it."""
    notify = phone.pipe.receive(60)
    assert notify and notify.startswith(b"NOTIFY ") and b"Event: " + event + b"\r\n" in notify
    kept = [line for line in notify.split(b"\r\n") if line.startswith(ECHOED)]
    phone.send(b"\r\n".join([b"SIP/2.0 200 OK", *kept, b"Content-Length: 0", b"", b""]))


def test_a_viewer_is_offered_no_link(office: Site, operators: Operators) -> None:
    handset = office.new_phone()
    page = operators.board("VIEWER", place=f"#/phones/{handset.id}")
    page.until("shown", lambda: page.text_of(".headline") == "Never registered")
    assert not page.exists(CARD)
