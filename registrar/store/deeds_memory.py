"""What phones do, in memory, for tests of handlers."""

from registrar.model import Switched


class MemoryDeeds:
    """The audit log in memory; implements ports.Deeds."""

    def __init__(self) -> None:
        self.done: list[Switched] = []

    def switched(self, deed: Switched) -> None:
        """See ports.Deeds."""
        self.done.append(deed)
