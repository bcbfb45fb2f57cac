"""For any texts: a parser finds exactly the settings that were meant, or the writer refused by name.

The expected settings do not come from the writer under these texts. A phone whose texts are words of their
own is parsed first; then each word in the result is replaced by the text that took its place.
"""

from dataclasses import replace
from functools import cache
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.provisioning import files
from config.provisioning.render import WRITERS, Unwritable, render
from config.provisioning.view import Key, Provisioned
from tests.config.provisioning import phones
from tests.config.provisioning.parsers import PARSERS, Setting
from tests.every import every
from tests.patience import SOAK

EXAMPLES: Final = 20_000 if SOAK else 30

WORDS: Final = {
    "username": "wordusername",
    "password": "wordpassword",
    "domain": "worddomain",
    "display_name": "worddisplay",
    "number": "wordnumber",
    "ntp": "wordntp",
    "background": "https://pictures.example/wordbackground",
    "label": "wordlabel",
    "target": "wordtarget",
    "serial": "wordserial",
    "admin": "wordadmin",
}
ALPHABET: Final = (
    "ab01\xe5\xd8\u05d0\U0001f600 \r\n\t\0\"'\\<>&;:=#@$%{}[]|,!^-]`"
    "\x0b\x0c\x1b\x1c\x7f\x85\u2028\u2029\u202e\ufeff\ufffe\uffff\ud800"
)
"""Letters of several alphabets, every metacharacter of a format, and what is no character."""
NASTY: Final = (
    "%NULL%",
    "$$LOCALIP$$",
    "$MA",
    "]]>",
    "-->",
    "<!--",
    "\r\naccount.1.password = x",
    "\nsip line1 password: x",
    '"/><param name="SipAccount.00001.AuthPassword" value="x',
    "</user_pass><user_pass>x",
    '" ID="BS_CUSTOM.aucKdsPin[0]" value="0x00',
    "x;fnc=sd;ext=0900@$PROXY",
    "202|0900",
    "[VOIP]",
    "# comment",
    "{{ name }}",
    "{mac}",
    "&#10;",
    "&amp;",
    "\ud800",
)
PIECES: Final = st.one_of(st.sampled_from(ALPHABET), st.sampled_from(NASTY))
TEXTS: Final = st.one_of(
    st.lists(PIECES, min_size=1, max_size=6).map("".join),
    st.text(min_size=1, max_size=200),
).filter(str.strip)
"""A blank name has a test of its own: some phones show the number instead."""
CHOICES: Final = st.dictionaries(st.sampled_from(sorted(WORDS)), TEXTS, min_size=1, max_size=3)


def phone_with(writer: str, texts: dict[str, str]) -> Provisioned:
    phone = phones.full(writer)
    first, *others = phone.handsets
    account = replace(
        first.account,
        username=texts["username"],
        password=texts["password"],
        domain=texts["domain"],
        display_name=texts["display_name"],
        number=texts["number"],
    )
    keys = (
        () if writer in phones.BASES else (Key(0, "LINE"), Key(1, "BLF", 0, texts["target"], texts["label"]))
    )
    return replace(
        phone,
        handsets=(replace(first, account=account), *others),
        server=replace(phone.server, ntp=texts["ntp"]),
        softkeys=len(keys),
        panels=0,
        keys=keys,
        serial=texts["serial"],
        admin_password=texts["admin"],
        display=replace(phone.display, background=texts["background"]),
    )


def parsed(phone: Provisioned) -> list[Setting]:
    text = render(phone, files.config_name(phone.writer, phone.mac, phone.model)).text
    text.encode()
    return PARSERS[phone.writer](text)


def shown(writer: str, field: str, texts: dict[str, str]) -> str:
    """Return how a writer may change a text that is only shown: blanks at its ends, and signs of Cisco.

    A label of which nothing is left is as none: the key shows its number.
    """
    text = texts[field]
    if field not in ("label", "display_name", "serial"):
        return text
    if writer in ("spa", "mpp"):
        text = text.replace(";", ",") if field == "label" else text
        text = "".join(char for char in text if char not in ("$@=" if field == "label" else "$"))
    text = text.strip()
    return texts["target"] if field == "label" and not text and writer in ("spa", "mpp") else text


@cache
def of_words(writer: str) -> tuple[Setting, ...]:
    return tuple(parsed(phone_with(writer, WORDS)))


def expected(writer: str, texts: dict[str, str]) -> list[Setting]:
    """Return the settings of the phone of words, each word replaced."""
    settings = []
    for name, value in of_words(writer):
        for field, word in WORDS.items():
            value = value.replace(word, shown(writer, field, texts))
        if name == "phone_setting.backgrounds":
            value = "Config:" + texts["background"].partition("?")[0].rpartition("/")[2]
        settings.append((name, value))
    return settings


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(choice=CHOICES)
@example(choice={"label": "$"})
def test_any_text_gives_the_meant_settings_or_a_named_refusal(writer: str, choice: dict[str, str]) -> None:
    texts = WORDS | choice
    for field in ("number", "domain"):
        texts[field] = texts[field].strip()  # the API takes no blanks there, and extra lines drop them
    try:
        found = parsed(phone_with(writer, texts))
    except Unwritable as refusal:
        assert refusal.field
        assert refusal.reason
        return
    assert [name for name, _ in found] == [name for name, _ in of_words(writer)]
    assert found == expected(writer, texts)


@pytest.mark.parametrize(
    ("writer", "name"),
    [
        ("yealink-dect", "handset.1.name"),
        ("gigaset-nx70", "SipAccount.00001.DisplayName"),
        ("gigaset-n510", "BS_IP_Data1.aucS_SIP_DISPLAYNAME"),
    ],
)
def test_a_blank_name_is_replaced_by_the_number(writer: str, name: str) -> None:
    assert dict(parsed(phone_with(writer, WORDS | {"display_name": " "})))[name] == "wordnumber"


@every(
    ("writer", "field", "text", "named"),
    [
        ("yealink", "display_name", "%NULL%", "employee.name"),
        ("yealink", "password", " x", "password"),
        ("mitel", "display_name", "a$$b$$", "employee.name"),
        ("mitel", "label", '"quoted"', "softkeys[1].label"),
        ("spa", "password", "a$b", "password"),
        ("gigaset-n510", "display_name", 'a"b', "employee.name"),
        ("lg", "display_name", 'a"b', "employee.name"),
        ("snom", "display_name", "a\nb", "employee.name"),
        ("snom", "target", "202|0900", "softkeys[1].value"),
        ("grandstream", "password", "a\ufffeb", "password"),
    ],
)
def test_a_value_that_a_format_cannot_carry_is_refused_by_name(
    writer: str, field: str, text: str, named: str
) -> None:
    with pytest.raises(Unwritable) as refusal:
        parsed(phone_with(writer, WORDS | {field: text}))
    assert refusal.value.field == named
    assert field != "password" or text not in refusal.value.reason
