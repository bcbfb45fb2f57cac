"""Phones that other people wrote, on connections: sipp, baresip and baresip-python over TCP and TLS, openssl."""

import pytest

pytestmark = pytest.mark.wire
