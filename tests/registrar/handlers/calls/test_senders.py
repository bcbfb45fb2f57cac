"""handlers/calls/senders.py: how a phone calls itself, and whether that can be given back."""

from collections.abc import Sequence

import pytest

from registrar.handlers.calls.senders import Senders
from registrar.model import Snapshot
from registrar.rules.routing import MAX_CARRIED, folded_contact, way_of
from registrar.store.location_memory import MemoryLocation

from ..handsets import ANN, Handset
from ..world import World


class Elsewhere(MemoryLocation):
    """What is stored has been written by another node: this one knows nothing of it."""

    def known(self, phone: str) -> Snapshot:
        return Snapshot()

    async def load(self, phones: Sequence[str]) -> list[Snapshot]:
        return [self.stored.get(phone, Snapshot()) for phone in phones]


@pytest.mark.parametrize("length", [MAX_CARRIED, MAX_CARRIED + 1, 1_024])
@pytest.mark.parametrize("registered", [True, False])
async def test_a_contact_that_another_node_knows_is_named_and_not_carried(
    length: int, registered: bool
) -> None:
    """A phone with push tokens calls by a node that it has not registered at (RFC 8599)."""
    world = World(ANN)
    ann = Handset(world, ANN)
    ann.contact += ";pn-prid=".ljust(length - len(ann.contact), "x")
    assert len(ann.contact) == length
    if registered:
        await ann.register()
    there = Elsewhere(world.clock)
    there.stored = world.location.stored
    senders = Senders(there, world.clock, world.outside.process)
    asked = ann.request("INVITE", "sip:201@acme.test")
    assert await senders.has_long_contact(asked, ANN.id) is (length > MAX_CARRIED and not registered)
    target = senders.target(asked, ann.flow, ANN.id)
    assert target.contact == ann.contact
    if length > MAX_CARRIED:
        assert (folded_contact(target), way_of(target)) == ("", ""), "its binding says both"
    else:
        assert folded_contact(target) == f"0 {ann.contact}" and way_of(target)
