"""Thousands of sipp calls between registered phones: none fails, and nothing of them is left behind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from registrar.store import keys
from tests.bench.calls_phones import make_extensions
from tests.peers.ports import free_port
from tests.peers.registrar import DOMAIN, NO_QUOTAS
from tests.peers.rtpengine import Rtpengine
from tests.peers.sipp_calls import Callees, Callers, CallPace, CallResult, Credentials, Phones
from tests.wire.conftest import Report
from tests.wire.need import in_soak, need, rounds
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire

CALLS: Final = rounds(250, 10_000)
PHONES: Final = 80
IN_FLIGHT: Final = 20
TALK_SECONDS: Final = 0.05
"""Short: no test may take longer than two minutes."""
SECRET_KEY: Final = "calls-" * 8
OPEN: Final = "registrar_calls_open"


@contextmanager
def _exchange(tmp: Path, media: str = "auto", relay: str = "") -> Iterator[tuple[Site, Phones, Phones]]:
    """A server, phones that call and phones that are called, all of them registered."""
    # sipp sends the calls of all phones from one port
    settings = dict(NO_QUOTAS, secret_key=SECRET_KEY, media=media, rtpengine=relay, limits="off")
    site = Site(tmp, **settings)  # type: ignore[arg-type]  # by name
    site.command("migrate")
    site.demo()
    extensions = make_extensions(site.database, SECRET_KEY, DOMAIN, PHONES)
    callers = Phones(extensions[: PHONES // 2], site.sip, free_port())
    callees = Phones(extensions[PHONES // 2 :], site.sip, free_port())
    with site:
        callers.register()
        callees.register()
        with Callees(tmp, callees):
            yield site, callers, callees


def _call(
    tmp: Path, site: Site, callers: Phones, callees: Phones, pace: CallPace, watch: Callable[[], object]
) -> CallResult:
    """All calls; `watch` becomes true while they go on."""
    with Callers(tmp, callers, callees.extensions, pace) as running:
        within(10, lambda: site.metric(OPEN) > 0 and _left(site), "calls are seen while they are there")
        within(10, watch, "what is watched is seen while they are there")
        return running.result()


def _left(site: Site) -> list[str]:
    """What Redis has of calls that are there."""
    return [
        key for pattern in ("call:*", "node-calls:*") for key in site.redis("keys", f"registrar:{pattern}")
    ]


def _is_empty(site: Site) -> bool:
    listed = site.redis("keys", keys.calls("*"))
    return not _left(site) and not any(site.redis("zcard", key) for key in listed)


def _check(result: CallResult, site: Site, pace: CallPace) -> None:
    assert (result.succeeded, result.failed) == (pace.calls, 0), f"{result.codes}\n{result.errors}"
    within(5, lambda: _is_empty(site), "Redis has no calls left")
    assert f"\n{OPEN} " in site.api("GET", "/metrics", token="").body
    assert site.metric(OPEN) == 0


@pytest.mark.parametrize("credentials", [Credentials.CHALLENGED, in_soak(Credentials.KNOWN)])
def test_no_call_fails_and_none_is_left(credentials: Credentials, tmp_path: Path, report: Report) -> None:
    need("sipp", "redis-cli")
    pace = CallPace(CALLS, IN_FLIGHT, talk=TALK_SECONDS, credentials=credentials)
    with _exchange(tmp_path) as (site, callers, callees):
        result = _call(tmp_path, site, callers, callees, pace, lambda: True)
        _check(result, site, pace)
    report(f"{CALLS:,} calls ({credentials}): {result.per_second:.0f}/s, setup p99 {result.p99_ms:.1f} ms")


def test_relayed_calls_leave_no_session(tmp_path: Path, report: Report) -> None:
    need("sipp", "redis-cli", "rtpengine")
    pace = CallPace(CALLS, IN_FLIGHT, talk=TALK_SECONDS)
    with (
        Rtpengine(tmp_path) as relay,
        _exchange(tmp_path, media="always", relay=relay.name) as (site, callers, callees),
    ):
        result = _call(tmp_path, site, callers, callees, pace, relay.sessions)
        _check(result, site, pace)
        within(5, lambda: not relay.sessions(), "the relay has no session left")
    report(f"{CALLS:,} relayed calls: {result.per_second:.0f}/s, setup p99 {result.p99_ms:.1f} ms")
