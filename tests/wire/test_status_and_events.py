"""One phone's story over the API: it registers, is refused elsewhere, gets new credentials, comes back."""

import pytest

from tests.peers.phone import Account, UdpPhone
from tests.wire.site import Handset, Site, within

pytestmark = pytest.mark.wire

HOME = ("127.0.0.2", 0)
AWAY = ("127.0.0.3", 0)


def register(site: Site, account: Account, source: tuple[str, int]) -> int:
    with UdpPhone(account, site.sip, source=source) as phone:
        return phone.register(deadline=8).status


def told(site: Site, handset: Handset) -> tuple[str, list[dict[str, object]]]:
    """What the API says of it: the sentence, and the events, the oldest first."""
    reply = site.api("GET", f"/pbx/sipphone/{handset.id}/events")
    assert reply.status == 200, reply
    return reply.body["summary"], reply.body["events"][::-1]


def test_the_api_tells_the_story_of_a_phone_in_order(site: Site, handset: Handset) -> None:
    summary, _ = told(site, handset)
    assert summary.startswith("Never registered (or not within the last 30 days): no REGISTER with its")

    with UdpPhone(handset.account, site.sip, source=HOME) as phone:
        assert phone.register(deadline=8).status == 200
        summary, _ = told(site, handset)
        assert summary.startswith("Online since 20")
        assert "registered from 127.0.0.2:" in summary
        assert phone.register(0, deadline=8).status == 200
    assert register(site, handset.account, AWAY) == 403
    summary, _ = told(site, handset)
    assert summary.startswith("Offline since 20")
    assert summary.endswith(
        ": the phone's address 127.0.0.3 was refused because the phone is locked to 127.0.0.2. "
        "Open it again with ip.mode OPEN."
    )

    site.patch(handset, ip={"mode": "OPEN"})
    assert register(site, handset.account, AWAY) == 200
    reset = site.api("POST", f"/pbx/sipphone/{handset.id}/resetcredentials")
    assert reset.status == 200, reset
    within(5, lambda: not status(site, handset)["online"], "the reset has reached the SIP side")
    summary, _ = told(site, handset)
    assert "its credentials were reset by " in summary
    assert summary.endswith("Give the phone the username and password that it has now.")

    fresh = Account(reset.body["username"], reset.body["password"], handset.account.domain)
    assert register(site, fresh, AWAY) == 200
    _, events = told(site, handset)
    story = [(event["source"], event["event"]) for event in events]
    assert story == [
        ("api", "created"),
        ("sip", "locked"),
        ("sip", "registered"),
        ("sip", "unregistered"),
        ("sip", "rejected"),
        ("api", "updated"),
        ("sip", "locked"),
        ("sip", "registered"),
        ("api", "reset"),
        ("sip", "revoked"),
        ("sip", "registered"),
    ]
    rejected = events[4]
    assert (rejected["reason"], rejected["ip"], rejected["count"]) == ("ip-locked", "127.0.0.3", 1)
    assert {event["level"] for event in events if event["source"] == "api"} == {"ADMIN"}
    assert all(event["by"] for event in events if event["source"] == "api")


def status(site: Site, handset: Handset) -> dict[str, object]:
    """The answer of the route for one status."""
    reply = site.api("GET", f"/pbx/sipphone/{handset.id}/status")
    assert reply.status == 200, reply
    shown: dict[str, object] = reply.body
    return shown


def test_one_status_and_many_say_the_same(site: Site, handset: Handset) -> None:
    other = site.new_phone()
    assert register(site, handset.account, HOME) == 200
    one = status(site, handset)
    assert (one["online"], one["publicIpAddress"], one["transport"]) == (True, "127.0.0.2", "udp")
    assert (one["node"], one["generation"]) != (None, None)
    reply = site.api("POST", "/pbx/sipphone/status", {"ids": [other.id, handset.id, "f" * 24]})
    assert reply.status == 200, reply
    assert [(row["_id"], row["online"]) for row in reply.body["sipPhones"]] == [
        (other.id, False),
        (handset.id, True),
    ]
    assert reply.body["notFound"] == ["f" * 24]
    many = reply.body["sipPhones"][1]
    assert {**many, "expires": 0} == {**one, "expires": 0}
