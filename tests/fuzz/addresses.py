"""name-addr, Via, lists, parameters and quoted strings: what is read can be written and read again."""

from collections.abc import Callable
from typing import Final, TypeVar

from registrar.errors import SipError
from registrar.sip import (
    format_params,
    parse_name_addr,
    parse_name_addrs,
    parse_params,
    parse_via,
    quote,
    split,
    unquote,
)

SEEDS: Final = (
    b'0"A \\" B" <sip:a@h;x=1>;tag=1;q=0.5',
    b'1<sip:a@h>;expires=5, sip:b@h;q=1, "x, y" <tel:+1>',
    b"2SIP / 2.0 / UDP [2001:db8::1] : 5060 ;branch=z9hG4bK1;received=192.0.2.1;rport",
    b'3;a=b;c;d="e\\"f";g=[::1]',
    b'4a, "b,c", <d,e>, f',
    b'5say "hi" \\ there',
)
Value = TypeVar("Value")


def check(data: bytes) -> None:
    """The first octet says what the rest is; text is read as headers are."""
    try:
        text = data[1:].decode()
    except UnicodeDecodeError:
        text = data[1:].decode("latin-1")
    if "\n" in text or "\r" in text:
        return  # no value of a header has any
    _READERS[data[0] % len(_READERS) if data else 0](text)


def _known(parse: Callable[[str], Value], text: str) -> list[Value]:
    try:
        return [parse(text)]
    except SipError:
        return []


def _address(text: str) -> None:
    for address in _known(parse_name_addr.__wrapped__, text):
        assert parse_name_addr(str(address)) == address
        assert address.tag is None or isinstance(address.tag, str)


def _addresses(text: str) -> None:
    for addresses in _known(parse_name_addrs, text):
        assert parse_name_addrs(", ".join(map(str, addresses))) == addresses


def _via(text: str) -> None:
    for via in _known(parse_via, text):
        assert parse_via(str(via)) == via
        stamped = via.stamped("203.0.113.9", 31_337)
        assert parse_via(str(stamped)) == stamped
        assert (stamped.branch, stamped.sent_by) == (via.branch, via.sent_by)


def _params(text: str) -> None:
    for params in _known(parse_params, text):
        assert parse_params(format_params(params)) == params


def _list(text: str) -> None:
    for separator in ",;":
        for pieces in _known(lambda whole, by=separator: split(whole, by), text):  # type: ignore[misc]
            assert "".join(pieces).count(" ") <= text.count(" ")
            assert split(separator.join(pieces), separator) == pieces


def _quoted(text: str) -> None:
    quoted = quote(text)
    assert unquote(quoted) == text
    assert split(f"{quoted},{quoted}", ",") == [quoted, quoted]
    unquote(text)


_READERS: Final[tuple[Callable[[str], None], ...]] = (_address, _addresses, _via, _params, _list, _quoted)
