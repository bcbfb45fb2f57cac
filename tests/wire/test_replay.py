"""What an eavesdropper has captured opens nothing: nonces are good once, for one address, and only ours."""

import time

import pytest

from tests.peers.phone import UdpPhone
from tests.wire import waits
from tests.wire.credentials import anew, authorized, signed_again, stale
from tests.wire.line import Line
from tests.wire.site import Handset, Site
from tests.wire.waits import TRANSACTION_SECONDS, Waits

pytestmark = pytest.mark.wire


def test_a_captured_register_is_refused_under_a_new_branch(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200
        before = site.stored(handset)
        answer = phone.exchange(anew(phone.sent[-1]))
        assert stale(answer) is True
        assert answer.challenges[0].nonce.encode() not in phone.sent[-1]
        assert site.stored(handset) == before


def test_a_captured_register_is_refused_from_another_address(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone, Line(site.sip, ("127.0.0.8", 0)) as thief:
        assert phone.register().status == 200
        before = site.stored(handset)
        assert stale(thief.ask(anew(phone.sent[-1]))) is True
        assert site.stored(handset) == before


def test_a_captured_register_is_refused_after_the_phone_has_left(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200
        captured = phone.sent[-1]
        assert phone.register(0).status == 200
        before = site.stored(handset)
        assert stale(phone.exchange(anew(captured))) is True
        assert site.stored(handset) == before
        assert site.status(handset)["online"] is False


def test_a_captured_unregister_is_refused_after_the_phone_is_back(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200
        assert phone.register(0).status == 200
        captured = phone.sent[-1]
        assert phone.register().status == 200
        before = site.stored(handset)
        assert stale(phone.exchange(anew(captured))) is True
        assert site.stored(handset) == before


def test_many_registrations_later_it_is_still_refused(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200
        captured = phone.sent[-1]
        for _ in range(12):  # more than the nonces that are kept
            assert phone.register().status == 200
        before = site.stored(handset)
        assert stale(phone.exchange(anew(captured))) is True
        assert site.stored(handset) == before


def test_the_count_of_a_nonce_must_rise(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200
        first = phone.sent[-1]
        assert phone.register(reuse=True).status == 200
        assert b"nc=00000002" in phone.sent[-1]
        assert stale(phone.exchange(anew(first))) is True


def test_another_process_refuses_it_too(site: Site, second: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200
        before = site.stored(handset)
        with Line(second.sip) as thief:
            assert stale(thief.ask(phone.sent[-1])) is True, "byte for byte, there is no transaction there"
            assert stale(thief.ask(anew(phone.sent[-1]))) is True
        assert site.stored(handset) == before


def test_a_process_started_again_refuses_it_too(site: Site, second: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, second.sip) as phone:
        assert phone.register().status == 200
        before = site.stored(handset)
        second.kill9()
        second.start()
        assert stale(phone.exchange(phone.sent[-1])) is True
        assert site.stored(handset) == before


def test_a_nonce_of_one_process_is_good_once_at_another(site: Site, second: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as here, UdpPhone(handset.account, second.sip) as there:
        challenge = here.exchange(here.caller.register())
        assert there.exchange(authorized(there, challenge)).status == 200
        before = site.stored(handset)
        assert stale(here.exchange(authorized(here, challenge))) is True
        assert site.stored(handset) == before


def test_a_nonce_issued_before_a_restart_is_good_after_it(site: Site, second: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, second.sip) as phone:
        challenge = phone.exchange(phone.caller.register())
        second.kill9()
        second.start()
        assert phone.exchange(authorized(phone, challenge)).status == 200


def test_a_nonce_of_another_address_is_stale(site: Site, handset: Handset) -> None:
    with (
        UdpPhone(handset.account, site.sip, source=("127.0.0.2", 0)) as one,
        UdpPhone(handset.account, site.sip, source=("127.0.0.3", 0)) as other,
    ):
        challenge = one.exchange(one.caller.register())
        assert stale(other.exchange(authorized(other, challenge))) is True
        assert site.stored(handset) == ({}, {})
        assert other.register().status == 200


def test_a_nonce_of_another_address_says_nothing_about_a_wrong_password(site: Site, handset: Handset) -> None:
    account = type(handset.account)(handset.account.username, "x" * 32, handset.account.domain)
    with UdpPhone(account, site.sip, source=("127.0.0.2", 0)) as one, UdpPhone(account, site.sip) as other:
        challenge = one.exchange(one.caller.register())
        assert stale(other.exchange(authorized(other, challenge))) is True
        assert other.register().status == 401


def test_a_nonce_that_is_not_ours_is_challenged_plainly(site: Site, handset: Handset) -> None:
    with UdpPhone(handset.account, site.sip) as phone:
        challenge = phone.exchange(phone.caller.register())
        request = authorized(phone, challenge)
        mine = challenge.challenges[0].nonce
        younger = mine[:4] + ("A" if mine[4] != "A" else "B") + mine[5:]
        for forged in ("a" * len(mine), younger, "short"):
            assert stale(phone.exchange(signed_again(phone, request, nonce=forged))) is False
        assert site.stored(handset) == ({}, {})
        assert phone.exchange(request).status == 200, "the real one was not used up"


def test_in_the_end_a_captured_register_is_refused_under_its_own_branch(
    site: Site, long_waits: Waits
) -> None:
    waits.until(time.time() + long_waits.captured_at + TRANSACTION_SECONDS + 1 - time.monotonic())
    before = site.stored(long_waits.quiet)
    assert stale(long_waits.line.exchange(long_waits.captured)) is True
    assert site.stored(long_waits.quiet) == before
