"""The layers of middleware around an application, for the API and for the pages of the SIP side."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from registrar.metrics import Metrics
from registrar.model import IpNetwork

from .answering import Gzip, Heads
from .measured import Measured, Routed
from .web import BodyLimit, KnownSource, OnePath, Outermost


def surround(
    app: FastAPI, metrics: Metrics, proxies: Sequence[IpNetwork], cors_origins: Sequence[str] = ()
) -> None:
    """Add the middleware. The one added last is the outermost. `proxies` are the trusted ones."""
    app.add_middleware(Routed)
    app.add_middleware(BodyLimit)
    app.add_middleware(Gzip)
    app.add_middleware(Heads)
    app.add_middleware(OnePath)
    app.add_middleware(KnownSource, trusted=proxies)
    if cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=cors_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "If-None-Match", "Last-Event-ID"],
            expose_headers=[
                "X-Status",
                "X-Total-Count",
                "Retry-After",
                "Location",
                "ETag",
                "Link",
                "Oldest-Event-ID",
            ],
        )
    app.add_middleware(Outermost)
    app.add_middleware(Measured, metrics=metrics)
