"""No media relay: two legs with compatible media send it directly; calls between other legs are refused."""

from typing import NoReturn

from registrar.errors import StoreUnavailable
from registrar.model import LegKind


class NoMedia:
    """Absence of a relay, for a service without REGISTRAR_RTPENGINE; implements ports.Media."""

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
