"""The record of wrong passwords: a log line at once, status and journal up to a second later."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.logs import WrongPasswordLines
from registrar.metrics import Metrics
from registrar.model import Flow, Phone, WrongPasswords
from registrar.ports import Clock, Traces
from registrar.rules.register import MAX_USER_AGENT, printable
from registrar.sip import Request

WRONG: Final = "wrong-password"
HELD: Final = "too-many-wrong-passwords"
WRITE_SECONDS: Final = 1.0
"""Wrong passwords of one phone are counted for this time, then written together."""
MAX_PHONES: Final = 2_000
"""Maximum number of phones that wait to be written.

The wrong passwords of any other phone are only logged, and counted in a metric.
"""
AT_ONCE: Final = 100

log = logging.getLogger(__name__)


class Trail:
    """Recorder of wrong passwords. Its callers do not wait: `run` writes the phones from a bounded queue."""

    def __init__(self, traces: Traces, lines: WrongPasswordLines, clock: Clock, metrics: Metrics) -> None:
        self._traces = traces
        self._lines = lines
        self._clock = clock
        self._metrics = metrics
        self._waiting: dict[str, WrongPasswords] = {}

    def note(self, request: Request, flow: Flow, account: str, phone: Phone | None, reason: str) -> None:
        """Note a password for `account` that was wrong or was not checked any more (see `reason`)."""
        agent = printable(request.headers.get("user-agent") or "", MAX_USER_AGENT)
        self._lines.note(flow.remote_ip, account, flow.transport, agent, reason)
        if phone is None:
            return
        now = int(self._clock())
        known = self._waiting.get(phone.id)
        if known is None and len(self._waiting) >= MAX_PHONES:
            self._metrics.untraced.inc()
            return
        self._waiting[phone.id] = WrongPasswords(
            phone=phone.id,
            customer=phone.customer,
            count=1 + (known.count if known is not None else 0),
            at=now,
            ip=flow.remote_ip,
            port=flow.remote_port,
            transport=flow.transport,
            user_agent=agent,
        )

    async def run(self) -> None:
        """Write the noted wrong passwords every second, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Write the wrong passwords noted until now; if the store does not take some, keep them for later."""
        waiting, self._waiting = self._waiting, {}
        for some in _chunks(list(waiting.values())):
            await asyncio.gather(*map(self._write, some))

    async def _write(self, wrong: WrongPasswords) -> None:
        try:
            await self._traces.wrong_passwords(wrong)
        except StoreUnavailable as error:
            log.debug("wrong passwords of %s wait: %s", wrong.phone, error)
            newer = self._waiting.get(wrong.phone)
            if newer is not None:
                self._waiting[wrong.phone] = replace(newer, count=newer.count + wrong.count)
            elif len(self._waiting) < MAX_PHONES:
                self._waiting[wrong.phone] = wrong
            else:
                self._metrics.untraced.inc(wrong.count)


def _chunks(all_of_them: list[WrongPasswords]) -> Iterator[list[WrongPasswords]]:
    return (all_of_them[start : start + AT_ONCE] for start in range(0, len(all_of_them), AT_ONCE))
