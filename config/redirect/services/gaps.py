"""The redirection of Grandstream by GAPS: JSON, signed by HMAC-SHA-1 with the time of the service.

GAPS has one URL for each account, not one for each phone: it is set at the service, and ours is not sent. A
phone that comes there by it has no secret, so it must be expected.
"""

import hashlib
import hmac
import json

from ...settings import RedirectAccount
from ..client import JSON, Client
from ..outcome import DONE, Outcome, Unanswered, printable
from .judging import is_unknown, judge


class Gaps:
    """An account at GAPS: its `cid` and its key."""

    def __init__(self, client: Client, account: RedirectAccount) -> None:
        self._client = client
        self._url = account.url
        self._cid = account.user
        self._key = account.password.encode()

    async def register(self, mac: str, url: str) -> Outcome:
        """Let a phone be sent to the URL of the account."""
        return await self._call("redirectDefault", mac)

    async def deregister(self, mac: str) -> Outcome:
        """Delete the entry of a phone."""
        outcome = await self._call("unDeviceProvision", mac)
        return DONE if is_unknown(outcome.error) else outcome

    async def _call(self, method: str, mac: str) -> Outcome:
        call = {"cid": self._cid, "method": method, "params": {"macs": [mac.lower()]}}
        body = json.dumps(call, separators=(",", ":")).encode()
        at = await self._time()
        # The service knows no other hash. As a keyed hash SHA-1 is not broken.
        signature = hmac.digest(self._key, body + at.encode(), hashlib.sha1).hex()
        url = f"{self._url}?sig={signature}&time={at}"
        answer = await self._client.ask("POST", url, {"Content-Type": JSON}, body)
        return _outcome(answer.json())

    async def _time(self) -> str:
        """Return the time of the service, as it writes it. Raise Unanswered."""
        answer = await self._client.ask("GET", self._url)
        value = answer.json()
        at = str(value.get("time")) if isinstance(value, dict) else ""
        if not at.isascii() or not at.isdigit():
            raise Unanswered("the service does not tell its time")
        return at


def _outcome(value: object) -> Outcome:
    code = value.get("code") if isinstance(value, dict) else None
    if code is None:
        raise Unanswered("the answer has no code")
    if isinstance(value, dict) and str(code) != "0":
        return judge(printable(f"{code}: {value.get('desc') or ''}"))
    return DONE
