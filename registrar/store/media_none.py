"""No media relay: legs that understand each other speak directly, the others are told that they cannot."""

from typing import NoReturn

from registrar.errors import StoreUnavailable
from registrar.model import LegKind


class NoMedia:
    """Implements ports.Media for a service without REGISTRAR_RTPENGINE."""

    @property
    def configured(self) -> bool:
        """See ports.Media."""
        return False

    async def offer(
        self,
        session: str,
        sdp: bytes,
        *,
        from_tag: str,
        to_tag: str,
        to: LegKind,
        engine: str,
        family: str = "",
    ) -> tuple[bytes, str]:
        """See ports.Media."""
        _nobody()

    async def answer(self, session: str, sdp: bytes, *, from_tag: str, to_tag: str, engine: str) -> bytes:
        """See ports.Media."""
        _nobody()

    def delete(self, session: str, engine: str) -> None:
        """See ports.Media."""


def _nobody() -> NoReturn:
    raise StoreUnavailable("no media relay is configured")
