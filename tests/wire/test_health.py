"""Redis away: what is asked gets an honest answer, what is new is told to wait, nothing is called offline."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.patience import limit
from tests.peers.phone import Answer, UdpPhone
from tests.peers.redis import RedisServer
from tests.peers.registrar import Reply
from tests.wire import waits
from tests.wire.conftest import Report
from tests.wire.need import need
from tests.wire.site import Handset, Site, within

pytestmark = pytest.mark.wire

BACK_SECONDS: Final = limit(2.0)
NOTICED_SECONDS: Final = limit(2.0)


@dataclass(frozen=True)
class Pair:
    """A server and the Redis that it was told to use."""

    redis: RedisServer
    site: Site


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both, the server started first: Redis is not there yet."""
    need("redis-server", "redis-cli")
    folder = tmp_path_factory.mktemp("health")
    redis = RedisServer(folder)
    site = Site(folder, redis_url=redis.url)
    with site.begun():
        try:
            yield Pair(redis, site)
        finally:
            redis.stop()


def _register(site: Site, handset: Handset, expires: int = 3600) -> Answer:
    with UdpPhone(handset.account, site.sip) as phone:
        return phone.register(expires)


def _is_away(pair: Pair, handset: Handset) -> None:
    """Everything that is said while Redis is away."""
    site = pair.site
    assert site.health("live") == 200
    assert site.health("ready") == 503
    assert site.api("GET", "/health/ready").body["parts"]["redis"].startswith("down")
    refused = _register(site, handset)
    assert refused.status == 503
    assert int(refused.header("retry-after")) > 0
    listed = site.api("GET", "/pbx/sipphone?full=true")
    assert (listed.status, _x_status(listed)) == (200, "unavailable")
    shown = {phone["_id"]: phone["status"] for phone in listed.body["sipPhones"]}
    assert {(status["online"], status["expires"]) for status in shown.values()} == {(None, None)}
    brief = site.api("GET", "/pbx/sipphone").body["sipPhones"]
    assert {phone["online"] for phone in brief} == {None}
    with UdpPhone(handset.account, site.sip) as phone:
        assert phone.exchange(phone.caller.options()).status == 200


def _x_status(reply: Reply) -> str:
    return {name.lower(): value for name, value in reply.headers.items()}.get("x-status", "")


def _is_good(pair: Pair, handset: Handset) -> None:
    site = pair.site
    assert _register(site, handset).status == 200
    listed = site.api("GET", "/pbx/sipphone?full=true")
    assert _x_status(listed) == ""
    shown = {phone["_id"]: phone["status"]["online"] for phone in listed.body["sipPhones"]}
    assert shown[handset.id] is True


def test_it_starts_without_redis_and_connects_by_itself(pair: Pair, report: Report) -> None:
    handset = pair.site.new_phone()
    within(10, lambda: _listens(pair.site), "SIP is answered")
    _is_away(pair, handset)
    pair.redis.start()
    took = within(BACK_SECONDS, pair.site.ready, "ready")
    report(f"ready {took:.2f} s after Redis had started")
    _is_good(pair, handset)


def _listens(site: Site) -> bool:
    with UdpPhone(site.accounts()[0], site.sip) as phone:
        try:
            return phone.exchange(phone.caller.options(), deadline=0.2).status == 200
        except (TimeoutError, OSError):
            return False


def test_redis_goes_away_and_comes_back(pair: Pair, report: Report) -> None:
    site = pair.site
    if not pair.redis.running:  # whatever ran before
        pair.redis.start()
    within(10, site.ready, "ready")
    held, fresh = site.new_phone(), site.new_phone()
    with UdpPhone(held.account, site.sip) as phone:
        assert phone.register().status == 200
        began = int(site.location(held)["v"])
        waits.until(int(site.status_hash(held)["lastSeen"]) + 1)  # moments are kept in whole seconds
        pair.redis.kill9()
        within(NOTICED_SECONDS, lambda: site.health("ready") == 503, "it is noticed")
        _is_away(pair, fresh)
        refreshed = phone.register()
        assert refreshed.status == 200
        assert refreshed.granted(phone.caller.contact) == 60, "what this node holds is granted a minute"
        other = phone.register(contact="<sip:new@192.168.7.10>")
        assert other.status == 503, "a new contact is not"
        assert phone.register(0).status == 503, "and no end can be promised"
        pair.redis.start()
        took = within(BACK_SECONDS, site.ready, "ready")
        report(f"ready {took:.2f} s after Redis was back")
        _is_good(pair, fresh)
        within(BACK_SECONDS, lambda: int(site.location(held)["v"]) > began, "the promise is written")
        assert site.status(held)["online"] is True
        assert 0 < site.status(held)["expires"] <= 60
        assert site.contacts(held) == {phone.caller.contact}
    assert site.metric("registrar_unhandled_exceptions_total") == 0
