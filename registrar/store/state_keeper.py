"""Job that lets one process walk over the index of states: after each start, and once a day (state_walk)."""

import asyncio
import logging
from typing import Any, Final

from registrar.errors import StoreUnavailable
from registrar.ports import Clock

from . import keys
from .script_runner import Runner
from .state_index import StateIndex
from .state_walk import Directory, StateWalk, Walked

LOOK_SECONDS: Final = 30.0
"""How often a process looks whether a walk is due. After a start, phones that register go first."""
RETRY_SECONDS: Final = 5.0
"""Pause after a look that a store did not answer."""
EVERY_SECONDS: Final = 86_400
LEASE_SECONDS: Final = 60
"""How long a process may be silent during its walk before another one may begin."""

log = logging.getLogger(__name__)


class StateKeeper:
    """The walks of one process."""

    def __init__(
        self,
        runner: Runner,
        index: StateIndex,
        directory: Directory,
        name: str,
        clock: Clock,
    ) -> None:
        """Create the job; `name` is the name of this process."""
        self._runner = runner
        self._index = index
        self._directory = directory
        self._name = name
        self._clock = clock
        self._started = clock()

    async def run(self) -> None:
        """Walk when it is due, until cancelled. Call it when Redis has been there once."""
        is_first = True
        while True:
            try:
                await self.look(is_first=is_first)
            except StoreUnavailable as error:
                log.warning("the index of states could not be compared: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            is_first = False
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, *, is_first: bool = False) -> Walked | None:
        """Walk if it is due and no other process does; return what was found. Raises StoreUnavailable.

        An index that was never compared is due at once, and so is one that a walk did not build to the end.
        Else the first look after a start is too soon.
        """
        checked = await self._checked()
        if checked and (is_first or checked >= max(self._started, self._clock() - EVERY_SECONDS)):
            return None
        if not await self._runner.ask("SET", keys.STATES_WALK, self._name, "NX", "EX", LEASE_SECONDS):
            return None
        try:
            return await self._walk(checked)
        finally:
            self._runner.command("DEL", keys.STATES_WALK)

    async def _checked(self) -> float:
        """Return when the last walk began; 0 if there was none, or if it left a part unfinished."""
        try:
            return float(await self._runner.ask("GET", keys.STATES_CHECKED) or 0)
        except ValueError:
            return 0.0

    async def _walk(self, checked: float) -> Walked:
        began = self._clock()
        found = await StateWalk(self._index, self._directory, repair=True, after_chunk=self._renew).run()
        await self._runner.ask("SET", keys.STATES_CHECKED, f"{began:.3f}")
        if checked and not found.is_right:
            log.warning("the index of states was wrong about %d of %d phones", found.wrong, found.phones)
        return found

    async def _renew(self) -> Any:
        return await self._runner.ask("EXPIRE", keys.STATES_WALK, LEASE_SECONDS)
