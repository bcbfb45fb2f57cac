"""The SIP accounts that a phone finds in its settings, brand by brand."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.config.provisioning.parsers import Setting

Values = Mapping[str, str]


@dataclass(frozen=True)
class Sip:
    """An account, and where it registers."""

    place: int
    """The line, port or handset that has it; the first is 1."""
    username: str
    auth: str
    password: str = field(repr=False)
    domain: str
    host: str
    port: int
    transport: str
    expires: int


def snom(settings: Iterable[Setting]) -> list[Sip]:
    """Of a desk phone: identity N has its own route."""
    values = _numbered(settings)
    return [
        _of_snom(values, number, *_route(values["user_outbound", number]))
        for number in _on(values, "user_active", "on")
    ]


def snom_dect(settings: Iterable[Setting]) -> list[Sip]:
    """Of a base: each extension names its server, and the handset that it is for."""
    values = _numbered(settings)
    found = []
    for number in _on(values, "user_active", "on"):
        assert values["subscr_sip_hs_idx", number] == number
        server = values["subscr_sip_ua_data_server_id", number]
        host, port, _ = _route(values["user_outbound", server] + ";transport=")
        found.append(_of_snom(values, number, host, port, values["srv_sip_transport", server], server))
    return found


def _of_snom(
    values: Mapping[tuple[str, str], str], number: str, host: str, port: int, transport: str, server: str = ""
) -> Sip:
    return Sip(
        int(number),
        values["user_name", number],
        values["user_pname", number],
        values["user_pass", number],
        values["user_host", server or number],
        host,
        port,
        transport,
        int(values["user_expiry", server or number]),
    )


def _numbered(settings: Iterable[Setting]) -> dict[tuple[str, str], str]:
    """`user_name idx=1 perm=R` -> ("user_name", "1")."""
    found = {}
    for name, value in settings:
        word, *attributes = name.split(" ")
        number = dict(one.split("=", 1) for one in attributes if "=" in one).get("idx", "")
        found[word, number] = value
    return found


def _on(values: Mapping[tuple[str, str], str], switch: str, word: str) -> list[str]:
    return [number for (name, number), value in values.items() if name == switch and value == word]


def _route(text: str) -> tuple[str, int, str]:
    """`host:port;transport=tls`."""
    place, _, transport = text.partition(";transport=")
    host, _, port = place.rpartition(":")
    return host.strip("[]"), int(port), transport


def mitel(settings: Iterable[Setting]) -> list[Sip]:
    """Of line 1; `!` locks a setting, `^` overwrites what the user chose."""
    values = {name.lstrip("!^"): value for name, value in settings}
    line = "sip line1 "
    transport = {"1": "udp", "2": "tcp", "4": "tls"}[values["sip transport protocol"]]
    assert values[line + "proxy ip"] == values[line + "registrar ip"]
    return [
        Sip(
            1,
            values[line + "user name"],
            values[line + "auth name"],
            values[line + "password"],
            values[line + "registrar ip"],
            values["sip outbound proxy"],
            int(values["sip outbound proxy port"]),
            transport,
            int(values[line + "registration period"]),
        )
    ]


def yealink(settings: Iterable[Setting]) -> list[Sip]:
    """Of each line, or of each handset of a base."""
    values = dict(settings)
    found = []
    for line in _matches(values, r"account\.(\d+)\.enable", "1"):
        own = {name.removeprefix(f"account.{line}."): value for name, value in values.items()}
        assert own["outbound_proxy_enable"] == "1"
        found.append(
            Sip(
                int(line),
                own["user_name"],
                own["auth_name"],
                own["password"],
                own["sip_server.1.address"],
                own["outbound_proxy.1.address"],
                int(own["outbound_proxy.1.port"]),
                {"0": "udp", "1": "tcp", "2": "tls"}[own["sip_server.1.transport_type"]],
                int(own["sip_server.1.expires"]),
            )
        )
    return found


def _matches(values: Values, pattern: str, word: str) -> list[str]:
    """The numbers in the names of settings that have this value."""
    found = [(re.fullmatch(pattern, name), value) for name, value in values.items()]
    return [match[1] for match, value in found if match and value == word]


def nx70(settings: Iterable[Setting]) -> list[Sip]:
    """Of an N610, N670 or N870: handsets that were added, and the provider that each of them names."""
    settings = list(settings)
    values = dict(settings)
    added = [value for name, value in settings if name == "oper add_hs"]
    return [_of_nx70(values, number) for number in added]


def _of_nx70(values: Values, number: str) -> Sip:
    own = f"SipAccount.{number}."
    provider = f"SipProvider.{values[own + 'ProviderId']}."
    return Sip(
        int(number),
        values[own + "UserName"],
        values[own + "AuthName"],
        values[own + "AuthPassword"],
        values[provider + "Domain"],
        values[provider + "RegServerAddress"],
        int(values[provider + "RegServerPort"]),
        {"1": "udp", "2": "tcp", "3": "tls"}[values[provider + "TransportProtocol"]],
        int(values[provider + "RegServerRefreshTimer"]),
    )


def n510(settings: Iterable[Setting]) -> list[Sip]:
    """Of an N510: six accounts, the first without a number; handset n sends and receives by account n."""
    values = dict(settings)
    active = _matches(values, r"BS_IP_Data1\.ucB_SIP_ACCOUNT_IS_ACTIVE_(\d)", "0x1")
    return [_of_n510(values, int(number)) for number in active]


def _of_n510(values: Values, number: int) -> Sip:
    suffix = "" if number == 1 else f"_{number}"
    for mask in ("uiSendMask", "uiReceiveMask"):
        assert int(values[f"BS_Accounts.astAccounts[{number - 1}].{mask}"], 16) == 1 << (number - 1)
    data = "BS_IP_Data1."
    return Sip(
        number,
        values[f"{data}aucS_SIP_USER_ID{suffix}"],
        values[f"BS_IP_Data3.aucS_SIP_LOGIN_ID{suffix}"],
        values[f"{data}aucS_SIP_PASSWORD{suffix}"],
        values[f"{data}aucS_SIP_DOMAIN{suffix}"],
        values[f"{data}aucS_SIP_REGISTRAR{suffix}"],
        int(values[f"{data}uiI_SIP_REGISTRAR_PORT{suffix}"], 16),
        "udp",
        int(values[f"{data}uiI_RE_REGISTRATION_TIMER{suffix}"], 16),
    )


def maxwell(settings: Iterable[Setting]) -> list[Sip]:
    """Of the first account, which is number 0."""
    values = dict(settings)
    own = "SIP.Account.0."
    assert values[own + "Active"] == "1"
    return [
        Sip(
            1,
            values[own + "Username"],
            values[own + "AuthName"],
            values[own + "AuthPassword"],
            values[own + "Domain"],
            values[own + "RegistrationServer.Address"],
            int(values[own + "RegistrationServer.Port"]),
            {"1": "udp", "3": "tcp", "2": "tls"}[values["SIP.TransportProtocol"]],
            3600,
        )
    ]


def grandstream(settings: Iterable[Setting]) -> list[Sip]:
    """Of account 1. It registers for minutes."""
    values = dict(settings)
    own = "account.1.sip."
    assert values["account.1.enable"] == values[own + "registration"] == "Yes"
    host, port, _ = _route(values[own + "outboundProxy.1.address"])
    return [
        Sip(
            1,
            values[own + "userid"],
            values[own + "subscriber.userid"],
            values[own + "subscriber.password"],
            values[own + "server.1.address"],
            host,
            port,
            {"UDP": "udp", "TCP": "tcp", "TlsOrTcp": "tls"}[values[own + "transport"]],
            60 * int(values[own + "registerExpiration"]),
        )
    ]


def cisco(settings: Iterable[Setting]) -> list[Sip]:
    """Of each line or port."""
    values = {name.partition(" ")[0]: value for name, value in settings}
    found = []
    for number in _matches(values, r"Line_Enable_(\d)_", "Yes"):
        own = {name.removesuffix(f"_{number}_"): value for name, value in values.items()}
        assert own["Use_Outbound_Proxy"] == own["Use_Auth_ID"] == "Yes"
        host, port, _ = _route(own["Outbound_Proxy"])
        found.append(
            Sip(
                int(number),
                own["User_ID"],
                own["Auth_ID"],
                own["Password"],
                own["Proxy"],
                host,
                port,
                own["SIP_Transport"].lower(),
                int(own["Register_Expires"]),
            )
        )
    return found


def lg(settings: Iterable[Setting]) -> list[Sip]:
    """Of line 1, which has no other route than its domain: DNS must lead to the server."""
    values = dict(settings)
    own = "VOIP/line1_"
    assert values[own + "type"] == "private"
    return [
        Sip(
            1,
            values[own + "name"],
            values[own + "authname"],
            values[own + "password"],
            values[own + "proxy_address"],
            values[own + "proxy_address"],
            int(values[own + "proxy_port"]),
            "udp",
            int(values["VOIP/timer_register_expires"]),
        )
    ]


ACCOUNTS: Final[Mapping[str, Callable[[Iterable[Setting]], list[Sip]]]] = {
    "snom": snom,
    "snom8": snom,
    "snom-dect": snom_dect,
    "mitel": mitel,
    "yealink": yealink,
    "yealink-dect": yealink,
    "gigaset-n510": n510,
    "gigaset-nx70": nx70,
    "maxwell": maxwell,
    "grandstream": grandstream,
    "spa": cisco,
    "mpp": cisco,
    "lg": lg,
}
