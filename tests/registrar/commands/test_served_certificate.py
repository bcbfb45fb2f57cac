"""registrar/commands/served_certificate.py: there when it is wanted, made anew in time, its end announced."""

import asyncio
import time
from pathlib import Path

import pytest

from registrar.commands import served_certificate as module
from registrar.commands.installation import Installation, installed
from registrar.commands.served_certificate import concerns, served_certificate
from registrar.errors import ConfigurationError
from registrar.model import Epoch
from registrar.settings import read
from registrar.store.certificate import ensure
from registrar.transport.tls import ServerTls
from tests.patience import limit

DAY = 86_400


def installation(folder: Path, **settings: str) -> Installation:
    given = {"DATA_DIR": str(folder), **settings}
    return installed(read({f"REGISTRAR_{name}": value for name, value in given.items()}))


async def test_nobody_wants_it_and_nothing_is_made(tmp_path: Path) -> None:
    async with served_certificate(installation(tmp_path), wanted=False) as tls:
        assert tls is None
    assert not (tmp_path / "tls.crt").exists()


async def test_our_own_is_made_anew_while_it_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.05)
    place = installation(tmp_path)
    async with served_certificate(place, wanted=True) as tls:
        assert tls is not None
        (tmp_path / "old").mkdir()
        for path in ensure(tmp_path / "old", place.names(), Epoch(time.time() - 380 * DAY)):
            path.replace(tmp_path / path.name)
        async with asyncio.timeout(limit(5)):
            while not (tls.refresh() and tls.expires_at > time.time() + 390 * DAY):
                await asyncio.sleep(0.02)


async def test_it_is_for_all_names_of_this_machine(tmp_path: Path) -> None:
    place = installation(
        tmp_path, DOMAIN="acme.test", PUBLIC_HOST="sip.acme.test", HTTPS="127.0.0.9:1,0.0.0.0:2"
    )
    names = place.names()
    assert names[:3] == ("acme.test", "sip.acme.test", "localhost")
    assert {"127.0.0.1", "::1", "127.0.0.9"} <= set(names)
    assert "0.0.0.0" not in names


async def test_a_fault_of_the_server_is_no_fault_of_the_certificate(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with served_certificate(installation(tmp_path), wanted=True):
            raise ConfigurationError("a port is taken")
    assert caught.value.subgroup(ConfigurationError) is not None


@pytest.mark.parametrize(
    ("left", "told"),
    [
        pytest.param(15 * DAY, (), id="a while"),
        pytest.param(13 * DAY, ("the certificate runs out in 13.0 days",), id="soon"),
        pytest.param(-1, ("the certificate has run out",), id="over"),
    ],
)
def test_its_end_is_announced(tmp_path: Path, left: float, told: tuple[str, ...]) -> None:
    tls = ServerTls(*ensure(tmp_path, ["a.test"], Epoch(time.time())))
    assert concerns(tls, Epoch(tls.expires_at - left)) == told
    (tmp_path / "tls.key").unlink()
    tls.refresh()
    problem, *rest = concerns(tls, Epoch(tls.expires_at - left))
    assert "tls.key: No such file" in problem
    assert tuple(rest) == told
