"""The board with 5,000 phones of three customers in every state, and 200 changes a second; SOAK=1 alone."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers import procfs
from tests.peers.board_page import BoardPage
from tests.peers.browser import Browser
from tests.wire.conftest import Report, write_countries
from tests.wire.crowd import Crew, Crowd, each, settle
from tests.wire.need import need_browser
from tests.wire.operators import Operators
from tests.wire.site import Handset, Site

pytestmark = [
    pytest.mark.wire,
    pytest.mark.soak,
]

PHONES: Final = 5_000
DEMO_PHONES: Final = 5
"""The oldest; after them come those of the customers."""
ROW: Final = 52
"""The height of a row in pixels."""
SHORT_SECONDS: Final = 60
"""The shortest registration: these phones expire while the others come."""
LOST: Final = 150
"""Phones of the process that is killed, over UDP and as many over TCP."""
CHANGES_A_SECOND: Final = 200
WINDOW_SECONDS: Final = 30.0
BEHIND_SECONDS: Final = 2.0
BUSY_CORES: Final = 0.3
REASONS: Final = (
    "unregistered",
    "expired",
    "socket-closed",
    "ping-timeout",
    "revoked",
    "ip-rejected",
    "node-lost",
)
ELSEWHERE: Final = ("127.0.0.2", 0)
PICTURES: Final = Path(os.environ.get("BOARD_PICTURES", ""))
"""Where pictures for people go, if they are wanted."""
Large = tuple[Crowd, Crew, asyncio.Runner]
WATCH: Final = """
(() => {
  const { phone } = %s;
  window.seen = [];
  const look = () => {
    const text = document.querySelector(`.all .row:has(a[data-id='${phone}']) .mood`)?.textContent ?? '';
    if (text && text !== window.seen.at(-1)?.text) window.seen.push({ at: Date.now() / 1000, text });
  };
  look();
  new MutationObserver(look).observe(document.querySelector('.all'),
    { subtree: true, childList: true, characterData: true });
})()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_browser()
    folder = tmp_path_factory.mktemp("large")
    countries = folder / "country.mmdb"
    write_countries(countries, {"127.0.0.0/31": "DK", "127.0.0.2/31": "SE"})
    with Site(folder, transports=("tcp",), geoip_database=str(countries)) as site:
        site.demo()
        yield site


@pytest.fixture(scope="module")
def crowd(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    lost = Site(
        tmp_path_factory.mktemp("lost"),
        tenant=site.demo(),
        transports=("tcp",),
        data_dir=site.settings["data_dir"],
        ping_seconds="2",
    )
    with asyncio.Runner() as runner:
        crowd = runner.run(settle(site, PHONES))
        site.restart()  # it knows the domains from its start
        crew, doomed = Crew(site), Crew(lost)
        try:
            with lost:
                runner.run(into_every_state(site, lost, crowd, crew, doomed))
                yield crowd, crew, runner
        finally:
            runner.run(crew.close())
            runner.run(doomed.close())


async def into_every_state(site: Site, lost: Site, crowd: Crowd, crew: Crew, of_lost: Crew) -> None:
    """A fifth never registers; of the others most are online, and each reason has some."""
    rest = [handset for place, handset in enumerate(crowd.handsets) if place % 5 != 4]
    left, expired, closed, revoked, moved = (rest[number::40] for number in range(5))
    others = [handset for place, handset in enumerate(rest) if place % 40 > 4]
    doomed, online = others[-2 * LOST :], others[: -2 * LOST]
    await each(expired, lambda one: crew.udp(one, expires=SHORT_SECONDS))
    await each(doomed[::2], of_lost.udp)
    await each(doomed[1::2], of_lost.tcp)
    await each(online[::10], crew.tcp)
    await each([one for place, one in enumerate(online) if place % 10], crew.udp)
    await each([*left, *revoked, *moved], crew.udp)
    await each([*left, *moved], lambda one: crew.udp(one, expires=0))
    await each(moved, lambda one: crew.ask(one, ELSEWHERE))
    await each(closed, lambda one: hang_up(crew, one))
    for one in revoked[:20]:
        await asyncio.to_thread(site.api, "POST", f"/pbx/sipphone/{one.id}/resetcredentials")
    await until(site, "ping-timeout")
    lost.kill9()
    for reason in REASONS:
        await until(site, reason)


async def hang_up(crew: Crew, handset: Handset) -> None:
    (await crew.tcp(handset)).close()


async def until(site: Site, reason: str) -> None:
    """Wait until some phones are offline for this reason."""
    for _ in range(240):
        summary = await asyncio.to_thread(summary_of, site)
        if summary["reasons"][reason]:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"no phone is {reason}: {summary}")


def summary_of(site: Site) -> dict[str, Any]:
    reply = site.api("GET", "/pbx/sipphone/summary?customer=all")
    assert reply.status == 200, reply
    return dict(reply.body)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


def counts(page: BoardPage, number: int) -> bool:
    return page.text_of(".count").startswith(f"{number:,} phone")


def picture(page: BoardPage, name: str, *, width: int = 1280, dark: bool = False) -> None:
    if PICTURES.name:
        page.tab.screenshot(PICTURES / f"{name}.png", width=width, height=800, dark=dark)


def test_every_state_of_three_customers_is_shown(
    site: Site, crowd: Large, browser: Browser, report: Report
) -> None:
    people = Operators(site, browser)
    page = people.board("ADMIN")
    total = PHONES + DEMO_PHONES
    page.until("all", lambda: page.text_of(".count") == f"{total:,} phones", 30.0)
    page.tab.evaluate(f"document.querySelector('.scroller').scrollTop = {ROW * DEMO_PHONES}; undefined")
    page.until("rows", lambda: len(page.rows()) > DEMO_PHONES)
    picture(page, "phones")
    picture(page, "phones-dark", dark=True)
    picture(page, "phones-320", width=320)
    shown = summary_of(site)
    for reason in REASONS:
        page.go(f"#/phones?reason={reason}&sort=number")
        page.until(reason, partial(counts, page, shown["reasons"][reason]), 30.0)
        picture(page, f"reason-{reason}")
    page.go(f"#/phones/{next(iter(page.rows()))}")
    page.until("a phone", lambda: page.exists(".sentence"))
    picture(page, "phone")
    picture(page, "phone-dark", dark=True)
    picture(page, "phone-320", width=320)
    page.go("#/security")
    page.until("refusals", lambda: page.exists("tbody th"))
    picture(page, "security")
    page.go("#/phones?sort=person")
    page.until("all", lambda: page.text_of(".count") == f"{total:,} phones", 30.0)
    begin = time.monotonic()
    page.tab.evaluate("document.querySelector('.scroller').scrollTop = 1e9; undefined")
    last = f".all .row[aria-rowindex='{total + 1}'] a"
    page.until("its end", lambda: page.exists(last))
    report(f"board, {total:,} phones: its end is there {time.monotonic() - begin:.2f} s after a jump to it")
    people.close()


def test_it_follows_200_changes_a_second(site: Site, crowd: Large, browser: Browser, report: Report) -> None:
    phones, crew, runner = crowd
    people = Operators(site, browser)
    page = people.board("ADMIN")
    page.until("rows", lambda: len(page.rows()) > 10, 30.0)
    shown = list(page.rows())
    watched = next(one for one in phones.handsets if one.id in shown)
    page.tab.evaluate(WATCH % json.dumps({"phone": watched.id}))
    busy = [one for one in phones.handsets[:1_000] if one is not watched]
    before, begin = procfs.cpu_seconds(browser.family), time.monotonic()
    told = runner.run(changing(crew, busy, watched))
    seconds = time.monotonic() - begin
    cores = (procfs.cpu_seconds(browser.family) - before) / seconds
    time.sleep(BEHIND_SECONDS)
    seen = page.tab.evaluate("window.seen")
    lags = [behind(at, text, seen) for at, text in told.marks]
    rate = told.changes / seconds
    report(f"board: {rate:.0f} changes a second, at most {max(lags):.2f} s behind, {cores:.0%} of a core")
    assert rate > CHANGES_A_SECOND * 0.95
    assert max(lags) < BEHIND_SECONDS
    assert cores < BUSY_CORES
    people.close()


class Told:
    """What was changed: how much, and the changes of the watched phone with their moments."""

    def __init__(self) -> None:
        self.changes = 0
        self.marks: list[tuple[float, str]] = []


async def changing(crew: Crew, busy: list[Handset], watched: Handset) -> Told:
    """Have phones come and go, and a watched one among them every 1.5 s."""
    told = Told()
    turn = asyncio.create_task(marks(crew, watched, told))
    begin, sent, tasks = time.monotonic(), 0, set[asyncio.Task[int]]()
    while time.monotonic() < begin + WINDOW_SECONDS:
        while sent < (time.monotonic() - begin) * CHANGES_A_SECOND:
            expires = 3600 if sent // len(busy) % 2 else 0
            tasks.add(asyncio.create_task(crew.ask(busy[sent % len(busy)], expires=expires)))
            sent += 1
        await asyncio.sleep(0.01)
    turn.cancel()
    answers = await asyncio.gather(*tasks)
    told.changes = sum(1 for status in answers if status == 200)
    return told


async def marks(crew: Crew, watched: Handset, told: Told) -> None:
    online = False
    while True:
        online = not online
        await crew.udp(watched, expires=3600 if online else 0)
        told.marks.append((time.time(), "Online" if online else "Offline: signed off"))
        await asyncio.sleep(1.5)


def behind(at: float, text: str, seen: list[dict[str, Any]]) -> float:
    """How long after a change the board showed it; infinite if it did not."""
    return min((one["at"] - at for one in seen if one["text"] == text and one["at"] > at - 0.5), default=99.0)
