"""No history of calls: REGISTRAR_CALL_HISTORY_DAYS is 0."""

from registrar.model import PastCall


class NoHistory:
    """A history that keeps nothing; implements ports.History."""

    def add(self, past: PastCall) -> None:
        """See ports.History."""

    async def run(self) -> None:
        """Do nothing: there is nothing to write."""

    async def close(self) -> None:
        """Do nothing: nothing waits."""
