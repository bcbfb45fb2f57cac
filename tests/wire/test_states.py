"""The numbers of phones by state over the API, as a running server keeps them, loses them and builds them."""

from pathlib import Path
from typing import Any

import pytest

from tests.peers.phone import Account, UdpPhone
from tests.wire.site import Handset, Site, within
from tests.wire.test_doctor import about, ask, checks, run

pytestmark = pytest.mark.wire

AWAY = ("127.0.0.3", 0)


def summary(site: Site) -> dict[str, Any]:
    reply = site.api("GET", "/pbx/sipphone/summary")
    assert reply.status == 200, reply
    body: dict[str, Any] = reply.body
    return body


WHAT = "index of states"


def states(site: Site) -> tuple[int, int, int]:
    """How many phones are online, offline, and without a state; the API keeps the numbers for a second."""
    numbers = summary(site)
    return numbers["online"], numbers["offline"], numbers["neverRegistered"]


def shows(site: Site, online: int, offline: int, never: int) -> None:
    """Wait until the API has these numbers."""
    within(5, lambda: states(site) == (online, offline, never), f"{online}, {offline} and {never} phones")


def listed(site: Site, **filters: str) -> set[str]:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    reply = site.api("GET", f"/pbx/sipphone?{query}")
    assert reply.status == 200, reply
    return {phone["_id"] for phone in reply.body["sipPhones"]}


def keys_of_the_index(site: Site) -> list[str]:
    found: list[str] = site.redis("keys", "registrar:states*")
    return found


def test_the_numbers_follow_the_phones_and_survive_an_upgrade(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site:
        _, _, before = states(site)
        one, two, three = (site.new_phone() for _ in range(3))
        shows(site, 0, 0, before + 3)
        with UdpPhone(one.account, site.sip) as phone, UdpPhone(two.account, site.sip) as other:
            assert phone.register(deadline=8).status == other.register(deadline=8).status == 200
            shows(site, 2, 0, before + 1)
            assert summary(site)["transports"]["udp"] == 2
            assert other.register(0, deadline=8).status == 200
            shows(site, 1, 1, before + 1)
        assert listed(site, state="registered") == {one.id}
        assert listed(site, reason="unregistered", transport="udp") == {two.id}
        assert {one.id, two.id}.isdisjoint(listed(site, state="never"))
        _refuse(site, one, three)
        _doctor_mends(site)
        _doctor_names(site, two)
        reply = site.api("DELETE", f"/pbx/sipphone/{one.id}")
        assert reply.status == 200, reply
        shows(site, 0, 1, before + 1)  # the deleted phone leaves the index
        assert site.redis("del", *keys_of_the_index(site)) > 2, "as an earlier version left Redis"
    with site:
        within(5, lambda: summary(site)["complete"], "the first start walks over all phones")
        shows(site, 0, 1, before + 1)


def _refuse(site: Site, locked: Handset, guessed: Handset) -> None:
    """A phone calls from elsewhere, and a password is wrong: both are told by their address."""
    with UdpPhone(locked.account, site.sip, source=AWAY) as phone:
        assert phone.register(deadline=8).status == 403
    account = guessed.account
    with UdpPhone(Account(account.username, "x" * 32, account.domain), site.sip, source=AWAY) as phone:
        assert phone.register(deadline=8).status in (401, 403)
    within(5, lambda: summary(site)["wrongPasswordsLastHour"] >= 1, "a wrong password is told")
    within(5, lambda: summary(site)["refusedLastHour"] == 1, "the refusal is told")
    reply = site.api("GET", "/pbx/sipphone/refusals")
    (source,) = reply.body
    assert (source["address"], source["reasons"]["ip-locked"]) == (AWAY[0], 1)
    assert source["phones"] == [locked.id, guessed.id]


def _doctor_mends(site: Site) -> None:
    """The index is damaged behind the server's back."""
    right = states(site)
    for key in keys_of_the_index(site):
        if key.endswith(":counts"):
            site.redis("del", key)
    within(5, lambda: states(site) != right, "the numbers are wrong")
    assert about(ask(site), WHAT)[0][0] == "warn"
    folder = Path(site.settings["data_dir"]).parent
    ((level, told),) = about(checks(run(folder, "--json", "--repair", **site.settings)), WHAT)
    assert (level, told.startswith("was wrong and is mended")) == ("ok", True)
    shows(site, *right)


def _doctor_names(site: Site, handset: Handset) -> None:
    """A phone was taken for a deleted one: its status is marked, and it is not in the index."""
    right = states(site)
    customer = site.redis("hget", f"registrar:status:{{{handset.id}}}", "customer")
    site.redis("hset", f"registrar:status:{{{handset.id}}}", "customer", '""')
    site.redis("hdel", f"registrar:states:{{{customer}}}", handset.id)
    ((level, told),) = about(ask(site), WHAT)
    assert level == "warn" and handset.id in told, told
    folder = Path(site.settings["data_dir"]).parent
    run(folder, "--json", "--repair", **site.settings)
    assert about(ask(site), WHAT)[0][0] == "ok"
    shows(site, *right)
