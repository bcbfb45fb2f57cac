"""The page at /phone for its person: who one is, who is reached, what was missed, how one is told."""

import json
from collections.abc import Iterator
from typing import Final

import pytest

from tests.peers.browser import Browser
from tests.peers.browser_phone import MICROPHONE, ORIGIN, BrowserPhone
from tests.peers.other_side import OtherSide
from tests.peers.phone import Account
from tests.wire.need import need_browser
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

SEEN_SECONDS: Final = 20.0
CALLER: Final = '"Carl" <sip:1003@phones.test>'
ELSEWHERE: Final = 'Reason: SIP;cause=200;text="Call completed elsewhere"'
BERT: Final = 'Bert "Bo" Åse'
PEOPLE: Final = (("7001", "Anna"), ("7002", BERT))
NOTIFICATIONS: Final = "notifications"
SPY: Final = """
window.told = [];
window.Notification = class extends Notification {
  constructor(title, options) { super(title, options); told.push([title, options.body]); }
  close() { super.close(); told.push(['closed']); }
};
window.isAway = false;
Object.defineProperty(document, 'hidden', { get: () => window.isAway });
window.asked = [];
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (wanted) => { asked.push(wanted.audio); return open(wanted); };
window.sinks = [];
const sink = HTMLMediaElement.prototype.setSinkId;
HTMLMediaElement.prototype.setSinkId = function (id) { sinks.push(id); return sink.call(this, id); };
"""
"""Notes what the page asks the browser for, and lets the test hide the page."""
USER: Final = """
window.questions = 0;
window.leave = 'default';
Object.defineProperty(Notification, 'permission', { get: () => window.leave });
Notification.requestPermission = async () => { questions += 1; leave = 'ANSWER'; return leave; };
"""
"""The user, who is asked in a window that a browser of the tests does not have."""
PLACES: Final = """
['#who', '#calls', '#dial', '#missed', '#connection', '#registration'].map((part) =>
  document.querySelector(part).getBoundingClientRect().top)
"""
DEVICES: Final = (
    "[...document.querySelectorAll('#sound select[name={}] option')].map(({{value, text}}) => [value, text])"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    need_browser()
    with Browser(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


@pytest.fixture
def other() -> Iterator[OtherSide]:
    with OtherSide() as side:
        yield side


class Page(BrowserPhone):
    """The page with a spy in it."""

    def open_at(self, other: OtherSide, *permissions: str, spy: str = SPY) -> None:
        """Register as Anna at the other side, with nothing that another test has left."""
        self.spy, self.permissions = spy, permissions
        self.register(Account("anna", "secret", "phones.test"), other.url)

    def value(self, expression: str) -> object:
        return self.tab.evaluate(expression)

    def text_of(self, selector: str) -> str:
        return str(self.value(f"document.querySelector({json.dumps(selector)}).innerText"))

    def until(self, expression: str, what: str) -> None:
        within(SEEN_SECONDS, lambda: bool(self.value(expression)), what)


@pytest.fixture
def page(browser: Browser, other: OtherSide) -> Page:
    browser.open(f"{ORIGIN}/phone", files={"/phone": {"body": "", "contentType": "text/html"}})
    browser.evaluate("localStorage.clear(), 0")
    made = Page(browser, tone=0)
    made.open_at(other, MICROPHONE)
    return made


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_browser()
    with Site(tmp_path_factory.mktemp("wss"), transports=["wss"]) as site:
        for number, name in PEOPLE:
            made = site.api("POST", "/pbx/extension", {"number": number, "name": name})
            assert made.status == 200, made
        yield site


@pytest.fixture
def two(office: Site, browser: Browser) -> Iterator[tuple[Page, Page]]:
    """Anna and Bert, each registered with the microphones of the browser."""
    shown = office.api("GET", "/pbx/extension?full=true").body["extensions"]
    ids = {extension["number"]: extension["_id"] for extension in shown}
    made = []
    for number, _ in PEOPLE:
        page = Page(browser.tab(number), tone=0)
        account = office.new_phone(extension=ids[number]).account
        page.spy, page.permissions = SPY, (MICROPHONE,)
        page.register(account, "wss://{}:{}".format(*office.wss))
        made.append(page)
    yield made[0], made[1]
    for page in made:
        page.tab.close_tab()


# Who one is, and who is reached


def test_the_page_begins_with_who_one_is_and_shows_who_was_reached(two: tuple[Page, Page]) -> None:
    anna, bert = two
    assert anna.tab.text().startswith("7001, Anna\n")
    assert anna.value("document.title") == "7001, Anna"
    assert bert.tab.text().startswith(f"7002, {BERT}\n")
    anna.call("7002")
    assert bert.wait_incoming() == "Anna (7001) calls"
    assert bert.value("document.title") == "Anna calls"
    anna.wait("ringing")
    anna.until(
        f"document.querySelector('#calls').innerText.includes({json.dumps(f'ringing at {BERT}')})", "named"
    )
    bert.answer()
    anna.wait("talking")
    assert f"talking with {BERT} (7002)" in anna.tab.text()
    anna.hang_up()


def test_the_call_stands_above_everything_else(page: Page, other: OtherSide) -> None:
    other.invite(CALLER)
    page.wait("incoming")
    tops = page.value(PLACES)
    assert isinstance(tops, list) and tops == sorted(tops) and len(set(tops)) == len(tops)


# Leaving


def test_it_asks_before_it_is_closed_in_a_call_and_only_then(page: Page, other: OtherSide) -> None:
    page.tab.press("#who")  # a browser asks only for a page that was touched
    page.tab.reload()
    page.until("document.body.dataset.registration === 'registered'", "it is registered")
    assert page.tab.dialogs() == []
    page.tab.press("#who")
    other.invite(CALLER)
    page.wait("incoming")
    page.tab.reload()
    assert page.tab.dialogs() == ["beforeunload"]


# Notifications


@pytest.mark.parametrize("answer", ["granted", "denied"])
def test_leave_to_notify_is_asked_for_by_a_button_alone(page: Page, other: OtherSide, answer: str) -> None:
    page.open_at(other, MICROPHONE, spy=f"{SPY}{USER.replace('ANSWER', answer)}")
    assert page.value("questions") == 0
    page.tab.press("#notify")
    page.until("document.querySelector('#notify').hidden", "it was answered")
    assert page.value("questions") == 1
    assert page.value("document.querySelector('#notices').dataset.permission") == answer
    says = "tells of calls while" if answer == "granted" else "does not let this page tell of calls"
    assert says in page.text_of("#notices")


def test_without_leave_nothing_is_told(page: Page, other: OtherSide) -> None:
    """Without a window the browser refuses by itself."""
    assert page.value("Notification.permission") == "denied"
    assert "does not let this page tell of calls" in page.text_of("#notices")
    assert page.value("document.querySelector('#notify').hidden") is True
    page.value("window.isAway = true")
    other.invite(CALLER)
    page.wait("incoming")
    assert page.value("told") == []


def test_a_call_is_told_while_the_page_is_hidden(page: Page, other: OtherSide) -> None:
    page.open_at(other, MICROPHONE, NOTIFICATIONS)
    assert page.value("document.querySelector('#notify').hidden") is True
    other.invite('"Bert" <sip:1002@phones.test>').send("CANCEL")
    page.wait("ended")
    assert page.value("told") == [], "who looks at the page needs no notification"
    page.value("window.isAway = true")
    call = other.invite(CALLER)
    page.until("told.length === 1", "it is told")
    assert page.value("told") == [["Carl calls", "1003"]]
    call.send("CANCEL")
    page.until("told.length === 2", "it is taken back")
    assert page.value("told[1]") == ["closed"]


def test_a_notification_goes_when_the_page_is_looked_at(page: Page, other: OtherSide) -> None:
    page.open_at(other, MICROPHONE, NOTIFICATIONS)
    page.value("window.isAway = true")
    other.invite(CALLER)
    page.until("told.length === 1", "it is told")
    page.value("window.isAway = false, window.dispatchEvent(new Event('visibilitychange'))")
    assert page.value("told[1]") == ["closed"]


# Microphone and speaker


def test_a_microphone_and_a_speaker_can_be_chosen(page: Page, other: OtherSide) -> None:
    page.until(f"{DEVICES.format('microphone')}.length > 2", "there are several")
    microphones = page.value(DEVICES.format("microphone"))
    speakers = page.value(DEVICES.format("speaker"))
    assert isinstance(microphones, list) and isinstance(speakers, list)
    assert microphones[0] == speakers[0] == ["", "What the system has chosen"]
    wanted, speaker = microphones[-1][0], speakers[-1][0]
    _choose(page, "microphone", wanted)
    _choose(page, "speaker", speaker)
    page.call("1002")
    other.expect("INVITE")
    assert page.value("asked.at(-1)") == {"deviceId": {"exact": wanted}}
    page.tab.reload()
    page.until(f"{DEVICES.format('microphone')}.length > 2", "there are several")
    assert page.value("document.querySelector('select[name=microphone]').value") == wanted
    assert page.value("document.querySelector('select[name=speaker]').value") == speaker


def test_another_microphone_and_speaker_in_a_call(two: tuple[Page, Page]) -> None:
    anna, bert = two
    anna.call("7002")
    bert.wait_incoming()
    bert.answer()
    anna.wait("talking")
    anna.until(f"{DEVICES.format('microphone')}.length > 2", "there are several")
    microphone = anna.value(f"{DEVICES.format('microphone')}.at(-1)[0]")
    speaker = anna.value(f"{DEVICES.format('speaker')}.at(-1)[0]")
    opened = anna.value("asked.length")
    _choose(anna, "microphone", str(microphone))
    _choose(anna, "speaker", str(speaker))
    anna.until(f"sinks.at(-1) === {json.dumps(speaker)}", "the sound comes from there")
    anna.until(f"asked.length > {opened}", "the other microphone is opened")
    assert anna.value("asked.at(-1)") == {"deviceId": {"exact": microphone}}
    before = bert.heard().received
    within(SEEN_SECONDS, lambda: bert.heard().received > before + 50, "the sound goes on")
    assert (anna.states, bert.states) == (["talking"], ["talking"])
    anna.hang_up()


def test_a_microphone_that_is_gone_is_replaced_by_that_of_the_system(page: Page, other: OtherSide) -> None:
    page.value("localStorage.setItem('registrar-phone-device-microphone', 'gone'), 0")
    page.tab.reload()
    page.until("document.body.dataset.registration === 'registered'", "it is registered")
    assert "The chosen one, which is not there" in page.text_of("#sound select[name=microphone]")
    page.call("1002")
    other.expect("INVITE")
    assert page.value("asked") == [{"deviceId": {"exact": "gone"}}, True]


def _choose(page: Page, what: str, device: str) -> None:
    page.value(
        f"(() => {{ const menu = document.querySelector('#sound select[name={what}]');"
        f"menu.value = {json.dumps(device)}; menu.dispatchEvent(new Event('change')); }})(), 0"
    )


# Redial


def test_the_last_number_can_be_dialled_again(page: Page, other: OtherSide) -> None:
    assert page.value("document.querySelector('#redial').hidden") is True
    page.call("1002")
    other.answer(other.expect("INVITE"), "486 Busy Here")
    page.wait("ended")
    assert page.text_of("#redial") == "Redial 1002"
    page.tab.press("#redial")
    assert other.expect("INVITE").start.startswith("INVITE sip:1002@")
    page.tab.reload()
    page.until("document.body.dataset.registration === 'registered'", "it is registered")
    assert page.text_of("#redial") == "Redial 1002"


# Missed calls


def test_a_missed_call_is_kept_and_can_be_called_back(page: Page, other: OtherSide) -> None:
    assert page.value("document.querySelector('#missed').dataset.count") == "0"
    assert "calls that came while this page was closed are not here" in page.text_of("#missed")
    other.invite(CALLER).send("CANCEL")
    page.until("document.querySelector('#missed').dataset.count === '1'", "it is missed")
    page.tab.reload()
    page.until("document.body.dataset.registration === 'registered'", "it is registered")
    assert "Carl (1003)" in page.text_of("#missed ul")
    page.tab.press("#missed li button")
    assert other.expect("INVITE").start.startswith("INVITE sip:1003@")
    page.tab.press("#missed [data-do=clear]")
    assert page.value("document.querySelector('#missed').dataset.count") == "0"
    assert page.value("document.activeElement.id") == "number"
    assert page.value("localStorage.getItem('registrar-phone-missed-anna')") == "[]"


def test_which_calls_are_missed(page: Page, other: OtherSide) -> None:
    """Neither one that was declined nor one that another phone has taken."""
    other.invite(CALLER)
    page.wait("incoming")
    page.decline()
    other.expect("486")
    page.wait("ended")
    other.invite(CALLER).send("CANCEL", ELSEWHERE)
    page.wait("ended")
    assert "Another phone answered." in page.tab.text()
    assert page.value("document.querySelector('#missed').dataset.count") == "0"


def test_a_caller_without_a_number_cannot_be_called_back(page: Page, other: OtherSide) -> None:
    name = "<b>Nobody</b>"
    other.invite(f'"{name}" <sip:anonymous%20one@anonymous.invalid>').send("CANCEL")
    page.until("document.querySelector('#missed').dataset.count === '1'", "it is missed")
    assert name in page.text_of("#missed ul")
    assert page.value("document.querySelector('#missed li button').hidden") is True
    assert page.value("document.querySelectorAll('#missed b').length") == 0


@pytest.mark.parametrize("kept", ["{", '"text"', '[{"at": "never"}, 7, null]'])
def test_a_list_that_cannot_be_read_is_empty(page: Page, kept: str) -> None:
    page.value(f"localStorage.setItem('registrar-phone-missed-anna', {json.dumps(kept)}), 0")
    page.tab.reload()
    page.until("document.body.dataset.registration === 'registered'", "it is registered")
    assert page.value("document.querySelector('#missed').dataset.count") == "0"
