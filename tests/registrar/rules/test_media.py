"""When media goes through the relay, for every policy and pair of legs, and with which flags."""

import itertools

import pytest

from registrar.model import LegKind, MediaPolicy
from registrar.rules import media
from registrar.rules.media import Direct, Impossible, Relayed, offer_flags, plan

WEBRTC, PLAIN = LegKind.WEBRTC, LegKind.PLAIN
AUTO, ALWAYS, NEVER = MediaPolicy.AUTO, MediaPolicy.ALWAYS, MediaPolicy.NEVER


@pytest.mark.parametrize(
    ("policy", "configured", "alike", "unlike"),
    [
        (AUTO, True, Direct, Relayed),
        (AUTO, False, Direct, Impossible),
        (ALWAYS, True, Relayed, Relayed),
        (ALWAYS, False, Impossible, Impossible),
        (NEVER, True, Direct, Impossible),
        (NEVER, False, Direct, Impossible),
    ],
)
def test_the_way_of_the_media(policy: MediaPolicy, configured: bool, alike: type, unlike: type) -> None:
    for one, other in itertools.product(LegKind, repeat=2):
        expected = alike if one is other else unlike
        assert type(plan(policy, one, other, configured)) is expected


@pytest.mark.parametrize(
    ("policy", "one", "other", "says"),
    [
        (AUTO, WEBRTC, PLAIN, "no media relay is configured"),
        (NEVER, PLAIN, WEBRTC, "the media relay is turned off"),
        (ALWAYS, PLAIN, PLAIN, "none is configured"),
    ],
)
def test_the_reason_fits_into_a_warning(policy: MediaPolicy, one: LegKind, other: LegKind, says: str) -> None:
    answer = plan(policy, one, other, configured=False)
    assert isinstance(answer, Impossible)
    assert says in answer.text
    assert answer.text.isascii() and answer.text.isprintable() and '"' not in answer.text


def test_a_browser_is_made_understood_by_a_desk_phone() -> None:
    flags = offer_flags(WEBRTC, PLAIN)
    assert (flags["transport-protocol"], flags["ICE"], flags["DTLS"]) == ("RTP/AVP", "remove", "off")
    assert flags["rtcp-mux"] == ("demux",)


@pytest.mark.parametrize("offerer", LegKind)
def test_a_browser_gets_ice_and_dtls_whoever_calls_it(offerer: LegKind) -> None:
    flags = offer_flags(offerer, WEBRTC)
    assert flags["transport-protocol"] == "UDP/TLS/RTP/SAVPF"
    assert (flags["ICE"], flags["DTLS"], flags["SDES"]) == ("force", "passive", ("off",))
    assert flags["rtcp-mux"] == ("offer", "require")


def test_between_plain_phones_only_addresses_change() -> None:
    assert offer_flags(PLAIN, PLAIN) == media.ALWAYS


@pytest.mark.parametrize(("offerer", "to"), list(itertools.product(LegKind, repeat=2)))
def test_every_offer_hides_addresses_and_shuts_strangers_out(offerer: LegKind, to: LegKind) -> None:
    flags = offer_flags(offerer, to)
    assert (flags["replace"], flags["flags"]) == (("origin", "session-connection"), ("strict-source",))
