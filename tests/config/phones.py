"""Phones that load their files from the listener: the application without sockets, from any address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from config.access import AccessLevel
from config.changes import Changes
from config.origins import Origins
from config.provisioning.build import phone_files
from config.provisioning.limits import Limiter
from config.provisioning.serve import PhoneFiles
from config.settings import ProvisioningSettings
from registrar.metrics import Metrics
from registrar.model import IpNetwork, Mono
from tests.config.world import MODEL, World

URL = "https://prov.test"
MAC = "805EC0D57D72"
NAME = f"{MAC.lower()}.cfg"
HERE, THERE = "127.0.0.5", "127.0.0.6"
PROVISIONING = ProvisioningSettings(
    url=URL,
    sip_host="sip.test",
    ntp="ntp.test",
    timezone="Europe/Copenhagen",
    language="da",
    features=frozenset({"dnd"}),
)


def on(world: World, **changes: Any) -> World:
    """The same world with a listener for phones."""
    return world.but(provisioning=replace(PROVISIONING, **changes))


def files_app(
    world: World,
    changes: Changes,
    country_file: Path | None = None,
    metrics: Metrics | None = None,
    trusted: tuple[IpNetwork, ...] = (),
    limiter: Limiter | None = None,
) -> PhoneFiles:
    """The application of the listener, with the stores of this world."""
    return phone_files(
        world.settings.provisioning,
        world.read_engine,
        world.engine,
        world.redis,
        world.vault,
        changes,
        Origins(country_file, lambda: Mono(0)),
        metrics or Metrics(),
        trusted,
        limiter,
    )


@asynccontextmanager
async def phone(
    world: World,
    address: str = HERE,
    *,
    scheme: str = "https",
    trusted: tuple[IpNetwork, ...] = (),
    country_file: Path | None = None,
    metrics: Metrics | None = None,
    limiter: Limiter | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """A phone at this address."""
    changes = Changes(world.redis)
    app = files_app(world, changes, country_file, metrics, trusted, limiter)
    transport = httpx.ASGITransport(app, client=(address, 40_000), raise_app_exceptions=True)
    try:
        async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://prov.test") as client:
            yield client
    finally:
        await changes.close()
        await app.close()


async def get(world: World, path: str, address: str = HERE, **more: Any) -> httpx.Response:
    """What a phone at this address is answered."""
    async with phone(world, address) as client:
        return await client.get(path, **more)


async def new_phone(world: World, model: str = "yealink", mac: str | None = MAC, **body: Any) -> str:
    """A phone of acme, on extension 200."""
    created = await world.create(
        sipPhoneModel=MODEL[model], extension=world.ids["ext200"], macAddress=mac, **body
    )
    return str(created["_id"])


async def act(world: World, id: str, **body: Any) -> dict[str, Any]:
    """What staff does with the secrets of a phone, and the answer."""
    async with world.client(AccessLevel.MANAGER) as client:
        answer = await client.post(f"/pbx/sipphone/{id}/provisioning", json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def armed(world: World, id: str) -> str:
    """The path of the configuration with a new first secret."""
    return path_of((await act(world, id, rearm=True))["url"])


def path_of(url: str) -> str:
    """The path of a URL of the listener."""
    assert url.startswith(f"{URL}/p/"), url
    return url.removeprefix(URL)


async def rule(world: World, id: str) -> tuple[Any, ...]:
    """The lock of a phone, and when it has loaded its configuration."""
    statement = "SELECT ip_mode, ip_address, config_loaded_at FROM sip_phone WHERE oid = :id"
    ((mode, address, loaded),) = await world.rows(statement, id=id)
    return mode, address, loaded is not None
