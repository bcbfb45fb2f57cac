"""HEAD, compressed answers, and the bodies that are read: media type, charset, coding."""

import gzip
import json
import zlib
from typing import Any, Final

import httpx
import pytest

from config.access import RULES, AccessLevel, Scope, is_safe
from config.answering import MIN_BYTES, PIECE_BYTES, Gzip, accepts_gzip
from tests.config.v2 import ROOT, SALES, domain
from tests.config.world import NOBODY, World
from tests.every import every

PHONE: Final = "/pbx/sipphone"
BODY: Final = b'{"name": "Bo"}'


@every(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0, *", False),
        ("gzip; q=0.000", False),
        ("br", False),
        ("", False),
        ("identity", False),
        ("*;q=0", False),
    ],
)
def test_a_client_says_whether_it_reads_gzip(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


async def sent(pieces: list[bytes], etag: str = "") -> tuple[dict[str, str], list[bytes]]:
    """What goes out when an application answers with these pieces."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % sum(map(len, pieces)))] if len(pieces) == 1 else []
        headers += [(b"etag", etag.encode())] if etag else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number, piece in enumerate(pieces, 1):
            more = number < len(pieces)
            await send({"type": "http.response.body", "body": piece, "more_body": more})

    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "headers": [(b"accept-encoding", b"gzip")]}
    await Gzip(app)(scope, None, send)  # type: ignore[arg-type]  # nothing is received
    headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return headers, [message["body"] for message in messages[1:]]


@pytest.mark.parametrize("length", [0, MIN_BYTES - 1, MIN_BYTES, 3 * PIECE_BYTES + 1])
async def test_an_answer_over_one_kibibyte_is_compressed(length: int) -> None:
    body = (b"0123456789" * (length // 10 + 1))[:length]
    headers, (out,) = await sent([body], '"7"')
    assert headers["content-length"] == str(len(out))
    assert headers["vary"] == "Accept-Encoding"
    if length < MIN_BYTES:
        assert (out, headers["etag"], "content-encoding" in headers) == (body, '"7"', False)
    else:
        assert (gzip.decompress(out), headers["etag"]) == (body, '"7-gzip"')
        assert headers["content-encoding"] == "gzip" and len(out) < length


async def test_each_piece_of_a_stream_can_be_read_when_it_comes() -> None:
    headers, out = await sent([b"one\n", b"two\n", b""])
    reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    assert [reader.decompress(piece) for piece in out] == [b"one\n", b"two\n", b""]
    assert reader.eof and "content-length" not in headers


async def test_an_answer_of_the_api_is_compressed_for_who_wants_it(world: World) -> None:
    one = f"{PHONE}/{(await world.create(notes='x' * 2_000))['_id']}"
    async with world.client() as client:
        plain = await client.get(one, headers={"Accept-Encoding": "identity"})
        packed = await client.get(one, headers={"Accept-Encoding": "gzip"})
        tag = plain.headers["etag"]
        assert packed.headers["etag"] == f'{tag[:-1]}-gzip"'
        assert (packed.headers["content-encoding"], packed.json()) == ("gzip", plain.json())
        assert "content-encoding" not in plain.headers
        changed = await client.patch(one, json={"notes": "y"}, headers={"If-Match": packed.headers["etag"]})
        models = await client.get("/pbx/sipphonemodels")
        again = {"If-None-Match": models.headers["etag"]}
        same = await client.get("/pbx/sipphonemodels", headers=again)
    assert changed.status_code == 200
    assert (same.status_code, same.headers["etag"]) == (304, again["If-None-Match"])


GETS: Final = sorted(
    path
    for method, path in RULES
    if method == "GET" and is_safe(path) and not path.startswith(("/docs", "/phone", "/openapi"))
)


async def test_head_is_get_without_a_body(world: World) -> None:
    phone = (await world.create())["_id"]
    ids = {"{domain}": (await domain(world)).rpartition("/")[2], "{token}": NOBODY}
    async with world.client() as client:
        for path in GETS:
            for place, id in ids.items():
                path = path.replace(place, id)
            path = path.replace("{id}", phone if path.startswith(PHONE + "/") else world.ids["anna"])
            got, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (got.status_code, b""), path
            changing = ("content-length", "x-response")
            kept = {name: value for name, value in got.headers.items() if name not in changing}
            assert kept.items() <= dict(head.headers).items(), path


async def test_head_needs_a_token_and_a_level_too(world: World) -> None:
    private = [path for path in GETS if RULES["GET", path].scope is Scope.CUSTOMERS]
    async with world.client(None) as stranger, world.client(AccessLevel.NO_LOGIN) as nobody:
        for path in private:
            assert (await stranger.head(path)).status_code == 401, path
            assert (await nobody.head(path)).status_code == 403, path


async def test_head_resets_locks_and_uses_up_nothing(world: World) -> None:
    phone = await world.create()
    one = f"{PHONE}/{phone['_id']}"
    counted = "SELECT count(*) FROM audit_log"
    before = await world.rows(counted)
    async with world.client() as client:
        for path in (f"{one}/resetcredentials", f"{PHONE}/{phone['_id'].upper()}/ResetCredentials/"):
            answer = await client.head(path)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
        assert (await client.head("/auth/login")).status_code == 405
        assert (await client.get(one)).json()["username"] == phone["username"]
    assert await world.rows(counted) == before


async def posted(world: World, path: str, body: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with world.client(AccessLevel.ADMIN) as client:
        return await client.post(path, content=body, headers=named)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Content_Type": "application/json"}, 200),
        ({"Content_Type": "Application/JSON; charset=UTF-8"}, 200),
        ({"Content_Type": "application/merge-patch+json"}, 200),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 200),
        ({"Content_Encoding": "identity"}, 200),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/xml"}, 415),
        ({"Content_Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content_Type": "application/json; charset=latin-1"}, 415),
        ({"Content_Encoding": "gzip"}, 415),
    ],
    ids=str,
)
async def test_the_json_dialect_reads_json(world: World, headers: dict[str, str], status: int) -> None:
    answer = await posted(world, "/employee", BODY, **headers)
    assert answer.status_code == status
    if status == 415:
        assert answer.json()["error"]["code"] == "unsupported_media_type"
        assert await world.rows("SELECT count(*) FROM employee WHERE name = 'Bo'") == [(0,)]
    if "Content_Encoding" in headers and status == 415:
        assert answer.headers["accept-encoding"] == "identity"


async def test_a_form_is_no_json(world: World) -> None:
    answer = await posted(
        world, "/auth/login", b"username=a&password=b", Content_Type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"groupName=a&displayName=b&extensionNumber=600", {}, 201),
        (json.dumps(SALES).encode(), {"Content_Type": "application/vnd.api+json"}, 201),
        (json.dumps(SALES).encode(), {"Content_Type": "application/x-www-form-urlencoded"}, 201),
        (b"<a/>", {"Content_Type": "text/xml"}, 415),
        (json.dumps(SALES).encode(), {"Content_Type": "text/plain"}, 415),
        (b"a=b", {"Content_Encoding": "br"}, 415),
        (b"a=b", {"Content_Type": "application/x-www-form-urlencoded; charset=utf-16"}, 415),
    ],
    ids=str,
)
async def test_the_row_dialect_reads_forms_and_json(
    world: World, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await posted(world, f"{await domain(world)}/groups", body, **headers)
    assert answer.status_code == status, answer.text
    assert status != 415 or isinstance(answer.json(), str)


async def test_a_reason_of_the_row_dialect_can_always_be_written(world: World) -> None:
    path = f"{ROOT}/{(await domain(world)).rpartition('/')[2]}/users/1/groups"
    answer = await posted(world, path, b'{"groupSpec": ["\\ud800"]}', Content_Type="application/json")
    assert (answer.status_code, answer.json()[:10]) == (404, "not found:")
