"""REGISTER: from the request to the bindings, the update and the 200 (RFC 3261 section 10.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from registrar.metrics import Metrics
from registrar.model import (
    Binding,
    Deny,
    Epoch,
    Flow,
    IpNetwork,
    Phone,
    Process,
    Snapshot,
    Update,
)
from registrar.ports import Location
from registrar.rules.identity import identity_of
from registrar.rules.outbound import OUTBOUND, PATH, supports
from registrar.rules.register import (
    MAX_CONTACTS,
    MAX_USER_AGENT,
    WEBSOCKETS,
    Accepted,
    Origin,
    Outcome,
    Registration,
    Rejected,
    contact_values,
    local_address,
    names_phone,
    printable,
    read,
    register,
)
from registrar.rules.update import refuse
from registrar.sip import Request

from ..admission import Prepared, Situation, Step
from ..answers import Answer

PROMISED_SECONDS: Final = 60
"""Expiry that a refresh is granted while Redis is unavailable (decision 4)."""


@dataclass(frozen=True, slots=True)
class Registrar:
    """The registrar: makes the step of each REGISTER."""

    location: Location
    metrics: Metrics
    process: Process
    is_our_name: Callable[[str], bool]
    """Whether a host is a name or address of this service, but no customer's domain."""
    is_dead: Callable[[Binding], bool]
    """Whether the connection of a binding is known to be closed."""
    bound: Callable[[Phone, Snapshot], None]
    """Called with the bindings of a phone that were promised without the store."""
    edges: Sequence[IpNetwork] = ()
    """The edge proxies, whose Path is believed."""

    def step(self, request: Request, flow: Flow) -> Step:
        """Return the step that binds what a REGISTER asks for."""
        return BindingStep(self, request, flow, read(request, self.edges, by_edge=bool(flow.hop_ip)))


@dataclass(frozen=True, slots=True)
class BindingStep:
    """One REGISTER; implements admission.Step."""

    registrar: Registrar
    request: Request
    flow: Flow
    asked: Registration | Rejected

    @property
    def may_lock(self) -> bool:
        """See Step: only a REGISTER that binds something may be a first contact."""
        return isinstance(self.asked, Registration) and self.asked.binds

    def denial(self, phone: Phone) -> Deny | None:
        """Return a Deny unless the phone registers its own address of record (section 10.3 steps 1, 4 and 5).

        A SIP user has an address of record in its domain only (decision 1).
        """
        to, is_our_name = self.request.to.uri, self.registrar.is_our_name
        if phone.is_user and to.host_key != phone.domain:
            return Deny("not-yours")
        for host in (self.request.uri.host_key, to.host_key):
            if host != phone.domain and not is_our_name(host):
                return Deny("not-yours")
        return None if names_phone(to, phone.username, phone.extension) else Deny("not-yours")

    def write(self, situation: Situation) -> Prepared:
        """See Step. A rejection with a label is noted for people."""
        asked, before = self.asked, situation.before
        outcome = asked if isinstance(asked, Rejected) else self._outcome(situation, asked)
        if isinstance(outcome, Rejected):
            return Prepared(self._rejected(situation, outcome), _rejection(outcome))
        if outcome.bindings != before.bindings or situation.events:
            update = situation.bound(outcome.bindings, outcome.events)
        else:
            update = situation.noted()
        return Prepared(update, self._granted(outcome, situation.phone, situation.now))

    def without_store(self, situation: Situation) -> Answer | None:
        """Return the answer while Redis is unavailable, or None if it is not granted.

        A refresh of bindings that this node holds is granted for a minute.
        """
        asked, registrar = self.asked, self.registrar
        phone, before, now = situation.phone, situation.before, situation.now
        if isinstance(asked, Rejected) or asked.wildcard or not asked.contacts:
            return None
        if not all(contact.expires for contact in asked.contacts):
            return None
        short = replace(
            asked, contacts=tuple(replace(contact, expires=PROMISED_SECONDS) for contact in asked.contacts)
        )
        outcome = self._outcome(situation, short)
        if isinstance(outcome, Rejected):
            return _rejection(outcome)
        held = {binding.contact for binding in before.live(now) if registrar.process.node == binding.node}
        if not outcome.touched <= held:
            return None
        update = situation.bound(outcome.bindings, outcome.events)
        registrar.location.promise(phone.id, update)
        registrar.bound(phone, update.after)
        registrar.metrics.promises.inc()
        return self._granted(outcome, phone, now)

    def _rejected(self, situation: Situation, rejected: Rejected) -> Update:
        if not rejected.label:
            return situation.noted()
        flow, deny = self.flow, Deny(rejected.label)
        phone, before, now = situation.phone, situation.before, situation.now
        update = refuse(before, situation.nonces, phone, flow.remote_ip, flow.remote_port, deny, now)
        return replace(update, events=(*situation.events, *update.events))

    def _outcome(self, situation: Situation, asked: Registration) -> Outcome:
        flow, request, process = self.flow, self.request, self.registrar.process
        origin = Origin(
            transport=flow.transport,
            public_ip=flow.remote_ip,
            public_port=flow.remote_port,
            local_ip=local_address(request),
            user_agent=printable(request.headers.get("user-agent") or "", MAX_USER_AGENT),
            node=process.node,
            generation=process.generation,
            secret_version=situation.phone.secret_version,
            flow=flow.id,
            one_device=bool(situation.phone.instance) and flow.transport in WEBSOCKETS,
        )
        most = situation.phone.terms.contacts or MAX_CONTACTS
        return register(situation.before, asked, origin, situation.now, self.registrar.is_dead, most)

    def _granted(self, outcome: Accepted, phone: Phone, now: Epoch) -> Answer:
        """Return the 200. A browser knows only its credentials, so it is told its number and name, too."""
        contacts = contact_values(outcome.bindings, outcome.touched, now)
        headers = [("Contact", value) for value in contacts]
        if self._is_outbound(outcome):
            headers.append(("Require", OUTBOUND))
        path = self.asked.path if isinstance(self.asked, Registration) else ""
        if path and supports(self.request, PATH):  # RFC 3327 section 5.3
            headers.append(("Path", path))
        if self.flow.transport in WEBSOCKETS and phone.extension:
            headers.append(("P-Associated-URI", str(identity_of(phone))))  # RFC 7315
        return Answer(200, headers=(*headers, ("Date", _date(int(now)))))

    def _is_outbound(self, outcome: Accepted) -> bool:
        """Return whether to tell the phone that its flow is kept (RFC 5626 section 6).

        Over UDP no flow is kept, because there is no STUN here, but an edge proxy keeps one.
        """
        if self.flow.transport == "udp" and not self.flow.hop_ip:
            return False
        return any(binding.reg_id and binding.contact in outcome.touched for binding in outcome.bindings)


def _rejection(rejected: Rejected) -> Answer:
    return Answer(rejected.status, rejected.reason, rejected.headers, rejected.why)


@lru_cache(4)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
