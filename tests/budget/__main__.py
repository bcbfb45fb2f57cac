"""`python -m tests.budget`: print what one request of each kind costs, beside the committed figures."""

import sys
import tempfile
from pathlib import Path

from tests.budget.ledger import read_budget


def main() -> int:
    """Return 1 when a figure is over the budget."""
    budget = read_budget(sys.version_info[:2])
    with tempfile.TemporaryDirectory() as folder:
        counted = budget.check(Path(folder))
    print("\n".join(budget.table(counted)))
    overruns = budget.overruns(counted)
    print("\n".join(f"over budget: {line}" for line in overruns))
    return int(bool(overruns))


if __name__ == "__main__":
    sys.exit(main())
