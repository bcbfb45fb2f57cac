"""The media relay check: whether the configured engines answer."""

import asyncio
from collections.abc import Sequence
from typing import Final

from registrar.errors import StoreUnavailable
from registrar.model import MediaPolicy
from registrar.store.media_engine import engine_name
from registrar.store.ng import Ng

from .finding import Finding, fail, ok, warn

WHAT: Final = "media relay"
ASK_SECONDS: Final = 3.0
"""Time for the look-up of a name and a few transmissions of the ping."""
START: Final = "start rtpengine with --listen-ng={}, and let its answers come back here (docs/media.md)"


async def check(engines: Sequence[tuple[str, int]], policy: MediaPolicy) -> list[Finding]:
    """Return a finding for each engine. If at least one answers, the silence of others is only a warning."""
    if not engines:
        return [_none(policy)]
    names = [engine_name(host, port) for host, port in engines]
    problems = await asyncio.gather(*(_problem(host, port) for host, port in engines))
    silent = warn if "" in problems else fail
    return [
        silent(WHAT, f"{name}: {problem}", START.format(name)) if problem else ok(WHAT, f"{name} answers")
        for name, problem in zip(names, problems, strict=True)
    ]


def _none(policy: MediaPolicy) -> Finding:
    if policy is MediaPolicy.ALWAYS:
        return fail(
            WHAT, "REGISTRAR_MEDIA=always, and no engine: every call gets 488", "set REGISTRAR_RTPENGINE"
        )
    return ok(
        WHAT,
        "none: browsers and desk phones cannot call each other, nor phones behind different routers hear "
        "each other (docs/media.md)",
    )


async def _problem(host: str, port: int) -> str:
    """Return why an engine cannot be used, or empty if it can."""
    engine = Ng(host, port)
    try:
        async with asyncio.timeout(ASK_SECONDS):
            answer = await engine.command("ping")
    except TimeoutError:
        return "no answer"
    except StoreUnavailable as error:
        return str(error).removeprefix("media engine: ")
    finally:
        engine.close()
    return "" if answer.get(b"result") == b"pong" else "answers, but is not rtpengine"
