"""Timer that is exact to some microseconds: the event loop rounds its timers to milliseconds."""

import asyncio
import contextlib
import ctypes
import heapq
import os
import sys
from collections.abc import Callable
from itertools import count
from typing import Final

from registrar.model import Mono

CLOCK_MONOTONIC: Final = 1
ABSOLUTE: Final = 1
FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
EXPIRATIONS: Final = 8
"""Bytes that the kernel returns when a timer has expired."""


class _Moment(ctypes.Structure):
    """`struct timespec`."""

    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    """`struct itimerspec` of a timer that expires once, at a given time."""

    _fields_ = (("interval", _Moment), ("value", _Moment))


class Punctual:
    """Timer for callers that must wake at an exact time. Without timerfd it is as exact as the event loop."""

    def __init__(self, now: Callable[[], Mono]) -> None:
        """Create the timer. `now` reads CLOCK_MONOTONIC."""
        self._now = now
        self._waiting: list[tuple[Mono, int, asyncio.Future[None]]] = []
        self._serial = count()
        self._descriptor = -1
        self._library = ctypes.CDLL(None, use_errno=True)

    async def until(self, due: Mono) -> None:
        """Wait until `due`; return at once if it is past."""
        left = due - self._now()
        if left <= 0:
            return
        if not self._is_open():
            await asyncio.sleep(left)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (due, next(self._serial), future))
        if self._waiting[0][2] is future:
            self._arm(due)
        await future

    def close(self) -> None:
        """Wake all waiting callers, and close the descriptor."""
        for _, _, future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _is_open(self) -> bool:
        """Return whether the timer descriptor is open. The first call opens it."""
        if self._descriptor < 0 and sys.platform == "linux":
            self._descriptor = self._library.timerfd_create(CLOCK_MONOTONIC, FLAGS)
            if self._descriptor >= 0:
                asyncio.get_running_loop().add_reader(self._descriptor, self._wake)
        return self._descriptor >= 0

    def _arm(self, due: Mono) -> None:
        seconds = int(due)
        value = _Moment(seconds, max(1, int((due - seconds) * 1e9)))
        timer = _Timer(_Moment(0, 0), value)
        self._library.timerfd_settime(self._descriptor, ABSOLUTE, ctypes.byref(timer), None)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the timer was set again meanwhile
            os.read(self._descriptor, EXPIRATIONS)
        now = self._now()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)
        if self._waiting:
            self._arm(self._waiting[0][0])
