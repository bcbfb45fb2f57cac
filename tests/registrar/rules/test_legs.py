"""registrar/rules/legs.py: what both sides speak and may use."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.model import LegKind
from registrar.rules.legs import Legs, kind_of, legs, parse_legs, turned

from .words import PHONE

ANY = st.builds(Legs, st.sampled_from(LegKind), st.sampled_from(LegKind), st.booleans(), st.booleans())


@given(ANY)
def test_they_are_read_as_they_were_written(made: Legs) -> None:
    assert parse_legs(str(made)) == made
    assert len(str(made)) == 4


@given(ANY)
def test_turned_twice_they_are_the_same(made: Legs) -> None:
    assert turned(turned(made)) == made
    assert (turned(made).mine, turned(made).other) == (made.other, made.mine)
    assert (turned(made).hd_audio, turned(made).video) == (made.hd_audio, made.video)


@pytest.mark.parametrize("text", ["", "wp1", "wp100", "xp11", "wx11"])
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
