"""Gigaset DECT bases: N610, N670, N870 by parameters, N510 by symbols."""

from typing import Final

from ..draft import Draft
from ..extra import extra_lines
from ..locales import ZONES
from ..markup import OPERATION, params_xml, symbols_xml
from ..view import Handset, Provisioned
from ..wiring import ipui, static_address, without_scheme

PRODUCT: Final = "e2"
TRANSPORTS: Final = {"udp": "1", "tcp": "2", "tls": "3"}
_N510_ZONES: Final = {0: "0x1a", 1: "0x1b", 2: "0x20"}
_REGISTRATION: Final = 900
"""Seconds for which the base accepts new handsets after it has loaded the file."""
_PIN: Final = 4


def config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of an N610, N670 or N870."""
    draft.add(OPERATION, "DeleteNotProvisionedHS")
    if phone.admin_password:
        draft.add("WebUIAccounts.1.Password", phone.admin_password)
    draft.add("Provisioning.global.ProvisioningServer", phone.server.url + "%MACD.xml")
    _surroundings(phone, draft)
    _provider(phone, draft)
    for handset in phone.handsets:
        _handset(draft, handset)
    _network(phone, draft)
    return params_xml(draft.pairs, PRODUCT, extra_lines(phone))


def stub(url: str, mac: str) -> str:
    """Return a file that says only where to load from."""
    return params_xml((), PRODUCT, step=url + "%MACD.xml")


def common(phone: Provisioned, name: str) -> str:
    """Return a file without an account."""
    return stub(phone.server.url, phone.mac)


def _surroundings(phone: Provisioned, draft: Draft) -> None:
    draft.add("DmGlobal.0.SystemRegDomain", "EUR")
    if phone.server.ntp:
        draft.add("DmGlobal.0.NtpServer", phone.server.ntp)
    if phone.server.timezone:
        draft.add("DmGlobal.0.TimeZone", phone.server.timezone)


def _provider(phone: Provisioned, draft: Draft) -> None:
    server = phone.server
    for name, value in (
        ("Name", "registrar"),
        ("Domain", phone.account.domain),
        ("ProxyServerAddress", server.host),
        ("ProxyServerPort", str(server.port)),
        ("RegServerAddress", server.host),
        ("RegServerPort", str(server.port)),
        ("RegServerRefreshTimer", str(server.expires)),
        ("TransportProtocol", TRANSPORTS[server.transport]),
        ("OutboundProxyMode", "2"),
    ):
        draft.add(f"SipProvider.0.{name}", value)


def _handset(draft: Draft, handset: Handset) -> None:
    number = f"{handset.index + 1:05}"
    account = handset.account
    draft.add(OPERATION, "add_hs", value=number, **{"hs.RegStatus": "ToReg"})
    prefix = f"SipAccount.{number}."
    draft.add(prefix + "AuthName", account.username, "username")
    draft.add(prefix + "AuthPassword", account.password, "password")
    draft.add(prefix + "UserName", account.username, "username")
    draft.add(prefix + "DisplayName", account.display_name.strip() or account.number, "employee.name")
    draft.add(prefix + "ProviderId", "0")
    if ipui(handset.address):
        draft.leave("handsetAddress", "the base takes any handset; the name of the setting is not public")


def _network(phone: Provisioned, draft: Draft) -> None:
    if static_address(phone.network, draft):
        draft.leave("network.dhcp", "the names of the settings are not public for this base")


def n510_config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of an N510 with up to six handsets."""
    there = {handset.index: handset for handset in phone.handsets}
    for index in range(max(phone.extensions, *(index + 1 for index in there))):
        handset = there.get(index)
        _number(draft, f"BS_IP_Data1.ucB_SIP_ACCOUNT_IS_ACTIVE_{index + 1}", int(handset is not None))
        if handset is not None:
            _n510_handset(phone, draft, handset)
    _n510_base(phone, draft)
    return symbols_xml(draft.pairs, phone.mac, extra_lines(phone))


def n510_stub(url: str, mac: str) -> str:
    """Return a file that says only where to load from."""
    draft = Draft()
    draft.add("BS_IP_Data1.aucS_DATA_SERVER[0]", without_scheme(url))
    return symbols_xml(draft.pairs, mac.upper())


def n510_common(phone: Provisioned, name: str) -> str:
    """Return a file without an account."""
    return n510_stub(phone.server.url, phone.mac)


def _number(draft: Draft, name: str, value: int, source: str = "") -> None:
    draft.add_raw(name, f"0x{value:x}", source)


def _n510_handset(phone: Provisioned, draft: Draft, handset: Handset) -> None:
    number, account, server = handset.index + 1, handset.account, phone.server
    suffix = "" if number == 1 else f"_{number}"
    mask = f"BS_Accounts.astAccounts[{handset.index}]."
    name = account.display_name.strip() or account.number
    _number(draft, mask + "uiSendMask", 1 << handset.index)
    _number(draft, mask + "uiReceiveMask", 1 << handset.index)
    for symbol, value, source in (
        (f"BS_IP_Data1.aucS_SIP_DISPLAYNAME{suffix}", name, "employee.name"),
        (f"BS_IP_Data3.aucS_SIP_LOGIN_ID{suffix}", account.username, "username"),
        (f"BS_IP_Data1.aucS_SIP_USER_ID{suffix}", account.username, "username"),
        (f"BS_IP_Data1.aucS_SIP_PASSWORD{suffix}", account.password, "password"),
        (f"BS_IP_Data1.aucS_SIP_DOMAIN{suffix}", account.domain, ""),
        (f"BS_IP_Data1.aucS_SIP_SERVER{suffix}", server.host, ""),
        (f"BS_IP_Data1.aucS_SIP_REGISTRAR{suffix}", server.host, ""),
        (f"BS_AE_Subscriber.stMtDat[{handset.index}].aucTlnName", name, "employee.name"),
    ):
        draft.add(symbol, value, source)
    _number(draft, f"BS_IP_Data1.uiI_SIP_SERVER_PORT{suffix}", server.port)
    _number(draft, f"BS_IP_Data1.uiI_SIP_REGISTRAR_PORT{suffix}", server.port)
    _number(draft, f"BS_IP_Data1.uiI_RE_REGISTRATION_TIMER{suffix}", server.expires)
    codecs = "0x05,0x01,0x00" if phone.hd_audio else "0x01,0x00"
    draft.add_raw(f"BS_IP_Data1.ucI_SIP_PREFERRED_VOCODER{suffix}", codecs, "codec.hdAudio")


def _n510_base(phone: Provisioned, draft: Draft) -> None:
    server, network = phone.server, phone.network
    draft.add("BS_IP_Data1.aucS_DATA_SERVER[0]", without_scheme(server.url))
    if server.ntp:
        draft.add("BS_IP_Data1.aucS_TIME_NTP_SERVER", server.ntp)
    zone = ZONES.get(server.timezone)
    if zone:
        draft.add_raw("BS_IP_Data1.uiI_TIME_TIMEZONE", _N510_ZONES[zone.hours])
        _number(draft, "BS_IP_Data1.ucB_TIME_USE_AUTOMATIC_DST", int(zone.summer))
    if network.vlan_id:
        _number(draft, "BS_IP_Data1.ucB_VLAN_ENABLED", 1)
        _number(draft, "BS_IP_Data1.uiI_VLAN_ID", network.vlan_id, "network.vlanId")
        _number(draft, "BS_IP_Data1.ucI_VLAN_PRIORITY", network.vlan_priority, "network.vlanPriority")
    elif network.leaves_vlan:
        _number(draft, "BS_IP_Data1.ucB_VLAN_ENABLED", 0, "network.vlanId")
    if server.transport != "udp":
        draft.warn("The base registers over UDP: the name of the setting for other transports is not public")
    _n510_pin(phone, draft)
    _network(phone, draft)


def _n510_pin(phone: Provisioned, draft: Draft) -> None:
    """Add the PIN of the base, two digits in each octet."""
    pin = phone.admin_password
    if len(pin) == _PIN and pin.isascii() and pin.isdigit():
        draft.add_raw("BS_CUSTOM.aucKdsPin[0]", f"0x{pin[:2]},0x{pin[2:]}")
    elif pin:
        draft.warn("The PIN of the base was not set: it has four digits")
