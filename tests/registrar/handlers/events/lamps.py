"""Phones that watch others in a world without sockets: what they subscribe to, and what they are told."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from registrar.model import PersonState
from registrar.sip import Request, answer, parse_name_addr
from registrar.store.people_memory import MemoryPeople

from ..handsets import Dialog, Handset
from ..world import Hands, Incoming, Sent, World, read_response

DIALOG = "Event: dialog"
SPACE = "{urn:ietf:params:xml:ns:dialog-info}"


class Persons(MemoryPeople):
    """The states that a test gives to people."""

    def __init__(self) -> None:
        super().__init__(Hands())
        self.known: dict[str, PersonState] = {}

    async def states(self, people: Sequence[str], *, watch: bool = False) -> list[PersonState]:
        return [self.known.get(person, PersonState()) for person in people]


@dataclass
class Told:
    """One NOTIFY that came."""

    sent: Sent

    @property
    def request(self) -> Request:
        return self.sent.request

    @property
    def state(self) -> str:
        """Of the subscription."""
        return self.request.headers.get("subscription-state") or ""

    @property
    def cseq(self) -> int:
        return self.request.cseq[0]

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.request.body)

    @property
    def version(self) -> int:
        return int(self.xml.attrib["version"])

    @property
    def line(self) -> str:
        """The state of the one dialog."""
        (dialog,) = self.xml.findall(f"{SPACE}dialog")
        return dialog.findtext(f"{SPACE}state") or ""

    @property
    def text(self) -> str:
        return self.request.body.decode()


def told(world: World) -> list[Told]:
    """The NOTIFYs of this service since the last time."""
    return [Told(sent) for sent in world.wire.take() if sent.request.method == "NOTIFY"]


def heard(world: World) -> list[Told]:
    """The same, and each is answered with 200."""
    came = told(world)
    for one in came:
        assert one.sent.asker is not None and one.sent.key is not None
        one.sent.asker.receive_response(one.sent.key, read_response(answer(one.request, 200)))
    return came


async def subscribe(
    handset: Handset, user: str = "201", *more: str, call_id: str = "sub-1", event: str = DIALOG
) -> Incoming:
    return await handset.call(user, "SUBSCRIBE", call_id=call_id, more=(event, *more))


async def watch(handset: Handset, user: str = "201", *more: str, call_id: str = "sub-1") -> "Lamp":
    """A subscription that was accepted, and its first NOTIFY."""
    incoming = await subscribe(handset, user, *more, call_id=call_id)
    assert incoming.statuses == [200], incoming.answers
    (first,) = told(handset.world)
    await handset.reply(first.sent, 200)
    return Lamp(handset, lamp_dialog(handset, incoming), first)


def lamp_dialog(handset: Handset, incoming: Incoming) -> Dialog:
    response = incoming.responses[-1]
    return Dialog(
        handset,
        str(parse_name_addr(response.headers.get("contact") or "").uri),
        response.headers.all("record-route"),
        response.headers.get("from") or "",
        response.headers.get("to") or "",
        response.call_id,
    )


@dataclass
class Lamp:
    """One key of a phone, and its dialog."""

    handset: Handset
    dialog: Dialog
    first: Told

    async def refresh(self, expires: int = 600, *more: str, event: str = DIALOG) -> Incoming:
        return await self.dialog.send("SUBSCRIBE", event, f"Expires: {expires}", *more)


async def happen(world: World, *others: World) -> None:
    """The nodes read what has happened in the stream of all events."""
    entries, world.store.events[:] = list(world.store.events), []
    for one in (world, *others):
        await one.notifier.heard(entries)


def tag(text: str) -> str:
    found = re.search(r"tag=([^;>]+)", text)
    assert found
    return found[1]
