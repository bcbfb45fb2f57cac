"""The page at /phone: a WebRTC account registers from the browser, and the page shows what happens."""

from .routes import NOT_BUILT, is_built, phone_routes

__all__ = ["NOT_BUILT", "is_built", "phone_routes"]
