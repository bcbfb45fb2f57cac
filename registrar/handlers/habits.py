"""What this node has seen of the media of phones: what a new offer to them should be like."""

from typing import Final, TypeVar

from registrar.model import LegKind, Snapshot

MAX_KEPT: Final = 20_000
_V = TypeVar("_V")


class Habits:
    """Remembers, in this process, how phones want their media; the oldest is forgotten first."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], LegKind] = {}
        self._places: dict[tuple[str, str], str] = {}

    def kind(self, phone: str, contact: str) -> LegKind | None:
        """What a binding took after it had refused something else; None: nothing is known."""
        return self._kinds.get((phone, contact))

    def took(self, phone: str, contact: str, kind: LegKind) -> None:
        """A binding has taken an offer of that kind."""
        _keep(self._kinds, (phone, contact), kind)

    def media_address(self, phone: str, public: str) -> str:
        """Where a phone whose SIP comes from `public` wants its media; empty when that is not known."""
        return self._places.get((phone, public), "")

    def said(self, phone: str, public: str, media: str) -> None:
        """A description of that phone named a media address."""
        if media:
            _keep(self._places, (phone, public), media)

    def registered(self, phone: str, stands: Snapshot) -> None:
        """A phone named its own address in a REGISTER.

        Many rewrite their Contact to the public address at the next one, and their descriptions never.
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
