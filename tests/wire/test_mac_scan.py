"""A scan of MAC addresses: it finds nothing, and nothing in an answer tells a known address from another.

Check 5 of the acceptance checks of provisioning. The names are those that phones of each brand ask for, as
public sources list them; they do not come from the program.
"""

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

import pytest

from tests.patience import SOAK
from tests.wire.conftest import Report
from tests.wire.need import need, rounds
from tests.wire.phone_files import Asker, Boxed, BoxSite, Told

pytestmark = pytest.mark.wire

MACS: Final = rounds(40, 5_000)
EACH: Final = rounds(1, 10)
"""Known phones of each model, for each of the two ways of waiting."""
SAMPLES: Final = 20_000
"""Requests of each kind whose time is compared."""
APART: Final = 0.05
MISSES: Final = 9_000
"""After so many misses the scan goes on from another address: the limit would hide what is looked for."""
ELSEWHERE: Final = ["192.0.2.0/24"]
"""Networks that no request of the scan comes from."""


@dataclass(frozen=True)
class Brand:
    """What phones of a brand ask for, and how they call themselves."""

    models: tuple[str, ...]
    oui: str
    agent: str
    of_mac: tuple[str, ...]
    """Names with the MAC address: in upper case, or in lower case."""
    common: tuple[str, ...] = ()
    """Names without one: these may be answered with where to load from."""


BRANDS: Final = (
    Brand(
        ("D785", "D865", "M400"),
        "000413",
        "Mozilla/4.0 (compatible; snomD785-SIP 10.1.33.33 2010.12 {MAC} SXM:0 UXM:0)",
        ("{MAC}.xml", "snomD785-{MAC}.htm"),
        ("snomD785.htm",),
    ),
    Brand(
        ("6867i",),
        "00085D",
        "Aastra6867i MAC:{MAC} V:4.2.0.181-SIP",
        ("{MAC}.cfg", "{MAC}.tuz"),
        ("startup.cfg", "aastra.cfg", "6867i.cfg"),
    ),
    Brand(
        ("T46U", "W60B"),
        "805EC0",
        "Yealink SIP-T46U 108.86.0.20 {mac}",
        ("{mac}.boot", "{mac}.cfg"),
        ("y000000000000.boot", "y000000000108.cfg"),
    ),
    Brand(
        ("N510 IP PRO", "N870 IP PRO", "Maxwell 3"),
        "7C2F80",
        "N510 IP PRO/42.258.00.000.000;{MAC}",
        ("{MAC}.xml",),
        ("provisioning.xml", "42/2/master.bin"),
    ),
    Brand(
        ("GRP2614",),
        "000B82",
        "Grandstream Model HW GRP2614 SW 1.0.7.97 DevId {mac}",
        ("cfg{mac}", "cfg{mac}.xml", "dev{mac}.cfg"),
        ("cfggrp2614.xml", "cfg.xml"),
    ),
    Brand(
        ("SPA504G", "8841 MPP"),
        "0002FD",
        "Cisco/SPA504G-7.4.8a ({MAC})(CBT141400UK)",
        ("{mac}.xml", "ATA{MAC}.cnf.xml"),
        ("spa504G.cfg", "8841.xml"),
    ),
    Brand(("LIP-8002",), "B40EDC", "LG LIP-8002 {MAC}", ("{MAC}",), ("sysconf_LIP-8002_sip.cfg",)),
)
WRONG_SECRET: Final = "a" * 26


@dataclass(frozen=True)
class Sought:
    """A MAC address that the scan asks for; `of` is the phone with it, if there is one."""

    mac: str
    brand: Brand
    of: Boxed | None = None

    def named(self, pattern: str) -> str:
        return pattern.replace("{MAC}", self.mac).replace("{mac}", self.mac.lower())

    @property
    def config(self) -> str:
        """The path of the name that its configuration would have."""
        known = "/" + self.named(self.brand.of_mac[0]) if self.of is None else self.of.path
        return "/" + known.rpartition("/")[2]


class Scanner:
    """Asks from one address until its misses are used up, then from the next one."""

    def __init__(self, site: BoxSite) -> None:
        self._site = site
        self._sources = (f"127.77.{number // 250}.{1 + number % 250}" for number in count())
        self._left = 0
        self._asker: Asker | None = None

    def ask(self, path: str, agent: str = "") -> Told:
        if self._asker is None or self._left == 0:
            self.close()
            self._asker, self._left = Asker(self._site.files, next(self._sources)), MISSES
        self._left -= 1
        return self._asker.ask(path, agent)

    def close(self) -> None:
        if self._asker is not None:
            self._asker.__exit__(None, None, None)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoxSite]:
    need("redis-cli")
    with BoxSite(tmp_path_factory.mktemp("scanned"), prov_misses="10000", log_level="warning") as site:
        yield site


@pytest.fixture(scope="module")
def known(server: BoxSite) -> list[Sought]:
    """Phones of each brand: armed ones, and ones that staff expects from another network."""
    found = []
    pairs = [(brand, model) for brand in BRANDS for model in brand.models]
    for number, (brand, model) in enumerate(pairs):
        for turn in range(EACH * 2):
            mac = f"{brand.oui}{number:02X}{turn:04X}"
            order: dict[str, object] = {"expect": True, "networks": ELSEWHERE} if turn % 2 else {}
            found.append(Sought(mac, brand, server.box(model, mac, **order)))
    return found


@pytest.fixture
def scanner(server: BoxSite) -> Iterator[Scanner]:
    made = Scanner(server)
    yield made
    made.close()


def strangers(number: int, known: list[Sought]) -> list[Sought]:
    """MAC addresses without a phone, of the same vendors."""
    taken, found = {sought.mac for sought in known}, list[Sought]()
    while len(found) < number:
        brand = BRANDS[len(found) % len(BRANDS)]
        mac = f"{brand.oui}{random.randrange(1 << 24):06X}"
        if mac not in taken:
            found.append(Sought(mac, brand))
    return found


def test_check_05_a_scan_finds_nothing(
    server: BoxSite, known: list[Sought], scanner: Scanner, report: Report
) -> None:
    unknown = scanner.ask(f"/p/{WRONG_SECRET}/none.xml")
    assert unknown.status == 404
    scanned = [*known, *strangers(MACS - len(known), known)]
    random.shuffle(scanned)
    every = [pattern for brand in BRANDS for pattern in brand.of_mac]
    asked = 0
    for sought in scanned:
        for pattern in every:
            name = sought.named(pattern)
            for path in (f"/{name}", f"/p/{WRONG_SECRET}/{name}"):
                for agent in ("", sought.named(sought.brand.agent)):
                    assert scanner.ask(path, agent) == unknown, (path, agent)
                    asked += 1
    opened = [
        sought for sought in known if sought.of and server.phone(sought.of.handset)["ip"]["mode"] != "OPEN"
    ]
    assert not opened, "no phone is locked, told, or noted"
    report(
        f"scan: {len(scanned):,} MACs of {len(known)} phones, {asked:,} requests, 0 found, one answer for all"
    )


def test_check_05_common_files_tell_of_no_phone(
    server: BoxSite, known: list[Sought], scanner: Scanner
) -> None:
    secrets = {sought.of.secret for sought in known if sought.of}
    secrets |= {sought.of.handset.account.username for sought in known if sought.of}
    for brand in BRANDS:
        phones = [sought for sought in known if sought.brand is brand] + strangers(1, known)
        for name in brand.common:
            told = {scanner.ask(f"/{name}", phone.named(brand.agent)) for phone in phones[:3]}
            told.add(scanner.ask(f"/{name}"))
            assert len(told) == 1, f"{name} depends on who asks"
            (one,) = told
            assert one.status in (200, 404)
            assert not [secret for secret in secrets if secret in one.text]


def test_check_05_a_phone_with_its_secret_is_served_beside_the_scan(
    server: BoxSite, known: list[Sought]
) -> None:
    """The scan would find something if there was something to find."""
    boxes = {sought.brand: sought.of for sought in known if sought.of}
    for box in boxes.values():
        with Asker(server.files, "127.0.0.5") as asker:
            told = asker.ask(box.path)
        assert told.status == 200
        assert box.handset.account.password in told.text


if SOAK:

    def test_check_05_a_known_mac_takes_no_longer(
        known: list[Sought], scanner: Scanner, report: Report
    ) -> None:
        kinds = {"armed": known[::2], "expected elsewhere": known[1::2], "unknown": strangers(200, known)}
        for path in ("bare", "wrong secret"):
            medians = measured(kinds, scanner, "" if path == "bare" else f"/p/{WRONG_SECRET}")
            base = medians["unknown"]
            told = ", ".join(f"{kind} {seconds * 1e6:.0f} us" for kind, seconds in medians.items())
            report(f"scan, {path}: medians of {SAMPLES:,}: {told}")
            for kind, seconds in medians.items():
                assert abs(seconds / base - 1) < APART, f"{path}, {kind}: {seconds / base:.3f} of unknown"


def measured(kinds: dict[str, list[Sought]], scanner: Scanner, prefix: str) -> dict[str, float]:
    """The median time of an answer for each kind of MAC address; the kinds take turns in random order."""
    times: dict[str, list[float]] = defaultdict(list)
    order = list(kinds)
    for _ in range(SAMPLES):
        random.shuffle(order)
        for kind in order:
            path = prefix + random.choice(kinds[kind]).config
            begin = time.perf_counter()
            told = scanner.ask(path)
            times[kind].append(time.perf_counter() - begin)
            assert told.status == 404
    return {kind: statistics.median(times[kind]) for kind in kinds}
