"""What takes a minute or half of one: begun with the first server, looked at after all other tests."""

import time
from dataclasses import dataclass, field
from typing import Final

from tests.peers.phone import UdpPhone
from tests.wire.site import Handset, Site

MIN_EXPIRES: Final = 60
TRANSACTION_SECONDS: Final = 32.0
"""Timer J over UDP: so long the server knows a retransmission by its branch."""


@dataclass
class Waits:
    """Phones that were left alone."""

    silent: Handset
    """Registered for the shortest time, and never heard of again."""
    silent_until: int
    """Epoch second at which its binding ends, as Redis has it."""
    captured: bytes
    """The REGISTER that `quiet` sent, with its Authorization."""
    quiet: Handset
    captured_at: float
    line: UdpPhone
    """The socket that `captured` came from."""
    powerless: list[tuple[Handset, int]] = field(default_factory=list)
    """Real phones whose power was cut, and when their bindings end."""


def begin(site: Site) -> Waits:
    """Register the phones that the last tests look at."""
    silent, quiet = site.new_phone(), site.new_phone()
    with UdpPhone(silent.account, site.sip) as phone:
        assert phone.register(MIN_EXPIRES).status == 200
    line = UdpPhone(quiet.account, site.sip)
    assert line.register().status == 200
    until = int(site.status_hash(silent)["expiresAt"])
    return Waits(silent, until, line.sent[-1], quiet, time.monotonic(), line)


def until(epoch: float) -> None:
    """Sleep until that moment, when it is not over."""
    time.sleep(max(0.0, epoch - time.time()))
