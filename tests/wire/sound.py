"""Real phones that speak tones and measure what they hear, in a network of their own with a media relay.

A `Voice` is one phone of one extension, a browser's page or a baresip; it has one call at a time, and each
in a test has another tone, so that an echo or a stream that went to the wrong one cannot pass for sound.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.patience import limit
from tests.peers.baresip_calling import BaresipCaller
from tests.peers.browser import Browser
from tests.peers.browser_phone import BrowserPhone
from tests.peers.library_phone import LibraryPhone
from tests.peers.netns import Namespace
from tests.peers.phone import Address
from tests.peers.ports import free_port
from tests.peers.process import PeerFailed
from tests.peers.rtpengine import Rtpengine
from tests.wire.callers import Callers, Extension, call_keys
from tests.wire.need import need, need_browser, need_module, need_namespace
from tests.wire.site import Handset, Site, within

TONES: Final = (1000.0, 440.0, 700.0, 1500.0, 1200.0)
"""Of the phones of one test, in the order they are made."""
TRANSPORTS: Final = ("udp", "tcp", "tls", "wss")
SOON: Final = limit(6.0)
LEFT_SECONDS: Final = 5.0
SILENCE: Final = 100.0
LOUD: Final = 1_000.0
SAMPLES: Final = 6_400
"""Of 8,000 that a second has."""
HEARS, ECHO = 0.6, 0.05
"""Shares of the energy. On a busy machine a phone plays gaps between its packets: with those
the tone still has four fifths."""
TRIES: Final = int(limit(12))
"""Seconds that a desk phone is listened to, one after the other."""


class Voice(ABC):
    """What both kinds of phones do in a call."""

    def __init__(self, extension: Extension, handset: Handset, tone: float) -> None:
        self.number = extension.number
        self.name = extension.name
        self.handset = handset
        self.tone = tone

    @abstractmethod
    def call(self, number: str) -> None:
        """Call somebody, and wait for nothing."""

    @abstractmethod
    def wait_talking(self) -> None:
        """Return when its call was answered."""

    @abstractmethod
    def wait_ring(self) -> None:
        """Return when somebody calls."""

    @abstractmethod
    def answer(self) -> None:
        """Take the call that rings."""

    @abstractmethod
    def hold(self) -> None: ...

    @abstractmethod
    def resume(self) -> None: ...

    @abstractmethod
    def wait_held(self) -> None:
        """Return when it knows that the other side holds it."""

    @abstractmethod
    def refer(self, number: str) -> None:
        """Send the other side to a number, and wait for nothing."""

    @abstractmethod
    def wait_moved(self) -> None:
        """Return when the call that the other side sent it to was answered."""

    @abstractmethod
    def take_over(self) -> None:
        """Take the call that comes in the place of another one."""

    @abstractmethod
    def hang_up(self) -> None: ...

    @abstractmethod
    def wait_over(self) -> None:
        """Return when it has no call any more."""

    @abstractmethod
    def assert_hears(self, tone: float) -> None:
        """It hears this tone, loud, from a steady stream, and not its own."""

    @abstractmethod
    def assert_silence(self) -> None:
        """It hears nothing."""

    @abstractmethod
    def words(self) -> str:
        """What can be read of it when a test has failed."""


class Web(Voice):
    """The page /phone in a tab of Chromium."""

    def __init__(
        self, browser: Browser, extension: Extension, handset: Handset, server: Address, tone: float
    ) -> None:
        super().__init__(extension, handset, tone)
        self.page = BrowserPhone(browser.tab(handset.id), tone=int(tone))
        self.page.register(handset.account, "wss://{}:{}".format(*server))

    def call(self, number: str) -> None:
        self.page.call(number)

    def wait_talking(self) -> None:
        self.page.wait("talking")

    def wait_ring(self) -> None:
        self.page.wait_incoming()

    def answer(self) -> None:
        self.page.answer()

    def hold(self) -> None:
        self.page.hold()

    def resume(self) -> None:
        self.page.resume()

    def wait_held(self) -> None:
        within(SOON, lambda: "put you on hold" in self.page.tab.text(), "the page knows that it is held")

    def refer(self, number: str) -> None:
        self.page.refer(number)

    def wait_moved(self) -> None:
        within(SOON, lambda: sorted(self.page.states) == ["ended", "talking"], "it has moved")

    def take_over(self) -> None:
        """It does by itself."""

    def hang_up(self) -> None:
        self.page.hang_up()

    def wait_over(self) -> None:
        within(SOON, lambda: set(self.page.states) == {"ended"}, "it has no call")

    def assert_hears(self, tone: float) -> None:
        assert self.page.listens_to(tone, SOON), f"not {tone} Hz: {self.page.heard()}\n{self.words()}"

    def assert_silence(self) -> None:
        assert self.page.is_silent(SOON), self.page.heard()

    def words(self) -> str:
        return f"{self.page.tab.text()}\n{self.page.tab.problems()}"


class Stranger(Web):
    """A page of one of the libraries that other people write pages with."""

    def __init__(
        self,
        browser: Browser,
        library: str,
        extension: Extension,
        handset: Handset,
        server: Address,
        tone: float,
    ) -> None:
        Voice.__init__(self, extension, handset, tone)
        self.page: LibraryPhone = LibraryPhone(browser.tab(handset.id), library, tone=int(tone))
        self.page.register(handset.account, "wss://{}:{}".format(*server))


class Desk(Voice):
    """A baresip."""

    def __init__(self, phone: BaresipCaller, extension: Extension, handset: Handset, tone: float) -> None:
        super().__init__(extension, handset, tone)
        self.phone = phone
        self.current = -1
        self._domain = handset.account.domain
        self._calling: Future[int] | None = None
        self._referring: Future[None] | None = None
        self._pool = ThreadPoolExecutor(2)

    def uri(self, number: str) -> str:
        """What it dials."""
        return f"sip:{number}@{self._domain}"

    def call(self, number: str) -> None:
        self._calling = self._pool.submit(self.phone.call, self.uri(number))

    def wait_talking(self) -> None:
        assert self._calling is not None, "it has not called"
        self.current = self._calling.result(SOON)

    def wait_ring(self) -> None:
        self.current = self.phone.wait_incoming(SOON)

    def answer(self) -> None:
        self.phone.answer(self.current)

    def hold(self) -> None:
        self.phone.hold(self.current)

    def resume(self) -> None:
        self.phone.resume(self.current)

    def wait_held(self) -> None:
        self._until("held")

    def refer(self, number: str) -> None:
        self._referring = self._pool.submit(self.phone.transfer, self.current, self.uri(number))

    def join(self, other_call: int) -> None:
        """Send the other side of this call to that of another call of ours, and wait for nothing."""
        self._referring = self._pool.submit(self.phone.attended_transfer, self.current, other_call)

    def wait_referred(self) -> None:
        """Return when the other side has got there."""
        assert self._referring is not None, "it has not sent anybody anywhere"
        self._referring.result(SOON)

    def wait_moved(self) -> None:
        self.current = self.phone.wait_incoming(SOON)
        self._until("established")

    def take_over(self) -> None:
        self.wait_ring()
        self.answer()

    def hang_up(self) -> None:
        self.phone.hang_up(self.current)

    def wait_over(self) -> None:
        self._until("closed")

    def _until(self, state: str) -> None:
        within(SOON, lambda: self.phone.state(self.current) == state, f"its call is {state}")

    def assert_hears(self, tone: float) -> None:
        sound = None
        for _ in range(TRIES):
            sound = self.phone.heard(self.current, tone, self.tone)
            if sound.samples >= SAMPLES and sound.level > LOUD and sound.shares[tone] > HEARS:
                assert sound.shares[self.tone] < ECHO, f"it hears itself: {sound}"
                return
        raise AssertionError(f"not {tone} Hz: {sound}\n{self.words()}")

    def assert_silence(self) -> None:
        within(SOON, lambda: self.phone.heard(self.current).level < SILENCE, "it hears nothing")

    def words(self) -> str:
        return self.phone.output[-30_000:]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Studio:
    """A media relay and a browser in one network; servers come and go in it."""

    def __init__(self, tmp: Path, network: Namespace, engine: Rtpengine, browser: Browser) -> None:
        self.tmp = tmp
        self.network = network
        self.engine = engine
        self.browser = browser

    @classmethod
    @contextmanager
    def open(cls, tmp: Path) -> Iterator[Self]:
        """The calling thread is inside for the length of the block."""
        need("rtpengine", "redis-cli")
        need_module("baresip")
        need_browser()
        need_namespace()
        with (
            Namespace() as network,
            network.entered(),
            Rtpengine(tmp, network.address) as engine,
            Browser(tmp) as browser,
        ):
            yield cls(tmp, network, engine, browser)

    def site(self, name: str, *, tenant: dict[str, Any] | None = None, **settings: str) -> Site:
        """A server on every transport that phones of the tests use, which has not been started."""
        host = self.network.address
        places = {transport: (host, free_port(host)) for transport in TRANSPORTS}
        listeners = {f"sip_{transport}": "{}:{}".format(*place) for transport, place in places.items()}
        settings = {**listeners, "rtpengine": self.engine.name, **settings}
        site = Site(self.tmp / name, tenant=tenant, transports=(), arguments=("serve",), **settings)
        site.sip = places["udp"]
        site.listeners = dict(places)
        return site


class Room:
    """The phones of one test over one server. In its end nothing is left of their calls."""

    def __init__(self, studio: Studio, site: Site, tmp: Path) -> None:
        self.studio = studio
        self.site = site
        self.voices: list[Voice] = []
        self._tmp = tmp
        self._callers = Callers(site)
        self._stack = ExitStack()

    def extension(self, phones: int = 1) -> Extension:
        """A number with phones that nobody has registered."""
        return self._callers.extension(phones)

    def web(
        self,
        *,
        extension: Extension | None = None,
        handset: Handset | None = None,
        server: Address | None = None,
        site: Site | None = None,
    ) -> Web:
        """A browser that is registered."""
        whose = extension or self.extension()
        place = server or (site or self.site).wss
        web = Web(self.studio.browser, whose, handset or whose.handset, place, self._tone())
        self._stack.callback(web.page.tab.close_tab)
        self.voices.append(web)
        return web

    def stranger(self, library: str, *, server: Address | None = None) -> Stranger:
        """A browser with a page that is not ours, which is registered."""
        whose = self.extension()
        place = server or self.site.wss
        page = Stranger(self.studio.browser, library, whose, whose.handset, place, self._tone())
        self._stack.callback(page.page.tab.close_tab)
        self.voices.append(page)
        return page

    def desk(
        self,
        transport: str = "udp",
        *,
        extension: Extension | None = None,
        handset: Handset | None = None,
        site: Site | None = None,
        params: tuple[str, ...] = (),
    ) -> Desk:
        """A baresip that is registered; `params` are more parameters of its account."""
        whose = extension or self.extension()
        one, tone = handset or whose.handset, self._tone()
        server = (site or self.site).listeners[transport]
        phone = BaresipCaller(
            self._tmp,
            one.account,
            server,
            transport=transport,
            address=self.studio.network.address,
            tone=tone,
            params=params,
        )
        desk = Desk(self._stack.enter_context(phone), whose, one, tone)
        self._stack.callback(desk.close)
        self.voices.append(desk)
        return desk

    def voice(self, kind: str) -> Voice:
        """A phone by the name of its transport; wss is a browser."""
        return self.web() if kind == "wss" else self.desk(kind)

    def _tone(self) -> float:
        return TONES[len(self.voices)]

    def media(self) -> list[str]:
        """How the sound of each call goes, as the server says it: direct or relayed."""
        return [self.site.redis("hget", key, "media") for key in call_keys(self.site)]

    def assert_nothing_left(self) -> None:
        """No call in Redis, no session in the relay."""
        within(LEFT_SECONDS, lambda: call_keys(self.site) == [], "no call is left")
        within(LEFT_SECONDS, lambda: self.studio.engine.sessions() == [], "no session is left in the relay")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.assert_nothing_left()
            else:
                self._tell()
        finally:
            self._stack.close()

    def _tell(self) -> None:
        """What helps to see why a test has failed."""
        for voice in self.voices:
            try:
                print(f"{voice.number}:\n{voice.words()}")
            except (PeerFailed, OSError) as silent:
                print(f"{voice.number}: {silent}")
        print(f"{self.site.log}\n{self.studio.engine.log}")
        for key in call_keys(self.site):  # the next test shall find nothing
            self.site.api("DELETE", f"/pbx/call/{key.rpartition(':')[2]}")


def connect(caller: Voice, callee: Voice) -> None:
    """One calls the other, who answers."""
    caller.call(callee.number)
    callee.wait_ring()
    callee.answer()
    caller.wait_talking()


def assert_talk(one: Voice, other: Voice) -> None:
    """Each hears the other's tone."""
    _both(lambda: one.assert_hears(other.tone), lambda: other.assert_hears(one.tone), one, other)


def assert_both_silent(one: Voice, other: Voice) -> None:
    """Neither hears anything."""
    _both(one.assert_silence, other.assert_silence, one, other)


def _both(first: Callable[[], None], second: Callable[[], None], one: Voice, other: Voice) -> None:
    """At the same time, but for two tabs: a browser does one thing at a time."""
    if isinstance(one, Web) and isinstance(other, Web):
        first()
        second()
        return
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(first)
        second()
        beside.result()


def end(one: Voice, other: Voice) -> None:
    """The first one hangs up, and the other knows."""
    one.hang_up()
    one.wait_over()
    other.wait_over()
