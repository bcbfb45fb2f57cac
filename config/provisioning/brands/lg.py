"""LG-Ericsson LIP phones of the old generation: sections of lines `name value`."""

from typing import Final

from ..draft import Draft, Pair
from ..extra import extra_lines
from ..keys import Function, Types, functions
from ..syntax import ini
from ..view import PHONE, Provisioned
from ..wiring import static_address

DIALLED: Final = "add"
WATCHED: Final = "dss"
LINE: Final = "private"
KEYS: Final = Types(
    {
        "SPEEDDIAL": DIALLED,
        "BLF": WATCHED,
        "LINE": LINE,
        "DND": DIALLED,
        "DNDOTHER": DIALLED,
        "VOICEMAIL": DIALLED,
        "PICKUP": DIALLED,
        "PICKUPGROUP": DIALLED,
        "QUEUE": WATCHED,
        "SWITCH": WATCHED,
        "PRESENCE": DIALLED,
    },
    dials_dnd=True,
)


def config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of a phone."""
    voip, programmed = Draft(), Draft()
    _account(phone, voip)
    for key in functions(phone, KEYS, draft):
        _key(key, voip, programmed)
    if static_address(phone.network, draft):
        draft.leave("network.dhcp", "the names of the settings are not public for this phone")
    if phone.server.transport != "udp":
        draft.warn("The phone registers over UDP: the name of the setting for other transports is not public")
    time = [Pair("sntp_server_address", phone.server.ntp)]
    sections = (
        ("VOIP", voip.pairs),
        ("NETTIME", time),
        ("PROVISION", _provision(phone.server.url)),
        ("PROG", programmed.pairs),
    )
    draft.pairs += [*voip.pairs, *time, *programmed.pairs]
    return ini(sections) + extra_lines(phone)


def stub(url: str, mac: str) -> str:
    """Return a file that says only where to load from."""
    return ini([("PROVISION", _provision(url))])


def common(phone: Provisioned, name: str) -> str:
    """Return the file of the model, which says only where to load from."""
    return stub(phone.server.url, phone.mac)


def _provision(url: str) -> list[Pair]:
    return [Pair("https_url", url), Pair("https_macform", "MAC")]


def _account(phone: Provisioned, voip: Draft) -> None:
    one, server = phone.account, phone.server
    for name, value, source in (
        ("line1_proxy_address", one.domain, ""),
        ("line1_proxy_port", str(server.port), ""),
        ("line1_displayname", one.display_name.strip(), "employee.name"),
        ("line1_name", one.username, "username"),
        ("line1_authname", one.username, "username"),
        ("line1_password", one.password, "password"),
        ("line1_type", LINE, ""),
        ("timer_register_expires", str(server.expires), ""),
    ):
        voip.add(name, value, source)


def _key(key: Function, voip: Draft, programmed: Draft) -> None:
    kind = KEYS.of[key.name] if key.name and key.panel == PHONE else ""
    if kind == WATCHED and key.index:
        prefix = f"line{key.index + 1}_"
        voip.add(prefix + "type", WATCHED, key.source)
        voip.add(prefix + "extension", key.number, f"{key.source}.value")
        voip.add(prefix + "displayname", key.label, f"{key.source}.label")
    elif kind in (DIALLED, WATCHED):
        programmed.add("add", f"{key.index + 1} 1 {key.number}", f"{key.source}.value")
