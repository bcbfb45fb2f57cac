"""What the listener for phones does about one request: from a name to an answer.

A request goes this way: what the secret opens (`records`), may it be served (`admit`), the text (`load`,
`render`), what must be written before the first octet leaves (`records.take`), and then the answer. A right
secret is looked up, and a guess is counted, in the same way whether a MAC address is known or not.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.model import Epoch
from registrar.rules.access import Access
from registrar.store.vault import Vault

from .. import clock
from ..changes import Changes
from ..database import STORE_ERRORS, reading
from ..settings import ProvisioningSettings
from . import files, softphones
from .admit import Admission, Grant, NotFound, Refuse, Serve, Way, admit, is_expected
from .answers import AWAY, FORBIDDEN, NO_FILE, NOT_FOUND, NOT_MODIFIED, UNWRITABLE, Answer, Asked
from .assets import read_asset
from .faults import Faults
from .files import Meant
from .limits import Limiter
from .load import Device, load
from .news import News
from .paths import Authority, Bare, Link, Named, OfSecret
from .records import Records, Served
from .render import WRITERS, File, Unwritable, render, stub
from .view import Provisioned, masked

TRIES: Final = 3
PEM: Final = "application/x-x509-ca-cert"
LATE: Final = "other-source"
"""The reason if another source was first, and no access rule says more."""
OWN_FILES: Final = (Way.DEVICE, Way.LINK)
"""Ways that open the files of softphones."""

log = logging.getLogger(__name__)

Again = Callable[[], Awaitable[Grant | None]]


@dataclass(frozen=True, slots=True)
class Pieces:
    """What the listener is made of."""

    settings: ProvisioningSettings
    engine: AsyncEngine
    """Reads."""
    vault: Vault
    records: Records
    access: Access
    limiter: Limiter
    news: News
    changes: Changes
    faults: Faults
    now: Callable[[], Epoch]


class Service:
    """Answers requests. Every method raises one of database.STORE_ERRORS while the database is away."""

    def __init__(self, pieces: Pieces) -> None:
        self._of = pieces
        self._settings = pieces.settings
        self._session = timedelta(seconds=pieces.settings.window_seconds)

    async def close(self) -> None:
        """Give back the connection to the database."""
        await self._of.records.close()

    async def answer(self, named: Named | None, asked: Asked) -> Answer:
        """Return the answer to a request for what a path names."""
        match named:
            case OfSecret(secret, name):
                return await self._secret(lambda: self._of.records.grant(secret), secret, name, asked)
            case Link(secret):
                return await self._secret(lambda: self._of.records.link(secret), secret, "", asked)
            case Bare(name):
                return await self._bare(name, asked)
            case Authority():
                return await self._authority()
            case _:
                return await self._unknown(asked)

    async def _unknown(self, asked: Asked) -> Answer:
        """Count a guess, and return the answer to everything that is unknown."""
        await self._of.limiter.missed(asked.source)
        return NOT_FOUND

    # Files of a secret

    async def _secret(self, look_up: Again, secret: str, name: str, asked: Asked) -> Answer:
        """Serve a file of a secret. If another contact comes first, decide again by what is stored then."""
        blocked = await self._of.limiter.is_blocked(asked.source)
        lost: Serve | None = None
        for _ in range(TRIES):
            grant = await look_up()  # even if blocked: each miss takes the same time
            decision = self._decision(None if blocked else grant, name, asked)
            if not isinstance(decision, Serve):
                return await self._refusal(decision, lost, asked)
            answer = await self._served(decision, secret, name or decision.grant.file, asked)
            if answer is not None:
                return answer
            lost = decision
        return AWAY

    def _decision(self, grant: Grant | None, name: str, asked: Asked) -> Admission:
        if grant is not None and not self._may_come(legacy_tls=grant.legacy_tls):
            grant = None
        meant = None if grant is None else _meant(grant, name or grant.file)
        return admit(grant, meant, asked.source, self._of.now(), self._of.access)

    def _may_come(self, *, legacy_tls: bool) -> bool:
        """Return whether this listener serves such a phone: the weak one is for those that need it."""
        return legacy_tls or not self._settings.is_legacy

    async def _refusal(self, decision: NotFound | Refuse, lost: Serve | None, asked: Asked) -> Answer:
        """Return the answer to a request that is not served. The loser of a race has a right secret."""
        if isinstance(decision, Refuse):
            await self._of.news.refused(decision.phone, decision.reason, asked.asker)
            return FORBIDDEN
        if lost is not None:
            await self._of.news.refused(lost.grant.phones[0], LATE, asked.asker)
            return FORBIDDEN
        return await self._unknown(asked) if decision.counts else NO_FILE

    async def _served(self, serve: Serve, secret: str, name: str, asked: Asked) -> Answer | None:
        """Return the answer with a file, or None if another contact came first."""
        if serve.meant is Meant.ASSET:
            return await self._asset(name.removeprefix("a/"))
        if not (asked.is_private or self._settings.plain):
            return self._to_tls(serve.grant, secret)
        is_config = serve.meant is Meant.CONFIG
        device = await self._device(serve.grant, "" if is_config else secret)
        if device is None or not _opens(serve.grant, device):
            return NO_FILE
        try:
            file = _written(serve.grant, device.phone, name)
        except Unwritable as error:
            self._of.faults.found(serve.grant.mac or serve.grant.phones[0].id, str(error))
            return UNWRITABLE
        if not is_config:
            return _answer(file)
        self._of.faults.gone(serve.grant.mac or serve.grant.phones[0].id)
        return await self._config(serve, device, file, asked)

    async def _config(self, serve: Serve, device: Device, file: File, asked: Asked) -> Answer | None:
        """Write what the first contact changes, then tell it, and return the configuration."""
        answer = _answer(file)
        if asked.is_head:
            return answer
        if asked.known.strip() == _tag(file.text):
            return await self._unchanged(serve, device, file, asked)
        noted = await self._of.records.take(serve, asked.source, self._session)
        if noted is None:
            return None
        await self._of.changes.publish(noted)
        await self._loaded(serve, device, file, asked)
        return answer

    async def _unchanged(self, serve: Serve, device: Device, file: File, asked: Asked) -> Answer:
        """Return 304, which locks nothing. It is a load only if this text was sent: HEAD tells its tag."""
        if await self._of.records.was_sent(serve.grant.mac, file.name, _sha256(file.text)):
            await self._loaded(replace(serve, lock=()), device, file, asked)
        return Answer(NOT_MODIFIED, headers=_answer(file).headers, is_known=True)

    async def _loaded(self, serve: Serve, device: Device, file: File, asked: Asked) -> None:
        """Tell what a contact has locked, and note and tell that the configuration was loaded."""
        way = serve.grant.way.value
        is_told = bool(serve.lock) or serve.spends
        if is_told:
            await self._of.news.loaded(serve.grant.phones, serve.lock, way, asked.asker)
        is_new = _is_own_file(serve.grant, device) and await self._noted(serve.grant, device, file)
        if is_new and not is_told:
            await self._of.news.loaded(serve.grant.phones, (), way, asked.asker)
        await self._of.limiter.loaded(asked.source)

    async def _noted(self, grant: Grant, device: Device, file: File) -> bool:
        """Note that the configuration was loaded. Return False if that was noted a moment ago.

        A secret that opens once may be used up by now, so the file is sent even if nothing can be noted.
        """
        shown = _written(grant, masked(device.phone), file.name)
        served = Served(file.name, _sha256(file.text), shown.text)
        try:
            return await self._of.records.note(grant, device, served, clock.utc_now())
        except STORE_ERRORS as error:
            log.error("a load of the configuration of %s is not noted: %s", grant.mac or "a device", error)
            return True

    async def _device(self, grant: Grant, secret: str) -> Device | None:
        """Return the device with the phones of a grant. Its files name `secret`, or the steady one."""
        async with reading(self._of.engine) as session:
            oids = [phone.id for phone in grant.phones]
            return await load(session, self._of.vault, oids, self._settings, secret)

    def _to_tls(self, grant: Grant, secret: str) -> Answer:
        """Return a file that only tells the phone to load by TLS: a configuration has passwords."""
        if grant.writer not in WRITERS or grant.way in OWN_FILES:
            return FORBIDDEN
        told = self._settings.told(legacy_tls=grant.legacy_tls)
        return _stub(grant.writer, told.prefix(secret), grant.mac)

    async def _asset(self, name: str) -> Answer:
        found = await asyncio.to_thread(read_asset, self._settings.assets, name)
        return NO_FILE if found is None else Answer(200, found[1], found[0], is_known=True)

    # Files without a secret

    async def _bare(self, name: str, asked: Asked) -> Answer:
        """Tell a phone where to load from: one that staff expects, or any one if the file names no MAC."""
        blocked = await self._of.limiter.is_blocked(asked.source)
        mac = files.asked_mac(name)
        answer = self._common(name) if mac is None else await self._expected(mac, name, asked, blocked)
        return await self._unknown(asked) if blocked or answer is None else answer

    def _common(self, name: str) -> Answer | None:
        """Return a file that is the same for all phones, or None for a guess. It names no secret."""
        for writer in WRITERS:
            if files.meant(writer, "", name) is Meant.STUB:
                return _stub(writer, f"{self._settings.base}/", "")
        return NOT_FOUND if files.is_common(name) else None

    async def _expected(self, mac: str, name: str, asked: Asked, blocked: bool) -> Answer | None:
        """Return the answer to an expected phone, or None. A blocked source takes no phone's turn."""
        expected = await self._of.records.expected(mac)  # even if blocked: each miss takes the same time
        if blocked or expected is None or not self._may_come(legacy_tls=expected.legacy_tls):
            return None
        if not is_expected(expected.expectation, asked.source, self._of.now()):
            return None
        if files.meant(expected.writer, mac, name) is not Meant.CONFIG:
            return NOT_FOUND  # phones ask for several names in turn: the others are no guesses
        secret = self._of.records.first_secret(expected)
        if not asked.is_head and not await self._of.records.tell(expected, asked.source, self._session):
            return None
        told = self._settings.told(legacy_tls=expected.legacy_tls)
        return _stub(expected.writer, told.prefix(secret), mac)

    async def _authority(self) -> Answer:
        path = self._settings.authority
        text = None if path is None else await asyncio.to_thread(_octets, path)
        return NOT_FOUND if text is None else Answer(200, text, PEM)


def _meant(grant: Grant, name: str) -> Meant | None:
    """Return what a name means to the holder of a secret."""
    if grant.way is Way.LINK and name != grant.file:
        return None
    if grant.way in OWN_FILES and softphones.of_file(name) is not None:
        return Meant.CONFIG
    return files.meant(grant.writer, grant.mac, name)


def _opens(grant: Grant, device: Device) -> bool:
    """Return whether the secret of a grant still opens the device.

    A reset between both reads has made a new password, which the former secret must not open. A one-time link
    is checked when it is used up.
    """
    return grant.way is Way.LINK or grant.sha256 in device.opened_by


def _is_own_file(grant: Grant, device: Device) -> bool:
    """Return whether the device itself loads the file: a softphone does not load that of a desk phone."""
    return grant.way not in OWN_FILES or device.phone.writer not in WRITERS


def _written(grant: Grant, phone: Provisioned, name: str) -> File:
    """Return a file of a phone or a softphone, as `_meant` takes the name. Raise Unwritable."""
    client = softphones.of_file(name) if grant.way in OWN_FILES else None
    return render(phone, name) if client is None else client.render(phone.account, phone.server)


def _answer(file: File) -> Answer:
    headers = (("ETag", _tag(file.text)),)
    return Answer(200, file.text.encode(), file.content_type, headers, is_known=True)


def _stub(writer: str, url: str, mac: str) -> Answer:
    return Answer(200, stub(writer, url, mac).encode(), WRITERS[writer].content_type)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _tag(text: str) -> str:
    return f'"{_sha256(text)[:32]}"'


def _octets(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
