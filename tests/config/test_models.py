"""The models of phones: what each can do."""

import pytest

from config.access import AccessLevel
from tests.config.world import MODEL, NOBODY, Json, World

ALL = 18
UP_TO_15 = {"min": 0, "max": 15}
LEVELS = {"mic": UP_TO_15, "speaker": UP_TO_15}
SILENT = {"mic": None, "speaker": None}


async def shown(world: World, name: str) -> Json:
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.get(f"/pbx/sipphonemodels/{MODEL[name]}")
    assert answer.status_code == 200, answer.text
    model: Json = answer.json()
    return model


async def test_the_generic_phone_can_do_everything_but_handsets(world: World) -> None:
    model = await shown(world, "generic")
    assert len(model.pop("softkeyCapabilities")) == ALL
    assert model == {
        "_id": MODEL["generic"],
        "brand": "GENERIC",
        "brandName": "Generic",
        "model": "SIP device",
        "extensions": 1,
        "softkeys": 128,
        "softkeyLabels": True,
        "picture": None,
        "description": "Any SIP phone",
        "configurationTemplate": None,
        "capabilities": {
            "provision": False,
            "macRedirect": False,
            "customRingtones": True,
            "multipleHandsets": False,
            "sipConfigReload": False,
            "sidePanels": True,
        },
        "ranges": {
            "ringerVolume": UP_TO_15,
            "ringerTone": {"min": 0, "max": 31},
            "volume": {"handset": LEVELS, "headset": LEVELS, "handsfree": LEVELS},
        },
        "maxSidePanels": 3,
        "requiresSerial": False,
    }


async def test_the_browser_is_the_generic_phone_without_keys_and_panels(world: World) -> None:
    generic, browser = await shown(world, "generic"), await shown(world, "webrtc")
    assert browser["ranges"] == generic["ranges"]
    assert (browser["softkeys"], browser["softkeyCapabilities"], browser["maxSidePanels"]) == (0, [], 0)
    assert browser["capabilities"] == generic["capabilities"] | {"sidePanels": False}


async def test_the_base_has_six_handsets(world: World) -> None:
    model = await shown(world, "dect")
    assert (model["extensions"], model["capabilities"]["multipleHandsets"]) == (6, True)
    assert model["ranges"]["ringerTone"] is None
    assert model["ranges"]["volume"]["handset"] == SILENT


@pytest.mark.parametrize("name", ["snom", "yealink", "grandstream"])
async def test_desk_phones_are_provisioned(world: World, name: str) -> None:
    model = await shown(world, name)
    assert model["brand"] == name.upper()
    assert model["capabilities"]["provision"] and model["capabilities"]["sidePanels"]
    assert model["softkeys"] > 0
    assert model["requiresSerial"] == (name == "grandstream")


async def test_a_list_is_paged_and_filtered(world: World) -> None:
    async with world.client(AccessLevel.VIEWER) as client:
        everything = (await client.get("/pbx/sipphonemodels")).json()
        page = (await client.get("/pbx/sipphonemodels?limit=2&offset=1")).json()
        clamped = (await client.get("/pbx/sipphonemodels?limit=9999&offset=-3")).json()
        found = (await client.get("/pbx/sipphonemodels?filter=YEALINK")).json()
    assert [model["_id"] for model in everything["sipPhoneModels"]] == list(MODEL.values())
    assert (everything["offset"], everything["limit"], everything["total"]) == (0, 50, len(MODEL))
    assert page["sipPhoneModels"] == everything["sipPhoneModels"][1:3]
    assert (page["offset"], page["limit"], page["total"]) == (1, 2, len(MODEL))
    assert (clamped["offset"], clamped["limit"]) == (0, 500)
    assert [model["_id"] for model in found["sipPhoneModels"]] == [MODEL["yealink"]]


async def test_one_and_many_are_spelled_alike(world: World) -> None:
    async with world.client(AccessLevel.VIEWER) as client:
        for path in (
            "/pbx/sipphonemodel/",
            "/pbx/sipPhoneModels/",
            "/PBX/SIPPHONEMODEL/",
        ):
            assert (await client.get(path + MODEL["snom"])).json() == await shown(world, "snom")


@pytest.mark.parametrize("oid", [NOBODY, "x", "0" * 23])
async def test_an_unknown_model_is_not_found(world: World, oid: str) -> None:
    async with world.client(AccessLevel.VIEWER) as client:
        answer = await client.get(f"/pbx/sipphonemodels/{oid}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_nobody_below_viewer_sees_models(world: World) -> None:
    async with world.client(AccessLevel.PERSONAL) as client:
        assert (await client.get("/pbx/sipphonemodels")).status_code == 403
