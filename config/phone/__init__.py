"""The page at /phone: a WebRTC account registers from the browser, and the page shows what happens."""

from .routes import PAGE, phone_routes

__all__ = ["PAGE", "phone_routes"]
