"""What a run of the tests says about itself before it begins."""

import os

import pytest

from tests.peers.process import lacking

PEERS = ("sipp", "baresip", "redis-server", "redis-cli", "kamailio")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Which peers are missing, and how long the rounds are."""
    missing = lacking(*PEERS)
    effect = "their tests fail" if os.environ.get("CI") == "true" else "their tests are skipped"
    peers = f"missing: {', '.join(missing)}; {effect}" if missing else "all here"
    size = "in full (SOAK=1)" if os.environ.get("SOAK") == "1" else "reduced (SOAK=1 runs them in full)"
    return [f"peers: {peers}", f"rounds: {size}"]
