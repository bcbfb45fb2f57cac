"""The board at /: operators see their phones and calls live, and act on them."""

from .routes import PAGE, board_routes

__all__ = ["PAGE", "board_routes"]
