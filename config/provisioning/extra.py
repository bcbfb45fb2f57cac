"""Extra lines of a file: `configurationTemplate` of a model and `customConfig` of a phone.

They are text in the syntax of the phone, with a closed set of placeholders. They may not set accounts,
servers, passwords, or where the phone loads from (`config.extras`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from ..extras.check import PLACEHOLDER, SYNTAXES, lines_of, problem
from ..extras.denied import XML
from .draft import Draft, Pair, Unwritable
from .markup import written
from .syntax import plain, unquoted
from .view import Provisioned

_BEGIN: Final = "begin of the extra lines"
_END: Final = "end of the extra lines"
_BLOCK: Final = re.compile(rf": {_BEGIN}.*?: {_END}", re.DOTALL)


def vetted(phone: Provisioned, draft: Draft) -> Provisioned:
    """Return the phone without extra lines that cannot be used, which the draft then names.

    The API stores no such lines. Those that were stored before, or for another model, must not keep a phone
    from its account.
    """
    extra = _usable(phone, draft, "configurationTemplate", phone.extra)
    return replace(phone, extra=extra, custom=_usable(phone, draft, "customConfig", phone.custom))


def _usable(phone: Provisioned, draft: Draft, source: str, text: str) -> str:
    reason = problem(phone.writer, text)
    if not reason:
        return text
    draft.leave(source, reason)
    draft.warn(f"{source} is left out: {reason}")
    return ""


def without_extra(text: str) -> str:
    """Return the text of a file without its extra lines: what the writer itself has said."""
    return _BLOCK.sub("", text)


def extra_lines(phone: Provisioned) -> str:
    """Return the extra lines of a phone, placeholders replaced, between two comments."""
    parts = (("configurationTemplate", phone.extra), ("customConfig", phone.custom))
    return "".join(_part(phone, source, text) for source, text in parts if text.strip())


def _part(phone: Provisioned, source: str, text: str) -> str:
    reason = problem(phone.writer, text)
    if reason:
        raise Unwritable(source, reason)
    syntax = SYNTAXES[phone.writer]
    filled = PLACEHOLDER.sub(lambda found: _value(phone, source, syntax, found[1]), text)
    lines = "\n".join(line.strip() if syntax != XML else line for line in lines_of(filled))
    if syntax == XML:
        return f"<!-- {source}: {_BEGIN} -->\n{lines}\n<!-- {source}: {_END} -->\n"
    return f"# {source}: {_BEGIN}\n{lines}\n# {source}: {_END}\n"


def _value(phone: Provisioned, source: str, syntax: str, name: str) -> str:
    pair = Pair(name, PLACEHOLDERS[name](phone).strip(), source)
    match syntax:
        case "xml":
            return written(pair)
        case "colon":
            return unquoted(plain(pair, "$$"), pair)
        case "equals":
            return plain(pair, "%NULL%")
        case _:
            return plain(pair, '"')


PLACEHOLDERS: Final[Mapping[str, Callable[[Provisioned], str]]] = {
    "number": lambda phone: phone.account.number,
    "name": lambda phone: phone.account.display_name,
    "domain": lambda phone: phone.account.domain,
    "mac": lambda phone: phone.mac,
    "serial": lambda phone: phone.serial,
}
"""What `{{ name }}` in extra lines may be."""
