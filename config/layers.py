"""The layers of middleware around an application, for the API and for the pages of the SIP side."""

from collections.abc import Mapping, Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from registrar.metrics import Metrics
from registrar.model import IpNetwork

from .answering import Gzip, Heads
from .guard import Guard, Guarded
from .measured import Measured, Routed
from .web import BodyLimit, KnownSource, OnePath, Outermost


def surround(
    app: FastAPI,
    metrics: Metrics,
    proxies: Sequence[IpNetwork],
    cors_origins: Sequence[str] = (),
    *,
    guard: Guard | None = None,
    policies: Mapping[str, str] | None = None,
) -> None:
    """Add the middleware. The one added last is the outermost. `proxies` are the trusted ones.

    `guard` is for applications with pages that not everybody may see. `policies` are the content security
    policies of pages that need more than nothing, by path.
    """
    app.add_middleware(Routed)
    if guard is not None:
        app.add_middleware(Guarded, guard=guard)
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
    app.add_middleware(Outermost, policies=policies)
    app.add_middleware(Measured, metrics=metrics)
