"""Extra lines: `configurationTemplate` and `customConfig`, their placeholders, and what they may not set."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.extras.check import MAX_EXTRA, NAMES, SYNTAXES, problem
from config.extras.denied import COLON, EQUALS, INI, XML
from config.provisioning.extra import PLACEHOLDERS
from config.provisioning.files import config_name
from config.provisioning.render import WRITERS, Unwritable, render
from config.provisioning.view import Provisioned
from tests.config.provisioning import phones
from tests.config.provisioning.parsers import PARSERS, Setting
from tests.every import every
from tests.patience import SOAK

EXAMPLES: Final = 20_000 if SOAK else 25
LINES: Final = {
    "snom": '<contrast perm="">{}</contrast>',
    "snom8": '<contrast perm="">{}</contrast>',
    "snom-dect": "<contrast>{}</contrast>",
    "mitel": "contrast level: {}",
    "yealink": "phone_setting.contrast = {}",
    "yealink-dect": "phone_setting.contrast = {}",
    "gigaset-n510": '<SYMB_ITEM ID="BS_X.contrast" class="symb_item" value="{}"/>',
    "gigaset-nx70": '<param name="DmGlobal.0.Contrast" value="{}"/>',
    "maxwell": '<param name="PhoneUI.Settings.Contrast" value="{}"/>',
    "grandstream": '<item name="lcd.contrast">{}</item>',
    "spa": '<LCD_Contrast ua="rw">{}</LCD_Contrast>',
    "mpp": '<LCD_Contrast ua="rw">{}</LCD_Contrast>',
    "lg": "contrast {}",
}
ACCOUNTS: Final = {
    "snom": ('<user_pass idx="1">{}</user_pass>', "<setting_server>{}</setting_server>"),
    "snom8": ("<webserver_admin_password>{}</webserver_admin_password>", "<user_host>{}</user_host>"),
    "snom-dect": ("<user_name>{}</user_name>", "<firmware>{}</firmware>"),
    "mitel": ("!sip line1 password: {}", "^download protocol: {}", "admin password: {}"),
    "yealink": ("account.1.password = {}", "static.auto_provision.server.url = {}"),
    "yealink-dect": ("account.2.user_name = {}", "static.security.user_password = {}"),
    "gigaset-n510": ('<SYMB_ITEM ID="BS_IP_Data1.aucS_SIP_PASSWORD" value="{}"/>',),
    "gigaset-nx70": (
        '<param name="SipAccount.00001.AuthPassword" value="{}"/>',
        '<oper name="DeleteNotProvisionedHS" value="{}"/>',
    ),
    "maxwell": ('<param name="WebUI.AdminPassword" value="{}"/>', '<step type="Redirect" url="{}"/>'),
    "grandstream": (
        '<item name="account.1.sip.subscriber.password">{}</item>',
        '<item name="provisioning.config.serverPath">{}</item>',
        "<P34>{}</P34>",
    ),
    "spa": ("<Password_1_>{}</Password_1_>", "<Profile_Rule>{}</Profile_Rule>"),
    "mpp": ("<Admin_Password>{}</Admin_Password>", "<User_ID_1_>{}</User_ID_1_>"),
    "lg": ("line1_password {}", "https_url {}"),
}

MORE_DENIED: Final = {
    "mitel": (
        "sip line2 proxy ip: {}",
        "sip backup proxy ip: {}",
        "sip backup registrar port: {}",
        "outbound proxy: {}",
        "redirection: {}",
        "tftp server: {}",
        "dhcp config option override: {}",
    ),
    "yealink": (
        "static.server_certificates.url = {}",
        "managementserver.url = {}",
        "dm.enable = {}",
        "static.dm.enable = {}",
        "account.2.backup_outbound_host = {}",
        "account.1.sip_server_host = {}",
        "custom_mac_cfg.url = {}",
    ),
    "grandstream": (
        '<item name="account.2.sip.authid">{}</item>',
        '<item name="account.1.sip.server.2.address">{}</item>',
        "<P402>{}</P402>",
    ),
    "spa": ("<Alternate_Proxy_1_>{}</Alternate_Proxy_1_>", "<Custom_CA_Rule>{}</Custom_CA_Rule>"),
    "snom": ("<setting_server2>{}</setting_server2>", "<user_outbound_backup>{}</user_outbound_backup>"),
}
"""Names that no writer writes, and that move a phone all the same."""
GOLDEN: Final = Path(__file__).parent / "golden"
SECRET: Final = re.compile(
    "2yu9hjfy|g9ewhufg|iuhdwg9e|whufghui|4711|0x47,0x11|c1\\.example|sip\\.example|prov\\.example|5061|0x13c5"
)
"""Values of the golden files that are of an account, of our servers, of their URLs, or a password."""
HARMLESS: Final = re.compile(
    "volume|vol_|language|lang[.]|ring|tone|gain|brightness|back_?light|contrast|call_?waiting|codec",
    re.IGNORECASE,
)
MUSIC: Final = {
    COLON: ("ringer volume: {}", "language: {}", "ring tone: {}", "time server1: {}", "ldap server: {}"),
    EQUALS: ("voice.ring_vol = {}", "lang.gui = {}", "ringtone.url = {}", "remote_phonebook.data.1.url = {}"),
    INI: ("ring_volume {}", "language {}", "ringtone {}", "sntp_server_address {}"),
    XML: (
        "<vol_ringer>{}</vol_ringer>",
        "<language>{}</language>",
        "<user_idle_text>{}</user_idle_text>",
        "<Primary_NTP_Server>{}</Primary_NTP_Server>",
        '<item name="lcd.wallpaper.serverPath">{}</item>',
        '<param name="SIP.DefaultRingtone" value="{}"/>',
    ),
}
"""Lines that any extra lines of the syntax may have."""
DENIED: Final = "belongs to the account or to provisioning"


def golden(writer: str) -> list[tuple[str, str]]:
    """Each line of the full file before its extra lines that is a setting, as its name and the line."""
    text = (GOLDEN / f"{writer}-full.txt").read_text(encoding="utf-8")
    lines = text.partition("configurationTemplate: begin")[0].splitlines()
    found = [(_name(SYNTAXES[writer], line), line.strip()) for line in lines]
    keys = (
        "fkey",
        "linekey",
        "!topsoftkey",
        "!expmod",
        "expansion",
        "pks.",
        "PhoneUI.Keys",
        "Extended_F",
        "Unit_",
    )
    return [(name, line) for name, line in found if name and not name.startswith(keys)]


def _name(syntax: str, line: str) -> str:
    if syntax == XML:
        found = re.fullmatch(
            r'\s*<(?:(?:item|param|SYMB_ITEM) (?:name|ID)="([^"]+)"|(\w+)).*(?:/>|</.*>)', line
        )
        return (found[1] or found[2]) if found else ""
    is_setting = not line.startswith(("#", "[", "---", "===", "include", "add "))
    return line.partition({COLON: ":", EQUALS: "=", INI: " "}[syntax])[0].strip() if is_setting else ""


def with_custom(writer: str, text: str) -> Provisioned:
    phone = phones.empty(writer)
    account = replace(phone.account, display_name="Donald Duck", number="201")
    return replace(phone, handsets=(replace(phone.handsets[0], account=account),), serial="SN-1", custom=text)


def parsed(phone: Provisioned) -> list[Setting]:
    return PARSERS[phone.writer](render(phone, config_name(phone.writer, phone.mac, phone.model)).text)


def is_left_out(writer: str, text: str) -> None:
    """Lines that were stored before they were checked are not in the file, and the preview says why."""
    phone = with_custom(writer, text)
    file = render(phone, config_name(phone.writer, phone.mac, phone.model))
    assert PARSERS[writer](file.text) == parsed(with_custom(writer, ""))
    (reason,) = [one.reason for one in file.left_out if one.field == "customConfig"]
    assert reason == problem(writer, text)
    assert f"customConfig is left out: {reason}" in file.warnings


@every("writer", WRITERS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_a_problem_has_the_number_of_its_line(writer: str, end: str) -> None:
    good = LINES[writer].format("1")
    for wrong in (ACCOUNTS[writer][0].format("x"), LINES[writer].format("{{ password }}"), "\x01"):
        told = problem(writer, f"{good}{end}{end}{wrong}{end}{good}{end}")
        assert "line 3" in told, (wrong, told)
    assert problem(writer, f"{good}{end}{end}{good}{end}") == ""


@every("writer", WRITERS)
@pytest.mark.parametrize("odd", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_other_separators_are_no_ends_of_lines(writer: str, odd: str) -> None:
    """An editor shows one line there, so the lines behind it would have other numbers."""
    good = LINES[writer].format("1")
    assert problem(writer, f"{good}\n{good}{odd}{good}") == "line 2: control characters"


@every("writer", WRITERS)
def test_a_placeholder_is_in_one_line(writer: str) -> None:
    """It is replaced before the lines are looked at: what is behind it would have other numbers."""
    broken = LINES[writer].format("{{\nname }}")
    told = problem(writer, f"{LINES[writer].format('1')}\n{broken}\n{ACCOUNTS[writer][0].format('x')}")
    assert told == "line 2: a placeholder is in one line"


def test_each_writer_has_extra_lines() -> None:
    assert set(SYNTAXES) == set(WRITERS)


@every("writer", WRITERS)
@every(
    ("placeholder", "expected"),
    [
        ("number", "201"),
        ("name", "Donald Duck"),
        ("domain", "c1.example"),
        ("mac", phones.MAC),
        ("serial", "SN-1"),
    ],
)
def test_a_placeholder_is_replaced(writer: str, placeholder: str, expected: str) -> None:
    before = parsed(with_custom(writer, ""))
    for spelled in (f"{{{{ {placeholder} }}}}", f"{{{{{placeholder}}}}}"):
        after = parsed(with_custom(writer, LINES[writer].format(spelled)))
        assert [value for _, value in after if (_, value) not in before] == [expected]
        assert len(after) == len(before) + 1


def test_the_set_of_placeholders_is_closed() -> None:
    assert set(PLACEHOLDERS) == set(NAMES) == {"number", "name", "domain", "mac", "serial"}
    assert "password" in problem("yealink", "a.b = {{ password }}")
    assert "line 2" in problem("yealink", "a.b = 1\na.b = {{\npassword\n}}")
    is_left_out("yealink", "a.b = {{ account.password }}")


@every("writer", WRITERS)
def test_extra_lines_do_not_set_the_account(writer: str) -> None:
    for line in ACCOUNTS[writer]:
        text = line.format("x")
        assert DENIED in problem(writer, text), text
        is_left_out(writer, text)


@every("writer", WRITERS)
def test_no_extra_line_sets_what_the_writer_says_of_accounts_and_servers(writer: str) -> None:
    lines = [line for _, line in golden(writer) if SECRET.search(line)]
    assert len(lines) > 5
    assert [line for line in lines if DENIED not in problem(writer, line)] == []


@every(("writer", "line"), [(one, line) for one, of in MORE_DENIED.items() for line in of])
def test_no_extra_line_sets_another_server(writer: str, line: str) -> None:
    assert DENIED in problem(writer, line.format("x"))


@every("writer", WRITERS)
def test_harmless_extra_lines_are_good(writer: str) -> None:
    lines = [line for name, line in golden(writer) if HARMLESS.search(name)]
    lines += [line.format("1") for line in MUSIC[SYNTAXES[writer]]]
    assert [line for line in lines if problem(writer, line)] == []


@every("writer", WRITERS)
@every("broken", ["no setting", "<a>", "</phone-settings>", "<!DOCTYPE a>", "<?a?>", "&a;", "<a"])
def test_broken_extra_lines_are_refused(writer: str, broken: str) -> None:
    if writer == "lg" and broken == "no setting":
        return  # a name, a blank and a value
    assert problem(writer, broken)


@every(
    ("writer", "text"),
    [
        ("yealink", "{{ name }} = 1"),
        ("mitel", "{{ name }}: 1"),
        ("lg", "{{ name }} 1"),
        ("snom", "<a{{ name }}>1</a{{ name }}>"),
        ("snom", "<a {{ name }}='1'>1</a>"),
        ("snom", "<!-- {{ name }} -->"),
        ("gigaset-nx70", '<param name="{{ name }}" value="1"/>'),
        ("gigaset-n510", '<SYMB_ITEM ID="{{ name }}" value="1"/>'),
        ("snom", "text of no element"),
        ("snom", "<![CDATA[x]]>"),
        ("snom", "</extra><extra>"),
        ("yealink", 'include:config "https://x/?a=1"'),
        ("yealink", "a.b = 1\0"),
        ("yealink", "a.b = " + "x" * MAX_EXTRA),
    ],
)
def test_extra_lines_that_could_become_others_are_refused(writer: str, text: str) -> None:
    assert problem(writer, text)


def test_extra_lines_stand_last_between_two_comments() -> None:
    phone = replace(with_custom("yealink", "a.b = 2\n\n# mine"), extra="a.b = 1")
    text = render(phone, config_name("yealink", phone.mac, phone.model)).text
    assert text.endswith(
        "# configurationTemplate: begin of the extra lines\na.b = 1\n"
        "# configurationTemplate: end of the extra lines\n"
        "# customConfig: begin of the extra lines\na.b = 2\n\n# mine\n"
        "# customConfig: end of the extra lines\n"
    )


@every("writer", WRITERS)
def test_nothing_is_no_problem(writer: str) -> None:
    assert problem(writer, "") == problem(writer, " \n ") == ""


def test_a_model_without_a_writer_has_no_extra_lines() -> None:
    assert problem("", "anything") == ""


def _pieces(writer: str) -> list[str]:
    own = [LINES[writer].format("1"), *(line.format("1") for line in ACCOUNTS[writer])]
    return [
        *own,
        "{{ name }}",
        "<",
        ">",
        "&",
        '"',
        "'",
        "=",
        ":",
        "\n",
        "\r",
        "#",
        "!",
        "^",
        " ",
        "<!--",
        "-->",
    ]


@every("writer", WRITERS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_any_extra_lines_leave_the_rest_of_the_file_alone(writer: str, data: st.DataObject) -> None:
    pieces = st.one_of(st.sampled_from(_pieces(writer)), st.text(max_size=3))
    text = data.draw(st.lists(pieces, max_size=6).map("".join))
    before = parsed(with_custom(writer, ""))
    try:
        after = parsed(with_custom(writer, text))
    except Unwritable:
        assert problem(writer, text) or "{{" in text
        return
    if SYNTAXES[writer] == XML:
        assert [setting for setting in after if setting in before] == before
    else:
        assert after[: len(before)] == before
    known = {name for name, _ in before}
    added = {name for name, _ in after} - known
    assert not {name for name in added if "pass" in name.lower() and "1" in name}
