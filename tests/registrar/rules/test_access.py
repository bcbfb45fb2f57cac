"""registrar/rules/access.py: the customer's state, the three modes, and what counts as one address."""

from dataclasses import replace
from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registrar.errors import StoreUnavailable
from registrar.model import Allow, Decision, Deny, Flow, IpMode, Phone, Terms
from registrar.rules.access import Access, folded, network, same_place
from tests.every import every
from tests.patience import SOAK

from .words import PHONE

HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"
COUNTRIES = {HOME: "DK", ELSEWHERE: "SE"}
PROXIES = (ip_network("192.0.2.0/24"), ip_network("2001:db8:ffff::/48"))

OPEN = PHONE
DOMAIN = replace(PHONE, by_domain=True)
"""Bound to its domain's trusted networks, of which there are none."""
BOUND = replace(
    DOMAIN, networks=(network("198.51.100.0/28"), network("10.0.20.10/24"), network("2001:db8:a::/48"))
)
LOCKED = replace(PHONE, mode=IpMode.LOCKED, address=HOME)
ROAMING = replace(PHONE, mode=IpMode.ROAMING, countries=("DK", "NO"))


def without_file(_address: str) -> str | None:
    raise StoreUnavailable("there is no country file")


ACCESS = Access(COUNTRIES.get, proxies=PROXIES)
BLIND = Access(without_file, proxies=PROXIES)


@every(
    ("phone", "address", "first_contact", "decision"),
    [
        pytest.param(OPEN, HOME, True, Allow(lock=True), id="the first contact of an OPEN phone locks it"),
        pytest.param(OPEN, HOME, False, Allow(), id="a question of an OPEN phone does not lock it"),
        pytest.param(OPEN, "127.0.0.1", True, Allow(lock=True), id="loopback locks like any other"),
        pytest.param(OPEN, "10.1.2.3", True, Allow(lock=True), id="a private address locks like any other"),
        pytest.param(OPEN, "192.0.2.1", True, Deny("proxy-address"), id="nothing locks to a proxy"),
        pytest.param(
            OPEN, "::ffff:192.0.2.1", True, Deny("proxy-address"), id="nothing locks to a mapped proxy"
        ),
        pytest.param(
            OPEN, "2001:db8:ffff::1", True, Deny("proxy-address"), id="nothing locks to a proxy of IPv6"
        ),
        pytest.param(OPEN, "192.0.2.1", False, Allow(), id="a question by way of a proxy is answered"),
        pytest.param(LOCKED, HOME, True, Allow(), id="a LOCKED phone at its address"),
        pytest.param(LOCKED, f"::ffff:{HOME}", True, Allow(), id="a LOCKED phone at its address, mapped"),
        pytest.param(LOCKED, ELSEWHERE, True, Deny("ip-locked"), id="a LOCKED phone elsewhere"),
        pytest.param(LOCKED, ELSEWHERE, False, Deny("ip-locked"), id="a LOCKED phone that asks elsewhere"),
        pytest.param(
            replace(LOCKED, address=""), HOME, True, Deny("ip-locked"), id="LOCKED to nothing is nowhere"
        ),
        pytest.param(
            replace(LOCKED, address=""), "", True, Deny("ip-locked"), id="LOCKED to nothing from nowhere"
        ),
        pytest.param(
            replace(LOCKED, address="junk"), HOME, True, Deny("ip-locked"), id="LOCKED to what is no address"
        ),
        pytest.param(ROAMING, HOME, True, Allow(), id="a ROAMING phone in its country"),
        pytest.param(ROAMING, ELSEWHERE, True, Deny("country-refused"), id="a ROAMING phone abroad"),
        pytest.param(ROAMING, "10.1.2.3", True, Deny("country-unknown"), id="a ROAMING phone nowhere known"),
        pytest.param(
            replace(ROAMING, countries=()),
            HOME,
            True,
            Deny("country-refused"),
            id="ROAMING without countries",
        ),
        pytest.param(DOMAIN, ELSEWHERE, True, Allow(), id="a domain without networks, and no lock"),
        pytest.param(DOMAIN, "192.0.2.1", True, Allow(), id="nothing is locked, so a proxy is as good"),
        pytest.param(DOMAIN, "", False, Allow(), id="without networks nobody asks for the address"),
        pytest.param(BOUND, HOME, True, Allow(), id="inside a network of the domain"),
        pytest.param(BOUND, f"::ffff:{HOME}", False, Allow(), id="inside, mapped"),
        pytest.param(BOUND, "10.0.20.255", True, Allow(), id="inside one that was written with a host"),
        pytest.param(BOUND, "2001:db8:a:ffff::1", True, Allow(), id="inside one of IPv6"),
        pytest.param(BOUND, ELSEWHERE, True, Deny("untrusted-network"), id="outside all networks"),
        pytest.param(BOUND, "198.51.100.16", False, Deny("untrusted-network"), id="just outside"),
        pytest.param(BOUND, "2001:db8:b::1", True, Deny("untrusted-network"), id="outside, IPv6"),
        pytest.param(BOUND, "", True, Deny("untrusted-network"), id="from nowhere"),
        pytest.param(BOUND, "junk", True, Deny("untrusted-network"), id="from what is no address"),
        pytest.param(
            replace(BOUND, mode=IpMode.LOCKED, address=ELSEWHERE),
            HOME,
            True,
            Allow(),
            id="its mode is unused",
        ),
        pytest.param(
            replace(BOUND, active=False),
            HOME,
            True,
            Deny("customer-inactive"),
            id="a blocked customer, DOMAIN",
        ),
        pytest.param(
            replace(OPEN, active=False), HOME, True, Deny("customer-inactive"), id="a blocked customer, OPEN"
        ),
        pytest.param(
            replace(LOCKED, active=False),
            HOME,
            True,
            Deny("customer-inactive"),
            id="a blocked customer, LOCKED",
        ),
    ],
)
def test_the_rule(phone: Phone, address: str, first_contact: bool, decision: Decision) -> None:
    assert ACCESS.decide(phone, address, "udp", first_contact=first_contact) == decision


@pytest.mark.parametrize(
    ("transport", "decision"),
    [
        ("udp", Deny("not-secure")),
        ("tcp", Deny("not-secure")),
        ("ws", Deny("not-secure")),
        ("tls", Allow(lock=True)),
        ("wss", Allow(lock=True)),
    ],
)
def test_a_phone_that_must_use_tls(transport: str, decision: Decision) -> None:
    strict = replace(OPEN, terms=Terms(tls=True))
    assert ACCESS.decide(strict, HOME, transport, first_contact=True) == decision
    flow = Flow(transport, "192.0.2.9", 5060, HOME, 5060)
    assert ACCESS.may_come(strict, flow) == isinstance(decision, Allow)
    assert ACCESS.may_come(OPEN, flow)


@pytest.mark.parametrize(
    ("phone", "decision"),
    [
        pytest.param(DOMAIN, Deny("networks-missing"), id="without networks, from nowhere"),
        pytest.param(BOUND, Allow(), id="inside one"),
        pytest.param(OPEN, Allow(), id="a phone with a lock of its own"),
    ],
)
def test_users_that_need_a_trusted_network(phone: Phone, decision: Decision) -> None:
    strict = replace(phone, terms=Terms(networks=True))
    assert ACCESS.decide(strict, HOME, "udp", first_contact=False) == decision


@pytest.mark.parametrize(
    ("phone", "decision"),
    [
        pytest.param(OPEN, Allow(lock=True), id="OPEN works"),
        pytest.param(LOCKED, Allow(), id="LOCKED works"),
        pytest.param(ROAMING, Deny("no-country-file"), id="ROAMING is refused with its reason"),
    ],
)
def test_without_a_country_file(phone: Phone, decision: Decision) -> None:
    assert BLIND.decide(phone, HOME, "udp", first_contact=True) == decision


def test_a_service_for_one_cluster_refuses_the_phones_of_others() -> None:
    second = Access(COUNTRIES.get, cluster=2)
    assert second.decide(OPEN, HOME, "udp", first_contact=True) == Deny("other-cluster")
    assert second.decide(replace(OPEN, cluster=2), HOME, "udp", first_contact=True) == Allow(lock=True)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        pytest.param("10.0.20.10/24", "10.0.20.0/24", id="with a host"),
        pytest.param("192.0.2.1", "192.0.2.1/32", id="one address"),
        pytest.param("::ffff:192.0.2.0/120", "192.0.2.0/24", id="IPv4-mapped"),
        pytest.param("::ffff:0.0.0.0/96", "0.0.0.0/0", id="all of IPv4, mapped"),
        pytest.param("::ffff:0:0/95", "::fffe:0:0/95", id="more than IPv4"),
        pytest.param("2001:DB8::1/32", "2001:db8::/32", id="IPv6"),
    ],
)
def test_a_network_is_read_as(text: str, canonical: str) -> None:
    assert str(network(text)) == canonical


@pytest.mark.parametrize("text", ["", "nonsense", "10.0.0.0/33", "10.0.0/8", "::/129"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        network(text)


@every(
    ("one", "other", "prefix", "same"),
    [
        pytest.param("2001:db8::1", "2001:db8::2", 64, True, id="a privacy address of the same network"),
        pytest.param("2001:db8::1", "2001:db8:0:1::1", 64, False, id="the network beside"),
        pytest.param("2001:db8::1", "2001:db8::2", 128, False, id="another host, when hosts count"),
        pytest.param("2001:db8::1", "2001:0DB8:0::1", 128, True, id="the same host in another spelling"),
        pytest.param("2001:db8::1", "3001:db8::1", 1, True, id="one bit"),
        pytest.param("::1", "127.0.0.1", 64, False, id="loopback of two families"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", 64, True, id="IPv4-mapped"),
        pytest.param("::ffff:192.0.2.1", "::ffff:192.0.2.2", 64, False, id="two IPv4-mapped of one network"),
        pytest.param("192.0.2.1", "192.0.2.2", 1, False, id="IPv4 has no prefix"),
        pytest.param("192.0.2.1", "192.0.2.01", 64, False, id="an IPv4 address with a leading zero is none"),
        pytest.param("", "192.0.2.1", 64, False, id="nothing"),
        pytest.param("", "", 64, False, id="nothing twice"),
    ],
)
def test_what_counts_as_one_place(one: str, other: str, prefix: int, same: bool) -> None:
    assert same_place(one, other, prefix) is same
    assert same_place(other, one, prefix) is same


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        pytest.param("192.0.2.1", "192.0.2.1", id="IPv4"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", id="IPv4-mapped"),
        pytest.param("::ffff:c000:201", "192.0.2.1", id="IPv4-mapped in hexadecimal"),
        pytest.param("2001:DB8:0:0::1", "2001:db8::1", id="IPv6"),
        pytest.param("fe80::1%eth0", "fe80::1", id="a zone"),
    ],
)
def test_an_address_has_one_text(address: str, canonical: str) -> None:
    assert folded(address) == canonical
    assert folded(canonical) == canonical


def allows(phone: Phone, address: str, countries: dict[str, str] | None, cluster: int | None) -> bool:
    """The reference: when may a phone be served at all?"""
    if not phone.active or (cluster is not None and cluster != phone.cluster):
        return False
    try:
        place = ip_address(address)
    except ValueError:
        return False
    if isinstance(place, IPv6Address) and place.ipv4_mapped is not None:
        place = place.ipv4_mapped
    if phone.mode is IpMode.OPEN:
        return not any(place in proxy for proxy in PROXIES if proxy.version == place.version)
    if phone.mode is IpMode.ROAMING:
        country = countries.get(address) if countries is not None else None
        return bool(country) and country in phone.countries
    try:
        home = ip_address(phone.address)
    except ValueError:
        return False
    if isinstance(home, IPv6Address) and home.ipv4_mapped is not None:
        home = home.ipv4_mapped
    if home.version == place.version == 6:
        return home.packed[:8] == place.packed[:8]
    return home == place


ADDRESSES = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.ip_addresses(v=4).map("::ffff:{}".format),
    st.sampled_from([HOME, ELSEWHERE, f"::ffff:{HOME}", "192.0.2.1", "2001:db8:ffff::2", "", "junk"]),
)
CODES = st.sampled_from(["DK", "SE", "dk", "", "EU"])


@settings(max_examples=500 if SOAK else 150, deadline=None)
@given(
    mode=st.sampled_from(IpMode),
    home=ADDRESSES,
    address=ADDRESSES,
    listed=st.lists(CODES, max_size=3),
    country=st.none() | CODES,
    file=st.booleans(),
    active=st.booleans(),
    cluster=st.sampled_from([None, 1, 2]),
)
@example(IpMode.LOCKED, "", "", [], None, True, True, None)
@example(IpMode.ROAMING, "", HOME, [""], "", True, True, None)
def test_nothing_is_allowed_that_the_reference_refuses(
    mode: IpMode,
    home: str,
    address: str,
    listed: list[str],
    country: str | None,
    file: bool,
    active: bool,
    cluster: int | None,
) -> None:
    """E15: no fault of an address, a list or a file opens the door; an exception is a refusal too."""
    phone = replace(PHONE, mode=mode, address=home, countries=tuple(listed), active=active)
    known = {address: country} if country is not None and address not in ("", "junk") else {}
    access = Access(known.get if file else without_file, proxies=PROXIES, cluster=cluster)
    try:
        decision = access.decide(phone, address, "udp", first_contact=True)
    except ValueError:
        return
    if isinstance(decision, Allow):
        assert allows(phone, address, known if file else None, cluster)
        assert decision.lock == (mode is IpMode.OPEN)
    else:
        assert not allows(phone, address, known if file else None, cluster)
