"""The page at /phone, where a WebRTC account registers, and /selftest, which says why it cannot."""

from .routes import PAGE, phone_routes
from .selftest import selftest_routes

__all__ = ["PAGE", "phone_routes", "selftest_routes"]
