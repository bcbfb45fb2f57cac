"""Nobody learns from an answer which usernames exist: to wrong credentials all answers look alike."""

import re
from dataclasses import dataclass
from typing import Final

import pytest

from tests.peers.phone import Account, Answer, UdpPhone
from tests.wire.guessing import addresses
from tests.wire.site import Site

pytestmark = pytest.mark.wire

WRONG: Final = "w" * 32
SOURCES: Final = addresses(92)
"""A few of its own for each username: others share the server, and its budget of wrong passwords."""
SEEN_BY_ALL: Final = re.compile(rb'(?<=nonce=")[^"]+|(?<=;tag=)[^;\r]+')


@dataclass(frozen=True)
class Shape:
    """What a stranger sees of an answer, without what is random in any case."""

    line: str
    names: tuple[str, ...]
    length: int
    challenge: str

    @classmethod
    def of(cls, answer: Answer) -> "Shape":
        masked = SEEN_BY_ALL.sub(lambda match: b"x" * len(match[0]), answer.raw)
        challenge = re.sub(r'nonce="[^"]+"', "nonce", answer.header("www-authenticate"))
        names = tuple(line.partition(":")[0] for line in masked.decode().split("\r\n")[1:])
        return cls(f"{answer.status} {answer.reason}", names, len(masked), challenge)


@pytest.fixture(scope="module")
def usernames(site: Site) -> dict[str, str]:
    """Usernames that a stranger may try, all of 32 characters."""
    deleted = site.new_phone()
    site.api("DELETE", f"/pbx/sipphone/{deleted.id}")
    registered = site.new_phone()
    with UdpPhone(registered.account, site.sip) as phone:
        assert phone.register().status == 200
    return {
        "nobody": "n" * 32,
        "open": site.new_phone().account.username,
        "registered here": registered.account.username,
        "locked elsewhere": site.new_phone(ip={"mode": "LOCKED", "address": "127.0.0.2"}).account.username,
        "roaming elsewhere": site.new_phone(ip={"mode": "ROAMING", "countries": "DK"}).account.username,
        "of a blocked customer": site.new_blocked_phone().account.username,
        "deleted": deleted.account.username,
    }


def _shapes(site: Site, username: str) -> list[Shape]:
    """The answers to a first REGISTER and to three with wrong credentials, one of them after the lookup."""
    account = Account(username, WRONG, site.demo()["domain"])
    with UdpPhone(account, site.sip, source=next(SOURCES)) as phone:
        phone.caller.call_id = "always-the-same"
        shapes = []
        challenge = phone.exchange(phone.caller.register())
        shapes.append(Shape.of(challenge))
        for _ in range(3):
            phone.caller.learn(challenge)
            line = phone.caller.credentials("REGISTER", f"sip:{account.domain}")
            challenge = phone.exchange(phone.caller.register(extra=[line]))
            shapes.append(Shape.of(challenge))
        return shapes


def test_all_usernames_get_the_same_answers_to_a_wrong_password(
    site: Site, usernames: dict[str, str]
) -> None:
    shapes = {what: _shapes(site, username) for what, username in usernames.items()}
    expected = shapes["nobody"]
    assert {shape.line for shape in expected} == {"401 Unauthorized"}
    assert {what: shape for what, shape in shapes.items() if shape != expected} == {}


def test_options_to_a_user_tells_nothing_either(site: Site, usernames: dict[str, str]) -> None:
    domain = site.demo()["domain"]
    shapes = set()
    for username in usernames.values():
        with UdpPhone(Account("stranger", WRONG, domain), site.sip) as phone:
            phone.caller.call_id = "always-the-same"
            shapes.add(Shape.of(phone.exchange(phone.caller.options(f"sip:{username}@{domain}"))))
    assert len(shapes) == 1, shapes
    assert shapes.pop().line == "401 Unauthorized"
