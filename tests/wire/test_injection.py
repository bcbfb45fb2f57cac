"""What a phone says of itself reaches the API, the log and Redis as text, and never as anything else."""

import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote as escape

import pytest

from tests.peers.phone import BlockingPhone, UdpPhone
from tests.peers.process import Process
from tests.peers.registrar import DIRECT, HTTP_SECONDS
from tests.peers.stream import TcpPhone
from tests.peers.websocket_phone import WsPhone
from tests.wire.need import need
from tests.wire.site import Handset, Site, within

pytestmark = pytest.mark.wire

MAX_USER_AGENT: Final = 256
PAYLOADS: Final = {
    "sql": "x'; DROP TABLE phone; --",
    "sql in quotes": 'x" OR ""="',
    "redis": "*1 $8 FLUSHALL FLUSHALL",
    "redis script": "'] redis.call('FLUSHALL') --[[",
    "redis key": "} registrar:status:{0 {",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "json": '","online":1,"x":"',
    "json escapes": '\\u0000\\n\\r\\"',
    "a log line": '{"time":"2000","level":"error","message":"forged"}',
    "formats": "%s %n %(x)s {0} {x!r} ${jndi:ldap://x}",
    "templates": "{{7*7}} <%= 7*7 %> #{7*7}",
    "markup of a terminal": "[/x] [bold]loud[/bold] [link=http://x.test]y[/link] :warning:",
    "a path": "../../../../etc/passwd",
    "from right to left": "abc\u202egnp.exe",
    "many languages": "Zoë 日本語 \U0001f600",
    "separators of lines": "a\u2028b\u2029c\u0085d",
    "long": "x" * 1_900,
    "a tab": "a\tb",
}
CONTROLS: Final = [octet for octet in [*range(1, 32), 127] if octet not in b"\t\n\r"]
COMMANDS: Final = frozenset(
    "client command del eval evalsha exists expire expireat get hdel hello hget hgetall hincrby hkeys "
    "hmget hset persist ping publish sadd script set smembers srem time ttl xadd xrange xtrim zadd zcard "
    "zrange zrangebyscore zrem zremrangebyrank zremrangebyscore zscore".split()
)
"""What the server and these tests ask of Redis."""
KEY: Final = re.compile(
    r"registrar:(?:(?:status|loc|journal):\{[0-9a-f]{24}\}|states:\{[0-9a-f]{24}\}(?::counts|:order)?|(?:good|wrong):sip:\{[0-9a-f.:/]+\}(?::[0-9a-f]+)?"
    r"|\{bans\}|[a-z-]+(?::[A-Za-z0-9.:\-]+)?)"
)
NO_NAMES: Final = ("drop table", "flushall", "forged", "script>", "passwd", "jndi")


@dataclass
class Monitor:
    """Every command that Redis got meanwhile."""

    process: Process

    @property
    def text(self) -> str:
        return self.process.out.read_text(errors="replace")

    def commands(self) -> set[str]:
        """The names of the commands, those inside scripts too."""
        return {
            name.lower() for name in re.findall(r'^\d+\.\d+ \[[^\]]*\] "([^"]*)"', self.text, re.MULTILINE)
        }

    def keys(self) -> set[str]:
        """Every argument that is a key of ours."""
        return set(re.findall(r'(?<=[^\\]")registrar:(?:[^"\\]|\\.)*(?=")', self.text))


@pytest.fixture
def monitor(streams: Site, tmp_path: Path) -> Iterator[Monitor]:
    """`redis-cli MONITOR` on the server's Redis."""
    need("redis-cli")
    socket = Path(streams.settings["data_dir"]) / "valkey.sock"
    with Process("monitor", ["redis-cli", "-s", str(socket), "MONITOR"], tmp_path) as process:
        watching = Monitor(process)
        within(5.0, lambda: watching.text.startswith("OK"), "Redis is monitored")
        yield watching


def phone(site: Site, handset: Handset, transport: str, user_agent: str) -> BlockingPhone:
    match transport:
        case "udp":
            return UdpPhone(handset.account, site.sip, user_agent=user_agent)
        case "tcp":
            return TcpPhone(handset.account, site.tcp, user_agent=user_agent)
        case _:
            return WsPhone(handset.account, site.ws, user_agent=user_agent)


def shown(text: str) -> str:
    """What is kept of a phone's own words."""
    kept = [letter for letter in text[:MAX_USER_AGENT] if letter >= " " and not "\x7f" <= letter <= "\x9f"]
    return "".join(kept)


def raw_api(site: Site, path: str) -> tuple[Any, dict[str, str]]:
    """What the API answers, as JSON, and the headers in small letters."""
    url = "http://{}:{}{}".format(*site.http, path)
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {site.demo()['token']}"})
    with DIRECT.open(asked, timeout=HTTP_SECONDS) as answer:
        return json.loads(answer.read()), {name.lower(): value for name, value in answer.headers.items()}


@pytest.mark.parametrize("transport", ["udp", "tcp", "ws"])
@pytest.mark.parametrize("name", PAYLOADS)
def test_the_words_of_a_phone_stay_words(name: str, transport: str, streams: Site, monitor: Monitor) -> None:
    payload, handset = PAYLOADS[name], streams.new_phone()
    phones = streams.sql("SELECT count(*) FROM sip_phone")
    with phone(streams, handset, transport, payload) as talker:
        quoted = payload.replace("\\", "\\\\").replace('"', '\\"')
        user = escape(payload, safe="")[:300].rpartition("%")[0] or escape(payload, safe="")[:300]
        uri = f"sip:{user}@198.51.100.7;x={escape(payload[:50], safe='')}"
        contact = f'"{quoted[:300]}" <{uri}>;+sip.instance="<urn:uuid:{quoted[:40]}>";y="{quoted[:40]}"'
        if quoted[:40].endswith("\\") or quoted[:300].endswith("\\"):
            contact = f"<{uri}>"
        answer = talker.register(contact=contact)
        assert answer.status == 200, answer.raw
        assert uri in answer.header("contact")

    body, headers = raw_api(streams, f"/pbx/sipphone/{handset.id}")
    assert headers["content-type"].startswith("application/json")
    assert headers["x-content-type-options"] == "nosniff"
    status = body["status"]
    assert status["online"] is True
    assert status["userAgent"] == shown(payload).strip()
    assert streams.status_hash(handset)["userAgent"] == shown(payload).strip()
    assert streams.contacts(handset) == {uri}
    assert [event["event"] for event in streams.journal(handset)][-1] == "registered"

    assert monitor.commands() <= COMMANDS, monitor.commands() - COMMANDS
    keys = monitor.keys()
    assert keys
    assert not [key for key in keys if not KEY.fullmatch(key)]
    assert streams.sql("SELECT count(*) FROM sip_phone") == phones


def test_the_table_of_phones_shows_them_as_they_are(streams: Site) -> None:
    handsets = {name: streams.new_phone() for name in PAYLOADS}
    for name, handset in handsets.items():
        with UdpPhone(handset.account, streams.sip, user_agent=PAYLOADS[name]) as talker:
            assert talker.register().status == 200
    rows = {row.split()[0]: row for row in streams.command("status").splitlines()}
    for name, handset in handsets.items():
        seen = "".join(letter for letter in shown(PAYLOADS[name]).strip() if letter.isprintable())
        assert seen[:90] in rows[handset.id], name


def test_the_log_has_one_honest_line_for_each_request(streams: Site) -> None:
    handset = streams.new_phone()
    with TcpPhone(handset.account, streams.tcp, user_agent=PAYLOADS["a log line"]) as talker:
        talker.caller.call_id = '{"level":"error"}%0a<forged>\\n'
        assert talker.register().status == 200

    def mine() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in streams.log_text.splitlines()]
        return [line for line in lines if line.get("phone") == handset.id]

    within(3.0, mine, "the request has its line")
    (line,) = mine()
    assert line["level"] == "info"
    assert line["message"] == "REGISTER 200"
    assert line["callId"] == talker.caller.call_id
    assert "userAgent" not in line


@pytest.mark.parametrize("transport", ["udp", "tcp", "ws"])
def test_control_octets_are_refused_and_leave_nothing(transport: str, streams: Site) -> None:
    handset = streams.new_phone()
    with phone(streams, handset, transport, "clean") as talker:
        assert talker.register().status == 200
        caller, uri = talker.caller, f"sip:{handset.account.domain}"
        before = streams.bindings(handset), streams.status_hash(handset)
        for octet in CONTROLS:
            bad = caller.register(extra=[caller.credentials("REGISTER", uri), f"Subject: a{chr(octet)}b"])
            assert talker.exchange(bad, 5.0).status == 400, hex(octet)
        assert (streams.bindings(handset), streams.status_hash(handset)) == before


def test_quoted_control_octets_are_shown_nowhere(streams: Site) -> None:
    """A quoted pair may hold any of them; no display of ours may."""
    handset = streams.new_phone()
    display = "".join(f"\\{chr(octet)}" for octet in [0, *CONTROLS])
    with TcpPhone(handset.account, streams.tcp) as talker:
        contact = f'"{display}" <{talker.caller.contact}>;+sip.instance="<{display}x>"'
        assert talker.register(contact=contact).status == 200
    body, _ = raw_api(streams, f"/pbx/sipphone/{handset.id}")
    assert body["status"]["online"] is True
    stored = json.dumps(
        [streams.location(handset), streams.status_hash(handset), streams.journal(handset), body]
    )
    assert not re.search(r"\\u00[01]|\\u007f|\\[bf]", stored)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", streams.log_text)


def test_no_words_of_phones_are_labels(streams: Site) -> None:
    text = str(streams.api("GET", "/metrics", token="").body).lower()
    assert "registrar_sip_requests_total" in text
    assert not [word for word in NO_NAMES if word in text]
    assert streams.metric("registrar_unhandled_exceptions_total") == 0
    assert "Traceback" not in streams.log_text
