"""Messages meant to do harm: too large, too many, framed wrongly, smuggled, or with broken credentials."""

from typing import Final

from .build import (
    HOME,
    PARSED,
    RESPONSE,
    SILENCE,
    Case,
    End,
    Fate,
    case,
    closed,
    message,
    request,
    response,
    stays,
    waits,
)

MAX_MESSAGE: Final = 16_384
MAX_HEAD: Final = 8_192
MAX_LINE: Final = 2_048
MAX_HEADERS: Final = 128
VIA6: Final = "SIP/2.0/UDP [::1]"
ZONED: Final = "SIP/2.0/UDP [fe80::1%eth0]"
COMMON: Final = 7
"""Headers that `request` writes itself."""


def sized(size: int) -> bytes:
    """A sound OPTIONS of exactly so many octets, by its body."""
    guess = request("OPTIONS", body=b"x" * size)
    return request("OPTIONS", body=b"x" * (2 * size - len(guess)))


def headed(size: int) -> bytes:
    """A sound OPTIONS whose header block, without the empty line, has exactly so many octets."""
    data = request("OPTIONS")
    while len(data) - 4 + MAX_LINE <= size - 5:
        data = data[:-2] + b"X: " + b"x" * (MAX_LINE - 5) + b"\r\n\r\n"
    return data[:-2] + b"X: " + b"x" * (size - len(data) - 1) + b"\r\n\r\n"


def lined(size: int) -> bytes:
    """A sound OPTIONS with one header line of so many octets."""
    return request("OPTIONS", "X: " + "x" * (size - 3))


TOO_LARGE: Final = (
    case("size-16383", "size", sized(MAX_MESSAGE - 1), PARSED, 401),
    case("size-16384", "size", sized(MAX_MESSAGE), PARSED, 401),
    case("size-16385", "size", sized(MAX_MESSAGE + 1), 513, stream=closed(513), ws=closed(SILENCE)),
    case("size-65507", "size", sized(65_507), 513, stream=closed(513), ws=closed(SILENCE)),
    case(
        "size-all-headers",
        "size",
        request("OPTIONS", *["X: y"] * 10_000),
        513,
        SILENCE,
        stream=closed(400, 513, SILENCE),
        ws=closed(SILENCE),
    ),
)

BOMBS: Final = (
    case("head-8191", "too many or too long", headed(MAX_HEAD - 1), PARSED, 401),
    case("head-8192", "too many or too long", headed(MAX_HEAD), PARSED, 401),
    case(
        "head-8193",
        "too many or too long",
        headed(MAX_HEAD + 1),
        400,
        400,
        SILENCE,
        stream=closed(400, SILENCE),
    ),
    case("header-2047", "too many or too long", lined(MAX_LINE - 1), PARSED, 401),
    case("header-2048", "too many or too long", lined(MAX_LINE), PARSED, 401),
    case("header-2049", "too many or too long", lined(MAX_LINE + 1), 400, 400, SILENCE),
    case(
        "header-15000", "too many or too long", lined(15_000), 400, 400, SILENCE, stream=closed(400, SILENCE)
    ),
    case(
        "header-folded-long",
        "too many or too long",
        request("OPTIONS", "X: y", *[" " + "z" * 90] * 30),
        400,
        400,
        SILENCE,
    ),
    case(
        "headers-127",
        "too many or too long",
        request("OPTIONS", *["X: y"] * (MAX_HEADERS - COMMON - 1)),
        PARSED,
        401,
    ),
    case(
        "headers-128",
        "too many or too long",
        request("OPTIONS", *["X: y"] * (MAX_HEADERS - COMMON)),
        PARSED,
        401,
    ),
    case(
        "headers-129",
        "too many or too long",
        request("OPTIONS", *["X: y"] * (MAX_HEADERS - COMMON + 1)),
        400,
        400,
        SILENCE,
    ),
    case(
        "headers-2000",
        "too many or too long",
        request("OPTIONS", *["X:"] * 2_000),
        400,
        400,
        SILENCE,
        stream=closed(400, SILENCE),
    ),
    case(
        "folds-2000", "too many or too long", request("OPTIONS", "X: y", *[" z"] * 1_900), 400, 400, SILENCE
    ),
    case("vias-120", "too many or too long", request("OPTIONS", *["v: SIP/2.0/UDP a"] * 120), PARSED, 401),
    case(
        "vias-in-commas",
        "too many or too long",
        request("OPTIONS", *["v: " + ",".join(["SIP/2.0/UDP a"] * 120)] * 4),
        PARSED,
        401,
    ),
    case(
        "contacts-6",
        "too many or too long",
        request("REGISTER", "Contact: " + ", ".join(["<sip:a@b>"] * 6)),
        PARSED,
        401,
    ),
    case(
        "contacts-32",
        "too many or too long",
        request("REGISTER", "Contact: " + ", ".join(["<sip:a@b>"] * 32)),
        PARSED,
        401,
    ),
    case(
        "contacts-33",
        "too many or too long",
        request("REGISTER", "Contact: " + ", ".join(["<sip:a@b>"] * 33)),
        400,
    ),
    case(
        "contacts-120",
        "too many or too long",
        request("REGISTER", *["Contact: " + ", ".join(["<sip:a@b>"] * 30)] * 4),
        400,
    ),
    case("contacts-120-rows", "too many or too long", request("REGISTER", *["m: <sip:a@b>"] * 120), 400),
    case("contacts-6-of-a-call", "too many or too long", request("INVITE", *["m: <sip:a@b>"] * 6), 400),
    case(
        "contacts-quoted-commas",
        "too many or too long",
        request("REGISTER", 'Contact: "a, b" <sip:a@b>;methods="' + ",".join(["INVITE"] * 60) + '"'),
        PARSED,
        401,
    ),
    case(
        "vias-32-of-ipv6",
        "too many or too long",
        request("OPTIONS", "v: " + ",".join([VIA6] * 31)),
        PARSED,
        401,
    ),
    case(
        "vias-400-of-ipv6",
        "too many or too long",
        request("OPTIONS", *["v: " + ",".join([VIA6] * 100)] * 4),
        400,
    ),
    case(
        "tags-64", "too many or too long", request("REGISTER", "Require: " + ",".join("a" * 64)), PARSED, 420
    ),
    case(
        "tags-900",
        "too many or too long",
        request("REGISTER", "Require: " + ",".join("a" * 900)),
        PARSED,
        420,
    ),
    case(
        "values-900",
        "too many or too long",
        request("OPTIONS", "Accept: " + ",".join("a" * 1_000)),
        PARSED,
        401,
    ),
    case(
        "uri-params-900",
        "too many or too long",
        request("REGISTER", "Contact: <sip:a@b" + ";p" * 900 + ">"),
        400,
    ),
    case(
        "via-params-900",
        "too many or too long",
        request("OPTIONS", "Via: SIP/2.0/UDP a" + ";p" * 900),
        PARSED,
        401,
    ),
    case("method-64", "too many or too long", request("M" * 64), PARSED, 501),
    case("method-65", "too many or too long", request("M" * 65), 400, 400, SILENCE),
    case(
        "method-7000",
        "too many or too long",
        request("OPTIONS").replace(b"OPTIONS", b"M" * 7_000, 1),
        400,
        400,
        SILENCE,
    ),
    case(
        "request-uri-1024",
        "too many or too long",
        request("OPTIONS", uri=f"sip:{'a' * (1_024 - 17)}@{HOME}"),
        PARSED,
        401,
    ),
    case(
        "request-uri-1025",
        "too many or too long",
        request("OPTIONS", uri=f"sip:{'a' * (1_025 - 17)}@{HOME}"),
        400,
    ),
    case(
        "contact-uri-1024",
        "too many or too long",
        request("REGISTER", f"Contact: <sip:{'a' * 1_018}@b>"),
        PARSED,
        401,
    ),
    case(
        "contact-uri-1025",
        "too many or too long",
        request("REGISTER", f"Contact: <sip:{'a' * 1_019}@b>"),
        400,
    ),
    case(
        "tag-1500",
        "too many or too long",
        request("OPTIONS", f"From: <sip:a@b>;tag={'t' * 1_500}", without="From"),
        PARSED,
        401,
    ),
    case(
        "cseq-method-1900",
        "too many or too long",
        request("OPTIONS", f"CSeq: 1 {'M' * 1_900}", without="CSeq"),
        400,
    ),
)

FRAMING: Final = (
    case(
        "length-missing",
        "framing",
        request("OPTIONS", without="Content-Length"),
        PARSED,
        401,
        stream=closed(400),
    ),
    case("length-compact", "framing", request("OPTIONS", "l: 0", without="Content-Length"), PARSED, 401),
    case(
        "length-0005",
        "framing",
        request("OPTIONS", "l: 0005", body=b"12345", without="Content-Length"),
        PARSED,
        401,
    ),
    case(
        "length-short-of-body",
        "framing",
        request("OPTIONS", "l: 2", body=b"123", without="Content-Length"),
        PARSED,
        401,
        stream=waits(401),
        ws=stays(400),
    ),
    case(
        "two-messages",
        "framing",
        request("OPTIONS") + request("OPTIONS"),
        PARSED,
        401,
        stream=Fate((frozenset({401}), frozenset({401})), End.STAYS),
        ws=stays(400),
    ),
    case(
        "length-beyond-body",
        "framing",
        request("OPTIONS", "l: 4", body=b"123", without="Content-Length"),
        400,
        stream=waits(),
    ),
    case(
        "length-2^31",
        "framing",
        request("OPTIONS", f"l: {2**31}", without="Content-Length"),
        400,
        stream=closed(513),
    ),
    case(
        "length-2^64",
        "framing",
        request("OPTIONS", f"l: {2**64}", without="Content-Length"),
        400,
        stream=closed(400, 513),
    ),
    case(
        "length-1900-digits",
        "framing",
        request("OPTIONS", f"l: {'9' * 1_900}", without="Content-Length"),
        400,
        stream=closed(400, 513),
    ),
    case(
        "length-signed",
        "framing",
        request("OPTIONS", "l: +0", without="Content-Length"),
        400,
        stream=closed(400),
    ),
    case(
        "length-hex",
        "framing",
        request("OPTIONS", "l: 0x0", without="Content-Length"),
        400,
        stream=closed(400),
    ),
    case(
        "length-arabic",
        "framing",
        request("OPTIONS", "l: \u0660", without="Content-Length"),
        400,
        stream=closed(400),
    ),
    case(
        "length-empty", "framing", request("OPTIONS", "l:", without="Content-Length"), 400, stream=closed(400)
    ),
    case(
        "length-list",
        "framing",
        request("OPTIONS", "l: 0, 0", without="Content-Length"),
        400,
        stream=closed(400),
    ),
    case("length-twice-same", "framing", request("OPTIONS", "l: 0"), PARSED, 401),
    case(
        "length-twice-different", "framing", request("OPTIONS", "l: 3", body=b"1234"), 400, stream=closed(400)
    ),
    case("cut-before-the-end", "framing", request("OPTIONS")[:-2], 400, stream=waits()),
    case("cut-in-a-header", "framing", request("OPTIONS")[:-7], 400, stream=waits()),
    case(
        "line-feeds-only", "framing", request("OPTIONS").replace(b"\r\n", b"\n"), 400, SILENCE, stream=waits()
    ),
    case(
        "carriage-returns-only",
        "framing",
        request("OPTIONS").replace(b"\r\n", b"\r"),
        400,
        SILENCE,
        stream=waits(),
    ),
    case(
        "response-beyond-body",
        "RFC 3261 18.3",
        response("SIP/2.0 200 OK", "l: 9"),
        400,
        SILENCE,
        stream=closed(SILENCE),
    ),
    case(
        "response-without-a-colon",
        "RFC 3261 7.3.1",
        response("SIP/2.0 200 OK", "no colon", " and more"),
        RESPONSE,
        SILENCE,
    ),
    case("response-control", "RFC 3261 7.3.1", response("SIP/2.0 200 OK", "X: \x01"), RESPONSE, SILENCE),
    case(
        "response-blank-in-a-name", "RFC 3261 7.3.1", response("SIP/2.0 200 OK", "X y: z"), RESPONSE, SILENCE
    ),
    case("response-600", "RFC 3261 7.2", response("SIP/2.0 603 Decline"), RESPONSE, SILENCE),
    case("response-700", "RFC 3261 7.2", response("SIP/2.0 700 Odd"), 400, SILENCE),
)

SMUGGLED: Final = (
    case("blank-before-colon", "smuggling", request("REGISTER", "Contact : <sip:a@b>"), PARSED, 401),
    case("tab-before-colon", "smuggling", request("REGISTER", "m\t: <sip:a@b>"), PARSED, 401),
    case("control-before-colon", "smuggling", request("REGISTER", "Contact\x01: <sip:a@b>"), 400),
    case("nul-before-colon", "smuggling", request("REGISTER", "Contact\0: <sip:a@b>"), 400),
    case("form-feed-before-colon", "smuggling", request("REGISTER", "Contact\f: <sip:a@b>"), 400),
    case("no-break-space-before-colon", "smuggling", request("REGISTER", "Contact\u00a0: <sip:a@b>"), 400),
    case("blank-in-a-name", "smuggling", request("REGISTER", "Con tact: <sip:a@b>"), 400),
    case("no-name", "smuggling", request("REGISTER", ": <sip:a@b>"), 400),
    case("no-colon", "smuggling", request("REGISTER", "Contact"), 400),
    case("folded-name", "smuggling", request("REGISTER", "Con", " tact: <sip:a@b>"), 400),
    case(
        "folded-start-line", "smuggling", request("REGISTER").replace(b"Via", b" Via", 1), 400, 400, SILENCE
    ),
    case("nul-in-a-value", "smuggling", request("REGISTER", "User-Agent: a\0b"), 400),
    case("delete-in-a-value", "smuggling", request("REGISTER", "User-Agent: a\x7fb"), 400),
    case("bare-cr", "smuggling", request("REGISTER", "User-Agent: a\rContact: <sip:a@b>"), 400),
    case("bare-lf", "smuggling", request("REGISTER", "User-Agent: a\nContact: <sip:a@b>"), 400),
    case("quoted-bell", "smuggling", request("REGISTER", 'Contact: "a\\\x07" <sip:a@b>'), PARSED, 401),
    case("quoted-cr", "smuggling", request("REGISTER", 'Contact: "a\\\r" <sip:a@b>'), 400),
    case("bell-in-quotes", "smuggling", request("REGISTER", 'Contact: "a\x07" <sip:a@b>'), 400),
    case(
        "control-in-the-start-line",
        "smuggling",
        request("REGISTER", uri="sip:home.example\x01"),
        400,
        400,
        SILENCE,
    ),
    case("two-to", "smuggling", request("REGISTER", "t: <sip:bob@home.example>"), 400),
    case("two-from", "smuggling", request("REGISTER", "f: <sip:bob@home.example>;tag=2"), 400),
    case("two-call-ids", "smuggling", request("REGISTER", "i: torture-2"), 400),
    case("two-cseqs", "smuggling", request("REGISTER", "cseq: 18 REGISTER"), 400),
    case("two-max-forwards", "smuggling", request("REGISTER", "max-forwards: 70"), 400),
    case("two-in-one-to", "smuggling", request("REGISTER", "To: <sip:a@b>, <sip:c@d>", without="To"), 400),
    case("call-id-list", "smuggling", request("REGISTER", "Call-ID: a, b", without="Call-ID"), 400),
    case(
        "via-without-host",
        "smuggling",
        request("REGISTER", "Via: SIP/2.0/UDP", without="Via"),
        400,
        400,
        SILENCE,
    ),
    case(
        "via-empty-parameters",
        "RFC 3581 3",
        request("REGISTER", "Via: SIP/2.0/UDP a;rport=;received=;;branch=z9hG4bK1;", without="Via"),
        PARSED,
        401,
    ),
    case(
        "via-bad-parameters", "smuggling", request("REGISTER", 'Via: SIP/2.0/UDP a;x="', without="Via"), 400
    ),
    case(
        "via-with-a-zone",
        "smuggling",
        request("REGISTER", "Via: SIP/2.0/UDP [fe80::1%eth0]", without="Via"),
        PARSED,
        401,
    ),
    case("no-via", "smuggling", request("REGISTER", without="Via"), 400, 400, SILENCE),
    case("bad-second-via", "smuggling", request("REGISTER", "Via: SIP/2.0/UDP [::1::2]"), 400),
    case("bad-ipv6", "smuggling", request("REGISTER", uri="sip:[12345::1]"), 400),
    case("port-65536", "smuggling", request("REGISTER", uri=f"sip:{HOME}:65536"), 400),
    case(
        "latin-1-name",
        "smuggling",
        request("REGISTER", 'Contact: "J\u00f6" <sip:a@b>').replace(b"\xc3\xb6", b"\xf6"),
        PARSED,
        401,
    ),
    case("wildcard", "RFC 3261 10.3", request("REGISTER", "Contact: *", "Expires: 0"), PARSED, 401),
    case("wildcard-and-contact", "RFC 3261 10.3", request("REGISTER", "Contact: *", "m: <sip:a@b>"), 400),
    case("contact-and-wildcard", "RFC 3261 10.3", request("REGISTER", "Contact: <sip:a@b>, *"), 400),
    case("wildcard-with-parameter", "RFC 3261 10.3", request("REGISTER", "Contact: *;expires=0"), 400),
    case("two-wildcards", "RFC 3261 10.3", request("REGISTER", "Contact: *", "Contact: *"), 400),
    case("expires-nonsense", "decision 10", request("REGISTER", "Expires: soon"), PARSED, 401),
)

METHODS: Final = (
    case("ack", "RFC 3261 17.1.1.3", request("ACK"), PARSED, SILENCE),
    case("ack-malformed", "RFC 3261 17.1.1.3", request("ACK", without="To"), 400, SILENCE),
    case("cancel-nothing", "RFC 3261 9.2", request("CANCEL"), PARSED, 481),
    case("method-lower-case", "RFC 3261 7.1", request("register"), PARSED, 501),
    case(
        "version-lower-case",
        "RFC 3261 7.1",
        request("REGISTER").replace(b"SIP/2.0", b"sip/2.0", 1),
        PARSED,
        401,
    ),
    case("version-without-minor", "RFC 3261 7.1", request("REGISTER").replace(b"SIP/2.0", b"SIP/2", 1), 400),
    case(
        "http",
        "RFC 3261 7.1",
        message("GET / HTTP/1.1", f"Host: {HOME}"),
        400,
        SILENCE,
        stream=closed(SILENCE),
    ),
    case("nothing", "what a fuzzer found", b"\0\0\0\0", 400, SILENCE, stream=closed(SILENCE)),
    case(
        "tls-hello",
        "what a fuzzer found",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        400,
        SILENCE,
        stream=closed(SILENCE),
    ),
)

SOUND: Final = 'username="ann", realm="home.example", nonce="n", uri="sip:home.example", response="00ff"'

CREDENTIALS: Final = (
    case("digest-alone", "RFC 3261 22.1", request("REGISTER", "Authorization: Digest"), PARSED, 401),
    case(
        "digest-foreign-nonce",
        "RFC 7616 3.4",
        request("REGISTER", f"Authorization: Digest {SOUND}"),
        PARSED,
        401,
    ),
    case(
        "digest-folded",
        "RFC 7616 3.4",
        request("REGISTER", "Authorization: Digest", f" {SOUND}"),
        PARSED,
        401,
    ),
    case(
        "digest-empty-values",
        "3GPP TS 24.229 5.1.1.2",
        request(
            "REGISTER", 'Authorization: Digest username="a", realm="b", nonce="", uri="sip:b", response=""'
        ),
        PARSED,
        401,
    ),
    case(
        "digest-no-response",
        "RFC 3261 22.1",
        request("REGISTER", f"Authorization: Digest {SOUND[:-17]}"),
        PARSED,
        401,
    ),
    case(
        "digest-twice-nonce",
        "RFC 7616 3.4",
        request("REGISTER", f'Authorization: Digest {SOUND}, nonce="m"'),
        400,
    ),
    case(
        "digest-unclosed",
        "RFC 7616 3.4",
        request("REGISTER", f'Authorization: Digest {SOUND}, opaque="m'),
        400,
    ),
    case(
        "digest-no-nc",
        "RFC 3261 22.1",
        request("REGISTER", f'Authorization: Digest {SOUND}, qop=auth, cnonce="c"'),
        PARSED,
        401,
    ),
    case(
        "digest-short-nc",
        "RFC 7616 3.4",
        request("REGISTER", f'Authorization: Digest {SOUND}, qop=auth, cnonce="c", nc=1'),
        400,
    ),
    case(
        "digest-not-hex",
        "RFC 7616 3.4",
        request("REGISTER", f"Authorization: Digest {SOUND}".replace("00ff", "\u00e9")),
        400,
    ),
    case(
        "digest-list",
        "RFC 7616 3.4",
        request("REGISTER", f"Authorization: Digest {SOUND}, Digest {SOUND}"),
        400,
    ),
    case(
        "digest-8-rows",
        "RFC 7616 3.4",
        request("REGISTER", *[f"Authorization: Digest {SOUND}"] * 8),
        PARSED,
        401,
    ),
    case("digest-9-rows", "RFC 7616 3.4", request("REGISTER", *[f"Authorization: Digest {SOUND}"] * 9), 400),
    case(
        "digest-70-params",
        "RFC 7616 3.4",
        request("REGISTER", "Authorization: Digest a=b" + ",a=b" * 69),
        400,
    ),
    case(
        "digest-two-rows",
        "RFC 7616 3.4",
        request("REGISTER", *[f"Authorization: Digest {SOUND}"] * 2),
        PARSED,
        401,
    ),
    case(
        "digest-realm-10k",
        "RFC 7616 3.4",
        request("REGISTER", f'Authorization: Digest realm="{"r" * 10_000}"'),
        400,
        400,
        SILENCE,
        stream=closed(400, SILENCE),
    ),
    case(
        "digest-unknown-algorithm",
        "RFC 7616 3.4",
        request("REGISTER", f"Authorization: Digest {SOUND}, algorithm=ROT13"),
        PARSED,
        401,
    ),
    case("basic", "RFC 3261 22", request("REGISTER", "Authorization: Basic YW5uOmFubg=="), PARSED, 401),
    case("authorization-empty", "RFC 3261 22.1", request("REGISTER", "Authorization:"), PARSED, 401),
)

HOSTILE: Final[tuple[Case, ...]] = (
    *TOO_LARGE,
    *BOMBS,
    *FRAMING,
    *SMUGGLED,
    *METHODS,
    *CREDENTIALS,
)
