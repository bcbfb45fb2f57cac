"""registrar/rules/hold.py: who holds a call, as its session descriptions say."""

import pytest

from registrar.rules.hold import Direction, direction, holds
from tests.every import every

HEAD = "v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nt=0 0\r\n"
AUDIO = "m=audio 4000 RTP/AVP 8\r\n"
ADDRESS = "c=IN IP4 10.0.0.7\r\n"
NOWHERE = "c=IN IP4 0.0.0.0\r\n"


@every(
    ("lines", "said"),
    [
        pytest.param(ADDRESS + AUDIO, "sendrecv", id="nothing is said"),
        pytest.param(ADDRESS + AUDIO + "a=sendrecv\r\n", "sendrecv", id="both ways"),
        pytest.param(ADDRESS + AUDIO + "a=sendonly\r\n", "sendonly", id="hold with music"),
        pytest.param(ADDRESS + AUDIO + "a=inactive\r\n", "inactive", id="hold"),
        pytest.param(ADDRESS + AUDIO + "a=recvonly\r\n", "recvonly", id="is held"),
        pytest.param(ADDRESS + "a=sendonly\r\n" + AUDIO, "sendonly", id="for the session"),
        pytest.param("a=sendonly\r\n" + AUDIO + "a=sendrecv\r\n", "sendrecv", id="the stream wins"),
        pytest.param(AUDIO + "m=video 5000 RTP/AVP 96\r\na=inactive\r\n", "sendrecv", id="video alone"),
        pytest.param("m=audio 0 RTP/AVP 8\r\na=sendonly\r\n" + AUDIO, "sendrecv", id="a refused stream"),
        pytest.param(NOWHERE + AUDIO, "inactive", id="RFC 2543"),
        pytest.param("c=IN IP6 ::\r\n" + AUDIO, "inactive", id="RFC 2543 over IPv6"),
        pytest.param(NOWHERE + AUDIO + ADDRESS, "sendrecv", id="the address of the stream wins"),
        pytest.param(NOWHERE + AUDIO + "a=recvonly\r\n", "recvonly", id="an attribute wins"),
        pytest.param(NOWHERE + AUDIO + "a=ice-ufrag:x\r\n", "sendrecv", id="a browser"),
        pytest.param("", "sendrecv", id="no stream"),
    ],
)
def test_the_direction_of_a_description(lines: str, said: str) -> None:
    assert direction((HEAD + lines).encode()) == said


def test_any_bytes_have_a_direction() -> None:
    assert direction(b"\xff\nm=\na=inactive") is Direction.SENDRECV


@pytest.mark.parametrize(
    ("said", "before", "other", "after"),
    [
        (Direction.SENDONLY, False, False, True),
        (Direction.INACTIVE, False, False, True),
        (Direction.SENDRECV, True, False, False),
        (Direction.RECVONLY, True, True, False),
        (Direction.SENDONLY, False, True, True),
        (Direction.INACTIVE, False, True, False),
        (Direction.INACTIVE, True, True, True),
    ],
)
def test_who_holds_a_call(said: Direction, before: bool, other: bool, after: bool) -> None:
    assert holds(said, before=before, other=other) is after
