"""The board at / in Chromium, over a server with real phones: what it shows, and what people do with it."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from registrar.store import keys
from tests.peers.board_page import STEP_SECONDS
from tests.peers.browser import Browser
from tests.peers.phone import UdpPhone
from tests.wire.callers import Callers
from tests.wire.looks import looks_well
from tests.wire.need import need_browser
from tests.wire.operators import PASSWORD, Operators
from tests.wire.site import Handset, Site

pytestmark = pytest.mark.wire

FOLLOWS_SECONDS: Final = 2.0
"""A change is on the board after so long."""
ELSEWHERE: Final = ("127.0.0.2", 0)
PHONE_PAGE: Final = "#/phones/{}"
CUT_OFF: Final = """
[...document.querySelectorAll('.filters select')].filter((list) => {
  const whole = list.cloneNode(true);
  Object.assign(whole.style, { position: 'absolute', width: 'max-content' });
  list.after(whole);
  const { width } = whole.getBoundingClientRect();
  whole.remove();
  return width > list.getBoundingClientRect().width + 1;
}).map(({ name }) => name)
"""
"""The lists that are too narrow for their longest choice."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    need_browser()
    with Browser(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


@pytest.fixture
def operators(switchboard: Site, browser: Browser) -> Iterator[Operators]:
    people = Operators(switchboard, browser)
    yield people
    people.close()


def new_phone(site: Site, number: str = "") -> Handset:
    """A phone of the demo tenant; with a number, of an extension of its own."""
    if not number:
        return site.new_phone()
    extension = site.api("POST", "/pbx/extension", {"number": number, "name": f"Person {number}"})
    assert extension.status == 200, extension
    return site.new_phone(extension=extension.body["_id"])


# Logging in


def test_a_wrong_password_is_said_and_a_right_one_opens_the_board(operators: Operators) -> None:
    person = operators.login("VIEWER")
    page = operators.page()
    page.open()
    page.enter(person["emailAddress"], "another password")
    page.until("refused", lambda: "The e-mail address or the password is wrong." in page.tab.text())
    page.log_in(person["emailAddress"], PASSWORD)
    assert person["name"] in page.text_of(".who")


def test_the_login_of_the_command_line_opens_the_board(switchboard: Site, operators: Operators) -> None:
    said = switchboard.command("login", "create", "ops@people.example", "--generate")
    lines = dict(re.findall(r"^(\w+) +(\S+)", said, re.MULTILINE))
    assert lines["login"] == "ops@people.example,"
    assert lines["board"] == "http://{}:{}/".format(*switchboard.http)
    page = operators.page()
    page.open()
    page.log_in("ops@people.example", lines["password"])
    page.until("all customers", lambda: page.exists("select[name=customer]"))


def test_the_token_is_in_no_url_and_a_reload_keeps_the_login(operators: Operators) -> None:
    page = operators.board("VIEWER")
    token = page.tab.evaluate("JSON.parse(sessionStorage.getItem('registrar.board')).token")
    asked = page.tab.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    assert len(token) > 100 and asked
    assert not [url for url in (*asked, page.tab.evaluate("location.href")) if token in url]
    assert page.tab.evaluate("JSON.stringify(localStorage) + document.cookie") == "{}"
    page.tab.reload()
    page.until("live", lambda: page.feed() == "live")
    page.tab.press(".who button")
    page.until("logged out", lambda: page.exists("[name=password]"))
    assert page.tab.evaluate("sessionStorage.length") == 0


def test_a_login_that_ends_is_asked_for_again_and_the_place_is_kept(
    switchboard: Site, operators: Operators
) -> None:
    person = operators.login("MANAGER")
    page = operators.page()
    page.open("#/calls")
    page.log_in(person["emailAddress"], PASSWORD)
    page.until("live", lambda: page.feed() == "live")
    changed = switchboard.api("PATCH", f"/employee/{person['_id']}", {"accessLevel": "VIEWER"})
    assert changed.status == 200
    page.until("asked", lambda: "Your login has ended" in page.tab.text())
    assert page.tab.evaluate("document.querySelector('[name=username]').value") == person["emailAddress"]
    page.log_in(person["emailAddress"], PASSWORD)
    page.until("back", lambda: page.text_of("h1") == "Calls in progress")


# The table


def test_a_phone_comes_and_goes_on_the_board(switchboard: Site, operators: Operators) -> None:
    handset = new_phone(switchboard, "7101")
    page = operators.board(place="#/phones?filter=7101")
    page.until("shown", lambda: page.state_of(handset.id) == "Never registered")
    with UdpPhone(handset.account, switchboard.sip) as phone:
        assert phone.register().status == 200
        page.until("online", lambda: page.state_of(handset.id) == "Online", FOLLOWS_SECONDS)
        row = page.rows()[handset.id]
        assert "7101" in row and "Person 7101" in row and "127.0.0.1:" in row and "UDP" in row
        assert phone.register(0).status == 200
        page.until("offline", lambda: page.state_of(handset.id) == "Offline: signed off", FOLLOWS_SECONDS)
        assert phone.register().status == 200
    with UdpPhone(handset.account, switchboard.sip, source=ELSEWHERE) as thief:
        assert thief.register().status == 403
        page.until("refused", lambda: "locked to another address" in page.rows()[handset.id], FOLLOWS_SECONDS)


def test_filters_and_the_figures_follow(switchboard: Site, operators: Operators) -> None:
    handsets = [new_phone(switchboard, number) for number in ("7201", "7202")]
    page = operators.board(place="#/phones?filter=720&sort=number")
    page.until("both", lambda: list(page.rows()) == [handset.id for handset in handsets])
    page.until("counted", lambda: page.tile("online") not in ("", "–"))
    before = int(page.tile("online").replace(",", ""))
    page.choose("state", "registered")
    page.until("none", lambda: page.text_of(".count") == "0 phones")
    with UdpPhone(handsets[1].account, switchboard.sip) as phone:
        assert phone.register().status == 200
        page.until("one", lambda: list(page.rows()) == [handsets[1].id], 2 * FOLLOWS_SECONDS)
        page.until("counted", lambda: page.tile("online") == f"{before + 1:,}", 2 * FOLLOWS_SECONDS)
        page.choose("transport", "wss")
        page.until("none", lambda: page.text_of(".count") == "0 phones")
        page.choose("transport", "udp")
        page.until("one again", lambda: list(page.rows()) == [handsets[1].id])
        assert phone.register(0).status == 200
        page.until("none", lambda: page.rows() == {}, 2 * FOLLOWS_SECONDS)
    page.choose("state", "offline")
    assert page.tab.evaluate(CUT_OFF) == []
    page.choose("reason", "unregistered")
    page.until("offline", lambda: list(page.rows()) == [handsets[1].id])
    page.tab.fill("[name=filter]", "7201")
    page.until("another", lambda: page.text_of(".count") == "0 phones")
    assert page.tab.evaluate("location.hash").count("filter=7201") == 1


def test_what_a_phone_says_is_text(switchboard: Site, operators: Operators) -> None:
    handset = new_phone(switchboard, "7301")
    agent = "<img src=x onerror=document.title='owned'>"
    with UdpPhone(handset.account, switchboard.sip, user_agent=agent) as phone:
        assert phone.register().status == 200
        page = operators.board(place="#/phones?filter=7301")
        page.until("shown", lambda: agent in page.rows().get(handset.id, ""))
        page.go(PHONE_PAGE.format(handset.id))
        page.until("shown", lambda: agent in page.text_of(".card.state"))
    assert page.tab.evaluate("document.title") == "Phones · registrar"
    assert page.tab.problems() == []


# One phone


def test_a_row_opens_the_phone_by_keyboard(switchboard: Site, operators: Operators) -> None:
    handset = new_phone(switchboard, "7401")
    with UdpPhone(handset.account, switchboard.sip) as phone:
        assert phone.register().status == 200
        page = operators.board(place="#/phones?filter=7401")
        page.until("shown", lambda: page.state_of(handset.id) == "Online")
        page.tab.key(".scroller", "Tab")
        assert page.tab.evaluate("document.activeElement.dataset.id") == handset.id
        page.tab.key(f"[data-id='{handset.id}']", "Enter")
        page.until("open", lambda: page.text_of("h1") == "7401, Person 7401")
        assert page.tab.evaluate("document.activeElement.tagName") == "MAIN"
        page.until("its state", lambda: page.text_of(".headline") == "Online")
        assert page.text_of(".sentence").startswith("Online since")
        assert "Registered from 127.0.0.1" in page.text_of(".journal")
        assert handset.account.username in page.text_of(".bindings")
        assert phone.register(0).status == 200
        page.until("its end", lambda: page.text_of(".headline") == "Offline: signed off", FOLLOWS_SECONDS)
        page.until("no binding", lambda: "None: no call can reach this phone." in page.tab.text())


def test_a_phone_that_moved_is_let_in_again(switchboard: Site, operators: Operators) -> None:
    handset = new_phone(switchboard, "7501")
    with UdpPhone(handset.account, switchboard.sip) as phone:
        assert phone.register().status == 200
    page = operators.board("MANAGER", place=PHONE_PAGE.format(handset.id))
    page.until("locked", lambda: page.exists("main button:nth-of-type(2)"))
    assert "Accept the new address" not in page.tab.text()
    with UdpPhone(handset.account, switchboard.sip, source=ELSEWHERE) as moved:
        assert moved.register().status == 403
        page.until("refused", lambda: "Accept the new address" in page.tab.text(), FOLLOWS_SECONDS)
        page.confirm("Accept the new address")
        page.until("said", lambda: page.text_of(".done") == "The phone may come from 127.0.0.2.")
        assert moved.register().status == 200
        page.until("gone", lambda: "Accept the new address" not in page.text_of("[aria-labelledby=actions]"))


def test_a_phone_is_unlocked_and_gets_new_credentials(switchboard: Site, operators: Operators) -> None:
    handset = new_phone(switchboard, "7502")
    with UdpPhone(handset.account, switchboard.sip) as phone:
        assert phone.register().status == 200
    page = operators.board("MANAGER", place=PHONE_PAGE.format(handset.id))
    page.until("there", lambda: "Unlock for 15 minutes" in page.tab.text())
    page.confirm("Unlock for 15 minutes")
    page.until("said", lambda: page.text_of(".done") == "The phone is unlocked for 15 minutes.")
    assert switchboard.phone(handset)["ip"]["mode"] == "OPEN"
    page.press("New credentials")
    page.tab.key("dialog", "Escape")
    page.until("cancelled", lambda: not page.exists("dialog"))
    assert switchboard.phone(handset)["username"] == handset.account.username
    page.confirm("New credentials")
    page.until("shown", lambda: page.exists(".account"))
    shown, stored = page.text_of(".account"), switchboard.phone(handset)
    assert stored["username"] != handset.account.username
    page.until("anew", lambda: stored["username"] in page.text_of(".account"))
    shown = page.text_of(".account")
    assert stored["password"] in shown and switchboard.demo()["domain"] in shown


def test_a_roaming_phone_has_no_lock_to_open(switchboard: Site, operators: Operators) -> None:
    handset = new_phone(switchboard, "7504")
    with UdpPhone(handset.account, switchboard.sip) as phone:
        assert phone.register().status == 200
    with UdpPhone(handset.account, switchboard.sip, source=ELSEWHERE) as moved:
        assert moved.register().status == 403
    switchboard.patch(handset, ip={"mode": "ROAMING", "countries": "DK"})
    page = operators.board("MANAGER", place=PHONE_PAGE.format(handset.id))
    page.until("there", lambda: "New credentials" in page.tab.text())
    actions = page.text_of("[aria-labelledby=actions]")
    assert "Unlock" not in actions and "Accept the new address" not in actions


def test_a_viewer_sees_no_button_that_would_be_refused(switchboard: Site, operators: Operators) -> None:
    handset = new_phone(switchboard, "7503")
    with UdpPhone(handset.account, switchboard.sip) as phone:
        assert phone.register().status == 200
    page = operators.board("VIEWER", place=PHONE_PAGE.format(handset.id))
    page.until("there", lambda: "New credentials" in page.tab.text())
    assert "Unlock" not in page.tab.text()


def test_a_ban_comes_to_the_page_of_security_and_is_lifted_there(
    switchboard: Site, operators: Operators
) -> None:
    handset = new_phone(switchboard, "7505")
    page = operators.board("OWNER", place="#/security")
    page.until("no bans", lambda: "No address and no phone is banned." in page.tab.text())
    ban = {"phone": handset.id, "why": "<b>stolen</b>"}
    with UdpPhone(handset.account, switchboard.sip) as phone:
        assert phone.register().status == 200
        assert switchboard.api("POST", "/pbx/ban", ban).status == 200
        page.until("shown", lambda: "<b>stolen</b> (is shut out)" in page.text_of("[aria-label=Bans]"))
        row = page.text_of("[aria-label=Bans] tbody tr")
        assert "everywhere" in row and "7505" in row and "lifted by hand" in row
        assert phone.register().status == 403
        page.confirm("Lift")
        page.until("gone", lambda: "No address and no phone is banned." in page.tab.text())
        page.until("let in", lambda: phone.register().status == 200)


def test_what_people_did_with_a_phone_is_in_the_audit_log(switchboard: Site, operators: Operators) -> None:
    handset = new_phone(switchboard, "7506")
    switchboard.patch(handset, notes="<i>on the desk</i>")
    page = operators.board("OWNER", place=PHONE_PAGE.format(handset.id))
    page.until("there", lambda: "What people did with this phone" in page.tab.text())
    page.tab.press("main a:text-is('What people did with this phone')")
    rows = "[aria-label='Audit log'] tbody"
    page.until("told", lambda: "notes: – → <i>on the desk</i>" in page.text_of(rows))
    shown = page.text_of(rows)
    assert "changed" in shown and "created" in shown and handset.id in shown and "127.0.0.1" in shown
    page.choose("action", "create")
    page.until(
        "one of them", lambda: "on the desk" not in page.text_of(rows) and "created" in page.text_of(rows)
    )
    page.choose("type", "sip_group")
    page.until("none", lambda: "No row is like that." in page.tab.text())
    assert page.tab.problems() == []


def test_the_page_of_security_says_what_it_does_not_name(switchboard: Site, operators: Operators) -> None:
    body = {"name": "Scanned", "sipDomain": "scanned.example"}
    customer = switchboard.api("POST", "/customer", body).body["_id"]
    now, (entries, order, _) = int(time.time()), keys.refusals(customer)
    told = {"first": now, "last": now, "count": 12, "reasons": {"wrong-password": 12}}
    phones = [f"{number:024x}" for number in range(10)]
    texts = [json.dumps(told | {"phones": phones[: 10 - place % 2]}) for place in range(201)]
    switchboard.redis_all(
        [
            [
                "hset",
                entries,
                *chain(*((f"192.0.2.{place}", f"'{text}'") for place, text in enumerate(texts))),
            ],
            ["zadd", order, *chain(*((str(now - place), f"192.0.2.{place}") for place in range(201)))],
        ]
    )
    page = operators.board("MANAGER", customer, "#/security")
    page.until("shown", lambda: "The 200 addresses that were refused last are shown." in page.tab.text())
    rows = page.text_of("[aria-label='Refusals by address'] tbody").split("192.0.2.")[1:]
    assert len(rows) == 200
    assert "at most 10 are named" in rows[0] and "at most 10 are named" not in rows[1]


# Calls


async def test_a_call_is_seen_and_ended(callers: Callers, operators: Operators) -> None:
    a, b, anna, bert = await callers.pair("udp", "tcp")
    page = await asyncio.to_thread(operators.board, "MANAGER", "", "#/calls")
    outgoing = await a.call(bert.number)
    incoming = await b.incoming()
    incoming.ring()
    await outgoing.provisional(180)
    both = f"{anna.number} {anna.name} calls {bert.number} {bert.name}"
    await asyncio.to_thread(page.until, "rings", lambda: both in page.text_of(".calls"), FOLLOWS_SECONDS)
    assert "rings since" in page.text_of(".calls")
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    await asyncio.to_thread(page.until, "talks", lambda: "talks for" in page.text_of(".calls"))
    await asyncio.to_thread(page.go, PHONE_PAGE.format(anna.handset.id))
    await asyncio.to_thread(page.until, "of the phone", lambda: both in page.text_of(".calls"))
    ending = asyncio.create_task(asyncio.to_thread(page.confirm, "End"))
    await asyncio.gather(outgoing.asked("BYE"), incoming.asked("BYE"), ending)
    await asyncio.to_thread(page.until, "over", lambda: not page.exists(".calls"))
    await asyncio.to_thread(page.go, f"#/history?number={anna.number}")
    told = "a row"
    await asyncio.to_thread(page.until, told, lambda: "answered" in page.text_of("tbody"), STEP_SECONDS)
    assert bert.number in page.text_of("tbody tr")


# Who sees what


def test_people_of_another_customer_see_nothing(switchboard: Site, operators: Operators) -> None:
    handset = new_phone(switchboard, "7601")
    other = switchboard.api("POST", "/customer", {"name": "Rival", "sipDomain": "rival.example"}).body["_id"]
    page = operators.board("MANAGER", other)
    page.until("empty", lambda: page.text_of(".count") == "0 phones")
    with UdpPhone(handset.account, switchboard.sip) as phone:
        assert phone.register().status == 200
        page.go(PHONE_PAGE.format(handset.id))
        page.until("not found", lambda: "SIP phone not found" in page.tab.text())
    assert "Audit log" not in page.text_of("nav"), "it begins at OWNER"
    page.go("#/security")
    page.until("nothing", lambda: "Nothing was refused." in page.tab.text())
    assert page.exists("select[name=customer]") is False


def test_a_reseller_chooses_among_its_customers(switchboard: Site, operators: Operators) -> None:
    body = {"name": "Seller", "isReseller": True}
    seller = switchboard.api("POST", "/customer", body).body["_id"]
    below = {"name": "Below", "sipDomain": "below.example", "parentReseller": seller}
    customer = switchboard.api("POST", "/customer", below).body["_id"]
    handset = switchboard.new_phone(customer=customer, extension=None)
    page = operators.board("RESELLER", seller)
    page.until("its customers", lambda: list(page.rows()) == [handset.id])
    assert "Below" in page.rows()[handset.id]
    page.choose("customer", seller)
    page.until("none of its own", lambda: page.text_of(".count") == "0 phones")
    page.choose("customer", customer)
    page.until("those below", lambda: list(page.rows()) == [handset.id])


def test_a_person_sees_the_own_phones_alone(switchboard: Site, operators: Operators) -> None:
    person = operators.login("PERSONAL")
    extension = switchboard.api(
        "POST", "/pbx/extension", {"number": "7701", "name": "Own", "employee": person["_id"]}
    )
    handset = switchboard.new_phone(extension=extension.body["_id"])
    page = operators.page()
    page.open()
    page.log_in(person["emailAddress"], PASSWORD)
    page.until("live", lambda: page.feed() == "live")
    page.until("shown", lambda: page.text_of(".headline") == "Never registered")
    assert page.tab.evaluate("document.querySelectorAll('[data-phone]').length") == 1
    with UdpPhone(handset.account, switchboard.sip) as phone:
        assert phone.register().status == 200
        page.until("online", lambda: page.text_of(".headline") == "Online", FOLLOWS_SECONDS)
    assert page.text_of("nav").split() == ["Your", "phones", "History"]
    assert page.tab.problems() == []


# A lost connection


def test_a_lost_connection_is_said_and_mended(tmp_path: Path, browser: Browser) -> None:
    with Site(tmp_path) as site:
        handset = site.new_phone()
        people = Operators(site, browser)
        page = people.board("VIEWER")
        page.until("shown", lambda: page.state_of(handset.id) == "Never registered")
        site.kill9()
        page.until("said", lambda: "The connection was lost at" in page.text_of(".connection"))
        site.start()
        with UdpPhone(handset.account, site.sip) as phone:
            assert phone.register().status == 200
            page.until("mended", lambda: page.feed() == "live")
            page.until("what came between", lambda: page.state_of(handset.id) == "Online")
            assert phone.register(0).status == 200
            page.until("live again", lambda: page.state_of(handset.id) == "Offline: signed off")
        people.close()


# For everybody


def test_the_board_is_for_everybody(switchboard: Site, operators: Operators, tmp_path: Path) -> None:
    handset = new_phone(switchboard, "7801")
    with UdpPhone(handset.account, switchboard.sip) as phone:
        assert phone.register().status == 200
    with UdpPhone(handset.account, switchboard.sip, source=ELSEWHERE) as thief:
        assert thief.register().status == 403
    page = operators.page()
    page.open()
    looks_well(page, tmp_path, "login")
    page.log_in(operators.login("ADMIN")["emailAddress"], PASSWORD)
    page.until("phones", lambda: page.rows() != {})
    looks_well(page, tmp_path, "phones")
    page.go(PHONE_PAGE.format(handset.id))
    page.until("a phone", lambda: "Accept the new address" in page.tab.text())
    looks_well(page, tmp_path, "phone")
    page.press("New credentials")
    looks_well(page, tmp_path, "question")
    page.tab.key("dialog", "Escape")
    for place, seen in (
        ("calls", "h2"),
        ("history", ".count"),
        ("security", "tbody th"),
        ("audit", "tbody th"),
    ):
        page.go(f"#/{place}")
        page.until(place, lambda seen=seen: page.text_of(seen) not in ("", "Loading…"))  # type: ignore[misc]
        looks_well(page, tmp_path, place)
