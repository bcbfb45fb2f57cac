"""/openapi.json: whether a program that believes it gets on with the API."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from config.access import RULES, AccessLevel, Scope
from tests.config.test_operation_ids import HIDDEN
from tests.config.world import MODEL, Json, World

Operation = tuple[str, str, Json]


@pytest.fixture(scope="module")
def texts() -> dict[str, bytes]:
    """The document as it was answered: it is the same for each test, and costs a second to make."""
    return {}


@pytest.fixture
async def document(world: World, texts: dict[str, bytes]) -> Json:
    if not texts:
        async with world.client(None) as client:
            texts["openapi"] = (await client.get("/openapi.json")).content
    found: Json = json.loads(texts["openapi"])
    return found


def operations(document: Json) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def contents(operation: Json) -> Iterator[tuple[str, str, Json]]:
    """Each body of an operation: `body` or the status, the media type, and what is said of it."""
    bodies = {"body": operation.get("requestBody", {}), **operation["responses"]}
    for name, body in bodies.items():
        for media, said in body.get("content", {}).items():
            yield name, media, said


def violations(document: Json, schema: Json, value: Any) -> list[str]:
    whole = {"components": {"schemas": _named_in(document["components"]["schemas"], schema)}, **schema}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{error.message} at {list(error.instance_path)}" for error in validator.iter_errors(value)]


def _named_in(schemas: Json, schema: Json) -> Json:
    """Those that a schema needs: to read all of them for each example would take a minute."""
    found: Json = {}
    texts = [json.dumps(schema)]
    while texts:
        for name in re.findall(r'"#/components/schemas/([^"]+)"', texts.pop()):
            if name not in found:
                found[name] = schemas[name]
                texts.append(json.dumps(schemas[name]))
    return found


def schema_of(document: Json, path: str, method: str, status: str = "200") -> Json:
    found: Json = document["paths"][path][method]["responses"][status]["content"]["application/json"][
        "schema"
    ]
    return found


async def test_it_is_valid_and_has_every_route(document: Json) -> None:
    schemathesis.openapi.from_dict(document).validate()
    assert document["openapi"].startswith("3.1")
    hidden = {route for route in RULES if route[1] == "/" or route[1].startswith(HIDDEN)}
    assert {(method, path) for method, path, _ in operations(document)} == set(RULES) - hidden


async def test_what_is_not_valid_is_noticed(document: Json) -> None:
    del document["paths"]["/customer"]["get"]["responses"]["200"]["description"]
    with pytest.raises(jsonschema_rs.ValidationError):
        schemathesis.openapi.from_dict(document).validate()


async def test_every_operation_has_a_name_of_its_own_and_a_summary(document: Json) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]\w+", name) for name in names)
    assert all(operation["summary"] and operation["tags"] for _, _, operation in operations(document))


def is_change(method: str, path: str) -> bool:
    """Whether a route changes what is there already."""
    return method in ("PUT", "PATCH") or (method == "POST" and path.endswith("}"))


def words_of(document: Json, schema: Any) -> Iterator[str]:
    """Every word of a schema, and of those that it refers to."""
    if isinstance(schema, list):
        for item in schema:
            yield from words_of(document, item)
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield from words_of(
                document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            )
        for word, value in schema.items():
            yield word
            yield from words_of(document, value) if word not in ("example", "enum") else ()


async def test_no_change_has_a_default(document: Json) -> None:
    """A generated client sends defaults: a change would carry more than what was named."""
    changes = [
        (method, path, media, said)
        for method, path, operation in operations(document)
        if is_change(method, path)
        for name, media, said in contents(operation)
        if name == "body"
    ]
    assert len(changes) > 7 * 3 + 7 * 3
    for method, path, media, said in changes:
        assert "default" not in set(words_of(document, said["schema"])), (method, path, media)
    created = document["paths"]["/pbx/sipphone"]["post"]["requestBody"]["content"]["application/json"]
    assert "default" in set(words_of(document, created["schema"])), "what is walked has no defaults anywhere"


async def test_a_change_may_have_a_condition_and_what_has_a_tag_may_be_the_same(document: Json) -> None:
    for method, path, operation in operations(document):
        headers = {row["name"] for row in operation.get("parameters", []) if row["in"] == "header"}
        wants = "If-Match" if "412" in operation["responses"] else "If-None-Match"
        conditional = {"304", "412"} & set(operation["responses"])
        resumes = {"Last-Event-ID"} if path == "/events" else set()
        assert headers == ({wants} if conditional else resumes), (method, path)
        assert not is_change(method, path) or "412" in operation["responses"], (method, path)
        if "304" in operation["responses"]:
            assert "ETag" in operation["responses"]["200"]["headers"]


async def test_a_change_says_its_condition_and_a_phone_its_tag(document: Json) -> None:
    """GET of resetcredentials is a change, POST of a list of ids is none."""
    phones = document["paths"]["/pbx/sipphone"] | document["paths"]["/pbx/sipphone/{id}"]
    resets = document["paths"]["/pbx/sipphone/{id}/resetcredentials"]
    for operation in (phones["post"], phones["patch"], *resets.values()):
        assert "ETag" in operation["responses"]["200"]["headers"]
        assert "412" in operation["responses"]
    assert "ETag" in document["paths"]["/pbx/sipphone/{id}"]["get"]["responses"]["200"]["headers"]
    assert not {"409", "412"} & set(document["paths"]["/pbx/sipphone/status"]["post"]["responses"])


async def test_who_is_to_come_again_is_told_when(document: Json) -> None:
    for method, path, operation in operations(document):
        waits = set() if path.startswith("/health") else {"429", "503"}
        for status in waits & set(operation["responses"]):
            assert "Retry-After" in operation["responses"][status]["headers"], (method, path, status)


async def test_it_names_its_server(document: Json) -> None:
    assert [server["url"] for server in document["servers"]] == ["/"]


async def test_every_reference_leads_somewhere(document: Json) -> None:
    names = set(re.findall(r'"#/components/schemas/(\w+)"', str(document).replace("'", '"')))
    assert names <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_every_part_of_a_path_is_a_parameter_and_each_stands_once(document: Json) -> None:
    for method, path, operation in operations(document):
        places = [(row["in"], row["name"]) for row in operation.get("parameters", [])]
        assert len(set(places)) == len(places), (method, path)
        assert set(re.findall(r"{(\w+)}", path)) == {name for place, name in places if place == "path"}


async def test_every_body_has_an_example_that_is_allowed(document: Json) -> None:
    wrong = []
    for method, path, operation in operations(document):
        for name, media, said in contents(operation):
            examples = [example["value"] for example in said.get("examples", {}).values()]
            examples += [said["example"]] if "example" in said else []
            if not examples:
                wrong.append(f"{method} {path} {name} {media}: no example")
            for example in examples:
                found = violations(document, said["schema"], example)
                wrong += [f"{method} {path} {name}: {line}" for line in found]
    assert not wrong, "\n".join(wrong[:20])


async def test_who_needs_which_proof_is_said(document: Json) -> None:
    schemes = document["components"]["securitySchemes"]
    for method, path, operation in operations(document):
        rule = RULES[method, path]
        names = {name for row in operation["security"] for name in row}
        assert names <= set(schemes)
        assert bool(names) == (rule.scope is not Scope.PUBLIC), (method, path)
        assert ("QueryToken" in names) == rule.query_token
        assert ("HTTPBasic" in names) == path.startswith("/config/")
        if names:
            assert {"401", "403"} <= set(operation["responses"])


async def test_a_refusal_is_documented_as_it_is(world: World, document: Json) -> None:
    async with world.client(AccessLevel.ADMIN) as client:
        one = await client.post("/pbx/sipphone", json={"sipPhoneModel": MODEL["generic"], "dhsg": "x"})
        many = await client.post("/pbx/sipphone", json={"pbxCluster": 9})
    schema = schema_of(document, "/pbx/sipphone", "post", "422")
    for answer in (one, many):
        assert violations(document, schema, answer.json()) == []
    assert violations(document, schema, {"detail": "x"}) != []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/pbx/extension", {"number": "800", "name": "x"}),
        ("/pbx/group", {"number": "800", "name": "x", "members": ["$ext200"]}),
        ("/pbx/queue", {"number": "800", "name": "x", "members": [{"extension": "$ext200"}]}),
        ("/customer", {"name": "x"}),
        ("/employee", {"name": "x"}),
        ("/product", {"type": "PBX_SIP_PHONE", "productCode": "x", "name": "x"}),
    ],
)
async def test_answers_are_as_they_are_documented(
    world: World, document: Json, path: str, body: Json
) -> None:
    sent = json.loads(json.dumps(body).replace("$ext200", world.ids["ext200"]))
    async with world.client(AccessLevel.ADMIN) as client:
        created = await client.post(path, json=sent)
        listed = await client.get(path)
    assert violations(document, schema_of(document, path, "post"), created.json()) == []
    assert violations(document, schema_of(document, path, "get"), listed.json()) == []
    assert violations(document, schema_of(document, path, "post"), created.json() | {"_id": None}) != []


async def test_phones_and_models_are_as_they_are_documented(world: World, document: Json) -> None:
    phone = await world.create()
    await world.create(extension=world.ids["ext200"], softkeys=[{"index": 0, "function": "DND"}])
    async with world.client(AccessLevel.VIEWER) as client:
        for end in ("", "/status", "/events"):
            answer = (await client.get(f"/pbx/sipphone/{phone['_id']}{end}")).json()
            assert violations(document, schema_of(document, "/pbx/sipphone/{id}" + end, "get"), answer) == []
        for path in ("/pbx/sipphone", "/pbx/sipphone?full=true", "/pbx/sipphonemodels"):
            answer = (await client.get(path)).json()
            schema = schema_of(document, path.partition("?")[0], "get")
            assert violations(document, schema, answer) == [], path


@pytest.mark.parametrize(
    ("path", "method"), [("/pbx/sipphone", "post"), ("/pbx/group", "post"), ("/pbx/queue", "post")]
)
async def test_the_example_of_a_new_thing_makes_one(
    world: World, document: Json, path: str, method: str
) -> None:
    """Ids in examples are nobody's: they are replaced by ids of things that are there."""
    media = document["paths"][path][method]["requestBody"]["content"]["application/json"]
    body = media["example"] | {"customer": world.ids["acme"]}
    body |= {"sipPhoneModel": MODEL["generic"], "extension": world.ids["ext200"]} if "phone" in path else {}
    body |= {"members": [world.ids["ext200"]]} if "group" in path else {}
    async with world.client(AccessLevel.ADMIN) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert {name: shown[name] for name in body if name not in ("ip", "members")} == {
        name: body[name] for name in body if name not in ("ip", "members")
    }
