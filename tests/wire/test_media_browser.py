"""A real browser and a plain RTP party hear each other through our media relay, whoever calls."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from registrar.metrics import Metrics
from registrar.model import LegKind
from registrar.rules.sdp import leg_kind, narrowband, without_video
from registrar.store.media_rtpengine import RtpengineMedia
from tests.peers.browser import Browser
from tests.peers.netns import Namespace
from tests.peers.rtp import RtpParty, goertzel, level
from tests.peers.rtpengine import Rtpengine
from tests.wire.need import need, need_browser, need_namespace

pytestmark = pytest.mark.wire

WEBRTC, PLAIN = LegKind.WEBRTC, LegKind.PLAIN
PAGE_TONE, PHONE_TONE = 1000, 440
MEDIA_SECONDS: Final = 6.0
URL: Final = "http://127.0.0.1:9/"
"""A secure context, and nobody listens there: the page comes from the test."""
SCRIPT: Final = """
let pc, context, analyser, audio;
function fresh() {
  if (pc) pc.close();
  context = context || new AudioContext();
  const tone = context.createOscillator(), quieter = context.createGain();
  const out = context.createMediaStreamDestination();
  tone.frequency.value = TONE;
  quieter.gain.value = 0.4;
  tone.connect(quieter).connect(out);
  tone.start();
  analyser = null;
  pc = new RTCPeerConnection();
  pc.ontrack = (event) => {
    const stream = event.streams[0] || new MediaStream([event.track]);
    audio = new Audio();
    audio.srcObject = stream;
    audio.muted = true;
    audio.play();
    analyser = context.createAnalyser();
    analyser.fftSize = 4096;
    analyser.smoothingTimeConstant = 0;
    context.createMediaStreamSource(stream).connect(analyser);
  };
  pc.addTrack(out.stream.getTracks()[0], out.stream);
}
async function offer() {
  if (!pc || pc.signalingState === 'closed') fresh();
  await pc.setLocalDescription(await pc.createOffer());
  return pc.localDescription.sdp;
}
async function accept(sdp) { await pc.setRemoteDescription({ type: 'answer', sdp }); }
async function answer(sdp) {
  fresh();
  await pc.setRemoteDescription({ type: 'offer', sdp });
  await pc.setLocalDescription(await pc.createAnswer());
  return pc.localDescription.sdp;
}
async function offerVideo() { fresh(); pc.addTransceiver('video'); return offer(); }
async function hold(direction) { pc.getTransceivers()[0].direction = direction; return offer(); }
async function heard() {
  let packets = 0;
  for (const row of (await pc.getStats()).values()) {
    if (row.type === 'inbound-rtp') packets = row.packetsReceived;
  }
  if (!analyser) return { state: pc.connectionState, packets, tone: 0, level: -200 };
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const loudest = bins.indexOf(Math.max(...bins));
  const tone = loudest * context.sampleRate / analyser.fftSize;
  return { state: pc.connectionState, packets, tone, level: Math.max(bins[loudest], -200) };
}
"""


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[Namespace]:
    """All tests of this module are inside."""
    need("rtpengine")
    need_browser()
    need_namespace()
    with Namespace() as network, network.entered():
        yield network


@pytest.fixture(scope="module")
def engine(network: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rtpengine]:
    with Rtpengine(tmp_path_factory.mktemp("engine"), network.address) as engine:
        yield engine


@pytest.fixture(scope="module")
def browser(network: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Browser:
    body = f"<!doctype html><script>const TONE = {PAGE_TONE};{SCRIPT}</script>"
    browser.open(URL, files={"/": {"contentType": "text/html", "body": body}})
    return browser


@pytest.fixture
def phone(network: Namespace) -> Iterator[RtpParty]:
    with RtpParty(network.address, PHONE_TONE) as phone:
        yield phone


class Call:
    """One session between the page and the phone, as a proxy would make it."""

    def __init__(self, engine: Rtpengine, page: Browser, phone: RtpParty) -> None:
        self.page, self.phone = page, phone
        self.engine = ""
        self._media = RtpengineMedia([engine.control], "test:", Metrics())

    def _do(self, name: str, **arguments: Any) -> Any:
        async def once() -> Any:
            try:
                return await getattr(self._media, name)("test:call", **arguments)
            finally:
                await self._media.close()

        return asyncio.run(once())

    def by_page(
        self,
        expression: str = "offer()",
        direction: str = "sendrecv",
        *,
        change: Callable[[bytes], bytes] = bytes,
        more: bytes = b"",
    ) -> bytes:
        """The page calls, or offers anew; what the phone was told. `more` ends the phone's answer."""
        offered = change(self.page.evaluate(expression).encode())
        told, self.engine = self._do(
            "offer",
            sdp=offered,
            from_tag="page",
            to_tag="phone" if self.engine else "",
            to=PLAIN,
            engine=self.engine,
        )
        self.phone.follow(told)
        answer = self._do(
            "answer",
            sdp=self.phone.sdp(direction) + more,
            from_tag="page",
            to_tag="phone",
            engine=self.engine,
        )
        self.page.evaluate(f"accept({answer.decode()!r})")
        return bytes(told)

    def by_phone(self) -> bytes:
        """The phone calls; what the page answered."""
        offer, self.engine = self._do(
            "offer", sdp=self.phone.sdp(), from_tag="phone", to_tag="", to=WEBRTC, engine=""
        )
        said: str = self.page.evaluate(f"answer({offer.decode()!r})")
        answer = self._do("answer", sdp=said.encode(), from_tag="phone", to_tag="page", engine=self.engine)
        self.phone.follow(answer)
        return said.encode()

    def end(self) -> None:
        self._media.delete("test:call", self.engine)
        asyncio.run(self._media.close())

    def assert_talk(self) -> None:
        """Both hear the other's tone, and nothing of their own."""
        self._wait_for_tone()
        before, heard = self.page.evaluate("heard()"), self.phone.hear(1.0)
        after = self.page.evaluate("heard()")
        assert after["state"] == "connected"
        assert after["packets"] - before["packets"] > 40, (before, after)
        assert abs(after["tone"] - PHONE_TONE) < 12 and after["level"] > -50, after
        assert heard.packets > 40 and len(heard.ssrcs) == 1 and heard.sources == {self.phone.remote}
        assert level(heard.samples) > 1000
        assert goertzel(heard.samples, PAGE_TONE) > 0.9
        assert goertzel(heard.samples, PHONE_TONE) < 0.05

    def _wait_for_tone(self) -> None:
        deadline = time.monotonic() + MEDIA_SECONDS
        heard: dict[str, Any] = {"tone": 0, "level": -200}
        while abs(heard["tone"] - PHONE_TONE) > 12 or heard["level"] < -50:
            assert time.monotonic() < deadline, heard
            time.sleep(0.05)
            heard = self.page.evaluate("heard()")
        self.phone.wait_heard(MEDIA_SECONDS)


@pytest.fixture
def call(engine: Rtpengine, page: Browser, phone: RtpParty) -> Iterator[Call]:
    call = Call(engine, page, phone)
    yield call
    call.end()
    assert engine.sessions() == []


def test_the_page_calls_the_phone(call: Call) -> None:
    assert leg_kind(call.by_page()) is PLAIN
    call.assert_talk()


def test_the_phone_calls_the_page(call: Call) -> None:
    assert leg_kind(call.by_phone()) is WEBRTC
    call.assert_talk()


def test_hold_stops_the_sound_and_resume_brings_it_back(call: Call) -> None:
    call.by_page()
    call.assert_talk()
    call.by_page("hold('inactive')", "inactive")
    time.sleep(0.3)
    before = call.page.evaluate("heard()")["packets"]
    assert call.phone.hear(0.5).packets == 0
    assert call.page.evaluate("heard()")["packets"] == before
    call.by_page("hold('sendrecv')")
    call.assert_talk()


def test_a_page_with_video_talks_to_a_phone_that_may_have_sound_of_telephone_quality(call: Call) -> None:
    told = call.by_page(
        "offerVideo()", change=lambda sdp: narrowband(without_video(sdp)), more=b"m=video 0 RTP/AVP 96\r\n"
    )
    assert b"m=video 0 " in told and b"opus" not in told and b"VP8" not in told
    call.assert_talk()


def test_a_page_with_video_talks_to_a_phone_without(call: Call) -> None:
    told = call.by_page("offerVideo()", more=b"m=video 0 RTP/AVP 96\r\n")
    assert b"VP8" in told and b"rtx" not in told
    assert len(told) < 4_000
    call.assert_talk()
