"""The redirection of Yealink by YMCS: JSON, with a token of OAuth 2 that the account gets for its secret."""

import json
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

from registrar.model import Epoch

from ...settings import RedirectAccount
from ..client import JSON, Answer, Client, basic
from ..outcome import DONE, Outcome, Unanswered, Verdict, printable
from .judging import is_unknown, judge

EARLY_SECONDS: Final = 60
"""A token is replaced so long before its end."""
NONCE_BYTES: Final = 16
EXISTS: Final = ("800003", "resource already exists")
FORBIDDEN: Final = 403


class Token(NamedTuple):
    """The right to make requests, until it ends."""

    value: str
    until: float


class Ymcs:
    """An account at YMCS, whose interface Yealink must have enabled."""

    def __init__(self, client: Client, account: RedirectAccount, now: Callable[[], Epoch]) -> None:
        self._client = client
        self._base = account.url.rstrip("/")
        self._login = basic(account.user, account.password)
        self._now = now
        self._token = Token("", 0)

    async def register(self, mac: str, url: str) -> Outcome:
        """Let a phone be sent to a URL. An entry of the same account is deleted first."""
        outcome = await self._add(mac, url)
        if outcome.verdict is Verdict.REFUSED and any(one in outcome.error.lower() for one in EXISTS):
            await self.deregister(mac)
            return await self._add(mac, url)
        return outcome

    async def deregister(self, mac: str) -> Outcome:
        """Delete the entry of a phone."""
        outcome = await self._post("/v2/rps/delDevices", {"deviceIdType": "mac", "deviceIds": [mac.lower()]})
        return DONE if is_unknown(outcome.error) else outcome

    async def _add(self, mac: str, url: str) -> Outcome:
        return await self._post("/v2/rps/addDevicesByMac", [{"mac": mac.lower(), "uniqueServerUrl": url}])

    async def _post(self, path: str, body: object) -> Outcome:
        bearer = f"Bearer {await self._valid_token()}"
        try:
            answer = await self._ask(path, bearer, body)
        except Unanswered:
            self._token = Token("", 0)  # it may be void
            raise
        return _outcome(answer)

    async def _valid_token(self) -> str:
        """Return a token. Raise Unanswered if the service gives none."""
        if self._now() >= self._token.until:
            answer = await self._ask("/v2/token", self._login, {"grant_type": "client_credentials"})
            self._token = _read_token(answer, self._now())
        return self._token.value

    async def _ask(self, path: str, authorization: str, body: object) -> Answer:
        headers = {
            "Authorization": authorization,
            "Content-Type": JSON,
            "Accept": JSON,
            "timestamp": str(int(self._now() * 1000)),
            "nonce": secrets.token_hex(NONCE_BYTES),
        }
        return await self._client.ask("POST", self._base + path, headers, json.dumps(body).encode())


def _read_token(answer: Answer, now: Epoch) -> Token:
    value = answer.json()
    token, seconds = (
        (value.get("access_token"), value.get("expires_in")) if isinstance(value, dict) else (None, None)
    )
    if not answer.is_ok or not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise Unanswered(printable(f"no token: status {answer.status} {_message(value)}"))
    lasting = seconds if isinstance(seconds, int) else 0
    return Token(token, now + max(lasting - EARLY_SECONDS, 0))


def _outcome(answer: Answer) -> Outcome:
    """Return what an answer says about the one phone of the request. Raise Unanswered."""
    value = answer.json()
    if not isinstance(value, dict):
        raise Unanswered("the answer has another form than an object")
    if not answer.is_ok:
        if answer.status == FORBIDDEN:
            raise Unanswered(printable(f"status {answer.status} {_message(value)}"))
        return judge(_message(value) or f"status {answer.status}")
    errors = value.get("errors")
    if not errors and value.get("failureCount") in (None, 0):
        return DONE
    return judge(printable(" ".join(_message(one) for one in errors) if isinstance(errors, list) else ""))


def _message(value: object) -> str:
    """Return the words of an error: its code, and what it says."""
    if not isinstance(value, dict):
        return ""
    names = ("code", "error", "message", "errorInfo", "msg")
    return printable(" ".join(str(value[name]) for name in names if value.get(name)))
