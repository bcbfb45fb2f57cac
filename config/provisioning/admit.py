"""The decision about a request for a file: serve it, answer as for an unknown name, or refuse it.

It is pure and total: each combination of a secret, a file, a source and a time has one answer. The access
rule is that of a REGISTER. The caller makes true what the answer says, before the first octet of a body
leaves: it locks phones, begins the session of a first secret, and ends a spent one.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Final

from registrar.model import Deny, Epoch, Phone
from registrar.rules.access import Access
from registrar.rules.proxies import one_source

from ..checks import networks
from .files import Meant


class Way(Enum):
    """Which secret opens a configuration."""

    FIRST = "first-secret"
    STEADY = "steady-secret"
    DEVICE = "device-token"
    LINK = "one-time-link"


@dataclass(frozen=True, slots=True)
class Grant:
    """What is stored about the secret of a request."""

    way: Way
    mac: str
    """12 hexadecimal digits in upper case; empty for a device without one."""
    phones: tuple[Phone, ...]
    """Every phone whose account is in the file."""
    first_until: Epoch | None = None
    """When an unused first secret ends."""
    session_source: str = ""
    """The source that has used the first secret."""
    session_until: Epoch | None = None
    """Until when that source may use it again; None: it was not used."""
    sha256: str = ""
    """What is stored of the secret."""
    writer: str = ""
    """Name of the writer of the model; empty: the model has no files of its own."""
    legacy_tls: bool = False
    """Whether the model knows only TLS 1.0 or 1.1."""
    file: str = ""
    """The one file that a one-time link opens."""


@dataclass(frozen=True, slots=True)
class Serve:
    """The file may be sent, after what follows is written."""

    grant: Grant
    meant: Meant
    lock: tuple[str, ...] = ()
    """Ids of the OPEN phones that this contact locks."""
    begins: bool = False
    """Whether it begins the session of the first secret."""
    ends_first: bool = False
    """Whether it ends the first secret: the phone has the steady one."""
    spends: bool = False
    """Whether it uses up a one-time link."""

    @property
    def writes(self) -> bool:
        """Return whether something must be written before the file is sent."""
        return bool(self.lock) or self.begins or self.ends_first or self.spends


@dataclass(frozen=True, slots=True)
class NotFound:
    """The answer is that to an unknown name."""

    counts: bool
    """Whether it counts as a guess of its source."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The secret is right, and a phone may not come from this source."""

    phone: Phone
    reason: str


Admission = Serve | NotFound | Refuse
UNKNOWN: Final = NotFound(counts=True)
NO_FILE: Final = NotFound(counts=False)
"""The secret is right: a phone asks for several names, and not each of them exists."""


OVER_TLS: Final = "tls"
"""A policy about the transport is one for SIP; a setting decides whether files are served without TLS."""


def admit(grant: Grant | None, meant: Meant | None, source: str, now: Epoch, access: Access) -> Admission:
    """Return the decision about one request."""
    if grant is None or not grant.phones or not all(phone.active for phone in grant.phones):
        return UNKNOWN
    if grant.way is Way.FIRST and not _is_open(grant, source, now):
        return UNKNOWN
    if meant is None:
        return NO_FILE
    is_contact = meant is Meant.CONFIG
    lock = []
    for phone in grant.phones:
        decision = access.decide(phone, source, OVER_TLS, first_contact=is_contact)
        if isinstance(decision, Deny):
            return Refuse(phone, decision.reason)
        if decision.lock:
            lock.append(phone.id)
    if not is_contact:
        return Serve(grant, meant)
    begins = grant.way is Way.FIRST and grant.session_until is None
    ends = grant.way is Way.STEADY and grant.session_until is not None
    return Serve(grant, meant, tuple(lock), begins, ends, spends=grant.way is Way.LINK)


def _is_open(grant: Grant, source: str, now: Epoch) -> bool:
    """Return whether the first secret may be used: within its window, or again by the same source."""
    if grant.session_until is None:
        return grant.first_until is not None and now < grant.first_until
    return now < grant.session_until and grant.session_source == one_source(source)


@dataclass(frozen=True, slots=True)
class Expectation:
    """A phone that staff expects to ask without a secret (decision 96)."""

    until: Epoch
    networks: str = ""
    """Networks from which it may ask, separated by commas; empty: any."""
    source: str = ""
    """The source that has asked; empty: none has."""


def is_expected(expectation: Expectation | None, source: str, now: Epoch) -> bool:
    """Return whether a request without a secret is told where to load from."""
    if expectation is None or now >= expectation.until:
        return False
    if expectation.source and expectation.source != one_source(source):
        return False
    return not expectation.networks or _is_in(source, expectation.networks)


def _is_in(source: str, listed: str) -> bool:
    try:
        address = ip_address(source)
    except ValueError:
        return False
    return any(address in network for network in networks(listed) if network.version == address.version)
