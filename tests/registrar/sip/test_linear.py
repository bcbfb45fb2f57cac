"""No text takes more than linear time, whatever it is made of."""

from collections.abc import Callable
from contextlib import suppress
from time import thread_time

import pytest

from registrar.errors import SipError
from registrar.sip import (
    Headers,
    Request,
    check,
    parse,
    parse_credentials,
    parse_name_addr,
    parse_name_addrs,
    parse_params,
    parse_uri,
    parse_via,
    quote,
    split,
    unquote,
)
from tests.every import every

SIZE = 8_192
LIMITED = 480
"""A URI has at most 1,024 characters."""
RATIO = 3.0
"""Quadratic time gives 4."""
ATTEMPTS = 20
HEAD = b"OPTIONS sip:h SIP/2.0\r\n"


def commas(text: str) -> object:
    """The pieces between commas."""
    return split(text, ",")


def lines(text: str) -> object:
    """A message whose headers are pieces of `text`, as long as they may be."""
    pieces = [f"X: {text[start : start + 2_000]}" for start in range(0, len(text), 2_000)]
    return parse(HEAD + "\r\n".join([*pieces, "", ""]).encode())


def checked(name: str, prefix: str = "") -> Callable[[str], object]:
    """A scan of a request with that one header, whatever its length."""
    sound = {"via": "SIP/2.0/UDP h", "from": "<sip:a@b>", "to": "<sip:a@b>", "call-id": "1", "cseq": "1 A"}

    def work(text: str) -> None:
        rows = [(key, key, value) for key, value in (sound | {name: prefix + text}).items()]
        check(Request("A", "sip:h", Headers(rows)))

    return work


@every(
    ("work", "head", "unit", "tail", "size"),
    [
        pytest.param(commas, '"', ",", "", SIZE, id="list: commas in an open quote"),
        pytest.param(commas, "", "<", "", SIZE, id="list: open brackets"),
        pytest.param(commas, "", '"a",', "", SIZE, id="list: many quotes"),
        pytest.param(commas, "", '\\"', '"', SIZE, id="list: quoted quotes"),
        pytest.param(parse_params, "", ";a", ";", SIZE, id="params: many"),
        pytest.param(parse_params, ";", " ", "", SIZE, id="params: blanks"),
        pytest.param(parse_params, "", "; ", "", SIZE, id="params: no names"),
        pytest.param(parse_params, ';a="', '\\"', "", SIZE, id="params: open quote"),
        pytest.param(parse_params, "", ';a="\\"', "", SIZE, id="params: many open quotes"),
        pytest.param(parse_name_addr.__wrapped__, '"', '\\"', "", SIZE, id="address: open quote"),
        pytest.param(parse_name_addr.__wrapped__, "", " ", "<", SIZE, id="address: blanks"),
        pytest.param(parse_name_addr.__wrapped__, "", "a ", "<", SIZE, id="address: words"),
        pytest.param(parse_name_addr.__wrapped__, "", "(", "", SIZE, id="address: nested comments"),
        pytest.param(parse_name_addrs, "", "<sip:a@b>,", "<", SIZE, id="addresses: many"),
        pytest.param(parse_via, "SIP", " ", "", SIZE, id="Via: blanks"),
        pytest.param(parse_via, "SIP/2.0/UDP a", " ", "x", SIZE, id="Via: blanks after the host"),
        pytest.param(parse_via, "SIP/2.0/UDP [", ":", "]", SIZE, id="Via: colons"),
        pytest.param(parse_credentials, "Digest", " ", "", SIZE, id="digest: blanks"),
        pytest.param(parse_credentials, "Digest ", ",", "", SIZE, id="digest: commas"),
        pytest.param(parse_credentials, "Digest ", "a=b,", "", SIZE, id="digest: one name"),
        pytest.param(parse_credentials, 'Digest a="', '\\"', "", SIZE, id="digest: open quote"),
        pytest.param(parse_credentials, "Digest ", 'a="\\"', "", SIZE, id="digest: many open quotes"),
        pytest.param(unquote, '"', '\\"', '"', SIZE, id="unquote"),
        pytest.param(quote, "", '"', "", SIZE, id="quote"),
        pytest.param(lines, "\x01", '"\\', "", SIZE // 2 - 200, id="message: open quotes and a control"),
        pytest.param(lines, "\x01", '"\\\x02', "", SIZE // 2 - 200, id="message: quoted controls"),
        pytest.param(lines, "", "\r\n ", "", 180, id="message: folds"),
        pytest.param(lines, "", " ", "", SIZE // 2 - 200, id="message: blanks"),
        pytest.param(checked("cseq"), "", "0", "x", SIZE, id="CSeq: zeros"),
        pytest.param(checked("cseq", "1"), "", " ", "(", SIZE, id="CSeq: blanks"),
        pytest.param(checked("call-id"), "", "a", ",", SIZE, id="Call-ID"),
        pytest.param(checked("content-type", "a"), "", " ", "", SIZE, id="Content-Type: blanks"),
        pytest.param(checked("date"), "", "Mon, ", "", SIZE, id="Date"),
        pytest.param(parse_uri.__wrapped__, "sip:", "%41", "%", LIMITED, id="URI: escapes"),
        pytest.param(parse_uri.__wrapped__, "sip:a", ";a=b", "\x00", LIMITED, id="URI: parameters"),
        pytest.param(parse_uri.__wrapped__, "sip:a?", "a=b&", "", LIMITED, id="URI: headers"),
        pytest.param(parse_uri.__wrapped__, "sip:", "a:", "", LIMITED, id="URI: colons"),
    ],
)
def test_twice_the_text_takes_twice_the_time(
    work: Callable[[str], object], head: str, unit: str, tail: str, size: int
) -> None:
    def text(length: int) -> str:
        return head + unit * (length // len(unit)) + tail

    short, long = text(size), text(2 * size)
    ratios = (seconds(work, long) / seconds(work, short) for _ in range(ATTEMPTS))
    assert any(ratio <= RATIO for ratio in ratios)


def seconds(work: Callable[[str], object], text: str) -> float:
    """What CPU time one call takes at best: what else the machine does is not counted."""
    best = float("inf")
    for _ in range(7):
        started = thread_time()
        with suppress(SipError):
            work(text)
        best = min(best, thread_time() - started)
    return best
