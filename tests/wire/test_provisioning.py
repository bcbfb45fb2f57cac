"""From a box to a registration: a phone is armed, loads its file, and registers with the account in it."""

import http.client
import re
import ssl
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.peers.old_tls import old_phone
from tests.peers.phone import Account, UdpPhone
from tests.peers.ports import free_port
from tests.wire.need import need
from tests.wire.site import Handset, Site, kinds, within

pytestmark = pytest.mark.wire

HERE: Final = "127.0.0.5"
THERE: Final = "127.0.0.6"
MAC: Final = "805EC0D57D72"
AGENT: Final = "Yealink SIP-T46U 108.86.0.20 80:5e:c0:d5:7d:72"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`registrar serve` with a listener for phones."""
    need("redis-cli")
    port, secure, old = free_port(), free_port(), free_port()
    with Site(
        tmp_path_factory.mktemp("provisioning"),
        prov_http=f"127.0.0.1:{port}",
        prov_https=f"127.0.0.1:{secure}",
        prov_https_legacy=f"127.0.0.1:{old}",
        prov_url=f"http://127.0.0.1:{port}",
        prov_plain="true",
    ) as site:
        site.demo()
        yield site


def load(url: str, source: str, method: str = "GET") -> tuple[int, str]:
    """What a phone at this address is answered."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        str(parts.hostname), parts.port, timeout=60, source_address=(source, 0)
    )
    connection.request(method, parts.path, headers={"User-Agent": AGENT})
    answer = connection.getresponse()
    status, text = answer.status, answer.read().decode()
    connection.close()
    return status, text


def pairs(text: str) -> dict[str, str]:
    """The settings in a file of the phone, read by a parser of the tests' own."""
    return dict(re.findall(r"^([\w.]+) = (.*)$", text, re.MULTILINE))


def register(site: Site, file: dict[str, str], source: str) -> int:
    """Register with what the file says, as the phone does."""
    account = Account(file["account.1.auth_name"], file["account.1.password"], site.demo()["domain"])
    with UdpPhone(account, site.sip, source=(source, 0)) as phone:
        return phone.register(3600, deadline=60).status


def armed(site: Site, handset: Handset) -> dict[str, Any]:
    reply = site.api("POST", f"/pbx/sipphone/{handset.id}/provisioning", {"rearm": True})
    assert reply.status == 200, reply
    told: dict[str, Any] = reply.body
    return told


def test_a_phone_out_of_its_box_registers(server: Site) -> None:
    models = server.api("GET", "/pbx/sipphonemodels?limit=500").body["sipPhoneModels"]
    (model,) = [one["_id"] for one in models if one["model"] == "T46U"]
    handset = server.new_phone(sipPhoneModel=model, macAddress=MAC)
    url = armed(server, handset)["url"]
    assert url.endswith(f"/{MAC.lower()}.cfg")
    assert load(url, HERE, "HEAD") == (200, "")
    assert server.phone(handset)["ip"]["mode"] == "OPEN"
    status, text = load(url, HERE)
    assert status == 200
    file = pairs(text)
    shown = server.phone(handset)
    assert (shown["ip"]["mode"], shown["ip"]["address"]) == ("LOCKED", HERE)
    assert shown["status"]["configLoaded"] > shown["status"]["configSaved"]
    assert (file["account.1.auth_name"], file["account.1.password"]) == (
        handset.account.username,
        handset.account.password,
    )
    assert register(server, file, THERE) == 403
    assert register(server, file, HERE) == 200
    within(5, lambda: "registered" in kinds(server.journal(handset)), "it is in the journal")
    assert kinds(server.journal(handset))[:2] == ["locked", "configured"]
    steady = f"{file['static.auto_provision.server.url']}{MAC.lower()}.cfg"
    assert load(steady, HERE) == (200, text)
    assert load(url, HERE)[0] == 404, "the first secret is spent"
    assert load(steady, THERE)[0] == 403
    assert kinds(server.events(handset))[-1] == "config-refused"
    assert server.phone(handset)["status"]["online"] is True


def test_no_secret_is_in_the_log_or_in_redis(server: Site) -> None:
    handset = server.new_phone(sipPhoneModel=server.demo()["models"]["yealink"], macAddress="805EC0D57D73")
    url = armed(server, handset)["url"]
    status, text = load(url, HERE)
    assert status == 200
    secrets = [url.split("/")[-2], pairs(text)["static.auto_provision.server.url"].split("/")[-2]]
    secrets.append(handset.account.password)
    dump = str(server.events(handset)) + str(server.journal(handset)) + server.log_text
    assert not [secret for secret in secrets if secret in dump]
    row = server.sql("SELECT * FROM provisioning WHERE mac = '805EC0D57D73'")
    assert not [secret for secret in secrets if secret in str(row)]


def test_tls_1_0_is_spoken_at_the_listener_for_old_phones_alone(server: Site) -> None:
    phone = old_phone()
    host, _, port = server.settings["prov_https_legacy"].rpartition(":")
    connection = http.client.HTTPSConnection(host, int(port), timeout=60, context=phone)
    connection.request("GET", "/p/abcdefghijklmnopqrstuvwxyz/000413922D24.xml")
    assert (connection.getresponse().status, connection.sock.version()) == (404, "TLSv1")
    connection.close()
    host, _, port = server.settings["prov_https"].rpartition(":")
    with pytest.raises((ssl.SSLError, OSError)):
        http.client.HTTPSConnection(host, int(port), timeout=60, context=phone).connect()
    assert "REGISTRAR_PROV_HTTPS_LEGACY: TLS 1.0, TLS 1.1" in server.log_text
