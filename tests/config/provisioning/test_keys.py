"""What the 18 functions of softkeys become on each brand, and what is left out instead."""

from dataclasses import fields, replace

import pytest

from config.provisioning.draft import LACKING, Draft
from config.provisioning.files import config_name
from config.provisioning.keys import Types, functions
from config.provisioning.render import WRITERS, File, Unwritable, capabilities, render
from config.provisioning.view import PHONE, Key, Provisioned, Services, place
from config.settings import SERVICES
from registrar.settings import Settings
from tests.config.provisioning import phones
from tests.config.provisioning.parsers import PARSERS, Setting
from tests.every import every

WITH_KEYS = [writer for writer in WRITERS if writer not in phones.BASES]
RECORDED = {
    "snom": "fkey context=1 idx=0 lp=on perm=R",
    "mitel": "!topsoftkey1",
    "yealink": "linekey.1",
    "grandstream": "pks.vpk.1",
    "maxwell": "PhoneUI.Keys.FunctionKeys.0",
    "spa": "Extended_Function_1_ ua=na",
}


def phone_of(writer: str, *keys: Key, services: Services = phones.ALL_SERVICES) -> Provisioned:
    return replace(phones.empty(writer), softkeys=2, keys=keys, services=services)


def rendered(phone: Provisioned) -> File:
    return render(phone, config_name(phone.writer, phone.mac, phone.model))


def settings_of(phone: Provisioned) -> list[Setting]:
    return PARSERS[phone.writer](rendered(phone).text)


def first_key(writer: str, function: str) -> dict[str, str]:
    """Return the settings of the first key, by the part of the name behind the key."""
    key = Key(0, function, PHONE, phones.VALUES.get(function, ""), "Label")
    phone = replace(phone_of(writer, key), model="6920" if writer == "mitel" else phones.MODELS[writer][1])
    prefix = RECORDED[writer]
    found = {name: value for name, value in settings_of(phone) if name.startswith(prefix)}
    return {name[len(prefix) :].strip(" ./"): value for name, value in found.items()}


SNOM = {
    "SPEEDDIAL": "speed 112",
    "BLF": "blf sip:202@c1.example;user=phone|**",
    "LINE": "line",
    "DND": "keyevent F_DND",
    "DNDOTHER": "speed *24202",
    "ADDRESSBOOK": "keyevent F_ADR_BOOK",
    "REDIAL": "keyevent F_REDIAL",
    "VOICEMAIL": "speed 900",
    "TRANSFER": "keyevent F_TRANSFER",
    "URL": "url https://menu.example/a?b=1&c=2",
    "HOLD": "keyevent F_HOLD",
    "RECORD": "recorder *23",
    "MENU": "keyevent F_SETTINGS",
    "PICKUP": "speed *8",
    "PICKUPGROUP": "speed *8600",
    "QUEUE": "blf sip:*45700@c1.example;user=phone",
    "SWITCH": "blf sip:*21night@c1.example;user=phone",
    "PRESENCE": "speed *22away",
}
YEALINK = {
    "SPEEDDIAL": ("13", "112"),
    "BLF": ("16", "202"),
    "LINE": ("15", ""),
    "DND": ("5", ""),
    "DNDOTHER": ("13", "*24202"),
    "ADDRESSBOOK": ("29", ""),
    "REDIAL": ("6", ""),
    "VOICEMAIL": ("12", "900"),
    "TRANSFER": ("3", ""),
    "URL": ("17", "https://menu.example/a?b=1&c=2"),
    "HOLD": ("4", ""),
    "RECORD": ("25", "*23"),
    "MENU": ("0", None),
    "PICKUP": ("13", "*8"),
    "PICKUPGROUP": ("13", "*8600"),
    "QUEUE": ("16", "*45700"),
    "SWITCH": ("16", "*21night"),
    "PRESENCE": ("13", "*22away"),
}
MITEL = {
    "SPEEDDIAL": "speeddial",
    "BLF": "blf",
    "LINE": "line",
    "DND": "dnd",
    "DNDOTHER": "speeddial",
    "ADDRESSBOOK": "directory",
    "REDIAL": "redial",
    "VOICEMAIL": "speeddialmwi",
    "TRANSFER": "xfer",
    "URL": "xml",
    "HOLD": "none",
    "RECORD": "speeddial",
    "MENU": "services",
    "PICKUP": "speeddial",
    "PICKUPGROUP": "speeddial",
    "QUEUE": "blf",
    "SWITCH": "blf",
    "PRESENCE": "speeddial",
}
GRANDSTREAM = {
    "SPEEDDIAL": ("SpeedDial", "112"),
    "BLF": ("BLF", "202"),
    "LINE": ("Line", ""),
    "DND": ("BLF", "*76"),
    "DNDOTHER": ("SpeedDial", "*24202"),
    "VOICEMAIL": ("SpeedDial", "900"),
    "RECORD": ("SpeedDial", "*23"),
    "PICKUP": ("SpeedDial", "*8"),
    "PICKUPGROUP": ("SpeedDial", "*8600"),
    "QUEUE": ("BLF", "*45700"),
    "SWITCH": ("BLF", "*21night"),
    "PRESENCE": ("SpeedDial", "*22away"),
}
CISCO = {
    "SPEEDDIAL": "fnc=sd;ext=112@$PROXY;nme=Label",
    "BLF": "fnc=sd+blf+cp;sub=202@$PROXY;nme=Label",
    "LINE": "",
    "DND": "fnc=sd+blf+cp;sub=*76@$PROXY;nme=Label",
    "DNDOTHER": "fnc=sd;ext=*24202@$PROXY;nme=Label",
    "VOICEMAIL": "fnc=sd;ext=900@$PROXY;nme=Label",
    "PICKUP": "fnc=sd;ext=*8@$PROXY;nme=Label",
    "PICKUPGROUP": "fnc=sd;ext=*8600@$PROXY;nme=Label",
    "QUEUE": "fnc=sd+blf+cp;sub=*45700@$PROXY;nme=Label",
    "SWITCH": "fnc=sd+blf+cp;sub=*21night@$PROXY;nme=Label",
    "PRESENCE": "fnc=sd;ext=*22away@$PROXY;nme=Label",
}


@every("function", phones.FUNCTIONS)
def test_the_functions_of_snom(function: str) -> None:
    assert first_key("snom", function)[""] == SNOM[function]


@every("function", phones.FUNCTIONS)
def test_the_functions_of_yealink(function: str) -> None:
    key = first_key("yealink", function)
    assert (key["type"], key.get("value")) == YEALINK[function]


@every("function", phones.FUNCTIONS)
def test_the_functions_of_mitel(function: str) -> None:
    assert first_key("mitel", function)["type"] == MITEL[function]


@every("function", phones.FUNCTIONS)
def test_the_functions_of_grandstream(function: str) -> None:
    key = first_key("grandstream", function)
    assert (key["keyMode"], key.get("value")) == GRANDSTREAM.get(function, ("None", None))


@every("function", phones.FUNCTIONS)
def test_the_functions_of_cisco(function: str) -> None:
    assert first_key("spa", function)[""] == CISCO.get(function, "")


@every("writer", WITH_KEYS)
@every("function", phones.FUNCTIONS)
def test_a_function_is_written_or_left_out_with_a_reason(writer: str, function: str) -> None:
    phone = phone_of(writer, Key(0, function, PHONE, phones.VALUES.get(function, "")))
    reasons = [one.reason for one in rendered(phone).left_out if one.field == "softkeys[0]"]
    assert len(reasons) == (0 if function in capabilities(writer) else 1)


@pytest.mark.parametrize("function", "DNDOTHER VOICEMAIL RECORD SWITCH PRESENCE".split())
def test_a_key_that_nothing_answers_is_left_out(function: str) -> None:
    key = Key(0, function, PHONE, phones.VALUES.get(function, ""))
    file = rendered(phone_of("snom", key, services=Services()))
    assert [one.field for one in file.left_out] == ["softkeys[0]"]
    assert f"REGISTRAR_SERVICE_{function}" in file.left_out[0].reason
    assert '<fkey idx="0" context="1" label="" lp="on" perm="R">none</fkey>' in file.text


@pytest.mark.parametrize(
    ("function", "family"), [("PICKUP", "pickup"), ("PICKUPGROUP", "pickup"), ("QUEUE", "queue")]
)
def test_a_key_whose_feature_code_is_disabled_is_left_out(function: str, family: str) -> None:
    services = Services(features=frozenset({"forward"}))
    file = rendered(phone_of("snom", Key(0, function, PHONE, "600"), services=services))
    assert [one.reason for one in file.left_out] == [
        f"{function}: the feature codes of the family {family} are disabled (REGISTRAR_FEATURES)"
    ]


def test_without_pickup_a_lamp_picks_nothing_up() -> None:
    phone = phone_of("snom", Key(0, "BLF", PHONE, "202"), services=Services(features=frozenset()))
    assert ("fkey context=1 idx=0 lp=on perm=R", "blf sip:202@c1.example;user=phone") in settings_of(phone)


def test_a_service_beside_this_server_replaces_the_feature_code() -> None:
    services = Services(queue="*55", pickup="*9")
    phone = phone_of("snom", Key(0, "QUEUE", PHONE, "700"), Key(1, "PICKUP"), services=services)
    values = [value for name, value in settings_of(phone) if name.endswith("perm=R") and "fkey" in name]
    assert values == ["blf sip:*55700@c1.example;user=phone", "speed *9"]


def test_a_pickup_of_one_extension_dials_its_number() -> None:
    phone = phone_of("snom", Key(0, "PICKUP", PHONE, "202"))
    assert ("fkey context=1 idx=0 lp=on perm=R", "speed **202") in settings_of(phone)


@every("writer", WITH_KEYS)
def test_a_pointer_without_a_target_does_nothing(writer: str) -> None:
    key = Key(0, "BLF", PHONE, "", "Gone", "the extension was deleted")
    file = rendered(phone_of(writer, key))
    assert ("softkeys[0]", "BLF: the extension was deleted") in [
        (one.field, one.reason) for one in file.left_out
    ]
    assert "Gone" not in file.text


@every("writer", WITH_KEYS)
@every("number", ["2 3", "2;fnc=sd", "2|3", "2\n3", "2@x", "x" * 65, "$MA"])
def test_a_number_with_a_separator_is_refused(writer: str, number: str) -> None:
    with pytest.raises(Unwritable) as refusal:
        rendered(phone_of(writer, Key(0, "SPEEDDIAL", PHONE, number)))
    assert refusal.value.field == "softkeys[0].value"


def test_without_stored_keys_the_first_key_is_a_line() -> None:
    phone = phone_of("yealink")
    keys = [(name, value) for name, value in settings_of(phone) if name.endswith(".type") and "key" in name]
    assert keys == [("linekey.1.type", "15"), ("linekey.2.type", "0")]


def test_a_key_where_the_phone_has_none_is_left_out() -> None:
    phone = phone_of("snom", Key(7, "LINE"), Key(0, "LINE", 3))
    assert [one.reason for one in rendered(phone).left_out] == ["the phone has no key at this position"] * 2


def test_keys_beyond_those_of_the_phone_are_on_its_panels() -> None:
    assert [place(position, 24, 18) for position in (0, 23, 24, 41, 42)] == [
        (PHONE, 0),
        (PHONE, 23),
        (1, 0),
        (1, 17),
        (2, 0),
    ]
    assert place(30, 24, 0) == (PHONE, 30)


@pytest.mark.parametrize(
    ("writer", "name"),
    [
        ("snom", "fkey context=1 idx=6 lp=on perm=R"),
        ("mitel", "!expmod2 key2 type"),
        ("yealink", "expansion_module.2.key.2.type"),
        ("grandstream", "pks.ext.5.keyMode"),
        ("spa", "Unit_2_Key_2 ua=na"),
    ],
)
def test_panels_are_numbered_on_behind_the_phone(writer: str, name: str) -> None:
    phone = replace(
        phone_of(writer, Key(1, "BLF", 2, "202", "Hans")), panels=2, panel_softkeys=3, panel="Panel"
    )
    assert phone.position(phone.keys[0]) == 6
    value = dict(settings_of(phone))[name]
    assert value in ("blf", "16", "BLF") or "202" in value


def test_the_keys_of_a_mitel_are_named_by_its_model() -> None:
    keys = (Key(0, "LINE"), Key(19, "BLF", PHONE, "202"), Key(20, "BLF", PHONE, "203"), Key(21, "LINE"))
    phone = replace(phone_of("mitel", *keys), softkeys=38, model="6867i", blind_transfer=True)
    found = dict(settings_of(phone))
    assert found["!topsoftkey20 type"] == "blfxfer"
    assert found["!softkey1 type"] == "none"
    assert found["!softkey2 type"] == "line"
    assert "BLF: the lower keys of this phone have no lamp" in [
        one.reason for one in rendered(phone).left_out
    ]


def test_a_label_of_cisco_adds_no_function() -> None:
    phone = phone_of("spa", Key(0, "SPEEDDIAL", PHONE, "112", "x;fnc=sd;ext=0900@$PROXY"))
    value = dict(settings_of(phone))["Extended_Function_1_ ua=na"]
    assert value == "fnc=sd;ext=112@$PROXY;nme=x,fncsd,ext0900PROXY"
    assert value.count(";") == 2


def test_a_phone_of_cisco_without_a_line_key_is_warned_of() -> None:
    assert rendered(phone_of("spa", Key(0, "SPEEDDIAL", PHONE, "112"))).warnings
    assert not rendered(phone_of("spa", Key(0, "LINE"))).warnings


def test_a_brand_without_a_function_says_so() -> None:
    draft = Draft()
    found = list(functions(phone_of("snom", Key(0, "HOLD")), Types({}), draft))
    assert [key.name for key in found] == ["", ""]
    assert draft.left_out[0].reason == "HOLD: this phone has no key for it"
    assert LACKING not in draft.left_out[0].reason


def test_each_service_has_a_setting() -> None:
    assert set(SERVICES) == {field.name for field in fields(Services)} - {"features"}
    assert {f"service_{name}" for name in SERVICES} <= set(Settings.model_fields)
    assert {name.upper() for name in SERVICES} <= set(phones.FUNCTIONS)
