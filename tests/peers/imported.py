"""The last import of the process from which servers are forked (tests.peers.forked); nothing else imports it.

A server collects garbage once when it is ready. It would look at all that was imported, and copy most of it.
FastAPI reads the signatures of all routes at the first request: a third of the CPU of a start. This does it.
"""

import gc
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from fastapi import params, routing
from fastapi.dependencies.models import Dependant
from sqlalchemy.orm import configure_mappers

import config.app

Built = tuple[Dependant, list[Any], bool]
_read = routing._build_dependant_with_parameterless_dependencies


@cache
def _once(path: str, call: Callable[..., Any], dependencies: tuple[params.Depends, ...]) -> Built:
    return _read(path=path, call=call, dependencies=dependencies)


def _known(*, path: str, call: Callable[..., Any], dependencies: Sequence[params.Depends]) -> Built:
    """Return what the same route had before: what FastAPI reads of it does not depend on the application."""
    return _once(path, call, tuple(dependencies))


def _read_routes() -> None:
    for module in (vars(config.app)[name] for name in dir(config.app)):
        for router in vars(module).values() if hasattr(module, "__file__") else ():
            if isinstance(router, routing.APIRouter):
                for route in router.routes:
                    if isinstance(route, routing.APIRoute):
                        _known(path=route.path, call=route.endpoint, dependencies=route.dependencies)


routing._build_dependant_with_parameterless_dependencies = _known
_read_routes()
configure_mappers()
gc.collect()
gc.freeze()
