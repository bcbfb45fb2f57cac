"""An ADMIN creates, changes and deletes models; what phones have stored stays."""

from typing import Any

import httpx
import pytest

from config.access import AccessLevel
from config.pictures import drawing_oid
from tests.config.world import MODEL, NOBODY, Json, World
from tests.every import every

MODELS = "/pbx/sipphonemodels"
NEW: Json = {
    "brand": "ACME",
    "brandName": "Acme",
    "model": "One",
    "softkeys": 4,
    "softkeyLabels": True,
    "softkeyCapabilities": ["LINE", "SPEEDDIAL"],
    "panelSoftkeys": 10,
    "maxSidePanels": 2,
    "ranges": {
        "ringerVolume": {"min": 1, "max": 5},
        "ringerTone": {"min": 0, "max": 3},
        "volume": {"headset": {"mic": {"min": -6, "max": 6}}},
    },
    "writer": "mitel",
    "redirectService": "manual",
    "capabilities": {"macRedirect": True, "provision": True},
}


async def made(client: httpx.AsyncClient, **more: Any) -> Json:
    answer = await client.post(MODELS, json=NEW | more)
    assert answer.status_code == 200, answer.text
    model: Json = answer.json()
    return model


def problem(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error.get("check", "")


async def test_a_new_model_is_shown_as_it_was_sent(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        model = await made(client)
        listed = (await client.get(f"{MODELS}?filter=acme")).json()["sipPhoneModels"]
    assert listed == [model]
    plain = ("brand", "brandName", "model", "softkeys", "panelSoftkeys", "maxSidePanels", "writer")
    assert {name: model[name] for name in plain} == {name: NEW[name] for name in plain}
    assert model["softkeyCapabilities"] == ["SPEEDDIAL", "LINE"]
    assert model["ranges"]["ringerVolume"] == {"min": 1, "max": 5}
    assert model["ranges"]["ringerTone"] == {"min": 0, "max": 3}
    assert model["ranges"]["volume"]["headset"] == {"mic": {"min": -6, "max": 6}, "speaker": None}
    assert (model["extensions"], model["experimental"], model["picture"]) == (1, False, None)
    assert model["capabilities"]["macRedirect"] and model["capabilities"]["sidePanels"]


async def test_phones_of_a_new_model_are_checked_by_it(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        model = (await made(client))["_id"]
        level = {"volume": {"headset": {"mic": -6, "speaker": 3}}}
        phone = await client.post("/pbx/sipphone", json={"sipPhoneModel": model} | level)
        deep = {"volume": {"headset": {"mic": -7}}}
        refused = await client.post("/pbx/sipphone", json={"sipPhoneModel": model} | deep)
    assert phone.json()["volume"]["headset"] == {"mic": -6, "speaker": None}
    assert problem(refused) == (422, "volume.headset.mic", "range")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_change_leaves_what_is_not_sent(world: World, method: str) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        model = await made(client)
        path = f"{MODELS}/{model['_id']}"
        body = {"softkeys": 9, "ranges": {"ringerTone": None}, "capabilities": {"provision": False}}
        changed = await client.request(method, path, json=body)
        same = await client.request(method, path, json=changed.json())
        stale = await client.request(method, path, json={"softkeys": 1}, headers={"If-Match": '"1"'})
    expected = model | {"softkeys": 9, "experimental": True}
    expected["ranges"] = model["ranges"] | {"ringerTone": None}
    expected["capabilities"] = model["capabilities"] | {"provision": False}
    assert changed.json() == same.json() == expected
    assert changed.headers["ETag"] != '"1"'
    assert stale.status_code == 412


@every(
    ("body", "wrong"),
    [
        ({"brand": None}, (422, "brand", "required")),
        ({"brand": "acme"}, (422, "brand", "format")),
        ({"model": "x" * 65}, (422, "model", "range")),
        ({"extensions": 0}, (422, "extensions", "range")),
        ({"softkeys": 501}, (422, "softkeys", "range")),
        ({"writer": "troff"}, (422, "writer", "enum")),
        ({"redirectService": "x"}, (422, "redirectService", "enum")),
        ({"softkeyCapabilities": ["FLY"]}, (422, "softkeyCapabilities", "enum")),
        ({"softkeyCapabilities": [["LINE"]]}, (422, "softkeyCapabilities", "enum")),
        ({"softkeyCapabilities": "LINE"}, (422, "softkeyCapabilities", "format")),
        ({"softkeyCapabilities": ["HOLD"]}, (422, "softkeyCapabilities", "allowed")),
        ({"softkeyCapabilities": ["LINE"], "writer": "snom-dect"}, (422, "softkeyCapabilities", "allowed")),
        ({"capabilities": {"provision": True}, "writer": None}, (422, "capabilities.provision", "required")),
        (
            {"capabilities": {"macRedirect": True}, "redirectService": None},
            (422, "capabilities.macRedirect", "required"),
        ),
        ({"capabilities": 7}, (422, "capabilities", "format")),
        ({"ranges": []}, (422, "ranges", "format")),
        ({"ranges": {"volume": {"headset": 7}}}, (422, "ranges.volume.headset", "format")),
        ({"ranges": {"ringerVolume": 7}}, (422, "ranges.ringerVolume", "range")),
        ({"ranges": {"ringerVolume": {"min": 3, "max": 2}}}, (422, "ranges.ringerVolume", "range")),
        ({"ranges": {"ringerVolume": {"min": 0, "max": 101}}}, (422, "ranges.ringerVolume", "range")),
        ({"ranges": {"ringerVolume": {"max": 2}}}, (422, "ranges.ringerVolume", "range")),
        ({"ranges": {"ringerTone": {"min": 1, "max": 2}}}, (422, "ranges.ringerTone", "range")),
        ({"picture": NOBODY}, (404, "picture", "exists")),
        ({"configurationTemplate": "a\0b"}, (422, "configurationTemplate", "format")),
    ],
)
async def test_a_wrong_property_is_named(world: World, body: Json, wrong: tuple[int, str, str]) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        answer = await client.post(MODELS, json=NEW | body)
        listed = (await client.get(f"{MODELS}?filter=Acme")).json()
    assert problem(answer) == wrong, answer.text
    assert listed["total"] == 0


async def test_a_brand_has_a_model_once(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        await made(client)
        again = await client.post(MODELS, json=NEW)
        other = await made(client, model="Two")
        renamed = await client.patch(f"{MODELS}/{other['_id']}", json={"model": "One"})
        brand = await made(client, brand="OTHER")
    assert problem(again) == problem(renamed) == (409, "model", "unique")
    assert brand["model"] == "One"


async def test_a_model_that_phones_have_stays(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        path = f"{MODELS}/{(await made(client))['_id']}"
        phone = (await client.post("/pbx/sipphone", json={"sipPhoneModel": path.rpartition("/")[2]})).json()
        used = await client.delete(path)
        await client.delete(f"/pbx/sipphone/{phone['_id']}")
        free = await client.delete(path)
        gone = await client.get(path)
    assert problem(used) == (409, "id", "allowed")
    assert (free.status_code, free.json()) == (200, {"success": True})
    assert gone.status_code == 404


@pytest.mark.parametrize("name", ["generic", "webrtc"])
async def test_models_that_the_program_needs_stay(world: World, name: str) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        assert problem(await client.delete(f"{MODELS}/{MODEL[name]}")) == (409, "id", "allowed")


async def test_phones_do_not_lose_their_place_behind_a_mac_address(world: World) -> None:
    base = {"sipPhoneModel": MODEL["dect"], "macAddress": "4EE8A34B56F3", "handsetAddress": "h"}
    for _ in range(3):
        await world.create(**base)
    path = f"{MODELS}/{MODEL['dect']}"
    async with world.client(AccessLevel.ADMIN) as client:
        fewer = await client.patch(path, json={"extensions": 2})
        enough = await client.patch(path, json={"extensions": 3})
        other = await client.patch(path, json={"capabilities": {"multipleHandsets": False}})
    assert problem(fewer) == (409, "extensions", "allowed")
    assert enough.json()["extensions"] == 3
    assert problem(other) == (409, "capabilities.multipleHandsets", "allowed")


async def test_the_handsets_of_a_base_belong_to_one_customer(world: World) -> None:
    base = {"sipPhoneModel": MODEL["dect"], "macAddress": "4EE8A34B56F3", "handsetAddress": "h"}
    await world.create(**base)
    async with world.client(AccessLevel.ADMIN) as client:
        foreign = await client.post("/pbx/sipphone", json=base | {"customer": world.ids["rival"]})
        other = base | {"customer": world.ids["rival"], "macAddress": "4EE8A34B56F4"}
        phone = (await client.post("/pbx/sipphone", json=other)).json()
        moved = await client.patch(f"/pbx/sipphone/{phone['_id']}", json={"macAddress": "4EE8A34B56F3"})
    assert problem(foreign) == problem(moved) == (409, "macAddress", "unique")


# Keys on panels, and what a corrected model does not allow any more


def keys(*indexes: int, function: str = "LINE") -> list[Json]:
    return [{"index": index, "function": function, "value": None, "label": None} for index in indexes]


async def test_keys_beyond_those_of_the_phone_belong_to_its_panels(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        model = (await made(client))["_id"]
        body = {"sipPhoneModel": model, "sidePanelCount": 2, "softkeys": keys(0, 3, 4, 23)}
        phone = (await client.post("/pbx/sipphone", json=body)).json()
        path = f"/pbx/sipphone/{phone['_id']}"
        beyond = await client.patch(path, json={"softkeys": keys(24)})
        without = await client.post("/pbx/sipphone", json={"sipPhoneModel": model, "softkeys": keys(4)})
        fewer = await client.patch(path, json={"sidePanelCount": 1})
        kept = await client.patch(path, json={"softkeys": keys(23)})
        added = await client.patch(path, json={"softkeys": keys(23, 14)})
    assert phone["softkeys"] == keys(0, 3, 4, 23)
    assert problem(beyond) == problem(without) == (422, "softkeys[0].index", "range")
    assert fewer.json()["softkeys"] == keys(0, 3, 4, 23)
    assert kept.json()["softkeys"] == keys(23)
    assert problem(added) == (422, "softkeys[1].index", "range")


async def test_settings_that_a_changed_model_lacks_may_be_sent_back(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        model = (await made(client))["_id"]
        body: Json = {"ringer": {"volume": 5, "tone": 3}, "softkeys": keys(3, function="SPEEDDIAL")}
        body["softkeys"][0]["value"] = "112"
        body |= {"sidePanel": "P", "sidePanelCount": 2, "softkeyBlfBlindTransfer": True}
        phone = (await client.post("/pbx/sipphone", json={"sipPhoneModel": model} | body)).json()
        path = f"/pbx/sipphone/{phone['_id']}"
        less: Json = {"softkeys": 1, "softkeyCapabilities": [], "maxSidePanels": 0}
        less["ranges"] = {"ringerVolume": {"min": 1, "max": 4}, "ringerTone": None}
        assert (await client.patch(f"{MODELS}/{model}", json=less)).status_code == 200
        noted = await client.patch(path, json={"notes": "x"})
        back = await client.patch(path, json=noted.json())
        refused = await client.patch(path, json={"ringer": {"volume": 6}})
        new = await client.patch(path, json={"softkeys": keys(0, function="LINE")})
    for answer in (noted, back):
        assert answer.status_code == 200, answer.text
        assert {name: answer.json()[name] for name in body} == body
    assert problem(refused) == (422, "ringer.volume", "range")
    assert problem(new) == (422, "softkeys[0].function", "allowed")


async def test_a_key_may_be_named_by_anything_without_harm(world: World) -> None:
    phone = await world.create(softkeys=keys(0))
    async with world.client(AccessLevel.MANAGER) as client:
        body = {"softkeys": [{"index": [0], "function": ["LINE"]}]}
        answer = await client.patch(f"/pbx/sipphone/{phone['_id']}", json=body)
    assert answer.status_code == 422


# Pictures


PNG_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def png(side: int = 200, rest: bytes = b"pixels") -> bytes:
    return PNG_HEAD + side.to_bytes(4) * 2 + rest + PNG_END


async def test_a_picture_is_uploaded_shown_and_forgotten(world: World) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        first, second = [f"{MODELS}/{(await made(client, model=name))['_id']}" for name in ("1", "2")]
        headers = {"Content-Type": "image/png"}
        given = await client.put(f"{first}/picture", content=png(), headers=headers)
        picture = given.json()["picture"]
        shared = await client.patch(second, json={"picture": picture})
        shown = await client.get(f"/pbx/picture/{picture}")
        await client.put(f"{first}/picture", content=png(rest=b"others"))
        kept = await client.get(f"/pbx/picture/{picture}")
        await client.patch(second, json={"picture": drawing_oid("adapter")})
        gone = await client.get(f"/pbx/picture/{picture}")
        await client.delete(first)
    assert given.status_code == shared.status_code == kept.status_code == 200
    assert (shown.content, shown.headers["Content-Type"]) == (png(), "image/png")
    assert shown.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert problem(gone) == (404, "not_found", "")
    assert await world.rows("SELECT count(*) FROM picture") == [(0,)]


@pytest.mark.parametrize(
    ("content", "kind", "wrong"),
    [
        (png(199), "image/png", (422, "picture", "format")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "", (422, "picture", "format")),
        (PNG_HEAD, "", (422, "picture", "format")),
        (png()[:-1], "", (422, "picture", "format")),
        (b"", "", (422, "picture", "format")),
        (png(), "image/svg+xml", (415, "unsupported_media_type", "")),
        (png(rest=b"x" * 256 * 1_024), "image/png", (413, "too_large", "")),
    ],
    ids=["size", "svg", "head", "cut", "empty", "type", "long"],
)
async def test_anything_else_is_no_picture(
    world: World, content: bytes, kind: str, wrong: tuple[int, str, str]
) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        path = f"{MODELS}/{MODEL['snom']}/picture"
        headers = {"Content-Type": kind} if kind else {}
        answer = await client.put(path, content=content, headers=headers)
    assert problem(answer) == wrong


async def test_a_large_picture_is_read(world: World) -> None:
    content = png(rest=b"x" * 200_000)
    async with world.client(AccessLevel.ADMIN) as client:
        answer = await client.put(f"{MODELS}/{MODEL['snom']}/picture", content=content)
        shown = await client.get(f"/pbx/picture/{answer.json()['picture']}")
        unknown = await client.put(f"{MODELS}/{NOBODY}/picture", content=content)
    assert shown.content == content
    assert problem(unknown) == (404, "not_found", "")


async def test_every_login_sees_the_drawings(world: World) -> None:
    async with world.client(AccessLevel.PERSONAL) as client:
        drawn = await client.get(f"/pbx/picture/{drawing_oid('desk-colour')}")
        unknown = await client.get("/pbx/picture/x")
    async with world.client(None) as client:
        token = {"token": world.token(AccessLevel.PERSONAL)}
        queried = await client.get(f"/pbx/picture/{drawing_oid('desk-colour')}", params=token)
        nameless = await client.get(f"/pbx/picture/{drawing_oid('desk-colour')}")
    assert drawn.content[:24] == PNG_HEAD + (200).to_bytes(4) * 2
    assert (queried.content, nameless.status_code, unknown.status_code) == (drawn.content, 401, 404)
