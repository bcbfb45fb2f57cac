"""The redirection of Snom by SRAPS: JSON, and requests that are signed by Hawk."""

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from registrar.model import Epoch

from ...settings import RedirectAccount
from .. import hawk
from ..client import JSON, Answer, Client
from ..outcome import DONE, Outcome, Unanswered, refused
from .judging import is_unknown, judge

SETTING: Final = "setting_server"
"""The setting of the phone that holds the URL."""
SETTINGS: Final = "settings/?page_size=1000"
NONCE_BYTES: Final = 12
NOT_FOUND: Final = 404
Json = Mapping[str, object]


class Sraps:
    """An account at SRAPS. What the account does not change, the first request looks up."""

    def __init__(self, client: Client, account: RedirectAccount, now: Callable[[], Epoch]) -> None:
        self._client = client
        self._base = account.url.rstrip("/") + "/"
        self._key = hawk.Key(account.user, account.password)
        self._now = now
        self._endpoints = ""
        """URL below which the phones of the account are."""
        self._setting = ""
        """Id of the setting that holds the URL."""

    async def register(self, mac: str, url: str) -> Outcome:
        """Let a phone be sent to a URL; an entry of the same account is replaced."""
        await self._look_up()
        value = {"value": url, "attrs": {"perm": "RW"}}
        settings = {self._setting: value}
        body = {"mac": mac.lower(), "autoprovisioning_enabled": True, "settings_manager": settings}
        answer = await self._ask("PUT", self._endpoints + mac.lower(), body)
        return DONE if answer.is_ok else _refusal(answer)

    async def deregister(self, mac: str) -> Outcome:
        """Delete the entry of a phone."""
        await self._look_up()
        answer = await self._ask("DELETE", self._endpoints + mac.lower())
        if answer.is_ok or answer.status == NOT_FOUND or is_unknown(_message(answer)):
            return DONE
        return _refusal(answer)

    async def _look_up(self) -> None:
        """Find the URL of the phones and the id of the setting. Raise Unanswered."""
        if self._endpoints and self._setting:
            return
        token = await self._get(f"tokens/{quote(self._key.id, safe='')}")
        company = await self._get(_link(token, "company"))
        self._endpoints = self._within(_link(company, "endpoints")).rstrip("/") + "/"
        self._setting = _setting_id(await self._get(SETTINGS))

    async def _get(self, place: str) -> object:
        answer = await self._ask("GET", self._within(place))
        if not answer.is_ok:
            raise Unanswered(f"status {answer.status} for {urlsplit(place).path}")
        return answer.json()

    def _within(self, place: str) -> str:
        """Return a whole URL. Raise Unanswered if it leads to another server: our key is not for it."""
        url = urljoin(self._base, place)
        try:
            is_own = _origin(url) == _origin(self._base)
        except ValueError:
            is_own = False
        if not is_own:
            raise Unanswered("the service names another server")
        return url

    async def _ask(self, method: str, url: str, body: object = None) -> Answer:
        sent = b"" if body is None else json.dumps(body).encode()
        kind = JSON if sent else ""
        signed = hawk.header(
            self._key, method, url, sent, kind, int(self._now()), secrets.token_urlsafe(NONCE_BYTES)
        )
        headers = {"Authorization": signed, "Accept": JSON} | ({"Content-Type": kind} if kind else {})
        return await self._client.ask(method, url, headers, sent)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    place = urlsplit(url)
    return place.scheme, place.hostname, place.port


def _link(value: object, name: str) -> str:
    links = value.get("links") if isinstance(value, dict) else None
    link = links.get(name) if isinstance(links, dict) else None
    if not isinstance(link, str):
        raise Unanswered(f"the service names no link {name}")
    return link


def _setting_id(value: object) -> str:
    """Return the id of the setting. The list comes alone, or as `results` of a page."""
    rows = value.get("results") if isinstance(value, dict) else value
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and row.get("param_name") == SETTING and isinstance(row.get("uuid"), str):
            return str(row["uuid"])
    raise Unanswered(f"the service has no setting {SETTING}")


def _refusal(answer: Answer) -> Outcome:
    message = _message(answer)
    return judge(f"status {answer.status}: {message}") if message else refused(f"status {answer.status}")


def _message(answer: Answer) -> str:
    return answer.body.decode(errors="replace")
