"""The models of phones: what each can do."""

import pytest

from config.access import AccessLevel
from config.models import FUNCTIONS, MODELS
from config.models.functions import WRITTEN
from config.pictures import drawing_oid, drawings
from config.provisioning import render
from config.tables.models import WRITERS
from tests.config.world import MODEL, NOBODY, Json, World

ALL = 18
UP_TO_15 = {"min": 0, "max": 15}
LEVELS = {"mic": UP_TO_15, "speaker": UP_TO_15}
SILENT = {"mic": None, "speaker": None}
Ends = tuple[int, int] | None


def ends(shown: Json | None) -> Ends:
    return None if shown is None else (shown["min"], shown["max"])


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
        "picture": drawing_oid("generic"),
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
        "panelSoftkeys": 0,
        "requiresSerial": False,
        "writer": None,
        "experimental": False,
        "legacyTls": False,
        "redirectService": None,
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


@pytest.mark.parametrize(
    ("name", "keys", "panels", "panel_keys", "handsets", "provision"),
    [
        ("snom", 24, 4, 18, 1, True),
        ("snom-d735", 32, 3, 18, 1, True),
        ("snom-m400", 0, 0, 0, 20, True),
        ("mitel-6867i", 38, 3, 84, 1, True),
        ("mitel-6940", 24, 3, 84, 1, False),
        ("yealink", 27, 3, 60, 1, True),
        ("yealink-w60b", 0, 0, 0, 8, True),
        ("dect", 0, 0, 0, 6, False),
        ("gigaset-n870-ip-pro", 0, 0, 0, 250, False),
        ("grandstream", 48, 4, 40, 1, False),
        ("grandstream-grp2612", 16, 0, 0, 1, True),
        ("gateway", 0, 0, 0, 2, True),
        ("cisco-spa504g", 4, 2, 32, 1, True),
        ("lg-lip-8002", 4, 0, 0, 1, False),
    ],
)
async def test_models_have_the_keys_panels_and_handsets_of_their_vendors(
    world: World, name: str, keys: int, panels: int, panel_keys: int, handsets: int, provision: bool
) -> None:
    model = await shown(world, name)
    assert (model["softkeys"], model["maxSidePanels"], model["panelSoftkeys"]) == (keys, panels, panel_keys)
    assert model["extensions"] == handsets
    assert (model["capabilities"]["provision"], model["experimental"]) == (provision, not provision)
    assert model["requiresSerial"] == (model["brand"] == "GRANDSTREAM")


@pytest.mark.parametrize(
    ("name", "ringer", "tones", "speaker", "mic", "handsfree"),
    [
        ("snom", (1, 15), (0, 9), (0, 15), (1, 8), (0, 15)),
        ("mitel-6867i", (0, 9), (0, 15), (0, 9), (-10, 10), (0, 9)),
        ("yealink", (0, 15), (0, 9), None, None, None),
        ("yealink-t31p", (0, 15), (0, 3), None, None, None),
        ("grandstream", (0, 7), None, (0, 2), (0, 2), None),
        ("cisco-spa504g", None, (0, 9), None, None, None),
        ("gigaset-maxwell-3", None, (0, 27), None, None, None),
        ("dect", None, None, None, None, None),
    ],
)
async def test_ranges_are_those_of_the_vendor(
    world: World,
    name: str,
    ringer: Ends,
    tones: Ends,
    speaker: Ends,
    mic: Ends,
    handsfree: Ends,
) -> None:
    ranges = (await shown(world, name))["ranges"]
    volume = ranges["volume"]
    assert (ends(ranges["ringerVolume"]), ends(ranges["ringerTone"])) == (ringer, tones)
    assert (ends(volume["handset"]["speaker"]), ends(volume["headset"]["mic"])) == (speaker, mic)
    assert ends(volume["handsfree"]["speaker"]) == handsfree


async def test_the_vendors_service_for_new_phones_is_named(world: World) -> None:
    services = {name: (await shown(world, name))["redirectService"] for name in ("snom", "dect", "gateway")}
    assert services == {"snom": "snom", "dect": "gigaset", "gateway": None}
    assert (await shown(world, "mitel-6731i"))["legacyTls"] is True


def test_each_model_has_a_writer_for_its_keys_and_a_drawing() -> None:
    names = {(row["brand"], row["model"]) for row in MODELS.values()}
    assert len(names) == len({row["oid"] for row in MODELS.values()}) == len(MODELS) > 40
    for name, row in MODELS.items():
        writer = row["writer"]
        assert (writer is None) == (row["brand"] == "GENERIC"), name
        assert row["picture_oid"] in drawings(), name
        if writer is not None:
            assert writer in WRITERS
            assert row["softkey_capabilities"] == (list(WRITTEN[str(writer)]) if row["softkeys"] else []), (
                name
            )
        assert (row["panel_softkeys"] == 0) == (row["max_side_panels"] == 0) or name == "generic"
        assert row["mac_redirect"] is (row["redirect_service"] is not None)


def test_functions_that_a_writer_lacks_are_left_out() -> None:
    assert set(FUNCTIONS) - set(WRITTEN["mitel"]) == {"HOLD"}
    assert set(FUNCTIONS) - set(WRITTEN["yealink"]) == {"MENU"}
    for writer, made in render.WRITERS.items():
        written = set(made.keys.of) if made.keys else set()
        assert set(WRITTEN.get(writer, ())) == written, writer


def test_models_of_writers_that_are_not_confirmed_are_experimental() -> None:
    assert set(render.WRITERS) == set(WRITERS)
    for name, row in MODELS.items():
        assert not (row["provision"] and row["writer"] in render.EXPERIMENTAL), name


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
    yealinks = [oid for name, oid in MODEL.items() if name.startswith("yealink")]
    assert [model["_id"] for model in found["sipPhoneModels"]] == yealinks


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
