"""Bindings live and die with their connections: a grace, a replacement, a revocation, an orderly end."""

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.patience import limit
from tests.peers.phone import Account, UdpPhone
from tests.wire.closing import BACK, LEFT, LOST, REUSED, STAYS, STRANGER, Closed, closed_at_once
from tests.wire.conftest import Report
from tests.wire.connected import STREAMS, WEBSOCKETS, ConnectedPhone, connect, registered
from tests.wire.need import rounds
from tests.wire.nodes import Process, flows, process, rows
from tests.wire.site import Handset, Site, kinds, within

pytestmark = pytest.mark.wire

GRACE_SECONDS: Final = 8.0
LATEST_SECONDS: Final = 10.0
"""By then the phone of a closed connection is offline."""
REVOKED_SECONDS: Final = limit(1.0)
PER_PHONE: Final = 4
MAX_CONTACTS: Final = 5
POLICY: Final = 1008
GOING_AWAY: Final = 1001


@pytest.fixture(scope="module")
def beside(streams: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Another process on the same data directory, with listeners of its own."""
    with Site(
        tmp_path_factory.mktemp("beside"),
        tenant=streams.demo(),
        transports=STREAMS,
        data_dir=streams.settings["data_dir"],
        geoip_database=streams.settings["geoip_database"],
    ) as site:
        yield site


# What becomes of bindings whose connection closes: all of them wait for the same eight seconds


@pytest.fixture(scope="module", autouse=True)
def closing(streams: Site) -> Iterator[Closed]:
    """Everything that takes the grace, begun at once; other tests run while it passes."""
    with closed_at_once(streams) as case:
        yield case


@pytest.fixture(scope="module")
def closed(closing: Closed) -> Closed:
    """The same, when nothing happens any more."""
    time.sleep(max(0.0, closing.begun + LATEST_SECONDS + 0.2 - time.monotonic()))
    return closing


# The indexes of a process


def test_a_process_is_known_before_its_phones(streams: Site) -> None:
    here = process(streams)
    assert 0 <= time.time() - int(rows(streams)[here.row]) < 3600
    assert 0 < streams.redis("pttl", here.lease) <= 6000


@pytest.mark.parametrize("transport", STREAMS)
def test_a_phone_stands_in_the_index_as_long_as_it_has_a_connection(transport: str, streams: Site) -> None:
    handset = streams.new_phone()
    with UdpPhone(handset.account, streams.sip) as phone:
        assert phone.register().status == 200
        assert handset.id not in flows(streams), "UDP has no connections"
        with registered(streams, handset, transport) as connected:
            assert handset.id in flows(streams)
            assert connected.register(reuse=True).status == 200
            assert handset.id in flows(streams)
            status = streams.status_hash(handset)
            assert Process(status["node"], status["generation"]) == process(streams)
            assert connected.register(0).status == 200
            within(1, lambda: handset.id not in flows(streams), "it has said goodbye")
        assert streams.status(handset)["online"] is True, "it is still there over UDP"


def test_a_phone_that_moves_to_udp_leaves_the_index(streams: Site) -> None:
    handset = streams.new_phone()
    contact = "<sip:desk@192.168.7.8:5060>"
    with connect(streams, handset, "tcp") as connected, UdpPhone(handset.account, streams.sip) as phone:
        assert connected.register(contact=contact).status == 200
        assert handset.id in flows(streams)
        assert phone.register(contact=contact).status == 200
        within(1, lambda: handset.id not in flows(streams), "its binding needs no connection")
        connected.hang_up()
    assert len(streams.bindings(handset)) == 1


def test_a_phone_that_moves_to_another_process_leaves_the_index_there(streams: Site, beside: Site) -> None:
    handset, instance = streams.new_phone(), str(uuid.uuid4())
    with (
        registered(streams, handset, "tcp", instance=instance),
        registered(beside, handset, "wss", instance=instance) as moved,
    ):
        assert handset.id in flows(beside)
        assert streams.contacts(handset) == {moved.caller.contact}
        assert streams.status_hash(handset)["node"] == process(beside).name


def test_a_phone_leaves_the_index_although_redis_was_away_meanwhile(tmp_path: Path) -> None:
    with Site(tmp_path, transports=["tcp"]) as site:
        handset = site.new_phone()
        with registered(site, handset, "tcp") as phone:
            assert handset.id in flows(site)
            site.redis("client", "kill", "type", "normal")
            within(5, lambda: site.ready() and "Redis is back" in site.log_text, "Redis is back")
            assert phone.register(0).status == 200
            within(1, lambda: handset.id not in flows(site), "it has said goodbye")


# What may not be served any more is hung up on


def _reset(site: Site, handset: Handset) -> None:
    reply = site.api("POST", f"/pbx/sipphone/{handset.id}/resetcredentials")
    assert reply.status == 200, reply


def _delete(site: Site, handset: Handset) -> None:
    reply = site.api("DELETE", f"/pbx/sipphone/{handset.id}")
    assert reply.status in (200, 204), reply


def _lock_elsewhere(site: Site, handset: Handset) -> None:
    site.patch(handset, ip={"mode": "LOCKED", "address": "127.0.0.9"})


def _roam_elsewhere(site: Site, handset: Handset) -> None:
    site.patch(handset, ip={"mode": "ROAMING", "countries": "DK"})


REVOCATIONS: Final[dict[str, tuple[Callable[[Site, Handset], None], str]]] = {
    "reset": (_reset, "revoked"),
    "deleted": (_delete, "revoked"),
    "locked elsewhere": (_lock_elsewhere, "ip-rejected"),
    "roaming elsewhere": (_roam_elsewhere, "ip-rejected"),
}


@pytest.mark.parametrize("transport", STREAMS)
@pytest.mark.parametrize("how", REVOCATIONS)
def test_whoever_is_revoked_is_hung_up_on_at_once(
    how: str, transport: str, streams: Site, beside: Site, report: Report
) -> None:
    """On the process that hears the request, and on another one."""
    revoke, reason = REVOCATIONS[how]
    for server in (streams, beside):
        for _ in range(rounds(1, 12)):
            handset = streams.new_phone()
            with registered(server, handset, transport) as phone:
                began = time.monotonic()
                revoke(streams, handset)
                report(f"{_is_hung_up_on(server, handset, phone, transport, reason, began):.3f} s")


def _is_hung_up_on(
    server: Site, handset: Handset, phone: ConnectedPhone, transport: str, reason: str, began: float
) -> float:
    """How long the revocation took until connection and status were gone."""
    ending = phone.ending(REVOKED_SECONDS)
    assert ending is not None, "the connection is still there"
    assert (ending.how, ending.code) == ("fin", POLICY if transport in WEBSOCKETS else 0)
    left = REVOKED_SECONDS - (time.monotonic() - began)
    within(max(0.0, left), lambda: server.status_hash(handset)["online"] == "0", "its status says so")
    took = time.monotonic() - began
    assert server.status_hash(handset)["reason"] == reason
    within(1, lambda: not server.contacts(handset), "its binding is gone")
    assert kinds(server.journal(handset))[-1] == "revoked"
    assert handset.id not in flows(server)
    return took


@pytest.mark.parametrize("transport", STREAMS)
def test_the_phones_of_a_blocked_customer_are_hung_up_on(
    transport: str, streams: Site, beside: Site, report: Report
) -> None:
    """No route of the API blocks a customer: whoever does it in the database announces it."""
    customer, handsets = _customer_of_its_own(streams, 2)
    sites = (streams, beside)
    phones = [registered(site, handset, transport) for site, handset in zip(sites, handsets, strict=True)]
    began = time.monotonic()
    streams.sql("UPDATE customer SET state = 'BLOCKED', version = version + 1 WHERE oid = ?", customer)
    streams.redis("publish", "registrar:changed", f"'customer {customer}'")
    for site, handset, phone in zip(sites, handsets, phones, strict=True):
        with phone:
            took = _is_hung_up_on(site, handset, phone, transport, "revoked", began)
            report(f"{took:.3f} s")
    again = connect(streams, handsets[0], transport)
    with again:
        assert again.register().status == 403


def _customer_of_its_own(site: Site, phones: int) -> tuple[str, list[Handset]]:
    """A customer with some phones, which name the address of the server as their domain."""
    oid = f"{time.time_ns():024x}"
    site.sql(
        "INSERT INTO customer (oid, created_at, updated_at, name, state, is_reseller, sip_domain, version) "
        "SELECT ?, created_at, updated_at, 'Other', 'ACTIVE', 0, ?, 1 FROM customer WHERE id = 1",
        oid,
        f"{oid}.example",
    )
    made = [site.new_phone(customer=oid, extension=None) for _ in range(phones)]
    return oid, [
        Handset(one.id, Account(one.account.username, one.account.password, "127.0.0.1")) for one in made
    ]


def test_a_change_that_concerns_nobody_hangs_up_on_nobody(streams: Site, beside: Site) -> None:
    handset = streams.new_phone()
    with registered(streams, handset, "tcp") as here, registered(beside, handset, "wss") as there:
        streams.patch(handset, ip={"mode": "LOCKED", "address": "127.0.0.1"}, notes="the same address")
        assert here.ending(1.0) is None
        assert there.ending(0.1) is None
    assert kinds(streams.journal(handset)).count("revoked") == 0


def test_old_credentials_are_refused_and_new_ones_served_on_the_same_kind_of_connection(
    streams: Site, beside: Site
) -> None:
    handset = streams.new_phone()
    with registered(beside, handset, "tls") as phone:
        _reset(streams, handset)
        assert phone.ending(REVOKED_SECONDS) is not None
    with connect(beside, handset, "tls") as old:
        assert old.register().status == 401
    shown = streams.phone(handset)
    renewed = Account(shown["username"], shown["password"], handset.account.domain)
    with registered(beside, Handset(handset.id, renewed), "tls"):
        assert streams.status(handset)["online"] is True


# How many


@pytest.mark.parametrize("transport", STREAMS)
def test_the_fifth_connection_of_a_phone_closes_the_oldest(transport: str, streams: Site) -> None:
    handset = streams.new_phone()
    phones = [registered(streams, handset, transport, instance=str(uuid.uuid4())) for _ in range(PER_PHONE)]
    assert phones[0].ending(0.3) is None
    phones.append(registered(streams, handset, transport, instance=str(uuid.uuid4())))
    ending = phones[0].ending(1.0)
    assert ending is not None
    assert (ending.how, ending.code) == ("fin", POLICY if transport in WEBSOCKETS else 0)
    for phone in phones[1:]:
        assert phone.ending(0.05) is None
        assert phone.register(reuse=True).status == 200
        phone.close()
    phones[0].close()


def test_the_contact_on_a_closed_connection_gives_way_first(streams: Site) -> None:
    """Among five contacts it is not the one that was refreshed longest ago."""
    handset = streams.new_phone()
    with UdpPhone(handset.account, streams.sip) as desk:
        lasting = [f"sip:desk{number}@192.168.7.{number}" for number in range(1, MAX_CONTACTS)]
        for uri in lasting[:2]:
            assert desk.register(contact=f"<{uri}>").status == 200
        time.sleep(1.1)
        softphone = registered(streams, handset, "wss")
        gone = softphone.caller.contact
        for uri in lasting[2:]:
            assert desk.register(contact=f"<{uri}>").status == 200
        assert streams.contacts(handset) == {*lasting, gone}
        before = streams.metric("registrar_connections_closed_total", reason="peer")
        softphone.hang_up()
        within(
            1,
            lambda: streams.metric("registrar_connections_closed_total", reason="peer") > before,
            "it is noticed",
        )
        assert desk.register(contact="<sip:desk9@192.168.7.9>").status == 200
    assert streams.contacts(handset) == {*lasting, "sip:desk9@192.168.7.9"}
    last = streams.journal(handset)[-1]
    assert (last["event"], last["reason"], last["transport"]) == ("lost", "too-many-contacts", "wss")


# The end of a process


def test_an_orderly_end_says_goodbye_to_everybody(tmp_path: Path, report: Report) -> None:
    """To phones, and to connections that have said nothing; some of both do not listen."""
    with Site(tmp_path, transports=STREAMS) as site:
        handset = site.new_phone()
        phones = [(transport, connect(site, handset, transport)) for transport in (*STREAMS, *STREAMS)]
        for _, phone in phones[: len(STREAMS)]:
            assert phone.register().status == 200
        with ThreadPoolExecutor(1) as other:
            began = time.monotonic()
            stopping = other.submit(site.stop)
            endings = [(transport, phone.ending(5.0)) for transport, phone in phones[1:-1]]
            assert stopping.result() == 0
        report(f"ended after {time.monotonic() - began:.2f} s")
        endings += [(transport, phone.ending(1.0)) for transport, phone in (phones[0], phones[-1])]
        for transport, ending in endings:
            assert ending is not None
            code = GOING_AWAY if transport in WEBSOCKETS else 0
            assert (transport, ending.how, ending.code) == (transport, "fin", code)
        for _, phone in phones:
            phone.close()
        assert "Traceback" not in site.log_text


# What has become of the connections that were closed first of all


@pytest.mark.parametrize("name", LOST)
def test_a_phone_is_offline_eight_seconds_after_its_connection(
    name: str, closed: Closed, report: Report
) -> None:
    took = closed.offline_after(name)
    report(f"offline after {took:.2f} s")
    assert GRACE_SECONDS - 0.1 <= took <= limit(LATEST_SECONDS)
    handset = closed.handsets[name]
    status = closed.site.status(handset)
    assert (status["online"], status["expires"], status["reason"]) == (False, -1, "socket-closed")
    assert not closed.site.contacts(handset)
    assert closed.timeline.back(handset, closed.at[name]) is None
    journal = closed.site.journal(handset)
    assert kinds(journal) == ["locked", "registered", "lost"]
    assert (journal[-1]["reason"], journal[-1]["transport"]) == ("socket-closed", name.split()[0])
    assert kinds(closed.site.events(handset)) == ["locked", "registered", "lost"]


@pytest.mark.parametrize("name", BACK)
def test_a_phone_that_comes_back_in_time_was_never_offline(name: str, closed: Closed) -> None:
    handset, phone = closed.handsets[name], closed.phones[name]
    seen = closed.timeline.of(handset)
    online_since = next(look.at for look in seen if look.online)
    assert online_since < closed.at[name]
    assert closed.timeline.offline(handset, online_since) is None
    assert len(closed.timeline.of(handset, closed.at[name])) > 20, "it was looked at all the time"
    assert len(closed.site.bindings(handset)) == 1
    assert seen[-1].port == phone.port, "it is bound to the new connection"
    assert kinds(closed.site.journal(handset)) == ["locked", "registered"]


def test_a_phone_with_another_connection_stays_and_shows_that(closed: Closed) -> None:
    handset, phone = closed.handsets[STAYS], closed.phones[STAYS]
    assert closed.timeline.offline(handset, closed.at[STAYS]) is None
    status = closed.site.status(handset)
    assert (status["online"], status["transport"], status["publicPort"]) == (True, "tls", phone.port)
    assert closed.site.contacts(handset) == {phone.caller.contact}
    assert kinds(closed.site.journal(handset)) == ["locked", "registered", "registered", "lost"]


def test_a_phone_that_says_goodbye_first_is_not_lost(closed: Closed) -> None:
    handset = closed.handsets[LEFT]
    assert closed.site.status(handset)["reason"] == "unregistered"
    assert kinds(closed.site.journal(handset)) == ["locked", "registered", "unregistered"]


def test_a_stranger_on_the_same_port_does_not_keep_a_phone_alive(closed: Closed) -> None:
    assert closed.phones[STRANGER].port == closed.timeline.of(closed.handsets[REUSED])[-1].port
    assert closed.offline_after(REUSED) <= limit(LATEST_SECONDS)
    assert closed.site.status(closed.handsets[REUSED])["reason"] == "socket-closed"
    assert closed.site.status(closed.handsets[STRANGER])["online"] is True
    assert kinds(closed.site.journal(closed.handsets[STRANGER])) == ["locked", "registered"]


def test_a_connection_that_closes_before_its_answer_leaves_no_phone_behind(
    closed: Closed, report: Report
) -> None:
    """Whether such a REGISTER was heard is the network's business: then it ends as any other."""
    journals = [kinds(closed.site.journal(handset)) for handset in closed.cut_off]
    bound = sum("registered" in journal for journal in journals)
    report(f"{bound} of {len(journals)} were bound and lost again")
    assert bound
    for handset, journal in zip(closed.cut_off, journals, strict=True):
        assert journal in ([], ["locked"], ["locked", "registered", "lost"])
        assert not closed.site.contacts(handset)
        assert closed.site.status(handset)["online"] is False


def test_nothing_of_a_closed_connection_is_left_in_the_index(closed: Closed) -> None:
    gone = [closed.handsets[name] for name in (*LOST, LEFT, REUSED)] + closed.cut_off
    there = [closed.handsets[name] for name in (*BACK, STAYS, STRANGER)]
    index = flows(closed.site)
    assert {handset.id for handset in there} <= index
    assert not {handset.id for handset in gone} & index
