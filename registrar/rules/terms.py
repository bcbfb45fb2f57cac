"""The terms of a phone, as one text of the view `phone_v1`: its policies, and the quotas of its customer.

The text is `<letters>/<number>/...`: a letter for each policy, then numbers, each of which may be missing.
The first two are the contacts that the customer and the phone allow, of which the smaller one counts; the
others are quotas. The phones of a customer mostly have the same text, and so one value.
"""

from functools import lru_cache

from registrar.model import NO_TERMS, Terms

TLS, SRTP, SHA256, NETWORKS = "t", "s", "d", "n"


@lru_cache(4_096)
def parse_terms(text: str) -> Terms:
    """Return the terms in a text of the view; an empty one has none. Raise ValueError for any other text."""
    if not text:
        return NO_TERMS
    letters, *numbers = text.split("/")
    contacts, own, *quotas = [int(number) if number else None for number in numbers]
    limits = [limit for limit in (contacts, own) if limit is not None]
    calls, call_rate, phone_calls, extension_calls, transactions = quotas
    return Terms(
        tls=TLS in letters,
        srtp=SRTP in letters,
        sha256=SHA256 in letters,
        networks=NETWORKS in letters,
        contacts=min(limits, default=0),
        calls=calls,
        call_rate=call_rate,
        phone_calls=phone_calls,
        extension_calls=extension_calls,
        transactions=transactions,
    )
