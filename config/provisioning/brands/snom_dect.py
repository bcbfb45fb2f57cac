"""Snom DECT bases: the accounts of all handsets in one file."""

from ..draft import Draft
from ..extra import extra_lines
from ..files import config_name
from ..markup import snom_xml
from ..view import Handset, Provisioned
from ..wiring import host_port, ipui
from . import snom

ANY: str = "FFFFFFFFFF"
"""The id that admits any handset."""
stub = snom.stub
common = snom.common


def config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of a base."""
    url = phone.server.url + config_name(phone.writer, phone.mac, phone.model)
    draft.add("setting_server", url, perm=snom.FIXED)
    _server(phone, draft)
    there = {handset.index: handset for handset in phone.handsets}
    for index in range(max(phone.extensions, *(index + 1 for index in there))):
        handset = there.get(index)
        if handset is None:
            draft.add("user_active", "off", idx=str(index + 1))
        else:
            _handset(draft, str(index + 1), handset)
    _base(phone, draft)
    return snom_xml(draft.pairs, extra_lines(phone))


def _server(phone: Provisioned, draft: Draft) -> None:
    draft.add("srv_sip_server_alias", "registrar", idx="1")
    draft.add("user_host", phone.account.domain, idx="1")
    draft.add("user_outbound", host_port(phone.server.host, phone.server.port), idx="1")
    draft.add("srv_sip_transport", phone.server.transport, idx="1")
    draft.add("user_expiry", phone.server.expires, idx="1")
    wide = "g722," if phone.hd_audio else ""
    draft.add("codec_priority_list", f"{wide}pcma,pcmu,telephone-event", "codec.hdAudio", idx="1")


def _handset(draft: Draft, idx: str, handset: Handset) -> None:
    account = handset.account
    draft.add("user_active", "on", idx=idx)
    draft.add("user_name", account.username, "username", idx=idx)
    draft.add("user_pname", account.username, "username", idx=idx)
    draft.add("user_pass", account.password, "password", idx=idx)
    draft.add("user_realname", account.display_name.strip(), "employee.name", idx=idx)
    draft.add("subscr_sip_hs_idx", idx, idx=idx)
    draft.add("subscr_sip_ua_data_server_id", "1", idx=idx)
    draft.add("subscr_dect_ipui", f"0x{ipui(handset.address) or ANY}", "handsetAddress", idx=idx)


def _base(phone: Provisioned, draft: Draft) -> None:
    snom.surroundings(phone, draft)
    if phone.admin_password:
        draft.add("http_user", "admin", perm=snom.FIXED)
        draft.add("http_pass", phone.admin_password, perm=snom.FIXED)
    snom.network(phone, draft)
