"""config/redirect/dhcp.py: what DHCP servers are told, read by parsers of this test."""

import json
import re

import pytest

from config.access import AccessLevel
from config.redirect.dhcp import SERVERS, VENDORS, Unquotable, dnsmasq, isc, kea
from config.settings import ProvisioningSettings
from tests.config.world import World
from tests.every import every

URLS = (
    "https://prov.example",
    "https://prov.example/",
    "https://[2001:db8::1]:8443/phones",
    'https://prov.example/a"b\\c,d;e}f#g$h',
)
NORMAL = {vendor.name: vendor for vendor in VENDORS if vendor.name != "mitel"}


def whole(url: str, file: str = "") -> str:
    return url.rstrip("/") + "/" + file


def unquoted(text: str) -> str:
    """A string in quotes, with backslashes before what would end it."""
    assert (text[0], text[-1]) == ('"', '"')
    inner, out, at = text[1:-1], "", 0
    while at < len(inner):
        assert inner[at] != '"'
        at += inner[at] == "\\"
        out += inner[at]
        at += 1
    return out


def dnsmasq_lines(text: str) -> list[list[str]]:
    """Each line as its name and its fields, which commas outside of quotes separate."""
    lines = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, _, rest = line.partition("=")
        lines.append([name, *re.findall(r'"(?:\\.|[^"\\])*"|[^,"]+', rest)])
    return lines


@pytest.mark.parametrize("url", URLS)
def test_dnsmasq_is_told_one_option_a_vendor(url: str) -> None:
    lines = dnsmasq_lines(dnsmasq(url))
    ouis = {(line[1], line[2]) for line in lines if line[0] == "dhcp-mac"} | {
        tuple(line[1].split(",")) for line in lines if line[0] == "dhcp-mac" and len(line) == 2
    }
    assert {(f"set:{one.name}", f"{oui}:*:*:*") for one in VENDORS for oui in one.ouis} == ouis
    options = {line[1]: (line[2], unquoted(line[3])) for line in lines if line[1].startswith("tag:")}
    assert options == {f"tag:{name}": (str(one.option), whole(url, one.file)) for name, one in NORMAL.items()}
    mitel = [line[2:] for line in lines if line[1] == "vendor:AastraIPPhone"]
    assert (mitel[0][0], unquoted(mitel[0][1]), mitel[1]) == ("2", whole(url), ["3", "0"])
    assert {line[0] for line in lines} == {"dhcp-mac", "dhcp-option"}


ISC_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{};=(),]|[^\s{};=(),"]+|\s+')


def isc_statements(text: str) -> dict[str, list[list[str]]]:
    """Class -> its statements, as lists of tokens; those outside of a class are in the class ``."""
    classes: dict[str, list[list[str]]] = {"": []}
    here, statement = "", list[str]()
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    tokens = [token for token in ISC_TOKEN.findall(code) if not token.isspace()]
    assert "".join(tokens) == "".join(part for part in ISC_TOKEN.findall(code) if not part.isspace())
    for token in tokens:
        if token == "{":
            here, statement = unquoted(statement[1]), []
            classes[here] = []
        elif token == "}":
            assert statement == []
            here = ""
        elif token == ";":
            classes[here].append(statement)
            statement = []
        else:
            statement.append(token)
    assert (here, statement) == ("", [])
    return classes


@pytest.mark.parametrize("url", URLS)
def test_isc_dhcpd_is_told_one_class_a_vendor(url: str) -> None:
    classes = isc_statements(isc(url))
    assert set(classes) == {"", *(vendor.name for vendor in VENDORS)}
    for name, vendor in NORMAL.items():
        match, option = classes[name]
        assert [token for token in match if token.count(":") == 2] == list(vendor.ouis)
        expected = "gigaset-url" if name == "gigaset" else "tftp-server-name"
        assert option[:2] == ["option", expected]
        assert unquoted(option[2]) == whole(url, vendor.file)
    _, space, server, rcs = classes["mitel"]
    assert (space, rcs) == (["vendor-option-space", "mitel"], ["option", "mitel.contact-rcs", "false"])
    assert (server[:2], unquoted(server[2])) == (["option", "mitel.server"], whole(url))
    assert ["option", "gigaset-url", "code", "114", "=", "text"] in classes[""]


@pytest.mark.parametrize("url", URLS)
def test_kea_is_told_one_client_class_a_vendor(url: str) -> None:
    members = json.loads(kea(url))
    assert set(members) == {"comment", "option-def", "client-classes"}
    classes = {one["name"].removeprefix("phones-"): one for one in members["client-classes"]}
    assert list(classes) == [vendor.name for vendor in VENDORS]
    for name, vendor in NORMAL.items():
        (option,) = classes[name]["option-data"]
        assert option["code"] == vendor.option
        assert re.sub(r"\\(.)", r"\1", option["data"]) == whole(url, vendor.file)
        assert not re.search(r"(?<!\\)(?:\\\\)*,", option["data"]), "a bare comma begins another field"
        for oui in vendor.ouis:
            assert f"substring(pkt4.mac, 0, 3) == 0x{oui.replace(':', '')}" in classes[name]["test"]
    mitel = classes["mitel"]
    assert mitel["option-def"][0]["encapsulate"] == "mitel"
    assert [one.get("data") for one in mitel["option-data"]][2] == "false"


@every("write", SERVERS.values(), ids=list(SERVERS))
@every("url", ["https://a/\n#", "https://a/ b", "https://å/", "https://a/\0"])
def test_a_url_that_would_make_a_line_is_refused(url: str, write: object) -> None:
    assert callable(write)
    with pytest.raises(Unquotable):
        write(url)


async def test_the_route_writes_for_the_server_that_is_asked_for(world: World) -> None:
    here = world.but(provisioning=ProvisioningSettings(url="https://prov.test:8444"))
    async with here.client(AccessLevel.MANAGER) as api:
        answers = {name: await api.get("/pbx/provisioning/dhcp", params={"server": name}) for name in SERVERS}
        default = await api.get("/pbx/provisioning/dhcp")
        wrong = await api.get("/pbx/provisioning/dhcp", params={"server": "udhcpd"})
    for name, answer in answers.items():
        assert (answer.status_code, answer.text) == (200, SERVERS[name]("https://prov.test:8444", ""))
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert default.text == answers["dnsmasq"].text
    assert wrong.status_code == 400


async def test_phones_that_need_old_tls_have_a_url_of_their_own(world: World) -> None:
    modern, old = "https://prov.test:8444", "https://prov.test:8445"
    here = world.but(provisioning=ProvisioningSettings(url=modern, legacy_url=old))
    async with here.client(AccessLevel.MANAGER) as api:
        for name, write in SERVERS.items():
            usual = await api.get("/pbx/provisioning/dhcp", params={"server": name})
            assert usual.text == write(modern, old) and f"give them {old}/, which" in usual.text
            legacy = await api.get("/pbx/provisioning/dhcp", params={"server": name, "legacy": "true"})
            assert legacy.text == write(old, "") and modern not in legacy.text
    comments = [line for line in isc(modern, old).splitlines() if old in line]
    assert len(comments) == 1 and comments[0].startswith("# ")
    assert json.loads(kea(modern, old))["client-classes"] == json.loads(kea(modern))["client-classes"]
    without = world.but(provisioning=ProvisioningSettings(url=modern))
    async with without.client(AccessLevel.MANAGER) as api:
        answer = await api.get("/pbx/provisioning/dhcp", params={"legacy": "true"})
    assert answer.status_code == 409 and "REGISTRAR_PROV_HTTPS_LEGACY" in answer.text


async def test_without_a_listener_for_phones_there_is_nothing_to_tell(world: World) -> None:
    async with world.client(AccessLevel.MANAGER) as api:
        answer = await api.get("/pbx/provisioning/dhcp")
    assert answer.status_code == 409
    assert "REGISTRAR_PROV_URL" in answer.json()["error"]["message"]
