"""The compiled program (deploy/compile.sh) starts, registers phones on each transport, and they call."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.bench.sides import CompiledServer, compiled_code
from tests.peers import procfs
from tests.peers.registrar import TRANSPORTS
from tests.wire.callers import Callers, call_keys
from tests.wire.conftest import MANY_STRANGERS
from tests.wire.need import need, rounds
from tests.wire.site import Site, within

pytestmark = pytest.mark.wire


class CompiledSite(CompiledServer, Site):
    """The compiled program with what tests ask of a site."""


if rounds(False, True):  # it takes three minutes to compile

    @pytest.fixture(scope="module")
    def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
        need("redis-cli", "gcc")
        folder = tmp_path_factory.mktemp("compiled")
        CompiledSite.code = compiled_code(folder)
        with CompiledSite(folder, transports=TRANSPORTS, limits=MANY_STRANGERS) as site:
            site.demo()
            yield site

    @pytest.fixture
    async def callers(compiled: Site) -> AsyncIterator[Callers]:
        async with Callers(compiled) as callers:
            yield callers
        within(5, lambda: not call_keys(compiled), "no call is left")

    def test_it_is_the_compiled_one_that_runs(compiled: Site) -> None:
        maps = Path(f"/proc/{compiled.pid}/maps").read_text()
        assert "__mypyc.cpython" in maps, "what mypyc made of all modules together"
        assert procfs.alive(compiled.pid)

    @pytest.mark.parametrize(("first", "second"), [("udp", "tls"), ("tcp", "udp"), ("ws", "wss")])
    async def test_phones_of_two_transports_call_each_other(
        callers: Callers, first: str, second: str
    ) -> None:
        """With a re-INVITE, and a call that is cancelled while it rings; phones of one kind need no relay."""
        outgoing, incoming, a, _ = await callers.talking(first, second)
        assert (await outgoing.reinvite()).status == 200
        assert (await incoming.bye()).status == 200
        called = callers.extension()
        c = await callers.phone(called.handset, second)
        ringing = await a.call(called.number)
        rung = await c.incoming()
        rung.ring()
        await ringing.provisional(180)
        ringing.cancel()
        await rung.cancelled()
        assert callers.site.metric("registrar_unhandled_exceptions_total") == 0
