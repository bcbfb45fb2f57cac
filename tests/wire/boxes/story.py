"""What happens from the creation of a phone to its call and its next load, told line by line."""

import asyncio
import json
import re
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from tests.peers.calling import CallingPhone
from tests.wire.callers import talk
from tests.wire.site import Site

from .account_phone import registered
from .box import Box
from .brands import BOXES

SECRET: Final = re.compile(r"\b[a-z2-7]{26}\b|\b[0-9a-f]{24}\b|\b[a-zA-Z0-9]{32}\b")
"""A secret of a URL, an id, or a username."""


WIDTH: Final = 76
SERIAL: Final = "20EZ2YLK905E"


@dataclass(frozen=True)
class Plan:
    """Which phone comes out of its box, and what is made for it."""

    title: str
    brand: str
    model: str
    writer: str
    mac: str
    number: str
    """Of the extension that is made for it."""
    source: str
    handset: str | None = None
    """The address of its first handset, if it is a base."""

    def box(self, trusts: ssl.SSLContext | None = None, *, at_once: bool = False) -> Box:
        """Return the phone as it comes out of its box."""
        make = BOXES[self.writer]
        return make(self.model, self.mac, self.source, serial=SERIAL, at_once=at_once, trusts=trusts)

    @property
    def fields(self) -> dict[str, Any]:
        """Return what the API needs to know of the phone."""
        serial = SERIAL if self.writer == "grandstream" else None
        about = {"macAddress": self.mac, "serial": serial, "handsetAddress": self.handset}
        return {name: value for name, value in about.items() if value is not None}


@dataclass
class Teller:
    """Writes the lines of a story. Secrets, ids and usernames are shortened to four characters."""

    lines: list[str] = field(default_factory=list)

    def title(self, text: str) -> None:
        self.lines += [*([""] if self.lines else []), f"# {text}"]

    def say(self, who: str, what: str, status: object = "", note: str = "") -> None:
        line = f"{who:<7}{shortened(what):<{WIDTH}} {status}{'  ' + note if note else ''}"
        self.lines.append(line.rstrip())

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def shortened(text: str) -> str:
    """Return a text without its secrets."""
    return SECRET.sub(lambda match: match[0][:4] + "...", text)


@dataclass
class Office:
    """The server, and what the phones of its network know of the world."""

    site: Site
    trusts: ssl.SSLContext | None = None
    teller: Teller = field(default_factory=Teller)
    models: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def names(self) -> Mapping[str, str]:
        """What DNS knows."""
        return {self.site.demo()["domain"]: self.site.sip[0]}

    def model(self, brand: str, name: str) -> str:
        """Return the id of a model."""
        if not self.models:
            rows = self.site.api("GET", "/pbx/sipphonemodels?limit=500").body["sipPhoneModels"]
            self.models = {(row["brand"], row["model"]): row["_id"] for row in rows}
        return self.models[brand, name]

    def ask(self, method: str, path: str, body: Any = None, note: str = "") -> Any:
        """Ask the API, tell it, and return the answer."""
        reply = self.site.api(method, path, body)
        shown = f" {_json(body)}" if body is not None else ""
        self.teller.say("staff", f"{method} {path}{shown}", reply.status, note)
        assert reply.status == 200, reply
        return reply.body

    def create(self, plan: Plan) -> str:
        """Create the extension and the phone. Return its id."""
        person = {"number": plan.number, "name": plan.title}
        extension = self.ask("POST", "/pbx/extension", person)["_id"]
        body = {"sipPhoneModel": self.model(plan.brand, plan.model), "extension": extension, **plan.fields}
        reply = self.site.api("POST", "/pbx/sipphone", body)
        self.teller.say("staff", f"POST /pbx/sipphone {_json(plan.fields)}", reply.status)
        assert reply.status == 200, reply
        return str(reply.body["_id"])

    def arm(self, phone_id: str) -> str:
        """Return the URL with a new first secret."""
        told = self.ask("POST", f"/pbx/sipphone/{phone_id}/provisioning", {"rearm": True})
        return str(told["url"])

    async def load(self, box: Box, event: str = "") -> None:
        """Let the phone load its files, and tell its requests."""
        before = len(box.web.steps)
        await asyncio.to_thread(box.notified, event) if event else await asyncio.to_thread(box.start)
        for step in box.web.steps[before:]:
            self.teller.say("phone", f"{step.method} {urlsplit(step.url).path}", step.status)

    def is_loaded(self, phone_id: str, source: str) -> None:
        """Check that the phone is locked to its address, and has all changes."""
        shown = self.site.api("GET", f"/pbx/sipphone/{phone_id}").body
        status, rule = shown["status"], shown["ip"]
        assert status["configLoaded"] > status["configSaved"]
        assert (rule["mode"], rule["address"]) == ("LOCKED", source)
        note = f"{rule['mode']} to {rule['address']}, configLoaded > configSaved"
        self.teller.say("staff", f"GET /pbx/sipphone/{phone_id}", 200, note)


def _json(body: Any) -> str:
    return json.dumps(body)


@dataclass(frozen=True)
class Colleague:
    """A phone that is called."""

    number: str
    phone: CallingPhone


async def tell(
    office: Office, plan: Plan, stack: AsyncExitStack, colleague: Colleague | None = None
) -> Colleague:
    """Tell the whole story of one phone, which calls the colleague. Return the phone."""
    say = office.teller.say
    office.teller.title(f"{plan.title} ({plan.writer})")
    phone_id = office.create(plan)
    box = plan.box(office.trusts)
    box.tell(office.arm(phone_id))
    say("phone", f"User-Agent: {box.web.agent}")
    await office.load(box)
    (sip,) = box.accounts
    say("phone", f"has read: account {sip.username} of {sip.domain}, {sip.transport}, {sip.expires} s")
    phone = await registered(box, office.names)
    await stack.enter_async_context(phone)
    say("phone", f"REGISTER sip:{sip.domain}", _answers(phone, "REGISTER"))
    office.is_loaded(phone_id, plan.source)
    if colleague:
        await _call(office, phone, colleague)
    await _reload(office, phone_id, box, phone)
    return Colleague(plan.number, phone)


async def _call(office: Office, phone: CallingPhone, colleague: Colleague) -> None:
    uri = f"sip:{colleague.number}@{phone.account.domain}"
    outgoing, _ = await talk(phone, colleague.phone, colleague.number)
    office.teller.say("phone", f"INVITE {uri}", _answers(phone, "INVITE"))
    assert (await outgoing.bye()).status == 200
    office.teller.say("phone", f"BYE {uri}", _answers(phone, "BYE"))


async def _reload(office: Office, phone_id: str, box: Box, phone: CallingPhone) -> None:
    """Change something, order a load, and let the phone load what is new."""
    office.ask("PATCH", f"/pbx/sipphone/{phone_id}", {"callWaiting": False})
    path = f"/pbx/sipphone/{phone_id}/configreload"
    reply = await asyncio.to_thread(office.site.api, "POST", path)
    assert (reply.status, reply.body) == (200, {"success": True}), reply
    office.teller.say("staff", f"POST {path}", reply.status)
    event = (await phone.asked("NOTIFY")).request.header("event")
    office.teller.say("server", f"NOTIFY with Event: {event}", 200)
    await office.load(box, event)
    office.is_loaded(phone_id, box.source)


def _answers(phone: CallingPhone, method: str) -> str:
    """The statuses of all answers to requests of a method, without 100, which may be left out."""
    answers = [one for _, one in phone.received if not one.is_request and one.method == method]
    return ", ".join(str(one.status) for one in answers if one.status > 100)


PLANS: Final = tuple(
    Plan(title, brand, model, writer, mac, str(8101 + at), f"127.0.0.{101 + at}", handset)
    for at, (title, brand, model, writer, mac, handset) in enumerate(
        (
            ("Snom D785", "SNOM", "D785", "snom", "000413922D24", None),
            ("Snom M400", "SNOM", "M400", "snom-dect", "000413B60680", "0123456789"),
            ("Mitel 6867i", "MITEL", "6867i", "mitel", "00085D237429", None),
            ("Yealink T46U", "YEALINK", "T46U", "yealink", "805EC0D57D72", None),
            ("Yealink W60B", "YEALINK", "W60B", "yealink-dect", "805EC0D57D73", "0123456790"),
            ("Gigaset N870 IP PRO", "GIGASET", "N870 IP PRO", "gigaset-nx70", "7C2F80E0D605", "0123456791"),
            ("Gigaset N510 IP PRO", "GIGASET", "N510 IP PRO", "gigaset-n510", "7C2F806257D7", "0123456792"),
            ("Gigaset Maxwell 3", "GIGASET", "Maxwell 3", "maxwell", "7C2F80A10B11", None),
            ("Grandstream GRP2612", "GRANDSTREAM", "GRP2612", "grandstream", "000B828AA872", None),
            ("Cisco SPA504G", "CISCO", "SPA504G", "spa", "0002FDFF2103", None),
            ("LG-Ericsson LIP-8002", "LG", "LIP-8002", "lg", "B4EAB2102030", None),
        )
    )
)
"""One phone of each brand, and the bases beside their desk phones."""


async def tell_all(office: Office) -> str:
    """Tell the stories of all brands. Each phone calls the one before it, and the first one none."""
    async with AsyncExitStack() as stack:
        before: Colleague | None = None
        for plan in PLANS:
            before = await tell(office, plan, stack, before)
    return office.teller.text
