"""The 12 messages of RFC 5118 (IPv6), each with a message of our own under the name it has there."""

from typing import Final

from .build import PARSED, SDP, Case, case, request

SDP6: Final = SDP.replace(b"IP4 198.51.100.7", b"IP6 2001:db8::7")
VIA6: Final = "Via: SIP/2.0/UDP [2001:db8::7]:5062;branch=z9hG4bK-six-1"

RFC5118: Final[tuple[Case, ...]] = (
    case(
        "ipv6-good",
        "RFC 5118 4.1",
        request(
            "REGISTER",
            VIA6,
            'Contact: "Ann" <sip:ann@[2001:db8::7]>',
            uri="sip:[2001:db8::1]",
            without="Via",
        ),
        PARSED,
        401,
    ),
    case(
        "ipv6-bad",
        "RFC 5118 4.2",
        request("REGISTER", VIA6, uri="sip:2001:db8::1", without="Via"),
        400,
    ),
    case(
        "port-ambiguous",
        "RFC 5118 4.3",
        request("REGISTER", VIA6, uri="sip:[2001:db8::1:5070]", without="Via"),
        PARSED,
        401,
    ),
    case(
        "port-unambiguous",
        "RFC 5118 4.4",
        request("REGISTER", VIA6, uri="sip:[2001:db8::1]:5070", without="Via"),
        PARSED,
        401,
    ),
    case(
        "via-received-param-with-delim",
        "RFC 5118 4.5",
        request("OPTIONS", f"{VIA6};received=[2001:db8::ff]", without="Via"),
        PARSED,
        401,
    ),
    case(
        "via-received-param-no-delim",
        "RFC 5118 4.5",
        request("OPTIONS", f"{VIA6};received=2001:db8::ff", without="Via"),
        PARSED,
        401,
    ),
    case(
        "ipv6-in-sdp",
        "RFC 5118 4.6",
        request("INVITE", VIA6, "Content-Type: application/sdp", body=SDP6, without="Via"),
        PARSED,
        407,
    ),
    case(
        "mult-ip-in-header",
        "RFC 5118 4.7",
        request(
            "OPTIONS",
            f"{VIA6}, SIP/2.0/TCP [2001:db8::8];received=2001:db8::9;branch=z9hG4bK-six-2",
            "Via: SIP/2.0/UDP 198.51.100.7;received=203.0.113.9;branch=z9hG4bK-four",
            without="Via",
        ),
        PARSED,
        401,
    ),
    case(
        "mult-ip-in-sdp",
        "RFC 5118 4.8",
        request(
            "INVITE",
            VIA6,
            "Content-Type: application/sdp",
            body=SDP + b"m=video 40002 RTP/AVP 31\r\nc=IN IP6 2001:db8::7\r\n",
            without="Via",
        ),
        PARSED,
        407,
    ),
    case(
        "ipv4-mapped-ipv6",
        "RFC 5118 4.9",
        request(
            "INVITE",
            "Via: SIP/2.0/UDP [::ffff:198.51.100.7]:19823;branch=z9hG4bK-mapped",
            "Contact: <sip:ann@[::ffff:198.51.100.7]:19823>",
            "Content-Type: application/sdp",
            body=SDP,
            without="Via",
        ),
        PARSED,
        407,
    ),
    case(
        "ipv6-bug-abnf-3-colons",
        "RFC 5118 4.10",
        request(
            "OPTIONS",
            "To: sip:ann@[2001:db8:::198.51.100.7]",
            uri="sip:ann@[2001:db8:::198.51.100.7]",
            without="To",
        ),
        PARSED,
        401,
    ),
    case(
        "ipv6-correct-abnf-2-colons",
        "RFC 5118 4.10",
        request(
            "OPTIONS",
            "To: sip:ann@[2001:db8::198.51.100.7]",
            uri="sip:ann@[2001:db8::198.51.100.7]",
            without="To",
        ),
        PARSED,
        401,
    ),
)
