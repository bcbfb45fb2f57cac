"""The page at /phone in an office: do not disturb, a forward, favourites with lamps, and pickup."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.peers.accessible import examine
from tests.peers.browser import Browser, Tab
from tests.peers.browser_phone import BrowserPhone
from tests.peers.other_side import OtherSide
from tests.peers.phone import Account
from tests.wire.looks import LOOKS
from tests.wire.need import need, need_browser
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

ANNA, BERT, CARL = range(3)
TONES: Final = (1000, 700, 1500)
NUMBERS: Final = count(5001)
SEEN_SECONDS: Final = 10.0
NARROW: Final = 320
"""CSS pixels: WCAG 2.2, success criterion 1.4.10."""
AUTO: Final = ("Answer-Mode: Auto", "Alert-Info: <http://registrar.invalid>;info=alert-autoanswer;delay=0")
CALLER: Final = '"Bert" <sip:1002@phones.test>'
DONE: Final = "Reason: SIP;cause=200"


@dataclass(frozen=True)
class Person:
    """A page that is registered as the phone of an extension."""

    extension: str
    number: str
    phone: BrowserPhone

    @property
    def tab(self) -> Tab:
        return self.phone.tab

    def state(self, site: Site) -> dict[str, str]:
        """What Redis has of the person."""
        return dict(site.redis("hgetall", f"registrar:person:{{{self.extension}}}"))


@pytest.fixture(scope="module")
def wss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_browser()
    need("redis-cli")
    with Site(tmp_path_factory.mktemp("wss"), transports=["wss"]) as site:
        yield site


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    need_browser()
    with Browser(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def people(wss: Site, browser: Browser) -> list[Person]:
    """Anna, Bert and Carl, who may pick up each other's calls."""
    made = []
    for tone, number in zip(TONES, map(str, NUMBERS), strict=False):
        extension = wss.api("POST", "/pbx/extension", {"number": number, "name": f"Person {number}"})
        assert extension.status == 200, extension
        account = wss.new_phone(extension=extension.body["_id"]).account
        phone = BrowserPhone(browser.tab(number), tone=tone)
        phone.register(account, "wss://{}:{}".format(*wss.wss))
        made.append(Person(extension.body["_id"], number, phone))
    group = {"number": str(next(NUMBERS)), "name": "Office", "pickup": True}
    reply = wss.api("POST", "/pbx/group", {**group, "members": [one.extension for one in made]})
    assert reply.status == 200, reply
    return made


@pytest.fixture
def other() -> Iterator[OtherSide]:
    with OtherSide() as side:
        yield side


@pytest.fixture
def phone(browser: Browser, other: OtherSide) -> BrowserPhone:
    """A page that is registered at the other side."""
    phone = BrowserPhone(browser)
    phone.register(Account("anna", "secret", "phones.test"), other.url)
    return phone


def add(tab: Tab, number: str, label: str = "") -> None:
    """Add a favourite."""
    tab.fill("#favour [name=number]", number)
    tab.fill("#favour [name=label]", label)
    tab.key("#favour [name=label]", "Enter")


def part(number: str, action: str) -> str:
    """The selector of a button of a favourite."""
    return f"#favourites [data-number='{number}'] [data-do={action}]"


def shows(tab: Tab, selector: str, shown: str) -> None:
    """Wait until a lamp of the page shows this."""
    expression = f'document.querySelector("{selector}")?.dataset.shown'
    within(SEEN_SECONDS, lambda: tab.evaluate(expression) == shown, f"{selector} {shown}: {tab.text()}")


def lamp(tab: Tab, number: str, shown: str) -> None:
    shows(tab, f"[data-number='{number}']", shown)


def says(tab: Tab, text: str) -> None:
    within(SEEN_SECONDS, lambda: text in tab.text(), f"{text}: {tab.text()}")


# Wishes


def test_do_not_disturb(wss: Site, people: list[Person], tmp_path: Path) -> None:
    anna, bert, _ = people
    shows(anna.tab, "#dnd", "free")
    anna.tab.key("#dnd", "Enter")
    says(anna.tab, "Do Not Disturb On.")
    shows(anna.tab, "#dnd", "talks")
    assert anna.tab.evaluate("document.querySelector('#dnd').ariaChecked") == "true"
    assert anna.tab.evaluate("document.activeElement.id") == "dnd"
    assert anna.state(wss)["dnd"] == "1"
    bert.phone.call(anna.number)
    bert.phone.wait("ended")
    assert bert.phone.why.startswith("The person does not want to be disturbed.")
    anna.tab.reload()
    shows(anna.tab, "#dnd", "talks")
    assert anna.tab.screenshot(tmp_path / "on.png", width=NARROW) == NARROW
    anna.tab.press("#dnd")
    shows(anna.tab, "#dnd", "free")
    assert "dnd" not in anna.state(wss)
    assert anna.tab.problems() == []


def test_what_another_phone_switches_is_shown(people: list[Person]) -> None:
    anna, *_ = people
    shows(anna.tab, "#dnd", "free")
    anna.phone.call("*76")  # no button of the switch
    anna.phone.wait("ended")
    assert anna.phone.why == "Do Not Disturb On."
    shows(anna.tab, "#dnd", "talks")
    anna.tab.press("#dnd")
    shows(anna.tab, "#dnd", "free")


def test_every_call_is_forwarded(wss: Site, people: list[Person]) -> None:
    anna, bert, carl = people
    shows(anna.tab, "#forward", "free")
    anna.tab.fill("#forward [name=number]", "9999")
    anna.tab.key("#forward [name=number]", "Enter")
    says(anna.tab, "There is no such number.")
    anna.tab.fill("#forward [name=number]", carl.number)
    anna.tab.press("#forward .primary")
    says(anna.tab, f"Forwarding To {carl.number}.")
    assert "There is no such number." not in anna.tab.text()
    assert anna.state(wss)["cfu"] == carl.number
    shows(anna.tab, "#forward", "talks")
    bert.phone.call(anna.number)
    assert carl.phone.wait_incoming() == f"Person {bert.number} ({bert.number}) calls"
    carl.phone.decline()
    bert.phone.wait("ended")
    anna.tab.press("#forward [data-do=stop]")
    says(anna.tab, "Forwarding Off.")
    shows(anna.tab, "#forward", "free")
    assert "cfu" not in anna.state(wss)


# Favourites


def test_a_lamp_follows_the_calls_of_a_favourite(people: list[Person], tmp_path: Path) -> None:
    anna, bert, carl = people
    add(anna.tab, bert.number, "Bert")
    add(anna.tab, carl.number, "Carl, who sits at the other end of the office")
    add(anna.tab, "9999")
    lamp(anna.tab, bert.number, "free")
    lamp(anna.tab, "9999", "unknown")
    anna.tab.screenshot(tmp_path / "free.png")
    carl.phone.call(bert.number)
    lamp(anna.tab, bert.number, "rings")
    lamp(anna.tab, carl.number, "talks")
    looks_well(anna.tab, tmp_path)
    bert.phone.answer()
    lamp(anna.tab, bert.number, "talks")
    bert.phone.hang_up()
    lamp(anna.tab, bert.number, "free")
    lamp(anna.tab, carl.number, "free")
    assert anna.tab.problems() == []


def looks_well(tab: Tab, folder: Path) -> None:
    """Check the page as it is: wide and light, narrow and dark; with SOAK=1 in all four ways."""
    for width, dark in LOOKS:
        assert tab.screenshot(folder / f"rings-{width}-{dark}.png", width=width, dark=dark) == width
        assert examine(tab).serious == []


def test_lamps_are_lit_while_the_phone_is_registered(people: list[Person]) -> None:
    anna, bert, _ = people
    add(anna.tab, bert.number, "Bert")
    lamp(anna.tab, bert.number, "free")
    anna.tab.press("#unregister")
    lamp(anna.tab, bert.number, "unknown")
    shows(anna.tab, "#dnd", "unknown")
    anna.tab.press("#register")
    lamp(anna.tab, bert.number, "free")
    shows(anna.tab, "#dnd", "free")


def test_favourites_are_kept_called_and_removed(people: list[Person]) -> None:
    anna, bert, carl = people
    add(anna.tab, bert.number, "<b>Bert</b>")
    add(anna.tab, carl.number)
    anna.tab.reload()
    lamp(anna.tab, bert.number, "free")
    assert f"<b>Bert</b> {bert.number} free" in " ".join(anna.tab.text().split())
    anna.tab.key(part(bert.number, "call"), "Enter")
    bert.phone.wait_incoming()
    bert.phone.decline()
    anna.phone.wait("ended")
    anna.tab.key(part(bert.number, "remove"), "Enter")
    assert anna.tab.evaluate("document.activeElement.closest('li').dataset.number") == carl.number
    anna.tab.reload()
    lamp(anna.tab, carl.number, "free")
    assert "<b>Bert</b>" not in anna.tab.text()
    add(anna.tab, "<b>")
    assert "A number has letters, digits and + * # . - _ alone." in anna.tab.text()


# Pickup


@pytest.mark.parametrize("by", ["button", "dial"])
def test_a_call_is_picked_up(people: list[Person], by: str) -> None:
    anna, bert, carl = people
    add(anna.tab, bert.number, "Bert")
    carl.phone.call(bert.number)
    lamp(anna.tab, bert.number, "rings")
    if by == "button":
        anna.tab.key(part(bert.number, "pickUp"), "Enter")
    else:
        anna.phone.call(f"**{bert.number}")
    within(SEEN_SECONDS, lambda: "talking" in anna.phone.states, "it answers by itself")
    carl.phone.wait("talking")
    assert f"talking with Person {carl.number} ({carl.number})" in anna.tab.text()
    bert.phone.wait("ended")
    assert bert.phone.why == "Another phone answered."
    lamp(anna.tab, bert.number, "free")
    carl.phone.hang_up()
    within(SEEN_SECONDS, lambda: set(anna.phone.states) == {"ended"}, "the call is over")
    anna.phone.call(f"**{bert.number}")
    anna.phone.wait("ended")
    assert anna.phone.why.startswith("No call rings there.")


def test_no_call_is_answered_without_the_user(phone: BrowserPhone, other: OtherSide) -> None:
    other.invite(CALLER, *AUTO)
    other.expect("180")
    assert phone.states == ["incoming"]
    phone.decline()
    phone.call("**1002")
    other.answer(other.expect("INVITE"), "480 Do Not Disturb On", DONE)
    other.expect("ACK")
    other.invite(CALLER, *AUTO)
    other.expect("180")
    assert phone.states == ["incoming"], "nothing was picked up"


def test_only_the_call_that_was_picked_up_is_answered(phone: BrowserPhone, other: OtherSide) -> None:
    phone.call("**1002")
    other.answer(other.expect("INVITE"), "480 Picked Up", DONE)
    other.expect("ACK")
    other.invite(CALLER)
    other.expect("180")
    assert phone.states == ["incoming"], "it does not ask to be answered"
    picked = other.invite(CALLER, *AUTO)
    assert other.expect("200")["Call-ID"] == picked.id
