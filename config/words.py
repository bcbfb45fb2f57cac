"""Words in the query of a request: each is one of a few, or the request is refused."""

from collections.abc import Collection

from .checks import FLAGS
from .errors import Refused, refused


def read_word(sent: str | None, name: str, options: Collection[str]) -> str:
    """Return the word in lower case, or "" if none was sent. Raise Refused (400) for another one."""
    text = (sent or "").strip().lower()
    if text and text not in options:
        raise unknown(name, f"must be one of {', '.join(options)}" if options else "is not known here")
    return text


def read_flag(sent: str | None, name: str) -> bool | None:
    """Return True for true or 1, False for false or 0, else None. Raise Refused (400) for another word."""
    text = (sent or "").strip().lower()
    if text and text not in FLAGS:
        raise unknown(name, "must be true or false")
    return FLAGS.get(text)


def unknown(name: str, message: str) -> Refused:
    """Return the refusal (400) of a query parameter with a value that is not accepted."""
    return refused(name, f"{name} {message}", "enum", 400)
