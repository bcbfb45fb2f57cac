"""The 49 categories of RFC 4475, each with a message of our own under the name it has there."""

from typing import Final

from .build import HOME, PARSED, RESPONSE, SDP, SILENCE, Case, case, message, request, response

LONG: Final = "verylong" * 24
ODD_METHOD: Final = "*strange.Method-9_+`%like'this~!"
ODD_URI: Final = f"sip:2_odd.Name~(can-it!be)&so+is$this,/;;?*:&p+w=1,x!*y$z~_.(w)@{HOME}"

VALID: Final = (
    case(
        "wsinv",
        "RFC 4475 3.1.1.1",
        message(
            f"INVITE sip:ann@{HOME};newparam SIP/2.0",
            "TO\t:",
            f"\tsip:ann@{HOME} ;  tag   =  callee77",
            'fRoM  : "A \\\\ B \\""   <sip:bob@away.example>',
            "  ;",
            "  tag  = caller88",
            "mAx-FoRwArDs: 0042",
            "i: spaces.17@198.51.100.7",
            f"Content-Length \t: {len(SDP)}",
            "CSEQ: 0017",
            "   INVITE",
            "vIA  : SIP /  2.0",
            "  / UDP",
            "\t198.51.100.7;branch=old-style",
            "s :",
            "Something-New:   first part",
            "  second part",
            "Something-Odd: ;,;;,,;",
            "c: application/sdp",
            "Route:",
            "  <sip:edge.example;lr;odd=1;odder>",
            "v:  SIP  / 2.0  / TCP    edge.example  ;",
            "  branch =  z9hG4bK-edge  ,",
            "  SIP / 2.0  /  UDP   203.0.113.9  ; branch=",
            "  z9hG4bK-inner",
            'M:"All \\"\\" quiet" <sip:bob@away.example> ; newparam =',
            "   newvalue ;",
            "  another ; q = 0.25",
            body=SDP,
        ),
        PARSED,
        405,
    ),
    case(
        "intmeth",
        "RFC 4475 3.1.1.2",
        message(
            f"{ODD_METHOD} {ODD_URI} SIP/2.0",
            "Via: SIP/2.0/TCP away.example;branch=z9hG4bK~'`+_*%!.-",
            'To: "TAB:\\\t ESC:\\\x1b NUL:\\\0 DEL:\\\x7f" <sip:ann@home.example>',
            "From: w1~` w2'+_ w3*%!.- <sip:bob@away.example>;odd'%~+*_!.-`=\"Привет\";tag=~t'1+`*%!-.",
            "Call-ID: odd%Z-!.*_+'@id`~)(><:\\/\"][?}{",
            f"CSeq: 4711 {ODD_METHOD}",
            "Max-Forwards: 255",
            "New-Header-!.%*+_`'~: \ufeff何か",
            "Content-Length: 0",
        ),
        PARSED,
        501,
    ),
    case(
        "esc01",
        "RFC 4475 3.1.1.3",
        request(
            "INVITE",
            f"To: sip:%61n%6E@{HOME}",
            "From: <sip:two%20words@away.example>;tag=1",
            "Contact:",
            "  <sip:b%6Fb@away.example;%6C%72;n%61me=v%61lue%25%34%31>",
            "Content-Type: application/sdp",
            uri=f"sip:sips%3Aann%40away.example@{HOME}",
            body=SDP,
            without="To From",
        ),
        PARSED,
        405,
    ),
    case(
        "escnull",
        "RFC 4475 3.1.1.4",
        request(
            "REGISTER",
            "To: sip:zero-%00-zero@home.example",
            "Contact: <sip:%00@198.51.100.7>",
            "Contact: <sip:%00%00@198.51.100.7>",
            without="To",
        ),
        PARSED,
        401,
    ),
    case(
        "esc02",
        "RFC 4475 3.1.1.5",
        request(
            "RE%47IST%45R",
            'To: "%Q%41" <sip:ann@home.example>',
            "Contact: <sip:one@away.example>",
            "C%6Fntact: <sip:two@away.example>",
            "Via: SIP/2.0/UDP next.example;branch=z9hG4bK%fz1",
            uri=f"sip:{HOME}",
            without="To",
        ),
        PARSED,
        501,
    ),
    case(
        "lwsdisp",
        "RFC 4475 3.1.1.6",
        request("OPTIONS", "From: bob<sip:bob@away.example>;tag=1", without="From"),
        PARSED,
        401,
    ),
    case(
        "longreq",
        "RFC 4475 3.1.1.7",
        request(
            "INVITE",
            f'To: "{LONG} name"<sip:ann@{HOME}:6060;{LONG}1={LONG};{LONG}2>',
            f"F: sip:{LONG}@away.example;tag={LONG};{LONG}1={LONG};{LONG}2",
            f"Call-ID: {LONG}",
            f"New-{LONG}: {LONG}; {LONG} = {LONG}",
            *[
                f"{name}: SIP/2.0/TCP hop{n}.example"
                for n in range(8)
                for name in ("Via", "v ", "V", "vIA  ")
            ],
            f"Via: SIP/2.0/TCP away.example;received=203.0.113.9;branch={LONG}",
            f"Contact: <sip:{LONG}@away.example>",
            "Content-Type: application/sdp",
            body=SDP,
            without="To From Call-ID",
        ),
        PARSED,
        405,
    ),
    case(
        "dblreq",
        "RFC 4475 3.1.1.8",
        request("REGISTER", "Contact: sip:ann@198.51.100.7") + b"\r\n" + request("INVITE", body=SDP),
        PARSED,
        401,
    ),
    case(
        "semiuri",
        "RFC 4475 3.1.1.9",
        request("OPTIONS", uri=f"sip:ann;role=b%40away.example@{HOME}"),
        PARSED,
        401,
    ),
    case(
        "transports",
        "RFC 4475 3.1.1.10",
        request(
            "OPTIONS", *[f"Via: SIP/2.0/{name} hop.example" for name in ("TCP", "SCTP", "TLS", "PIGEON")]
        ),
        PARSED,
        401,
    ),
    case(
        "mpart01",
        "RFC 4475 3.1.1.11",
        request(
            "MESSAGE",
            "Content-Type: multipart/mixed;boundary=cut",
            "Content-Transfer-Encoding: binary",
            body=b"--cut\r\nContent-Type: text/plain\r\n\r\nhi\r\n--cut\r\n\r\n"
            + bytes(range(256))
            + b"\r\n--cut--",
        ),
        PARSED,
        405,
    ),
    case("unreason", "RFC 4475 3.1.1.12", response("SIP/2.0 200 = 3**2 * 5 всё хорошо"), RESPONSE, SILENCE),
    case("noreason", "RFC 4475 3.1.1.13", response("SIP/2.0 180 "), RESPONSE, SILENCE),
)

INVALID: Final = (
    case(
        "badinv01",
        "RFC 4475 3.1.2.1",
        request(
            "INVITE",
            "Via: SIP/2.0/UDP 198.51.100.7;;,;,,",
            'Contact: "B" <sip:b@away.example>;;;',
            without="Via",
        ),
        400,
        400,
        SILENCE,
    ),
    case(
        "clerr",
        "RFC 4475 3.1.2.2",
        request("INVITE", "Content-Length: 8888", body=SDP, without="Content-Length"),
        400,
    ),
    case(
        "ncl",
        "RFC 4475 3.1.2.3",
        request("INVITE", "Content-Length: -17", body=SDP, without="Content-Length"),
        400,
    ),
    case(
        "scalar02",
        "RFC 4475 3.1.2.4",
        request(
            "REGISTER",
            f"CSeq: {2**65} REGISTER",
            "Max-Forwards: 301",
            f"Expires: {10**99}",
            f"Contact: <sip:ann@198.51.100.7>;expires={2**48}",
            without="CSeq Max-Forwards",
        ),
        400,
    ),
    case(
        "scalarlg",
        "RFC 4475 3.1.2.5",
        response(
            "SIP/2.0 503 Service Unavailable",
            f"CSeq: {2**73} OPTIONS",
            f"Retry-After: {2**89}",
            'Warning: 1999 away "later"',
            without="CSeq",
        ),
        RESPONSE,
        SILENCE,
    ),
    case(
        "quotbal", "RFC 4475 3.1.2.6", request("INVITE", 'To: "Ann <sip:ann@home.example>', without="To"), 400
    ),
    case("ltgtruri", "RFC 4475 3.1.2.7", request("INVITE", uri=f"<sip:ann@{HOME}>"), 400),
    case("lwsruri", "RFC 4475 3.1.2.8", request("INVITE", uri=f"sip:ann@{HOME}; lr"), 400),
    case("lwsstart", "RFC 4475 3.1.2.9", request("INVITE", uri=f" sip:ann@{HOME} "), 400),
    case(
        "trws", "RFC 4475 3.1.2.10", request("OPTIONS").replace(b"SIP/2.0\r\nVia", b"SIP/2.0  \r\nVia"), 400
    ),
    case(
        "escruri",
        "RFC 4475 3.1.2.11",
        request("INVITE", uri=f"sip:ann@{HOME}?Route=%3Csip:away.example%3E"),
        400,
    ),
    case("baddate", "RFC 4475 3.1.2.12", request("INVITE", "Date: Sat, 02 Jan 2027 12:00:00 CET"), 400),
    case(
        "regbadct",
        "RFC 4475 3.1.2.13",
        request("REGISTER", "Contact: sip:ann@198.51.100.7?Route=%3Csip:away.example%3E"),
        400,
    ),
    case(
        "badaspec",
        "RFC 4475 3.1.2.14",
        request("OPTIONS", 'To: "Ann A." < sip:ann@home.example >', without="To"),
        400,
    ),
    case(
        "baddn",
        "RFC 4475 3.1.2.15",
        request("OPTIONS", "To: A, Ann <sip:ann@home.example>", without="To"),
        400,
    ),
    case("badvers", "RFC 4475 3.1.2.16", request("OPTIONS").replace(b"SIP/2.0", b"SIP/9.1"), 505),
    case("mismatch01", "RFC 4475 3.1.2.17", request("OPTIONS", "CSeq: 17 INVITE", without="CSeq"), 400),
    case(
        "mismatch02", "RFC 4475 3.1.2.18", request("DANCE", "CSeq: 17 INVITE", without="CSeq"), 400, 400, 501
    ),
    case("bigcode", "RFC 4475 3.1.2.19", response(f"SIP/2.0 {2**32 + 200} too much"), 400, SILENCE),
)

TRANSACTIONS: Final = (
    case(
        "badbranch",
        "RFC 4475 3.2.1",
        request("OPTIONS", "Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK", without="Via"),
        PARSED,
        401,
    ),
)

APPLICATION: Final = (
    case(
        "insuf",
        "RFC 4475 3.3.1",
        request("INVITE", without="From To Call-ID Max-Forwards"),
        400,
        400,
        SILENCE,
    ),
    case("unkscm", "RFC 4475 3.3.2", request("OPTIONS", uri="neverheardof:allopaque"), PARSED, 416),
    case("novelsc", "RFC 4475 3.3.3", request("OPTIONS", uri="soap.beep://198.51.100.7:3003"), PARSED, 416),
    case(
        "unksm2",
        "RFC 4475 3.3.4",
        request(
            "REGISTER",
            "To: isbn:9780000000002",
            "From: <http://www.away.example>;tag=1",
            "Contact: <name:Ann>",
            without="To From",
        ),
        400,
    ),
    case(
        "bext01",
        "RFC 4475 3.3.5",
        request("OPTIONS", "Require: nobodyHasThis, orThis", "Proxy-Require: norThis"),
        PARSED,
        420,
    ),
    case(
        "invut",
        "RFC 4475 3.3.6",
        request("INVITE", "Content-Type: application/unheard-of", body=b"<call/>"),
        PARSED,
        405,
    ),
    case("regaut01", "RFC 4475 3.3.7", request("REGISTER", "Authorization: Handshake firm=yes"), PARSED, 401),
    case(
        "multi01",
        "RFC 4475 3.3.8",
        request(
            "INVITE",
            "CSeq: 18 INVITE",
            "Call-ID: torture-2@phone.example",
            "From: <sip:bob@away.example>;tag=2",
            "To: <sip:bob@home.example>",
            "Max-Forwards: 5",
            "Contact: <sip:ann@198.51.100.7>",
            "Contact: <sip:ann@198.51.100.8>",
        ),
        400,
    ),
    case(
        "mcl01",
        "RFC 4475 3.3.9",
        request("OPTIONS", "Content-Length: 4", "Content-Type: text/plain", body=b"four or nineteen?.."),
        400,
    ),
    case(
        "bcast",
        "RFC 4475 3.3.10",
        response("SIP/2.0 200 OK", "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK-all"),
        RESPONSE,
        SILENCE,
    ),
    case(
        "zeromf",
        "RFC 4475 3.3.11",
        request("OPTIONS", "Max-Forwards: 0", uri="sip:ann@elsewhere.example", without="Max-Forwards"),
        PARSED,
        483,
        200,
    ),
    case(
        "cparam01",
        "RFC 4475 3.3.12",
        request("REGISTER", "Contact: sip:+15550100@gw.example;newparam"),
        PARSED,
        401,
    ),
    case(
        "cparam02",
        "RFC 4475 3.3.13",
        request("REGISTER", "Contact: <sip:+15550100@gw.example;newparam>"),
        PARSED,
        401,
    ),
    case(
        "regescrt",
        "RFC 4475 3.3.14",
        request("REGISTER", "M: <sip:ann@198.51.100.7?Route=%3Csip:away.example%3E>"),
        PARSED,
        401,
    ),
    case(
        "sdp01",
        "RFC 4475 3.3.15",
        request("INVITE", "Accept: text/unheard-of", "Content-Type: application/sdp", body=SDP),
        PARSED,
        405,
    ),
    case(
        "inv2543",
        "RFC 4475 3.4.1",
        message(
            f"INVITE sip:ann@{HOME} SIP/2.0",
            "Via: SIP/2.0/UDP old.example",
            "From: <sip:+15550100@old.example;user=phone>",
            "Record-Route: <sip:ann@home.example;maddr=edge.example>",
            "To: sip:+15550101@home.example;user=phone",
            "Call-ID: 1717@old.example",
            "CSeq: 56 INVITE",
            "Content-Type: application/sdp",
            body=SDP,
        ),
        PARSED,
        405,
        400,
    ),
)

RFC4475: Final[tuple[Case, ...]] = (*VALID, *INVALID, *TRANSACTIONS, *APPLICATION)
