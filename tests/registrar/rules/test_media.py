"""When media goes through the relay, for every policy and pair of legs, and with which flags."""

import itertools

import pytest

from registrar.model import LegKind, MediaPolicy
from registrar.rules import media
from registrar.rules.media import Direct, Impossible, Relayed, Side, offer_flags, plan
from tests.every import every

WEBRTC, PLAIN, SRTP, DTLS = LegKind.WEBRTC, LegKind.PLAIN, LegKind.SRTP, LegKind.DTLS
AUTO, ALWAYS, NEVER = MediaPolicy.AUTO, MediaPolicy.ALWAYS, MediaPolicy.NEVER
POLICIES = [
    # alike, unlike, and alike where they do not reach each other
    (AUTO, True, Direct, Relayed, Relayed),
    (AUTO, False, Direct, Impossible, Direct),
    (ALWAYS, True, Relayed, Relayed, Relayed),
    (ALWAYS, False, Impossible, Impossible, Impossible),
    (NEVER, True, Direct, Impossible, Direct),
    (NEVER, False, Direct, Impossible, Direct),
]


@pytest.mark.parametrize(("policy", "configured", "alike", "unlike", "apart"), POLICIES)
def test_the_way_of_the_media(
    policy: MediaPolicy, configured: bool, alike: type, unlike: type, apart: type
) -> None:
    for one, other in itertools.product(LegKind, repeat=2):
        kinds = {one, other}
        expected = alike if one is other else apart if kinds == {PLAIN, SRTP} else unlike
        assert type(plan(policy, Side(one), Side(other), configured)) is expected, kinds


HOME, OFFICE, CELLAR = "198.51.100.7", "203.0.113.9", "2001:db8::9"


@every(("policy", "configured", "alike", "unlike", "apart"), POLICIES)
@every(
    ("one", "other", "reach"),
    [
        pytest.param(Side(PLAIN, HOME, HOME), Side(PLAIN, OFFICE, OFFICE), True, id="two without NAT"),
        pytest.param(Side(PLAIN, HOME), Side(PLAIN, OFFICE), True, id="nothing is known"),
        pytest.param(
            Side(PLAIN, HOME, "10.0.0.7"), Side(PLAIN, OFFICE, OFFICE), False, id="the caller has one"
        ),
        pytest.param(Side(PLAIN, HOME, HOME), Side(PLAIN, OFFICE, "10.0.0.9"), False, id="the callee"),
        pytest.param(Side(SRTP, HOME, "10.0.0.7"), Side(SRTP, OFFICE, "10.0.0.7"), False, id="both"),
        pytest.param(Side(PLAIN, HOME, "10.0.0.7"), Side(PLAIN, HOME, "10.0.0.9"), True, id="the same one"),
        pytest.param(
            Side(WEBRTC, HOME, "10.0.0.7"), Side(WEBRTC, OFFICE, "10.0.0.7"), True, id="browsers have ICE"
        ),
        pytest.param(Side(PLAIN, CELLAR, CELLAR), Side(PLAIN, HOME, HOME), False, id="IPv6 and IPv4"),
        pytest.param(
            Side(PLAIN, HOME, CELLAR), Side(PLAIN, HOME, HOME), False, id="the media tells the family"
        ),
        pytest.param(Side(WEBRTC, CELLAR), Side(WEBRTC, HOME), True, id="browsers of two families"),
    ],
)
def test_who_does_not_reach_the_other_is_relayed(
    one: Side,
    other: Side,
    reach: bool,
    policy: MediaPolicy,
    configured: bool,
    alike: type,
    unlike: type,
    apart: type,
) -> None:
    for first, second in ((one, other), (other, one)):
        assert type(plan(policy, first, second, configured)) is (alike if reach else apart)


@pytest.mark.parametrize(
    ("policy", "one", "other", "says"),
    [
        (AUTO, WEBRTC, PLAIN, "no media relay is configured"),
        (NEVER, PLAIN, WEBRTC, "the media relay is turned off"),
        (NEVER, PLAIN, DTLS, "keys by DTLS"),
        (ALWAYS, PLAIN, PLAIN, "none is configured"),
    ],
)
def test_the_reason_fits_into_a_warning(policy: MediaPolicy, one: LegKind, other: LegKind, says: str) -> None:
    answer = plan(policy, Side(one), Side(other), configured=False)
    assert isinstance(answer, Impossible)
    assert says in answer.text
    assert answer.text.isascii() and answer.text.isprintable() and '"' not in answer.text


def test_a_browser_is_made_understood_by_a_desk_phone() -> None:
    flags = offer_flags(WEBRTC, PLAIN)
    assert (flags["transport-protocol"], flags["ICE"], flags["DTLS"]) == ("RTP/AVP", "remove", "off")
    assert flags["rtcp-mux"] == ("demux",)


@pytest.mark.parametrize("to", [PLAIN, SRTP, DTLS, WEBRTC])
def test_the_relay_waits_for_the_handshake_of_a_browser(to: LegKind) -> None:
    assert offer_flags(WEBRTC, to)["DTLS-reverse"] == "passive"
    assert "DTLS-reverse" not in offer_flags(PLAIN, to)
    assert "DTLS-reverse" not in offer_flags(DTLS, to), "rtpengine mistakes one of two handshakes"


@pytest.mark.parametrize("offerer", LegKind)
def test_a_browser_gets_ice_and_dtls_whoever_calls_it(offerer: LegKind) -> None:
    flags = offer_flags(offerer, WEBRTC)
    assert flags["transport-protocol"] == "UDP/TLS/RTP/SAVPF"
    assert (flags["ICE"], flags["DTLS"], flags["SDES"]) == ("force", "passive", ("off",))
    assert flags["rtcp-mux"] == ("offer", "require")


@pytest.mark.parametrize("kind", [PLAIN, SRTP, DTLS])
def test_between_desk_phones_of_one_kind_only_addresses_change(kind: LegKind) -> None:
    assert offer_flags(kind, kind) == media.ALWAYS
    assert offer_flags(kind, kind, "IP6") == {**media.ALWAYS, "address-family": "IP6"}


@pytest.mark.parametrize("offerer", [WEBRTC, PLAIN, DTLS])
def test_a_phone_that_wants_srtp_gets_keys_in_the_description(offerer: LegKind) -> None:
    flags = offer_flags(offerer, SRTP)
    assert (flags["transport-protocol"], flags["ICE"], flags["DTLS"]) == ("RTP/SAVP", "remove", "off")
    assert "SDES" not in flags


@pytest.mark.parametrize("offerer", [WEBRTC, PLAIN, SRTP])
def test_a_desk_phone_with_dtls_gets_no_ice(offerer: LegKind) -> None:
    flags = offer_flags(offerer, DTLS)
    assert (flags["transport-protocol"], flags["ICE"]) == ("UDP/TLS/RTP/SAVP", "remove")


@every(("offerer", "to"), list(itertools.product(LegKind, repeat=2)))
def test_every_offer_hides_addresses_and_shuts_strangers_out(offerer: LegKind, to: LegKind) -> None:
    flags = offer_flags(offerer, to)
    assert (flags["replace"], flags["flags"]) == (("origin", "session-connection"), ("strict-source",))
