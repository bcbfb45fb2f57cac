"""The syntaxes of XML files: one writer each. Values are escaped, also in attributes, or refused."""

from collections.abc import Iterable, Sequence
from typing import Final

from .draft import Pair, Unwritable
from .syntax import clean

UTF8: Final = '<?xml version="1.0" encoding="utf-8"?>\n'
FUNCTION_KEY: Final = "fkey"
OPERATION: Final = "oper"
"""Name of a pair of Gigaset that is an operation; its value is the operation, its attributes are in it."""
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


def escape(text: str) -> str:
    """Return a text as it stands in an element or in an attribute."""
    return text.translate(_ESCAPES)


def written(pair: Pair) -> str:
    """Return the escaped value of a setting, or raise `Unwritable`."""
    return escape(clean(pair))


def _attributes(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f' {name}="{written(Pair(name, value))}"' for name, value in pairs)


def _element(pair: Pair) -> str:
    attributes = "".join(
        f' {name}="{written(Pair(name, value, pair.source))}"' for name, value in pair.attributes
    )
    return f"<{pair.name}{attributes}>{written(pair)}</{pair.name}>\n"


def snom_xml(pairs: Sequence[Pair], extra: str = "") -> str:
    """Return the settings of a Snom phone or base; the pairs named `fkey` are its function keys."""
    settings = "".join(_element(one) for one in pairs if one.name != FUNCTION_KEY)
    keys = "".join(_element(one) for one in pairs if one.name == FUNCTION_KEY)
    functions = f'<functionKeys e="2">\n{keys}</functionKeys>\n' if keys else ""
    return (
        f'{UTF8}<settings>\n<phone-settings e="2">\n{settings}{extra}</phone-settings>\n'
        f"{functions}</settings>\n"
    )


def flat_xml(pairs: Iterable[Pair], extra: str = "") -> str:
    """Return a flat profile of Cisco and Linksys. `$` would be a macro of the phone."""
    return f"{UTF8}<flat-profile>\n{''.join(_flat(one) for one in pairs)}{extra}</flat-profile>\n"


def _flat(pair: Pair) -> str:
    if "$" in pair.value and not pair.raw:
        raise Unwritable(pair.subject, "$ has a meaning of its own to this phone")
    return _element(pair)


def gs_xml(pairs: Iterable[Pair], mac: str = "", extra: str = "") -> str:
    """Return the items of a Grandstream phone. If `mac` is there, only this phone accepts the file."""
    items = "".join(f'<item name="{escape(one.name)}">{written(one)}</item>\n' for one in pairs)
    owner = f"<mac>{escape(mac)}</mac>\n" if mac else ""
    return (
        f'{UTF8}<gs_provision version="1">\n{owner}<config version="2">\n{items}{extra}'
        f"</config>\n</gs_provision>\n"
    )


def params_xml(pairs: Iterable[Pair], product: str = "", extra: str = "", step: str = "") -> str:
    """Return the parameters of a Gigaset base or Maxwell phone, and a URL to load from next."""
    kind = f' productID="{escape(product)}"' if product else ""
    params = "".join(_operation(one) if one.name == OPERATION else _param(one) for one in pairs)
    next_step = f'<custom>\n<step type="Redirect" url="{escape(step)}"/>\n</custom>\n' if step else ""
    head = f'{UTF8}<provisioning version="1.1"{kind}>\n<nvm>\n'
    return f"{head}{params}{extra}</nvm>\n{next_step}</provisioning>\n"


def _param(pair: Pair) -> str:
    return f'<param name="{escape(pair.name)}" value="{written(pair)}"/>\n'


def _operation(pair: Pair) -> str:
    """Return an operation: its `value` is an attribute, all else are parameters of it."""
    inner = "".join(
        _param(Pair(name, value, pair.source)) for name, value in pair.attributes if name != "value"
    )
    value = _attributes(one for one in pair.attributes if one[0] == "value")
    head = f'<oper name="{written(pair)}"{value}'
    return f"{head}>\n{inner}</oper>\n" if inner else f"{head}/>\n"


def symbols_xml(pairs: Iterable[Pair], mac: str, extra: str = "") -> str:
    """Return the symbols of a Gigaset N510. A text has quotes inside its quotes, a number has none."""
    symbols = "".join(
        f'<SYMB_ITEM ID="{escape(one.name)}" class="symb_item" value="{_symbol(one)}"/>\n' for one in pairs
    )
    return (
        f'{UTF8}<ProviderFrame>\n<Provider>\n<MAC_ADDRESS value="{escape(mac)}"/>\n'
        f'<PROFILE_NAME class="string" value="registrar"/>\n{symbols}{extra}</Provider>\n</ProviderFrame>\n'
    )


def _symbol(pair: Pair) -> str:
    """Return the value of a symbol: raw pairs are numbers, which this code wrote."""
    if pair.raw:
        return written(pair)
    if '"' in pair.value or "\\" in pair.value:
        raise Unwritable(pair.subject, 'neither " nor \\ can be written for this phone')
    return escape(f'"{clean(pair)}"')
