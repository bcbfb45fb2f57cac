"""The media kinds and media addresses of phones that this node has seen, used for new offers to them."""

from typing import Final, TypeVar

from registrar.model import LegKind, Snapshot

MAX_KEPT: Final = 20_000
_V = TypeVar("_V")


class Habits:
    """In-memory record of how phones want their media; the oldest entry is dropped first."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], LegKind] = {}
        self._places: dict[tuple[str, str], str] = {}

    def kind(self, phone: str, contact: str) -> LegKind | None:
        """Return the kind that a binding accepted after it refused another, or None if nothing is known."""
        return self._kinds.get((phone, contact))

    def took(self, phone: str, contact: str, kind: LegKind) -> None:
        """Note that a binding accepted an offer of that kind."""
        _keep(self._kinds, (phone, contact), kind)

    def media_address(self, phone: str, public: str) -> str:
        """Return the media address of a phone whose SIP comes from `public`; empty if unknown."""
        return self._places.get((phone, public), "")

    def said(self, phone: str, public: str, media: str) -> None:
        """Note the media address that a session description of the phone named; ignore an empty one."""
        if media:
            _keep(self._places, (phone, public), media)

    def registered(self, phone: str, stands: Snapshot) -> None:
        """Note the local addresses that a phone named in REGISTER, if no media address is known yet.

        At the next REGISTER, many phones rewrite their Contact to the public address. They never rewrite
        their session descriptions.
        """
        for binding in stands.bindings:
            if (
                binding.local_ip not in ("", binding.public_ip)
                and (phone, binding.public_ip) not in self._places
            ):
                _keep(self._places, (phone, binding.public_ip), binding.local_ip)


def _keep(known: dict[tuple[str, str], _V], key: tuple[str, str], value: _V) -> None:
    known[key] = value
    if len(known) > MAX_KEPT:
        del known[next(iter(known))]
