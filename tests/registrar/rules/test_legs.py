"""registrar/rules/legs.py: what both sides speak and may use."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.model import LegKind
from registrar.rules.legs import (
    Legs,
    answerers_kind,
    kind_of,
    legs,
    offerers_kind,
    other_profile,
    parse_legs,
    turned,
)

from .words import PHONE

KIND = st.sampled_from(LegKind)
ANY = st.builds(Legs, KIND, KIND, *[st.booleans()] * 5)


@given(ANY)
def test_they_are_read_as_they_were_written(made: Legs) -> None:
    assert parse_legs(str(made)) == made
    assert len(str(made)) == 3


@given(ANY)
def test_turned_twice_they_are_the_same(made: Legs) -> None:
    assert turned(turned(made)) == made
    assert (turned(made).mine, turned(made).other) == (made.other, made.mine)
    assert (turned(made).mine_v6, turned(made).other_v6) == (made.other_v6, made.mine_v6)
    assert (turned(made).hd_audio, turned(made).video) == (made.hd_audio, made.video)
    assert turned(made).late is made.late


@pytest.mark.parametrize("text", ["", "wp", "wp11", "xp1", "wx1", "wp8", "wpx"])
def test_nothing_else_is_read(text: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        parse_legs(text)


@pytest.mark.parametrize("hd_audio", [(True, True), (True, False), (False, True), (False, False)])
def test_both_must_be_allowed_what_they_use(hd_audio: tuple[bool, bool]) -> None:
    one, other = (replace(PHONE, hd_audio=allowed, video=not allowed) for allowed in hd_audio)
    made = legs(one, LegKind.WEBRTC, other, LegKind.PLAIN)
    assert made == Legs(LegKind.WEBRTC, LegKind.PLAIN, hd_audio == (True, True), hd_audio == (False, False))


@pytest.mark.parametrize(
    ("transport", "kind"),
    [("udp", "plain"), ("tcp", "plain"), ("tls", "plain"), ("ws", "webrtc"), ("wss", "webrtc")],
)
def test_who_is_on_a_websocket_is_a_browser(transport: str, kind: str) -> None:
    assert kind_of(transport) is LegKind(kind)


WEBRTC, PLAIN, SRTP, DTLS = LegKind.WEBRTC, LegKind.PLAIN, LegKind.SRTP, LegKind.DTLS


@pytest.mark.parametrize(
    ("transport", "described", "kind"),
    [
        pytest.param("udp", None, PLAIN, id="nothing said"),
        pytest.param("wss", None, WEBRTC, id="nothing said by a browser"),
        pytest.param("udp", DTLS, DTLS, id="a desk phone with DTLS and no ICE"),
        pytest.param("wss", DTLS, WEBRTC, id="a browser that has not gathered yet"),
        pytest.param("tls", SRTP, SRTP, id="SDES"),
        pytest.param("tcp", WEBRTC, WEBRTC, id="a desk phone that speaks WebRTC"),
        pytest.param("ws", PLAIN, PLAIN, id="what is on a WebSocket and no browser"),
    ],
)
def test_who_makes_an_offer_is_what_it_says(transport: str, described: LegKind | None, kind: LegKind) -> None:
    assert offerers_kind(transport, described) is kind


@pytest.mark.parametrize(
    ("transport", "offerer", "known", "kind"),
    [
        pytest.param("wss", PLAIN, None, WEBRTC, id="a browser"),
        pytest.param("udp", WEBRTC, None, PLAIN, id="a desk phone that a browser calls"),
        pytest.param("udp", DTLS, None, PLAIN, id="a desk phone that one with DTLS calls"),
        pytest.param("udp", SRTP, None, SRTP, id="SRTP goes through as it is"),
        pytest.param("udp", WEBRTC, SRTP, SRTP, id="one that took SRTP before"),
        pytest.param("udp", SRTP, PLAIN, PLAIN, id="one that refused SRTP before"),
        pytest.param("wss", PLAIN, SRTP, WEBRTC, id="a browser is one"),
    ],
)
def test_what_is_offered(transport: str, offerer: LegKind, known: LegKind | None, kind: LegKind) -> None:
    assert answerers_kind(transport, offerer, known) is kind


@pytest.mark.parametrize("refused", LegKind)
def test_what_is_offered_after_a_refusal(refused: LegKind) -> None:
    other = other_profile(refused)
    assert other is {PLAIN: SRTP, SRTP: PLAIN}.get(refused)
    assert other is None or other_profile(other) is refused


@pytest.mark.parametrize(
    ("made", "family"),
    [
        (Legs(PLAIN, PLAIN, True, True), ""),
        (Legs(PLAIN, PLAIN, True, True, mine_v6=True, other_v6=True), ""),
        (Legs(PLAIN, PLAIN, True, True, mine_v6=True), "IP4"),
        (Legs(PLAIN, SRTP, True, True, other_v6=True), "IP6"),
        (Legs(WEBRTC, PLAIN, True, True, other_v6=True), "IP6"),
        (Legs(PLAIN, WEBRTC, True, True, mine_v6=True), ""),
    ],
)
def test_the_relay_is_told_another_family(made: Legs, family: str) -> None:
    assert made.family == family
