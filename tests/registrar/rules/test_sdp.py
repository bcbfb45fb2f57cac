"""What is taken out of a session description, line by line, and that all the rest stays as it was."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.model import LegKind
from registrar.rules import sdp
from tests.every import every

NAME = "Kq7vB2nXw9pLd4RtYc6mZs8HfJ3gT5aU"

BROWSER = b"""v=0\r
o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0 1\r
a=extmap-allow-mixed\r
a=msid-semantic: WMS stream\r
m=audio 40123 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r
c=IN IP4 10.77.0.1\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=candidate:1 1 udp 2122260223 10.77.0.1 40123 typ host generation 0\r
a=candidate:2 1 udp 2122260223 8b8e0a3c-1f8c-4c7a-a9d5-0f0f8f0d7e11.local 40124 typ host\r
a=ice-ufrag:Yx1z\r
a=ice-pwd:1234567890123456789012\r
a=fingerprint:sha-256 AB:CD\r
a=setup:actpass\r
a=mid:0\r
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
a=sendrecv\r
a=msid:stream track\r
a=rtcp-mux\r
a=rtcp-rsize\r
a=rtpmap:111 opus/48000/2\r
a=rtcp-fb:111 transport-cc\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:13 CN/8000\r
a=rtpmap:110 telephone-event/48000\r
a=rtpmap:126 telephone-event/8000\r
a=ssrc:1 cname:x\r
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102\r
c=IN IP4 0.0.0.0\r
b=AS:900\r
a=mid:1\r
a=rid:h send\r
a=simulcast:send h\r
a=rtpmap:96 VP8/90000\r
a=rtcp-fb:96 nack pli\r
a=rtpmap:97 rtx/90000\r
a=fmtp:97 apt=96\r
a=rtpmap:102 H264/90000\r
a=ssrc-group:FID 1 2\r
"""

PLAIN = b"""v=0\r
o=- 1 1 IN IP4 192.0.2.7\r
s=call\r
c=IN IP4 192.0.2.7\r
t=0 0\r
m=audio 4000 RTP/AVP 8 0 101\r
a=rtpmap:101 telephone-event/8000\r
a=ptime:20\r
"""


def lines(text: bytes) -> list[bytes]:
    assert text.count(b"\n") == text.count(b"\r\n")
    return text.split(b"\r\n")[:-1]


def removed(before: bytes, after: bytes) -> list[bytes]:
    """The lines that are gone; all others stand in their order."""
    left = lines(after)
    gone = [line for line in lines(before) if line not in left]
    assert [line for line in lines(before) if line in left] == left
    return gone


@pytest.mark.parametrize(
    ("content_type", "is_sdp"),
    [
        ("application/sdp", True),
        (" Application/SDP ; charset=utf-8", True),
        ("application/sdpx", False),
        ("multipart/mixed;boundary=application/sdp", False),
        ("", False),
        (None, False),
    ],
)
def test_the_type_of_a_body(content_type: str | None, is_sdp: bool) -> None:
    assert sdp.is_sdp(content_type) is is_sdp


def with_media(line: str, *more: str) -> bytes:
    return "\r\n".join(("v=0", "o=- 1 1 IN IP4 1.2.3.4", "s=-", line, *more, "")).encode()


@every(
    ("text", "kind"),
    [
        pytest.param(BROWSER, LegKind.WEBRTC, id="a browser"),
        pytest.param(PLAIN, LegKind.PLAIN, id="a desk phone"),
        pytest.param(PLAIN.replace(b"\r\n", b"\n"), LegKind.PLAIN, id="short line ends"),
        pytest.param(with_media("m=audio 1 udp/tls/rtp/savpf 0"), LegKind.DTLS, id="small letters"),
        pytest.param(with_media("m=audio 1 TCP/TLS/RTP/SAVP 0"), LegKind.DTLS, id="over TCP"),
        pytest.param(
            with_media("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=ice-ufrag:x"),
            LegKind.WEBRTC,
            id="data",
        ),
        pytest.param(with_media("m=application 9 DTLS/SCTP 5000"), LegKind.DTLS, id="data without ICE"),
        pytest.param(with_media("m=audio 1 RTP/SAVP 0", "a=crypto:1 A B"), LegKind.SRTP, id="SDES"),
        pytest.param(
            with_media("m=audio 1 RTP/SAVPF 0", "a=crypto:1 A B"), LegKind.SRTP, id="SDES, feedback"
        ),
        pytest.param(
            with_media("m=audio 1 RTP/SAVPF 0", "a=fingerprint:sha-256 A", "a=ice-ufrag:x"),
            LegKind.WEBRTC,
            id="older browser",
        ),
        pytest.param(with_media("m=message 1 TCP/TLS/MSRP *"), LegKind.PLAIN, id="TLS, but no DTLS"),
        pytest.param(with_media("a=x"), None, id="no media"),
        pytest.param(with_media("m=audio 1 RTP/AVP"), None, id="a stream of nothing"),
        pytest.param(b"hello m=audio 1 RTP/AVP 0", None, id="no description"),
        pytest.param(b"m=audio 1 RTP/AVP 0\r\n", None, id="no version"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_the_kind_of_a_leg(text: bytes, kind: LegKind | None) -> None:
    assert sdp.leg_kind(text) is kind


@every(
    ("media", "encrypted"),
    [
        (("m=audio 1 RTP/SAVP 0",), True),
        (("m=audio 1 RTP/SAVPF 0",), True),
        (("m=audio 1 UDP/TLS/RTP/SAVPF 0", "m=application 1 UDP/DTLS/SCTP webrtc-datachannel"), True),
        (("m=audio 1 RTP/AVP 0",), False),
        (("m=audio 1 RTP/AVP 0", "a=crypto:1 A B"), False),
        (("m=audio 1 RTP/SAVP 0", "m=video 1 RTP/AVP 99"), False),
        (("m=audio 1 RTP/SAVP 0", "m=video 0 RTP/AVP 99"), True),
        (("m=image 1 udptl t38",), False),
        (("m=audio 1",), False),
    ],
)
def test_which_media_is_encrypted(media: tuple[str, ...], encrypted: bool) -> None:
    assert sdp.is_encrypted(with_media(*media)) is encrypted


@every(
    ("text", "address"),
    [
        pytest.param(PLAIN, "192.0.2.7", id="of the session"),
        pytest.param(PLAIN + b"c=IN IP4 192.0.2.8\r\n", "192.0.2.8", id="of the stream"),
        pytest.param(with_media("m=audio 0 RTP/AVP 0", "c=IN IP4 192.0.2.8"), "", id="no stream is left"),
        pytest.param(b"v=0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP6 2001:DB8:0::1\r\n", "2001:db8::1", id="IPv6"),
        pytest.param(
            b"v=0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127\r\n", "224.2.1.1", id="with a TTL"
        ),
        pytest.param(b"v=0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", "", id="held"),
        pytest.param(b"v=0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4 host.test\r\n", "", id="a name"),
        pytest.param(b"v=0\r\nm=audio 1 RTP/AVP 0\r\nc=\r\n", "", id="nothing"),
        pytest.param(b"", "", id="no description"),
    ],
)
def test_where_its_party_wants_the_media(text: bytes, address: str) -> None:
    assert sdp.media_address(text) == address


def test_a_phone_that_wants_srtp_gets_the_common_suites_alone() -> None:
    suites = (
        "AEAD_AES_256_GCM",
        "AES_256_CM_HMAC_SHA1_80",
        "AES_CM_128_HMAC_SHA1_80",
        "AES_CM_128_HMAC_SHA1_32",
    )
    lines = [f"a=crypto:{number} {suite} inline:x" for number, suite in enumerate(suites, 1)]
    told = sdp.for_srtp(with_media("m=audio 1 RTP/SAVP 0", *lines, "a=msid:a b", "a=ptime:20"))
    assert told == with_media("m=audio 1 RTP/SAVP 0", *lines[2:], "a=ptime:20")


def test_the_username_in_the_origin_becomes_nobody() -> None:
    named = PLAIN.replace(b"o=- 1", b"o=" + NAME.encode() + b" 1")
    assert sdp.without_names(named, NAME) == PLAIN


@every("written", [NAME, NAME.lower(), f"sip:{NAME}@example.org", NAME + NAME, NAME[:16] + NAME + NAME[16:]])
@every("place", [b"s=call", b"a=ptime:20", b"IP4 192.0.2.7\r\ns"])
def test_a_username_stays_nowhere(place: bytes, written: str) -> None:
    named = PLAIN.replace(place, place + written.encode())
    cleaned = sdp.without_names(named, "x" * 32, NAME)
    assert NAME.lower().encode() not in cleaned.lower()
    assert len(lines(cleaned)) == len(lines(PLAIN))


def test_a_username_of_dashes_does_not_grow_again() -> None:
    name = "-" * 32
    cleaned = sdp.without_names(b"o=x 1\r\ns=" + b"-" * 80 + b"\r\n", name)
    assert cleaned == b"o=x 1\r\ns=__" + b"-" * 16 + b"\r\n"


def test_a_short_name_is_only_taken_from_the_origin() -> None:
    named = PLAIN.replace(b"o=- 1", b"o=4000 1")
    assert sdp.without_names(named, "4000") == PLAIN


def test_without_the_name_nothing_changes() -> None:
    assert sdp.without_names(PLAIN, NAME, "") == PLAIN


def test_a_video_stream_is_refused_and_leaves_its_bundle() -> None:
    cleaned = sdp.without_video(BROWSER)
    audio = BROWSER[: BROWSER.index(b"m=video")].replace(b"BUNDLE 0 1", b"BUNDLE 0")
    rejected = b"m=video 0 UDP/TLS/RTP/SAVPF 96 97 102\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n"
    assert cleaned == audio + rejected


def test_a_bundle_of_video_alone_is_gone() -> None:
    text = with_media("a=group:BUNDLE v", "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:v", "a=sendrecv")
    assert sdp.without_video(text) == with_media("m=video 0 UDP/TLS/RTP/SAVPF 96", "a=mid:v")


def test_other_groups_stay() -> None:
    text = with_media("a=group:LS a b", "a=group:BUNDLE a v", "m=video 9 X 96", "a=mid:v")
    assert b"a=group:LS a b\r\na=group:BUNDLE a\r\n" in sdp.without_video(text)


def test_without_video_nothing_changes() -> None:
    assert sdp.without_video(PLAIN) == PLAIN


def test_wideband_codecs_go_with_all_their_lines() -> None:
    cleaned = sdp.narrowband(BROWSER)
    assert b"m=audio 40123 UDP/TLS/RTP/SAVPF 0 8 13 126\r\n" in cleaned
    head = b"m=audio 40123 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126"
    assert removed(BROWSER.replace(head, b"m=audio 40123 UDP/TLS/RTP/SAVPF 0 8 13 126"), cleaned) == [
        b"a=rtpmap:111 opus/48000/2",
        b"a=rtcp-fb:111 transport-cc",
        b"a=fmtp:111 minptime=10;useinbandfec=1",
        b"a=rtpmap:63 red/48000/2",
        b"a=fmtp:63 111/111",
        b"a=rtpmap:9 G722/8000",
        b"a=rtpmap:110 telephone-event/48000",
    ]


@every(
    ("offered", "left"),
    [
        pytest.param(["m=audio 1 RTP/AVP 9 0"], "0", id="a type that needs no rtpmap"),
        pytest.param(["m=audio 1 RTP/AVP 10 11 8 18"], "8 18", id="linear, G.729 stays"),
        pytest.param(
            ["m=audio 1 RTP/AVP 98 97 0", "a=rtpmap:98 speex/16000", "a=rtpmap:97 iLBC/8000"], "97 0"
        ),
        pytest.param(["m=audio 1 RTP/AVP 98 0"], "98 0", id="unknown"),
        pytest.param(["m=audio 1 RTP/AVP 0 8"], "0 8", id="nothing wide"),
        pytest.param(["m=audio 1 RTP/AVP 98", "a=rtpmap:98 OPUS/48000/2"], "98", id="nothing else"),
        pytest.param(
            ["m=audio 1 RTP/AVP 9 101", "a=rtpmap:101 telephone-event/8000"], "9 101", id="no speech else"
        ),
        pytest.param(["m=audio 1 RTP/AVP 9 13"], "9 13", id="no speech else, without rtpmap"),
        pytest.param(["m=video 1 RTP/AVP 98", "a=rtpmap:98 H264/90000"], "98", id="video is not audio"),
    ],
)
def test_what_is_left_of_the_codecs(offered: list[str], left: str) -> None:
    text = with_media(*offered)
    cleaned = sdp.narrowband(text)
    assert cleaned.split(b"/AVP ")[1].split(b"\r\n")[0].decode() == left
    kept = set(left.split())
    mapped = [line for line in cleaned.decode().split("\r\n") if line.startswith("a=rtpmap:")]
    assert {line[len("a=rtpmap:") :].split()[0] for line in mapped} <= kept
    if len(kept) == len(offered[0].split()) - 3:
        assert cleaned == text


def test_only_candidates_with_a_hidden_address_go() -> None:
    gone = removed(BROWSER, sdp.without_hidden_candidates(BROWSER))
    assert gone == [
        b"a=candidate:2 1 udp 2122260223 8b8e0a3c-1f8c-4c7a-a9d5-0f0f8f0d7e11.local 40124 typ host"
    ]


def test_a_candidate_that_is_none_stays() -> None:
    text = with_media(
        "m=audio 1 X 0", "a=candidate:1 1 udp", "a=candidate:", "a=xcandidate:1 1 udp 1 a.local"
    )
    assert sdp.without_hidden_candidates(text) == text


def test_a_plain_phone_is_spared_what_only_browsers_read() -> None:
    repaired = b"m=video 9 UDP/TLS/RTP/SAVPF 96 97 102"
    gone = removed(BROWSER.replace(repaired, b"m=video 9 UDP/TLS/RTP/SAVPF 96 102"), sdp.for_plain(BROWSER))
    assert gone == [
        b"a=group:BUNDLE 0 1",
        b"a=extmap-allow-mixed",
        b"a=msid-semantic: WMS stream",
        b"a=mid:0",
        b"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        b"a=msid:stream track",
        b"a=rtcp-rsize",
        b"a=rtcp-fb:111 transport-cc",
        b"a=ssrc:1 cname:x",
        b"a=mid:1",
        b"a=rid:h send",
        b"a=simulcast:send h",
        b"a=rtcp-fb:96 nack pli",
        b"a=rtpmap:97 rtx/90000",
        b"a=fmtp:97 apt=96",
        b"a=ssrc-group:FID 1 2",
    ]


def test_what_a_plain_phone_says_itself_stays() -> None:
    text = with_media("a=group:LS 1 2", "m=audio 1 RTP/AVP 0", "a=label:1", "a=", "a= ")
    assert sdp.for_plain(text) == text
    assert sdp.for_plain(PLAIN) == PLAIN


REWRITES = [
    lambda text: sdp.without_names(text, NAME, "abc"),
    sdp.without_video,
    sdp.narrowband,
    sdp.without_hidden_candidates,
    sdp.for_plain,
]
FRAGMENTS = [
    *(b"m=", b"m=audio", b"m=video ", b"a=rtpmap:", b"a=rtpmap:0", b"a=rtpmap:9 /\n", b"a=group:"),
    *(b"\n", b"\r", b"\r\n", b" ", b"\x00", b"\xff", NAME.encode(), b"a=candidate:"),
    *(b"m=audio 1 RTP/AVP 9 9 9\n", b"m=video 1 RTP/AVP 9"),
]
LINES = [*BROWSER.splitlines(keepends=True), *PLAIN.splitlines(keepends=True)]
PIECE = st.sampled_from([*FRAGMENTS, *LINES])


@given(st.lists(PIECE | st.binary(max_size=20), max_size=30).map(b"".join))
def test_any_octets_are_taken_and_no_line_is_joined_to_another(text: bytes) -> None:
    sdp.leg_kind(text)
    for rewrite in REWRITES:
        after = rewrite(text)
        ended = {line[-1:] in (b"\r", b"\n") for line in after.splitlines(keepends=True)[:-1]}
        assert ended <= {True}
        assert len(after.splitlines()) <= len(text.splitlines())
        assert rewrite(after) == after
    assert NAME.lower().encode() not in sdp.without_names(text, NAME).lower()


@pytest.mark.parametrize(
    "piece", [b"a=rtpmap:9 G722/8000\r\n", b"m=audio 1 RTP/AVP 9 0\r\n", b"9 ", b"m=video 1 X 1\r\n"]
)
def test_a_long_description_takes_time_in_proportion(piece: bytes) -> None:
    text = b"v=0\r\na=group:BUNDLE 0\r\nm=audio 1 RTP/AVP 9 0 " + piece * 20_000
    begin = time.process_time()
    for rewrite in REWRITES:
        rewrite(text)
    assert time.process_time() - begin < 5
