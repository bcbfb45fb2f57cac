"""config/operations/phones/saved.py: `configSaved` moves for exactly the phones with other files."""

from typing import Any

from tests.config.phones import armed, get, on
from tests.config.world import MODEL, World

LONG_AGO = "2020-01-02"
MACS = {"own": "805EC0D57D72", "blf": "805EC0D57D73", "keys": "805EC0D57D74", "bystander": "000413922D24"}
BASE = "7C2F80010203"


class Office:
    """Phones of acme, by what they have to do with extension 200 and its neighbours."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ids: dict[str, str] = {}

    async def furnish(self) -> None:
        ext200, ext201 = self.world.ids["ext200"], self.world.ids["ext201"]
        async with self.world.client() as client:
            bodies: dict[str, dict[str, Any]] = {
                "group": {"number": "600", "controllers": [ext201]},
                "queue": {"number": "700"},
            }
            for kind, body in bodies.items():
                answer = await client.post(f"/pbx/{kind}", json=body | {"name": kind})
                self.ids[kind] = answer.json()["_id"]
        await self.add("own", MODEL["yealink"], extension=ext200)
        await self.add("blf", MODEL["yealink"], softkeys=[key(0, "BLF", ext200)])
        groups = [key(0, "PICKUPGROUP", self.ids["group"]), key(1, "QUEUE", self.ids["queue"])]
        other = [key(2, "DNDOTHER", self.ids["own"]), key(3, "BLF", ext201)]
        await self.add("keys", MODEL["yealink"], extension=ext201, softkeys=groups + other)
        await self.add("bystander", MODEL["snom"], softkeys=[key(0, "SPEEDDIAL", "200")])
        for name, address, extension in (("first", "0123456789", ext201), ("second", "0123456788", None)):
            await self.add(name, MODEL["dect"], BASE, handsetAddress=address, extension=extension)

    async def add(self, name: str, model: str, mac: str = "", **body: Any) -> None:
        created = await self.world.create(sipPhoneModel=model, macAddress=mac or MACS[name], **body)
        self.ids[name] = str(created["_id"])

    async def moved(self, method: str, path: str, **body: Any) -> set[str]:
        """The phones that are saved by a change. Their version is not another one."""
        await self.world.execute(f"UPDATE sip_phone SET config_saved_at = '{LONG_AGO} 12:00:00'")
        async with self.world.client() as client:
            answer = await client.request(method, path, json=body or None)
        assert answer.status_code == 200, answer.text
        rows = await self.world.rows("SELECT oid, config_saved_at FROM sip_phone")
        names = {id: name for name, id in self.ids.items()}
        return {names[oid] for oid, saved in rows if not str(saved).startswith(LONG_AGO)}


def key(index: int, function: str, value: str) -> dict[str, Any]:
    return {"index": index, "function": function, "value": value, "label": "x"}


async def test_each_change_moves_the_phones_whose_files_it_changes_and_no_others(world: World) -> None:
    office = Office(world)
    await office.furnish()
    extension, second = f"/pbx/extension/{world.ids['ext200']}", f"/pbx/extension/{world.ids['ext201']}"
    yealink, group = f"/pbx/sipphonemodels/{MODEL['yealink']}", f"/pbx/group/{office.ids['group']}"
    handset = f"/pbx/sipphone/{office.ids['second']}"
    changes: list[tuple[str, dict[str, Any], set[str]]] = [
        (extension, {"name": "Anna the Second"}, {"own"}),
        (extension, {"number": "222"}, {"own", "blf", "keys"}),
        (extension, {"dashboard": True}, set()),
        (second, {"name": "Bo"}, {"first", "second", "keys"}),
        (group, {"number": "666"}, {"keys"}),
        (group, {"name": "Sales"}, set()),
        (f"/pbx/queue/{office.ids['queue']}", {"number": "777"}, {"keys"}),
        (yealink, {"configurationTemplate": "phone_setting.ring_type = Ring2.wav"}, {"own", "blf", "keys"}),
        (yealink, {"capabilities": {"sipConfigReload": False}}, set()),
        (f"/pbx/sipphone/{office.ids['own']}", {"extension": None}, {"own", "keys"}),
        (handset, {"notes": "x"}, {"first", "second"}),
    ]
    for number, (path, body, expected) in enumerate(changes):
        assert await office.moved("PATCH", path, **body) == expected, (number, body)
    assert await office.moved("DELETE", group) == {"keys"}
    assert await office.moved("DELETE", extension) == {"blf"}
    assert await office.moved("DELETE", handset) == {"first"}
    customer = f"/customer/{world.ids['acme']}"
    everyone = {"own", "blf", "keys", "bystander", "first"}
    assert await office.moved("PATCH", customer, sipDomain="other.test") == everyone


async def test_a_phone_that_has_just_loaded_is_saved_a_second_later(world: World) -> None:
    world = on(world)
    created = await world.create(
        sipPhoneModel=MODEL["yealink"], macAddress=MACS["own"], extension=world.ids["ext200"]
    )
    id = str(created["_id"])
    assert (await get(world, await armed(world, id))).status_code == 200
    async with world.client() as client:
        answer = await client.patch(f"/pbx/extension/{world.ids['ext200']}", json={"name": "Another"})
        assert answer.status_code == 200
        status = (await client.get(f"/pbx/sipphone/{id}/status")).json()
    assert status["configSaved"] > status["configLoaded"]
