"""The division of `registrar serve` into processes: what each of them serves, and when it ends."""

import asyncio
import logging
import signal
from dataclasses import dataclass, replace
from typing import Final

from config.operations.keys import KINDS
from registrar.settings import KEYS
from registrar.store.keyring import Keyring

from .first_steps import print_first_steps, print_workers
from .installation import Installation, held_keys
from .key_watch import Again
from .side import Side
from .supervisor import Supervisor
from .workers import Part, Ports, Role, count

BOTH: Final = (signal.SIGINT, signal.SIGTERM)
SIGTERM_ALONE: Final = (signal.SIGTERM,)

log = logging.getLogger("registrar")


def divided(installation: Installation, side: Side, *, demo: bool) -> Part | None:
    """Fork the processes of this installation; return None if it needs only one.

    In each child, return its part. In the parent, end with SystemExit. Raise ConfigurationError.
    """
    settings = installation.settings
    workers = count(settings, side)
    if not workers:
        return None

    def ready() -> None:
        print_workers(workers, api=side is Side.ALL)
        if not demo:
            print_first_steps(installation, sip=True, api=side is Side.ALL)
        log.info("ready")

    has_front = side is Side.ALL or bool(settings.sip_http or settings.management)
    ports = Ports(settings, workers)
    parent = Supervisor(ports, workers, ready, has_front=has_front, keeps_valkey=installation.embedded)
    return parent.run()


def renewed(installation: Installation, again: Again) -> Installation:
    """Return the installation with the keys that its files hold now: the parent knows those of its start."""
    fresh = again.read()
    names = {name: getattr(fresh, name) for name in KEYS}
    settings = installation.settings.model_copy(update=names)
    rings = {kind: Keyring(*held_keys(settings, installation.directory, kind)) for kind in KINDS}
    return replace(installation, settings=settings, secret_keys=rings["secret"], jwt_keys=rings["jwt"])


def stop_event(part: Part | None, numbers: tuple[signal.Signals, ...]) -> asyncio.Event:
    """Return the event that a signal sets, and the end of the parent if there is one."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    if part is not None:
        part.watch_parent(stop)
    return stop


@dataclass(frozen=True, slots=True)
class Duty:
    """What this process serves."""

    sip: bool
    api: bool
    monitoring: bool
    whole: bool
    """Whether this installation runs both sides, in one process or in several."""
    speaks: bool
    """Whether this process warns of unusual settings."""


def duty_of(side: Side, part: Part | None) -> Duty:
    """Return what a process serves: everything of its side, or its part of that."""
    role = part.role if part is not None else None
    is_first = part is None or part.shared is None or part.shared.number == 1
    return Duty(
        sip=side is not Side.API and role in (None, Role.WORKER),
        api=side is not Side.SIP and role in (None, Role.FRONT),
        monitoring=role in (None, Role.FRONT),
        whole=side is Side.ALL,
        speaks=is_first and role in (None, Role.WORKER),
    )
