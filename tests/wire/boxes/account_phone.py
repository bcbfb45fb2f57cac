"""The SIP side of an emulated phone: it registers, calls and hears with the account of its file alone."""

from collections.abc import Mapping

from tests.peers.calling import CallingPhone
from tests.peers.phone import Account, Caller

from .box import Box


async def switched_on(box: Box, names: Mapping[str, str], place: int = 0) -> CallingPhone:
    """Return a phone with an account of the box. `names` are the addresses that DNS knows."""
    sip = box.accounts[place]
    account = Account(sip.username, sip.password, sip.domain)
    server = (names.get(sip.host, sip.host), sip.port)
    assert sip.auth == sip.username
    phone = await CallingPhone.open(account, server, sip.transport, source=(box.source, 0))
    phone.caller = Caller(
        account, phone.line.address, transport=phone.line.transport, user_agent=box.web.agent
    )
    return phone


async def registered(box: Box, names: Mapping[str, str], place: int = 0) -> CallingPhone:
    """Return the phone after its registration, for as long as its file says."""
    phone = await switched_on(box, names, place)
    answer = await phone.register(box.accounts[place].expires)
    assert answer.status == 200, answer
    return phone
