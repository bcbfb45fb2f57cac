"""The history of calls in memory, for tests of handlers."""

from registrar.model import PastCall


class MemoryHistory:
    """Past calls in memory; implements ports.History."""

    def __init__(self) -> None:
        self.past: list[PastCall] = []

    def add(self, past: PastCall) -> None:
        """See ports.History. As in SQL, the first report of a call stays."""
        if all(known.call.id != past.call.id for known in self.past):
            self.past.append(past)
