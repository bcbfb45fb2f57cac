"""Phones over UDP are pinged: who answers is seen, who falls silent is offline until it is heard again."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.peers.baresip import Baresip
from tests.peers.phone import UdpPhone
from tests.peers.pipe import UdpPipe
from tests.peers.ports import free_port
from tests.peers.process import Process
from tests.peers.sipp import Pace, run_sipp
from tests.wire.need import need, rounds
from tests.wire.site import Handset, Site, kinds, within

pytestmark = pytest.mark.wire
IN_FULL = rounds(False, True)
"""What takes twenty seconds is for make soak."""

INTERVAL = 2
SEEN_WITHIN = 4 * INTERVAL
SILENT_WITHIN = 1.1 * INTERVAL + 17
"""From the last sign of life: the rest of an interval, the 16 seconds of a ping, and a moment."""
KEPT = (b"Via", b"From", b"To", b"Call-ID", b"CSeq")
ANSWERS_PINGS = """\
<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="answers pings">
  <recv request="OPTIONS"/>
  <send><![CDATA[

      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:];tag=[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

  ]]></send>
</scenario>
"""


def answer_to(ping: bytes, status: str) -> bytes:
    """What a phone says to a ping."""
    lines = ping.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    copied = [line for line in lines if line.partition(b":")[0] in KEPT]
    return b"\r\n".join([b"SIP/2.0 " + status.encode(), *copied, b"Content-Length: 0", b"", b""])


class Listening:
    """A registered UDP phone that answers each ping with `status`; empty: it is silent."""

    def __init__(self, site: Site, status: str = "200 OK") -> None:
        self.handset = site.new_phone()
        self.status = status
        self.pings: list[bytes] = []
        self.phone = UdpPhone(self.handset.account, site.sip)
        assert self.phone.register().status == 200
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def _listen(self) -> None:
        while not self._stop.is_set():
            raw = self.phone.pipe.receive(0.1)
            if raw is not None and raw.startswith(b"OPTIONS "):
                self.pings.append(raw)
                if self.status:
                    self.phone.send(answer_to(raw, self.status))

    def has_more_pings_than(self, number: int) -> Callable[[], bool]:
        return lambda: len(self.pings) > number

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.phone.close()


@pytest.fixture(scope="module")
def pinging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("pinging"), ping_seconds=str(INTERVAL)) as site:
        yield site


def has_round_trip(site: Site, handset: Handset) -> Callable[[], bool]:
    return lambda: "rttMs" in site.status_hash(handset)


def is_offline(site: Site, handset: Handset) -> Callable[[], bool]:
    return lambda: site.status_hash(handset)["online"] == "0"


def is_online(site: Site, handset: Handset) -> Callable[[], bool]:
    return lambda: bool(site.status(handset)["online"])


def timed_out(site: Site, handset: Handset) -> bool:
    """Offline, with its reason, and with an event in both streams; and still bound."""
    lost = [entry for entry in site.journal(handset) if entry["event"] == "lost"]
    assert [entry["reason"] for entry in lost] == ["ping-timeout"]
    assert kinds(site.events(handset))[-1] == "lost"
    status = site.status(handset)
    return (status["online"], status["reason"], len(site.contacts(handset))) == (False, "ping-timeout", 1)


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Server Internal Error", "180 Ringing"])
def test_any_answer_is_a_sign_of_life(pinging: Site, status: str) -> None:
    with Listening(pinging, status) as phone:
        within(SEEN_WITHIN, has_round_trip(pinging, phone.handset), "a round trip")
        assert 0 < pinging.status(phone.handset)["rttMs"] < 1_000


def test_a_ping_names_nobody_but_the_phone(pinging: Site) -> None:
    with Listening(pinging) as one, Listening(pinging) as other:
        within(SEEN_WITHIN, lambda: one.pings and other.pings, "a ping")
        assert other.handset.account.username.encode() not in one.pings[0]
        assert one.pings[0].startswith(f"OPTIONS {one.phone.caller.contact} SIP/2.0\r\n".encode())


def test_of_two_phones_behind_one_address_the_one_that_falls_silent_is_offline(pinging: Site) -> None:
    with Listening(pinging) as alive, Listening(pinging) as silent:
        for phone in (alive, silent):
            within(SEEN_WITHIN, has_round_trip(pinging, phone.handset), "a round trip")
        silent.status = ""
        within(SILENT_WITHIN, is_offline(pinging, silent.handset), "offline")
        assert timed_out(pinging, silent.handset)
        assert pinging.status(alive.handset)["online"] is True
        assert kinds(pinging.journal(alive.handset)) == ["locked", "registered"]


def test_phones_that_were_silent_are_back_as_soon_as_they_are_heard(pinging: Site) -> None:
    """Each in its own way, all at the same time, for they take their time to be found silent."""
    with Listening(pinging, "") as answers, Listening(pinging, "") as asks, Listening(pinging, "") as lives:
        phones = (answers, asks, lives)
        for phone in phones:
            within(SILENT_WITHIN, is_offline(pinging, phone.handset), "offline")
            assert timed_out(pinging, phone.handset)
            told = pinging.api("GET", f"/pbx/sipphone/{phone.handset.id}/events").body["summary"]
            assert "Its registration stays until " in told
        pinged = [len(phone.pings) for phone in phones]
        for phone, before in zip(phones, pinged, strict=True):
            within(10, phone.has_more_pings_than(before), "it is pinged on")
        for phone in phones:
            phone.status = "200 OK"
        uri = "sip:{}:{}".format(*pinging.sip)
        asks.phone.send(asks.phone.caller.request("OPTIONS", uri, uri))  # it is asked at once if it is there
        lives.phone.send(b"\r\n\r\n")
        for phone in (asks, lives, answers):
            handset = phone.handset
            within(70, is_online(pinging, handset), "online")
            assert pinging.status(handset)["reason"] == "registered"
            events = [(entry["event"], entry["reason"]) for entry in pinging.journal(handset)]
            assert events[-2:] == [("lost", "ping-timeout"), ("registered", "ping-answered")]
            within(SEEN_WITHIN, has_round_trip(pinging, handset), "a round trip")


def test_an_answer_from_another_port_is_none(pinging: Site) -> None:
    with Listening(pinging, "") as phone:
        within(SEEN_WITHIN, lambda: phone.pings, "a ping")
        impostor = UdpPipe(pinging.sip)
        before = pinging.metric("registrar_sip_dropped_total", reason="response")
        impostor.send(answer_to(phone.pings[-1], "200 OK"))
        impostor.close()
        within(
            2,
            lambda: pinging.metric("registrar_sip_dropped_total", reason="response") == before + 1,
            "dropped",
        )
        assert not has_round_trip(pinging, phone.handset)()


if IN_FULL:

    def test_baresip_answers_pings_until_its_power_is_cut(pinging: Site, tmp_path: Path) -> None:
        need("baresip")
        handset = pinging.new_phone()
        with Baresip(tmp_path, handset.account, pinging.sip, interval=3_600) as phone:
            within(SEEN_WITHIN, has_round_trip(pinging, handset), "a round trip")
            phone.kill9()
            within(SILENT_WITHIN, is_offline(pinging, handset), "offline")
            assert timed_out(pinging, handset)


def test_sipp_answers_pings(pinging: Site, tmp_path: Path) -> None:
    need("sipp")
    handset = pinging.new_phone()
    port = free_port()
    run = run_sipp(tmp_path, pinging.sip, [handset.account], Pace(1, local_port=port))
    assert run.succeeded == 1
    folder = tmp_path / "answering"
    folder.mkdir()
    (folder / "scenario.xml").write_text(ANSWERS_PINGS)
    argv = ["sipp", "-sf", "scenario.xml", "-i", "127.0.0.1", "-p", str(port), "-nostdin"]
    with Process("sipp", [*argv, "-cp", str(free_port())], folder):
        within(2 * SEEN_WITHIN, has_round_trip(pinging, handset), "a round trip")
        assert pinging.status(handset)["online"] is True


if IN_FULL:

    def test_a_new_start_finds_out_who_has_fallen_silent(tmp_path: Path) -> None:
        with Site(tmp_path, ping_seconds=str(INTERVAL)) as site, Listening(site) as alive:
            silent = Listening(site, "")
            silent.phone.close()
            site.kill9()
            site.start()
            within(SILENT_WITHIN, is_offline(site, silent.handset), "offline")
            assert timed_out(site, silent.handset)
            within(SEEN_WITHIN, has_round_trip(site, alive.handset), "a round trip")
            assert site.status(alive.handset)["online"] is True


def test_without_an_interval_nobody_is_pinged(tmp_path: Path) -> None:
    with Site(tmp_path) as site, Listening(site) as phone:
        assert site.settings["ping_seconds"] == "0"
        assert site.metric("registrar_pings_total") == 0
        assert phone.pings == []
