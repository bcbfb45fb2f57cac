"""Policies and quotas as a phone meets them: set by the API, and felt within a second."""

import asyncio

import pytest

from tests.peers.phone import UdpPhone
from tests.wire.callers import Callers, is_served, talk
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire


def patch(site: Site, path: str, **body: object) -> None:
    reply = site.api("PATCH", path, body)
    assert reply.status == 200, reply


def online(site: Site, phone: str) -> bool:
    return bool(site.api("GET", f"/pbx/sipphone/{phone}/status").body["online"])


def test_a_phone_that_must_use_tls_loses_its_registration_over_udp(site: Site) -> None:
    handset = site.new_phone()
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.register().status == 200
        patch(site, f"/pbx/sipphone/{handset.id}", policy={"tls": True})
        within(5.0, lambda: not online(site, handset.id), "the binding over UDP is gone")
        refused = phone.register()
        assert refused.status == 403 and "TLS or WSS only" in refused.header("warning")
        events = site.api("GET", f"/pbx/sipphone/{handset.id}/events").body
        assert "not-secure" in str(events)
        patch(site, f"/pbx/sipphone/{handset.id}", policy={"tls": None})
        within(5.0, lambda: phone.register().status == 200, "the policy has ended")


async def _customer(callers: Callers, **body: object) -> tuple[str, str]:
    customer, domain = callers.customer()
    patch(callers.site, f"/customer/{customer}", **body)
    await asyncio.to_thread(is_served, callers.site, domain)
    return customer, domain


async def test_a_domain_that_requires_sha256_offers_nothing_else(callers: Callers) -> None:
    customer, domain = await _customer(callers, policy={"sha256": True})
    site, handset = callers.site, callers.extension(customer=customer, domain=domain).handset

    def offered(phone: UdpPhone) -> list[str]:
        return [
            challenge.algorithm
            for challenge in phone.exchange(
                phone.caller.options(f"sip:200@{phone.caller.account.domain}")
            ).challenges
        ]

    def registered() -> int:
        with UdpPhone(handset.account, site.sip) as phone:
            within(5.0, lambda: offered(phone) == ["SHA-256"], "SHA-256 alone is offered")
            return phone.register().status

    assert await asyncio.to_thread(registered) == 200
    elsewhere = site.new_phone()
    with UdpPhone(elsewhere.account, site.sip) as phone:
        assert await asyncio.to_thread(offered, phone) == ["MD5"]


async def test_one_call_too_many_is_busy_until_another_one_ends(callers: Callers) -> None:
    customer, domain = await _customer(callers, quota={"phoneCalls": 1})
    anna, bert = (callers.extension(customer=customer, domain=domain) for _ in range(2))
    a, b = await callers.phone(anna.handset), await callers.phone(bert.handset)
    outgoing, _ = await talk(a, b, bert.number)
    second = await a.call(bert.number)
    refused = await second.final()
    assert refused.status == 486
    assert "this phone has as many calls as it may have at once: 1" in refused.header("warning")
    assert (await outgoing.bye()).status == 200
    third, _ = await talk(a, b, bert.number)
    assert (await third.bye()).status == 200
    assert callers.site.metric("registrar_quota_refusals_total", quota="phone-calls") >= 1
