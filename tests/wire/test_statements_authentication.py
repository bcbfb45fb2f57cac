"""Statements 29 to 40 of docs/rfc.md: who a phone is (RFC 3261 section 22, RFC 7616, RFC 8760)."""

import base64
import os
import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from registrar.model import Epoch
from registrar.rules import nonces
from registrar.store.vault import derive
from tests.methods import OUTSIDE
from tests.peers.phone import Account, Answer, BlockingPhone, Caller
from tests.wire.credentials import anew, authorized, signed_again, stale
from tests.wire.registering import EVERY, on_every_transport, phone_on, send
from tests.wire.site import Customer, Handset, Site
from tests.wire.trial import line

pytestmark = pytest.mark.wire

TWICE_T1_SECONDS: Final = 1.2
"""By then a sender that retransmits would have done it at least once."""
CHALLENGE: Final = re.compile(
    r'Digest realm="[^"]+", nonce="[^"]+", algorithm=[A-Z0-9\-]+, qop="auth"(, stale=true)?'
)


def challenged(phone: BlockingPhone) -> Answer:
    """The first 401 of a phone."""
    answer = phone.exchange(phone.caller.register())
    assert answer.status == 401, answer
    return answer


def stranger(account: Account) -> Account:
    """The same account with another password."""
    return Account(account.username, "w" * 32, account.domain)


# Challenges


@on_every_transport
def test_29_a_registrar_challenges_with_401_and_a_proxy_with_407(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 22.1: 401 for us, 407 and Proxy-Authenticate for another phone."""
    domain = device.account.domain
    with phone_on(streams, transport, device.account) as phone:
        answers = [challenged(phone), phone.exchange(phone.caller.options(f"sip:somebody@{domain}"))]
        assert [answer.status for answer in answers] == [401, 401]
        for answer in answers:
            assert len(answer.all("www-authenticate")) == 1
            assert answer.all("proxy-authenticate") == []
        for method in OUTSIDE:
            answer = phone.exchange(
                phone.caller.request(method, f"sip:somebody@{domain}", f"sip:somebody@{domain}")
            )
            assert answer.status == 407
            assert len(answer.all("proxy-authenticate")) == 1
            assert answer.all("www-authenticate") == []


@on_every_transport
def test_30_basic_is_never_offered_and_never_accepted(transport: str, streams: Site, device: Handset) -> None:
    """RFC 3261 section 22: servers must not challenge for Basic nor take it, however right it is."""
    account = device.account
    secret = base64.b64encode(f"{account.username}:{account.password}".encode()).decode()
    with phone_on(streams, transport, account) as phone:
        for given in ([], [f"Authorization: Basic {secret}"], [f"Authorization: basic {secret}"]):
            answer = phone.exchange(phone.caller.register(extra=given))
            assert answer.status == 401
            assert [value.split()[0] for value in answer.all("www-authenticate")] == ["Digest"]
    assert streams.stored(device) == ({}, {})


@on_every_transport
def test_31_cancel_and_ack_are_never_challenged(transport: str, streams: Site, device: Handset) -> None:
    """RFC 3261 sections 9.2 and 22.1: no answer could be given to it; and an ACK is never answered at all."""
    target = f"sip:somebody@{device.account.domain}"
    with line(streams, transport) as opened:
        caller = Caller(device.account, opened.address, transport=transport.upper())
        assert opened.ask(caller.request("CANCEL", target, target)).status == 481
        assert opened.answers_until_probed(caller.request("ACK", target, target)) == []


@on_every_transport
def test_32_the_credentials_of_an_ack_are_not_asked_again(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 22.1: an ACK repeats the credentials of its INVITE; they are neither checked nor used.

    These are credentials that a REGISTER has used up.
    """
    target = f"sip:somebody@{device.account.domain}"
    with phone_on(streams, transport, device.account) as phone:
        assert phone.register().status == 200
        used = re.findall(r"Authorization: .*(?=\r)", phone.sent[-1].decode())
        before, dropped = streams.stored(device), streams.metric("registrar_sip_dropped_total", reason="ack")
        judged = streams.metric("registrar_digests_total")
        phone.send(phone.caller.request("ACK", target, target, used))
        assert phone.exchange(phone.caller.options()).status == 200
        assert streams.metric("registrar_sip_dropped_total", reason="ack") == dropped + 1
        assert streams.metric("registrar_digests_total") == judged > 0
        assert streams.stored(device) == before


def test_33_a_challenge_is_sent_once(streams: Site, device: Handset) -> None:
    """RFC 3261 section 26.3.2.4: 401 statelessly, once for each request, and not again by itself."""
    target = f"sip:somebody@{device.account.domain}"
    with ExitStack() as stack:
        lines = {name: stack.enter_context(line(streams, name)) for name in EVERY}
        for name, opened in lines.items():
            caller = Caller(device.account, opened.address, transport=name.upper())
            opened.send(caller.register())
            opened.send(caller.request("OPTIONS", target, target))
        until = time.monotonic() + TWICE_T1_SECONDS
        for opened in lines.values():
            answers = opened.answers_within(max(0.05, until - time.monotonic()))
            assert [answer.status for answer in answers] == [401, 401]


def test_34_a_realm_belongs_to_one_tenant(spare: Site, neighbour: Customer) -> None:
    """RFC 3261 section 22.1: globally unique, the tenant's domain; and qop is quoted in a challenge."""
    own = spare.new_phone()
    other = spare.new_phone(customer=neighbour.id, extension=None).account
    realms = []
    for account in (own.account, Account(other.username, other.password, neighbour.domain)):
        with phone_on(spare, "udp", account) as phone:
            answer = challenged(phone)
            realms.append({challenge.realm for challenge in answer.challenges})
            assert all(', qop="auth"' in value for value in answer.all("www-authenticate"))
            assert phone.register().status == 200
            assert re.search(rb", qop=auth[,\r]", phone.sent[-1]), "and a token in the answer to it"
    assert realms == [{own.account.domain}, {neighbour.domain}]
    assert neighbour.domain != own.account.domain


# Nonces


def test_35_stale_is_for_an_old_nonce(streams: Site, device: Handset) -> None:
    """RFC 7616 section 3.3: stale=true when the nonce is invalid.

    RFC 2617 wanted a right digest besides; to check it would be a guess that nobody counts.
    """
    account = device.account
    with (
        phone_on(streams, "udp", account) as phone,
        phone_on(streams, "udp", stranger(account)) as thief,
    ):
        first = challenged(phone)
        assert stale(first) is False
        request = authorized(phone, first)
        wrong = authorized(thief, first)
        assert stale(thief.exchange(wrong)) is False, "a wrong password with a fresh nonce"
        assert phone.exchange(request).status == 200
        assert stale(phone.exchange(anew(request))) is True, "spent"
        assert stale(thief.exchange(anew(wrong))) is False, "spent, and a wrong password"
        expired = _nonce(streams, account.domain, nonces.LIFETIME_SECONDS + 1)
        assert stale(phone.exchange(signed_again(phone, request, nonce=expired))) is True
        assert stale(thief.exchange(signed_again(thief, wrong, nonce=expired))) is True, "it is not looked at"
        fresh = _nonce(streams, account.domain, 1)
        assert phone.exchange(signed_again(phone, authorized(phone, first), nonce=fresh)).status == 200


def _nonce(site: Site, realm: str, age: float) -> str:
    """A nonce that this server would have issued so many seconds ago."""
    secret = (Path(site.settings["data_dir"]) / "secret.key").read_text().strip()
    key = derive(secret, "nonces", nonces.KEY_BYTES)
    return nonces.issue(key, Epoch(time.time() - age), os.urandom(nonces.SALT_BYTES), "127.0.0.1", realm)


@on_every_transport
def test_36_a_nonce_count_must_rise(transport: str, streams: Site, device: Handset) -> None:
    """RFC 7616 section 3.4 and RFC 3261 section 26.4.1: what is not higher is a replay, and stale."""
    with phone_on(streams, transport, device.account) as phone:
        answer = challenged(phone)
        for count, status in (
            ("00000001", 200),
            ("00000001", 401),
            ("0000000a", 200),
            ("00000009", 401),
            ("0000000A", 401),
            ("0000000B", 200),
            ("ffffffff", 200),
            ("ffffffff", 401),
        ):
            got = phone.exchange(signed_again(phone, authorized(phone, answer), nc=count))
            assert (count, got.status) == (count, status)
            if status == 401:
                assert stale(got) is True


@pytest.mark.parametrize("count", ["1", "0000001", "000000001", "0000000g", "-0000001"])
def test_36_a_nonce_count_has_eight_hexadecimal_digits(count: str, streams: Site, device: Handset) -> None:
    """RFC 7616 section 3.4: anything else is malformed, and lets nobody in."""
    with phone_on(streams, "udp", device.account) as phone:
        request = authorized(phone, challenged(phone))
        assert phone.exchange(signed_again(phone, request, nc=count)).status == 400
    assert streams.stored(device) == ({}, {})


# Headers


def test_37_each_algorithm_has_a_header_of_its_own(spare: Site, streams: Site, device: Handset) -> None:
    """RFC 8760 section 2.3: the preferred one first; MD5 alone unless more is asked for (decision 12)."""
    with phone_on(streams, "udp", device.account) as phone:
        assert [challenge.algorithm for challenge in challenged(phone).challenges] == ["MD5"]
    with phone_on(spare, "udp", device.account) as phone:
        answer = challenged(phone)
        assert [challenge.algorithm for challenge in answer.challenges] == ["SHA-256", "MD5"]
        assert len(answer.all("www-authenticate")) == 2
        for header in reversed(answer.all("www-authenticate")):
            single = Answer(401, "", (("www-authenticate", header),), b"")
            assert phone.exchange(authorized(phone, single)).status == 200


@pytest.mark.parametrize("ours_is", ["first", "last"])
@on_every_transport
def test_38_credentials_for_others_are_left_to_others(
    transport: str, ours_is: str, streams: Site, device: Handset
) -> None:
    """RFC 3261 section 22.3: of several Authorization headers the one with our realm and scheme counts."""
    others = [
        'Authorization: Digest username="x", realm="elsewhere.example", nonce="y", uri="sip:x", response="0"',
        "Authorization: Basic dXNlcjpwYXNz",
    ]
    with phone_on(streams, transport, device.account) as phone:
        phone.caller.learn(challenged(phone))
        ours = phone.caller.credentials("REGISTER", f"sip:{device.account.domain}")
        lines = [ours, *others] if ours_is == "first" else [*others, ours]
        assert phone.exchange(phone.caller.register(extra=others)).status == 401
        assert phone.exchange(phone.caller.register(extra=lines)).status == 200


def test_39_authorizations_are_not_joined_by_a_comma(streams: Site, device: Handset) -> None:
    """RFC 3261 section 7.3.1: its commas separate parameters, so that two in one line are malformed."""
    other = 'Digest username="x", realm="elsewhere.example", nonce="y", uri="sip:x", response="0"'
    with phone_on(streams, "udp", device.account) as phone:
        phone.caller.learn(challenged(phone))
        ours = phone.caller.credentials("REGISTER", f"sip:{device.account.domain}")
        for joined in (f"{ours}, {other}", f"Authorization: {other}, {ours.partition(': ')[2]}"):
            assert phone.exchange(phone.caller.register(extra=[joined])).status == 400
        assert streams.stored(device) == ({}, {})
        assert phone.exchange(phone.caller.register(extra=[ours])).status == 200


@on_every_transport
def test_40_challenges_quote_what_is_quoted_and_answers_may_say_more(
    transport: str, streams: Site, device: Handset
) -> None:
    """RFC 7616 section 3.3 and RFC 3261 section 25.1: algorithm and stale are tokens."""
    with phone_on(streams, transport, device.account) as phone:
        first = challenged(phone)
        assert CHALLENGE.fullmatch(first.header("www-authenticate"))
        request = authorized(phone, first)
        more = request.replace(b"Authorization: Digest ", b'Authorization: Digest x-a=b, X-c="d, e", ', 1)
        assert phone.exchange(more).status == 200
        again = phone.exchange(anew(request))
        assert CHALLENGE.fullmatch(again.header("www-authenticate"))
        assert again.header("www-authenticate").endswith(", stale=true")
        assert send(phone).status == 200
