"""Phones to render: one with nothing set, one with everything, and one with the worst texts that fit."""

from dataclasses import replace
from typing import Final

from config.provisioning.view import (
    Account,
    Display,
    Handset,
    Key,
    Levels,
    Network,
    Provisioned,
    Server,
    Services,
    Sound,
)

MAC: Final = "000413922D24"
MODELS: Final = {
    "snom": ("SNOM", "D785"),
    "snom8": ("SNOM", "D865"),
    "snom-dect": ("SNOM", "M400"),
    "mitel": ("MITEL", "6867i"),
    "yealink": ("YEALINK", "T46U"),
    "yealink-dect": ("YEALINK", "W60B"),
    "gigaset-n510": ("GIGASET", "N510 IP PRO"),
    "gigaset-nx70": ("GIGASET", "N870 IP PRO"),
    "maxwell": ("GIGASET", "Maxwell 3"),
    "grandstream": ("GRANDSTREAM", "GRP2614"),
    "spa": ("CISCO", "SPA504G"),
    "mpp": ("CISCO", "8841"),
    "lg": ("LG", "LIP-8002"),
}
BASES: Final = frozenset({"snom-dect", "yealink-dect", "gigaset-n510", "gigaset-nx70"})
FUNCTIONS: Final = tuple(
    "SPEEDDIAL BLF LINE DND DNDOTHER ADDRESSBOOK REDIAL VOICEMAIL TRANSFER URL HOLD "
    "RECORD MENU PICKUP PICKUPGROUP QUEUE SWITCH PRESENCE".split()
)
ALL_SERVICES: Final = Services(voicemail="900", switch="*21", presence="*22", record="*23", dndother="*24")
SERVER: Final = Server("sip.example", 5061, "tls", "https://prov.example/p/steadysecret/")


def empty(writer: str) -> Provisioned:
    """Return a phone as it is after its creation: an account, and what the installation says."""
    brand, model = MODELS[writer]
    account = Account("2yu9hjfy", "g9ewhufg", "c1.example")
    return Provisioned(MAC, brand, model, writer, (Handset(0, account),), SERVER)


def full(writer: str) -> Provisioned:
    """Return a phone with all of its settings."""
    return replace(
        empty(writer),
        handsets=handsets(writer),
        server=replace(
            SERVER,
            ntp="pool.ntp.example",
            timezone="Europe/Copenhagen",
            language="da",
            ca_url="https://prov.example/ca.pem",
        ),
        extensions=4 if writer in BASES else 1,
        serial="SN-1",
        softkeys=0 if writer in BASES else 20,
        panel_softkeys=3,
        panel="Panel",
        panels=0 if writer in BASES else 2,
        keys=() if writer in BASES else KEYS,
        call_waiting=True,
        blind_transfer=True,
        headset_button="headset-speaker",
        dhsg=True,
        hd_audio=False,
        video=True,
        sound=Sound(4, "2", Levels(1, 2), Levels(2, 1), Levels(1, 1)),
        display=Display(7, 15, "https://pictures.example/a.jpg", "LIGHT"),
        network=Network(
            False, "192.168.1.10", "255.255.255.0", "192.168.1.1", "192.168.1.1", "9.9.9.9", 12, 5
        ),
        services=ALL_SERVICES,
        admin_password="4711",
        extra=EXTRAS[writer],
    )


def handsets(writer: str) -> tuple[Handset, ...]:
    first = Handset(0, Account("2yu9hjfy", "g9ewhufg", "c1.example", "Donald Duck", "201"))
    if writer not in BASES:
        return (first,)
    third = Account("iuhdwg9e", "whufghui", "c1.example", "Daisy Duck", "203")
    return (first, Handset(2, third, "035860667499"))


VALUES: Final = {
    "SPEEDDIAL": "112",
    "BLF": "202",
    "DNDOTHER": "202",
    "URL": "https://menu.example/a?b=1&c=2",
    "PICKUPGROUP": "600",
    "QUEUE": "700",
    "SWITCH": "night",
    "PRESENCE": "away",
}
KEYS: Final = (
    *(
        Key(index, function, 0, VALUES.get(function, ""), function.title())
        for index, function in enumerate(FUNCTIONS)
    ),
    Key(1, "BLF", 2, "203", "Daisy"),
)

EXTRAS: Final = {
    "snom": '<!-- of the model -->\n<dim_timer perm="">{{ number }}</dim_timer>',
    "snom8": '<theme perm="">{{name}}</theme>',
    "snom-dect": "<log_level>{{ mac }}</log_level>",
    "mitel": "# of the model\nbl on time: {{ number }}",
    "yealink": "# of the model\nphone_setting.backlight_time = {{ number }}",
    "yealink-dect": "custom.handset.date_format = {{ serial }}",
    "gigaset-n510": '<SYMB_ITEM ID="BS_LM_AppCfg.bit.bHasIdleTextInternalName" class="symb_item" value="1"/>',
    "gigaset-nx70": '<param name="DmGlobal.0.HSIdleDisplay" value="{{ number }}"/>',
    "maxwell": '<param name="PhoneUI.Keys.FunctionKeys.Icons" value="1"/>',
    "grandstream": '<item name="lcd.backlight.activeTimeout">{{ number }}</item>',
    "spa": '<Back_Light_Timer ua="rw">{{ domain }}</Back_Light_Timer>',
    "mpp": '<Back_Light_Timer ua="rw">{{ domain }}</Back_Light_Timer>',
    "lg": "[VOIP]\npreferred_codec {{ number }}",
}

WORST_NAME: Final = "Ø <&> ' ]]> ; = : # | %s {mac} \N{HEBREW LETTER ALEF}\U0001f600 " + "x" * 150
"""All that every format can carry: what is refused has tests of its own."""


def worst(writer: str) -> Provisioned:
    """Return a phone whose texts have every character that its format can carry."""
    phone = full(writer)
    account = replace(phone.account, display_name=WORST_NAME, password="a&b<c>'d;e=f:g#h|i%j")
    others = phone.handsets[1:]
    keys = tuple(replace(key, label=WORST_NAME) if key.function == "BLF" else key for key in phone.keys)
    return replace(phone, handsets=(Handset(0, account), *others), keys=keys)
