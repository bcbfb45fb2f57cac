"""The files of softphones: what a client reads is what was meant, whatever the texts hold."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.board.routes import FOLDER
from config.provisioning.draft import Unwritable
from config.provisioning.softphones import CLIENTS, Client, of_file
from config.provisioning.view import Account, Server
from tests.config import softphone_parsers as parsers
from tests.every import every
from tests.patience import SOAK

EXAMPLES = 20_000 if SOAK else 50
ACCOUNT = Account("u" * 32, "p" * 32, "acme.test", "Anna Østergård", "200")
SERVER = Server("sip.acme.test", 5061, "tls", "https://prov.test/p/steady/", 600)
URL = "https://prov.test/o/abcdefghijklmnopqrstuvwxyz"
NASTY = "\0\t\n\r\x0b\x1b\x7f\x85\u2028\ufffe\uffff\ud800 \"'\\<>&;,=[]{}#%|]/?@:*~$\u202e\u0660🙂"

nasty = st.text(st.one_of(st.sampled_from(NASTY), st.characters(exclude_categories=())), max_size=24)
texts = st.one_of(nasty, st.sampled_from(["]]>", "%NULL%", "$$", "<!--", '">', "\r\n[Account2]", ";x=y"]))
names = st.one_of(st.just("anna.b-c"), texts)
servers = st.builds(
    replace,
    st.just(SERVER),
    host=st.sampled_from(["sip.acme.test", "192.0.2.1", "2001:db8::1", "[2001:db8::1]"]),
    transport=st.sampled_from(["udp", "tcp", "tls"]),
)
accounts = st.builds(
    Account,
    names,
    st.one_of(st.just("p" * 32), texts),
    st.sampled_from(["acme.test", "192.0.2.7"]),
    texts,
    texts,
)


def place(server: Server) -> str:
    bare = server.host.strip("[]")
    return f"[{bare}]:5061" if ":" in bare else f"{bare}:5061"


def is_plain(text: str) -> bool:
    """Whether an ini file of Windows carries it."""
    return text.isascii() and text.isprintable() and '"' not in text and text == text.strip(" '")


def meant(name: str, account: Account, server: Server) -> object:
    """What the reader of a client finds in a file that was made."""
    uri = f"sip:{place(server)};transport={server.transport}"
    title = account.number or account.username
    user, password, domain, shown = account.username, account.password, account.domain, account.display_name
    quoted = '"{}" '.format(shown.replace("\\", r"\\").replace('"', r"\"")) if shown else ""
    plain = {key: text for key, text in {"label": title, "displayName": shown}.items() if is_plain(text)}
    found: dict[str, object] = {
        "linphone": {
            "misc/transient_provisioning": "1",
            "sip/default_proxy": "0",
            "auth_info_0/username": user,
            "auth_info_0/userid": user,
            "auth_info_0/passwd": password,
            "auth_info_0/realm": domain,
            "auth_info_0/domain": domain,
            "proxy_0/reg_proxy": f"<{uri}>",
            "proxy_0/reg_route": f"<{uri};lr>",
            "proxy_0/reg_identity": f"{quoted}<sip:{user}@{domain}>",
            "proxy_0/reg_expires": "600",
            "proxy_0/reg_sendregister": "1",
        },
        "acrobits": {
            "title": title,
            "username": user,
            "password": password,
            "authUsername": user,
            "userDisplayName": shown,
            "host": domain,
            "proxy": place(server),
            "transport": {"tls": "tls+sip:"}.get(server.transport, server.transport),
            "expires": "600",
        },
        "gswave": {
            "RegisterServer": domain,
            "OutboundServer": place(server),
            "UserID": user,
            "AuthID": user,
            "AuthPass": password,
            "AccountName": title,
            "DisplayName": shown,
        },
        "microsip": {
            "server": place(server),
            "proxy": place(server),
            "domain": domain,
            "username": user,
            "password": password,
            "authID": user,
            "transport": server.transport,
            "registerRefresh": "600",
            **plain,
        },
        "baresip": {
            "name": shown,
            "uri": f"sip:{user}@{domain};transport={server.transport}",
            "auth_user": user,
            "auth_pass": password,
            "outbound": uri,
            "regint": "600",
        },
    }
    return found[name]


def read(name: str, text: str) -> object:
    """What a reader finds; elements and keys without a value are not written."""
    match name:
        case "linphone":
            return parsers.linphone(text)
        case "acrobits":
            return parsers.elements(text, "account")
        case "gswave":
            return parsers.elements(text, "AccountConfig", "Account")
        case "microsip":
            found = parsers.ini(text)
            assert found.pop("Settings") == {"accountId": "1"}
            assert list(found) == ["Account1"]
            return found["Account1"]
    return parsers.baresip(text)


def without_empty(found: object, name: str) -> object:
    assert isinstance(found, dict)
    if name in ("linphone", "baresip"):
        return found
    return {key: value for key, value in found.items() if value}


@pytest.mark.parametrize("name", [name for name in CLIENTS if name != "device"])
def test_a_client_reads_what_was_meant_and_nothing_else(name: str) -> None:
    written = 0

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(accounts, servers)
    def check(account: Account, server: Server) -> None:
        nonlocal written
        try:
            file = CLIENTS[name].render(account, server)
        except Unwritable:
            return
        written += 1
        assert read(name, file.text) == without_empty(meant(name, account, server), name)
        assert file.text.encode()  # no lone surrogate came through

    check()
    assert written > EXAMPLES / 50, "almost everything is refused"


@settings(max_examples=EXAMPLES, deadline=None)
@given(accounts, servers)
def test_a_program_reads_the_account_as_json(account: Account, server: Server) -> None:
    try:
        text = CLIENTS["device"].render(account, server).text
    except Unwritable:
        return
    found = parsers.json(text)
    assert (found["username"], found["password"], found["displayName"]) == (
        account.username, account.password, account.display_name,
    )  # fmt: skip
    assert found["server"] == {"host": server.host, "port": 5061, "transport": server.transport}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_a_usual_account_is_written_for_every_client(client: Client) -> None:
    file = client.render(ACCOUNT, SERVER)
    assert file.name == client.file and ACCOUNT.password in file.text
    assert [one.field for one in file.left_out] == (["displayName"] if client.title == "MicroSIP" else [])
    assert of_file(client.file) is client


def test_the_files_of_the_clients_have_names_of_their_own() -> None:
    assert len({client.file for client in CLIENTS.values()}) == len(CLIENTS)
    assert of_file("001565123456.cfg") is None


@every("client", CLIENTS.values(), ids=CLIENTS)
@every(
    ("account", "field"),
    [
        (replace(ACCOUNT, username='x"@evil.test>'), "username"),
        (replace(ACCOUNT, username=""), "username"),
        (replace(ACCOUNT, domain="acme.test>\n<sip:x"), "domain"),
        (replace(ACCOUNT, domain=""), "domain"),
    ],
)
def test_a_part_of_a_uri_that_needs_an_escape_is_refused(
    client: Client, account: Account, field: str
) -> None:
    with pytest.raises(Unwritable) as refused:
        client.render(account, SERVER)
    assert refused.value.field == field


@every(
    ("name", "field", "value"),
    [
        *(("baresip", "password", f"a{char}b") for char in ' ;,<>"\\\n'),
        *(("microsip", "password", text) for text in ('a"b', " secret", "'secret'", "a\r\nb", "ø")),
        ("baresip", "display_name", "A\nB"),
        *(
            (name, "password", text)
            for name in ("linphone", "acrobits", "gswave")
            for text in ("\0", "\ud800", "\n")
        ),
    ],
)
def test_what_a_format_cannot_carry_is_refused(name: str, field: str, value: str) -> None:
    with pytest.raises(Unwritable) as refused:
        CLIENTS[name].render(replace(ACCOUNT, **{field: value}), SERVER)
    assert value not in str(refused.value), "an error tells no password"


def test_another_transport_is_refused() -> None:
    with pytest.raises(Unwritable, match="udp, tcp, tls"):
        CLIENTS["baresip"].render(ACCOUNT, replace(SERVER, transport="wss"))


@pytest.mark.parametrize(
    ("name", "scanned"),
    [
        ("linphone", URL),
        ("acrobits", "provlinkbs://prov.test/o/abcdefghijklmnopqrstuvwxyz"),
        *((name, None) for name in ("gswave", "microsip", "baresip", "device")),
    ],
)
def test_a_code_holds_the_link_alone(name: str, scanned: str | None) -> None:
    assert CLIENTS[name].scanned(URL) == scanned


def test_there_is_no_scheme_of_acrobits_for_plain_http() -> None:
    assert CLIENTS["acrobits"].scanned("http://prov.test/o/x") == "http://prov.test/o/x"


def test_grandstream_wave_is_told_to_choose_another_transport() -> None:
    assert CLIENTS["gswave"].render(ACCOUNT, SERVER).warnings
    assert not CLIENTS["gswave"].render(ACCOUNT, replace(SERVER, transport="udp")).warnings


def test_a_name_that_microsip_cannot_read_is_left_out() -> None:
    file = CLIENTS["microsip"].render(replace(ACCOUNT, display_name="A\r\n[Account2]"), SERVER)
    assert [one.field for one in file.left_out] == ["displayName"]
    assert list(parsers.ini(file.text)) == ["Settings", "Account1"]


def test_the_board_offers_every_softphone() -> None:
    words = (FOLDER / "page" / "words.js").read_text()
    (block,) = re.findall(r"export const SOFTPHONES = \{\n(.*?)\};", words, re.DOTALL)
    offered = re.findall(r"^  (\w+): '([^']+)',$", block, re.MULTILINE)
    assert offered == [(name, client.title) for name, client in CLIENTS.items()]
