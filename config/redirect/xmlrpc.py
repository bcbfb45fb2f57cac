"""One call by XML-RPC, as three vendors have it: the answer is an array of a boolean and a text."""

import xmlrpc.client
from typing import Final, NamedTuple
from xml.etree import ElementTree

from .client import Client, basic
from .outcome import Outcome, Unanswered, printable, refused

DECLARATION: Final = "<!"
"""Begins a DOCTYPE or an entity, which no answer needs. CDATA and comments are refused with it."""
TRUE: Final = ("1", "true")


class Said(NamedTuple):
    """What a service has answered."""

    is_done: bool
    text: str


async def call(client: Client, url: str, login: tuple[str, str], method: str, *values: str) -> Said | Outcome:
    """Call a method, and return what the service said, or the outcome if it refused the request as such.

    Raise Unanswered.
    """
    body = xmlrpc.client.dumps(values, method, encoding="UTF-8").encode()
    headers = {"Content-Type": "text/xml", "Authorization": basic(*login)}
    answer = await client.ask("POST", url, headers, body)
    if not answer.is_ok:
        return refused(f"status {answer.status}")
    return parse(answer.text())


def parse(text: str) -> Said:
    """Return what an answer says. Raise Unanswered if it has another form, is a fault, or has a `<!`."""
    if DECLARATION in text:
        raise Unanswered("the answer has a declaration of XML, which is refused")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # without a declaration it defines no entity
    except (ElementTree.ParseError, ValueError):
        raise Unanswered("the answer is not XML") from None
    fault = root.find("fault")
    if fault is not None:
        raise Unanswered(printable(f"fault: {_content(fault)}"))
    values = root.findall("params/param/value/array/data/value")
    if len(values) != 2 or values[0].find("boolean") is None:
        raise Unanswered("the answer has another form than a boolean and a text")
    return Said(_content(values[0]).lower() in TRUE, printable(_content(values[1])))


def _content(element: ElementTree.Element) -> str:
    return "".join(element.itertext()).strip()
