"""The page at /phone, where a WebRTC account registers, and /selftest, which says why it cannot."""

from .routes import NOT_BUILT, is_built, phone_routes
from .selftest import selftest_routes

__all__ = ["NOT_BUILT", "is_built", "phone_routes", "selftest_routes"]
