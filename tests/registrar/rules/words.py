"""Phones, bindings and REGISTERs as the tests of the rules write them."""

from dataclasses import replace

from registrar.model import Binding, Epoch, IpMode, Phone
from registrar.rules.register import Origin, Registration, read
from registrar.sip import Request, check, parse

NOW = Epoch(1_790_000_000.0)
DOMAIN = "acme.test"
PHONE = Phone(
    id="0123456789abcdef01234567",
    version=1,
    username="u" * 32,
    domain=DOMAIN,
    customer="c" * 24,
    active=True,
    extension="200",
    password="p" * 32,
    secret_version=1,
    mode=IpMode.OPEN,
)
ORIGIN = Origin(
    transport="udp",
    public_ip="198.51.100.7",
    public_port=5060,
    local_ip="10.0.0.7",
    user_agent="Phone 1.0",
    node="a",
    generation="g1",
    secret_version=1,
)


def request(
    *contacts: str,
    expires: str | None = None,
    call_id: str = "call-1",
    cseq: int = 1,
    method: str = "REGISTER",
    uri: str = f"sip:{DOMAIN}",
    to: str = f"sip:200@{DOMAIN}",
    from_: str = "",
    more: str = "",
) -> Request:
    """A checked request as it comes off the wire; each of `contacts` is one Contact header."""
    rows = "".join(f"Contact: {contact}\r\n" for contact in contacts)
    if expires is not None:
        rows += f"Expires: {expires}\r\n"
    text = (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bK{call_id}{cseq}\r\n"
        f"From: <{from_ or to}>;tag=a\r\nTo: <{to}>\r\n"
        f"Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
        f"Supported: path, outbound\r\n{rows}{more}Content-Length: 0\r\n\r\n"
    )
    message = parse(text.encode())
    assert isinstance(message, Request)
    check(message)
    return message


def asked(*contacts: str, expires: str | None = None, call_id: str = "call-1", cseq: int = 1) -> Registration:
    """What a REGISTER that can be read asks for."""
    registration = read(request(*contacts, expires=expires, call_id=call_id, cseq=cseq))
    assert isinstance(registration, Registration), registration
    return registration


def binding(host: str = "10.0.0.7", **changes: object) -> Binding:
    """A binding of `sip:200@host`, made now from ORIGIN for an hour."""
    made = Binding(
        contact=f"sip:200@{host}",
        expires_at=int(NOW) + 3_600,
        call_id="call-1",
        cseq=1,
        user_agent=ORIGIN.user_agent,
        local_ip=ORIGIN.local_ip,
        public_ip=ORIGIN.public_ip,
        public_port=ORIGIN.public_port,
        transport=ORIGIN.transport,
        node=ORIGIN.node,
        generation=ORIGIN.generation,
        registered_at=int(NOW),
        refreshed_at=int(NOW),
        secret_version=1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the tests name fields that exist
