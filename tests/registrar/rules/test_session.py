"""registrar/rules/session.py: session timers as a proxy sees them (RFC 4028 section 8)."""

import pytest

from registrar.rules.session import asked, granted, is_too_brief
from registrar.sip import Headers, Request, Response
from tests.every import every

from .words import request

SUPPORTED = "Supported: timer\r\n"


def invite(more: str = "", method: str = "INVITE") -> Request:
    made = request("<sip:200@10.0.0.7>", method=method, uri="sip:201@acme.test", more=more)
    made.headers.rows[:] = [
        row for row in made.headers.rows if row != ("supported", "Supported", "path, outbound")
    ]
    return made


def response(status: int = 200, **headers: str) -> Response:
    made = Headers()
    for name, value in headers.items():
        made.add(name.replace("_", "-"), value)
    return Response(status, "OK", made)


@every(
    ("more", "added"),
    [
        pytest.param("", {"Session-Expires": "1800"}, id="nobody asked: we do"),
        pytest.param(SUPPORTED, {"Session-Expires": "1800"}, id="who supports it and has not asked"),
        pytest.param("Min-SE: 600\r\n", {"Session-Expires": "1800"}, id="a least time that is less"),
        pytest.param("Min-SE: 2400\r\n", {"Session-Expires": "2400"}, id="a least time that is more"),
        pytest.param("Session-Expires: 300;refresher=uac\r\n", {}, id="somebody asked: as it is"),
        pytest.param("x: 300\r\n", {}, id="its short name"),
        pytest.param(
            "Session-Expires: 30\r\n",
            {"Session-Expires": "90", "Min-SE": "90"},
            id="too brief, by who cannot know",
        ),
        pytest.param("Session-Expires: soon\r\n", {"Session-Expires": "1800"}, id="what is no number"),
    ],
)
def test_what_a_request_gets_on_its_way(more: str, added: dict[str, str]) -> None:
    if more.startswith("x:"):
        assert dict(asked(invite("Session-Expires: 300\r\n"))) == {}
    assert dict(asked(invite(more))) == added
    assert dict(asked(invite(more, "UPDATE"))) == added


@pytest.mark.parametrize(
    ("more", "brief"),
    [
        pytest.param(f"{SUPPORTED}Session-Expires: 89\r\n", True, id="89 s"),
        pytest.param(f"{SUPPORTED}Session-Expires: 90\r\n", False, id="90 s"),
        pytest.param(f"{SUPPORTED}Session-Expires: 0\r\n", True, id="none at all"),
        pytest.param(
            "Supported: 100rel, TIMER\r\nSession-Expires: 30;refresher=uas\r\n", True, id="in a list"
        ),
        pytest.param("Session-Expires: 30\r\n", False, id="who does not know 422 is not told"),
        pytest.param(SUPPORTED, False, id="nothing asked"),
    ],
)
def test_what_is_refused_with_422(more: str, brief: bool) -> None:
    assert is_too_brief(invite(more)) is brief


@every(
    ("more", "answer", "added", "seconds"),
    [
        pytest.param(
            SUPPORTED,
            response(Session_Expires="600;refresher=uas"),
            {},
            600,
            id="the callee does it: as it is",
        ),
        pytest.param(
            SUPPORTED,
            response(),
            {"Session-Expires": "1800;refresher=uac", "Require": "timer"},
            1800,
            id="the callee knows nothing of it: the caller refreshes",
        ),
        pytest.param(
            f"{SUPPORTED}Session-Expires: 300\r\n",
            response(),
            {"Session-Expires": "300;refresher=uac", "Require": "timer"},
            300,
            id="for as long as the caller asked",
        ),
        pytest.param(
            f"{SUPPORTED}Min-SE: 2400\r\n",
            response(),
            {"Session-Expires": "2400;refresher=uac", "Require": "timer"},
            2400,
            id="never less than its least time",
        ),
        pytest.param(
            SUPPORTED,
            response(Require="100rel"),
            {"Session-Expires": "1800;refresher=uac", "Require": "100rel, timer"},
            1800,
            id="what is required stays required",
        ),
        pytest.param("", response(), {}, 0, id="neither knows it: nothing runs out"),
        pytest.param("", response(Session_Expires="600;refresher=uas"), {}, 600, id="the callee alone"),
        pytest.param(SUPPORTED, response(180), {}, 0, id="a provisional answer"),
        pytest.param(SUPPORTED, response(422), {}, 0, id="a refusal"),
    ],
)
def test_what_an_answer_gets_on_its_way(
    more: str, answer: Response, added: dict[str, str], seconds: int
) -> None:
    extra, lasts = granted(invite(more), answer)
    assert (dict(extra), lasts) == (added, seconds)
