"""Yealink DECT bases: the accounts of all handsets in one file."""

from ..draft import Draft
from ..extra import extra_lines
from ..syntax import equals
from ..view import Handset, Provisioned
from ..wiring import ipui
from . import yealink

stub = yealink.stub
common = yealink.common


def config(phone: Provisioned, draft: Draft) -> str:
    """Return the configuration of a base."""
    yealink.provisioning(phone, draft)
    draft.add("static.auto_provision.handset_configured.enable", 1)
    there = {handset.index: handset for handset in phone.handsets}
    for index in range(max(phone.extensions, *(index + 1 for index in there))):
        handset = there.get(index)
        if handset is None:
            draft.add(f"account.{index + 1}.enable", 0)
        else:
            _handset(phone, draft, index + 1, handset)
    yealink.surroundings(phone, draft)
    yealink.network(phone, draft)
    if phone.call_waiting is not None:
        draft.add("call_waiting.enable", int(phone.call_waiting), "callWaiting")
    return yealink.HEAD + equals(draft.pairs) + extra_lines(phone)


def _handset(phone: Provisioned, draft: Draft, number: int, handset: Handset) -> None:
    yealink.account(phone, draft, number, handset.account)
    yealink.codecs(phone, draft, number)
    prefix = f"handset.{number}."
    account = handset.account
    draft.add(prefix + "name", account.display_name.strip() or account.number or f"Handset {number}")
    draft.add(prefix + "incoming_lines", number)
    draft.add(prefix + "dial_out_lines", number)
    draft.add(prefix + "dial_out_default_line", number)
    identity = ipui(handset.address)
    if identity:
        draft.add(prefix + "ipui", identity, "handsetAddress")
