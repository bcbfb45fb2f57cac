"""The main thread of a program stands still, as in a blocked event loop; its other threads go on."""

import ctypes
import os
import time
from typing import Final

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
"""Of sys/ptrace.h."""
WAIT_ALL: Final = 0x40000000


def stall(pid: int, seconds: float) -> None:
    """Stop the main thread for so long. The calling thread is the tracer: it blocks."""
    _trace(SEIZE, pid)
    _trace(INTERRUPT, pid)
    os.waitpid(pid, WAIT_ALL)
    time.sleep(seconds)
    _trace(DETACH, pid)


def _trace(request: int, pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    nothing = ctypes.c_void_p(0)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_int(pid), nothing, nothing) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace {request:#x}: {os.strerror(number)}")
