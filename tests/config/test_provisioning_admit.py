"""Which requests for a file are served, refused, or answered as if nothing were there."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.provisioning.admit import (
    NO_FILE,
    UNKNOWN,
    Expectation,
    Grant,
    NotFound,
    Refuse,
    Serve,
    Way,
    admit,
    is_expected,
)
from config.provisioning.files import Meant
from registrar.model import Epoch, IpMode, Phone
from registrar.rules.access import Access

NOW = Epoch(1_000_000.0)
HERE, THERE, PROXY = "192.0.2.5", "192.0.2.6", "10.0.0.1"
ACCESS = Access({HERE: "DK", THERE: "SE"}.get, proxies=[ip_network("10.0.0.0/8")])
OPEN = Phone("a" * 24, 1, "user", "acme.test", "c" * 24, True, "200", "secret", 1, IpMode.OPEN)
LOCKED = replace(OPEN, id="b" * 24, mode=IpMode.LOCKED, address=HERE)
ELSEWHERE = replace(LOCKED, id="d" * 24, address=THERE)
ROAMING = replace(OPEN, id="e" * 24, mode=IpMode.ROAMING, countries=("DK",))
DOMAIN = replace(OPEN, id="f" * 24, by_domain=True, networks=(ip_network("192.0.2.5/32"),))
FIRST = Grant(Way.FIRST, "000413922D24", (OPEN,), first_until=Epoch(NOW + 60))
STEADY = replace(FIRST, way=Way.STEADY)


def asked(
    grant: Grant | None, source: str = HERE, meant: Meant | None = Meant.CONFIG, now: Epoch = NOW
) -> Serve | NotFound | Refuse:
    return admit(grant, meant, source, now, ACCESS)


def test_the_first_use_of_a_first_secret_locks_the_phone_and_begins_a_session() -> None:
    assert asked(FIRST) == Serve(FIRST, Meant.CONFIG, (OPEN.id,), begins=True)


def test_the_source_of_the_session_may_use_the_first_secret_again() -> None:
    used = replace(
        FIRST, phones=(LOCKED,), session_source=HERE, session_until=Epoch(NOW + 10), first_until=Epoch(0)
    )
    assert asked(used) == Serve(used, Meant.CONFIG)
    assert asked(used, THERE) == UNKNOWN
    assert asked(used, now=Epoch(NOW + 10)) == UNKNOWN


def test_a_session_of_ipv6_is_one_network_of_64_bits() -> None:
    used = replace(FIRST, session_source="2001:db8:1::/64", session_until=Epoch(NOW + 10))
    assert isinstance(asked(used, "2001:db8:1::77"), Serve)
    assert asked(used, "2001:db8:2::77") == UNKNOWN


def test_a_first_secret_ends_if_its_phone_does_not_come() -> None:
    assert asked(FIRST, now=Epoch(NOW + 60)) == UNKNOWN
    assert asked(replace(FIRST, first_until=None)) == UNKNOWN


def test_the_steady_secret_ends_a_first_one_that_was_used() -> None:
    used = replace(STEADY, session_source=HERE, session_until=Epoch(NOW - 5))
    assert asked(used) == Serve(used, Meant.CONFIG, (OPEN.id,), ends_first=True)
    assert asked(STEADY) == Serve(STEADY, Meant.CONFIG, (OPEN.id,))


@pytest.mark.parametrize(
    ("phone", "source", "expected"),
    [
        pytest.param(LOCKED, THERE, "ip-locked", id="locked to another address"),
        pytest.param(ROAMING, THERE, "country-refused", id="roaming, another country"),
        pytest.param(DOMAIN, THERE, "untrusted-network", id="another network than the domain's"),
        pytest.param(OPEN, PROXY, "proxy-address", id="the proxy itself"),
        pytest.param(LOCKED, HERE, "", id="locked to this address"),
        pytest.param(ROAMING, HERE, "", id="roaming, its country"),
        pytest.param(DOMAIN, HERE, "", id="a network of the domain"),
    ],
)
def test_the_access_rule_is_that_of_a_register(phone: Phone, source: str, expected: str) -> None:
    grant = replace(STEADY, phones=(phone,))
    wanted = Refuse(phone, expected) if expected else Serve(grant, Meant.CONFIG)
    assert asked(grant, source) == wanted


def test_a_base_is_served_if_all_of_its_handsets_may_come_from_there() -> None:
    grant = replace(FIRST, phones=(OPEN, LOCKED, replace(OPEN, id="1" * 24)))
    assert asked(grant) == Serve(grant, Meant.CONFIG, (OPEN.id, "1" * 24), begins=True)
    assert asked(replace(grant, phones=(OPEN, ELSEWHERE))) == Refuse(ELSEWHERE, "ip-locked")


@pytest.mark.parametrize("meant", [Meant.STUB, Meant.COMMON, Meant.ASSET])
def test_files_without_an_account_lock_nothing(meant: Meant) -> None:
    assert asked(FIRST, meant=meant) == Serve(FIRST, meant)
    assert asked(FIRST, PROXY, meant) == Serve(FIRST, meant)


def test_a_wrong_name_below_a_right_secret_is_no_guess() -> None:
    assert asked(FIRST, meant=None) == NO_FILE


@pytest.mark.parametrize(
    "grant",
    [None, replace(FIRST, phones=()), replace(FIRST, phones=(replace(OPEN, active=False),))],
    ids=["unknown secret", "no phone", "customer not active"],
)
def test_what_is_unknown_is_a_guess(grant: Grant | None) -> None:
    assert asked(grant) == UNKNOWN


def test_a_link_is_used_up() -> None:
    link = replace(STEADY, way=Way.LINK, file="linphone.xml")
    assert asked(link) == Serve(link, Meant.CONFIG, (OPEN.id,), spends=True)
    assert asked(link, meant=Meant.ASSET) == Serve(link, Meant.ASSET)


PHONES = st.sampled_from([OPEN, LOCKED, ELSEWHERE, ROAMING, DOMAIN, replace(OPEN, active=False)])
TIMES = st.none() | st.floats(0, 2_000_000).map(Epoch)
GRANTS = st.builds(
    Grant,
    st.sampled_from(Way),
    st.just("000413922D24"),
    st.lists(PHONES, max_size=3).map(tuple),
    TIMES,
    st.sampled_from(["", HERE, THERE]),
    TIMES,
)


@given(
    st.none() | GRANTS,
    st.none() | st.sampled_from(Meant),
    st.sampled_from([HERE, THERE, PROXY, "2001:db8::1", "::ffff:192.0.2.5"]),
)
def test_it_is_total_and_locks_only_open_phones(
    grant: Grant | None, meant: Meant | None, source: str
) -> None:
    decision = asked(grant, source, meant)
    if isinstance(decision, Serve):
        assert grant is not None
        is_open = {phone.id for phone in grant.phones if phone.mode is IpMode.OPEN and not phone.by_domain}
        assert set(decision.lock) == (is_open if meant is Meant.CONFIG else set())
        assert decision.writes <= (meant is Meant.CONFIG)


@pytest.mark.parametrize(
    ("expectation", "expected"),
    [
        pytest.param(None, False, id="none"),
        pytest.param(Expectation(Epoch(NOW + 1)), True, id="from anywhere"),
        pytest.param(Expectation(NOW), False, id="its time is over"),
        pytest.param(Expectation(Epoch(NOW + 1), "192.0.2.0/24,2001:db8::/32"), True, id="in a network"),
        pytest.param(Expectation(Epoch(NOW + 1), "198.51.100.0/24"), False, id="in none of the networks"),
        pytest.param(Expectation(Epoch(NOW + 1), source=HERE), True, id="the same source again"),
        pytest.param(Expectation(Epoch(NOW + 1), source=THERE), False, id="another source was first"),
    ],
)
def test_an_expected_phone_may_ask_without_a_secret(expectation: Expectation | None, expected: bool) -> None:
    assert is_expected(expectation, HERE, NOW) is expected


def test_text_that_is_no_address_is_in_no_network() -> None:
    assert not is_expected(Expectation(Epoch(NOW + 1), "192.0.2.0/24"), "testclient", NOW)
