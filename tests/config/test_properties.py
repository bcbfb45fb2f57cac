"""The lines of `config/tables/`: each is a column and a property of both dialects, with its documentation."""

from typing import Any

import pytest
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from config.checks import Wrong
from config.operations.wishes import ROW_FIELDS
from config.pbx import resource
from config.properties import FLAG, TEXT, InRows, fields_of, properties_of, row_fields_of, stored, whole_of
from config.tables import Customer, Employee, Extension, Product, Queue, SipGroup, SipPhone, TrustedNetwork
from config.v2 import openapi
from config.v2.rows import columns_of
from tests.config.world import Json, World

DOMAIN = "/config/v2/sip/domains/{domain}"


class Base(DeclarativeBase):
    pass


class Lamp(Base):
    """A table of which nothing else in the program knows."""

    __tablename__ = "lamp"

    id: Mapped[int] = mapped_column(primary_key=True)
    colour: Mapped[str] = stored(
        TEXT,
        "Colour of the light",
        "colour",
        InRows("lampColour", shown="Colour", example="red"),
        required=True,
    )
    brightness: Mapped[int | None] = stored(whole_of(0, 9), "How bright", both="brightness")
    on: Mapped[bool] = stored(FLAG, "It gives light", both="isOn")
    switch_hash: Mapped[str | None] = stored(TEXT, "Written, never read", both="switch", written_as="switch")
    serial: Mapped[str | None] = stored(TEXT, "Serial number", row=InRows("serial", fixed=True))


def test_a_line_without_a_name_is_a_column_and_nothing_else() -> None:
    assert [line.column for line in properties_of(Lamp)] == [
        "colour",
        "brightness",
        "on",
        "switch_hash",
        "serial",
    ]
    assert Lamp.__table__.c["on"].default.arg is False
    assert not Lamp.__table__.c.colour.nullable


def test_a_line_is_a_field_of_the_json_dialect() -> None:
    colour, brightness, on, switch = fields_of(Lamp)
    assert (colour.path, colour.column, colour.required) == ("colour", "colour", True)
    assert (switch.path, switch.column, switch.secret) == ("switch", "switch", True)
    assert brightness.check(9) == 9
    assert brightness.check("9") == Wrong("brightness must be a number from 0 to 9")
    assert on.check("1") == Wrong("isOn must be true or false")


def test_a_line_is_a_field_of_the_row_dialect_which_sends_text() -> None:
    colour, brightness, on, _switch = row_fields_of(Lamp)
    assert (colour.path, colour.column, colour.required) == ("lampColour", "colour", True)
    assert brightness.check("9") == 9
    assert (on.check("1"), on.default, on.about) == (True, False, "It gives light (1 or 0)")
    assert on.check("yes") == Wrong("isOn must be 1 or 0", "enum")
    assert [field.path for field in row_fields_of(Lamp, new=True)][-1] == "serial"


def test_a_line_is_a_column_of_a_row_unless_it_is_a_secret() -> None:
    shown = {column.name: (column.kind, column.about, column.example) for column in columns_of(Lamp)}
    assert shown == {
        "lampColour": ("text", "Colour", "red"),
        "brightness": ("integer", "How bright", "1"),
        "isOn": ("flag", "It gives light", "0"),
        "serial": ("text", "Serial number", ""),
    }


def test_a_line_documents_itself_in_both_dialects() -> None:
    colour, brightness, on, _ = fields_of(Lamp)
    assert resource.written(colour) == {
        "type": "string",
        "description": "Colour of the light",
        "maxLength": 255,
    }
    assert resource.shown(on) == {"type": "boolean", "description": "It gives light", "default": False}
    assert resource.written(brightness) == {
        "type": ["integer", "null"],
        "description": "How bright",
        "minimum": 0,
        "maximum": 9,
    }
    body: Any = openapi.create(row_fields_of(Lamp), {}, "lampId")["requestBody"]
    documented = body["content"]["application/json"]["schema"]
    assert documented["required"] == ["lampColour"]
    assert documented["properties"]["isOn"] == {
        "type": "integer",
        "enum": [0, 1],
        "default": 0,
        "description": "It gives light (1 or 0)",
    }


@pytest.mark.parametrize(
    ("table", "path"),
    [
        (Extension, "/pbx/extension"),
        (SipGroup, "/pbx/group"),
        (Queue, "/pbx/queue"),
        (SipPhone, "/pbx/sipphone"),
        (Employee, "/employee"),
        (Customer, "/customer"),
        (Product, "/product"),
    ],
)
async def test_every_line_is_in_the_description_of_the_json_dialect(
    world: World, table: type[DeclarativeBase], path: str
) -> None:
    document = await described(world)
    item = document["paths"]
    written = names(document, item[path]["post"]["requestBody"]["content"]["application/json"]["schema"])
    shown = names(
        document, item[f"{path}/{{id}}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    )
    lines = fields_of(table)
    assert {line.path for line in lines} <= written
    assert {line.path for line in lines if not line.secret} <= shown
    assert not {line.path for line in lines if line.secret} & shown


@pytest.mark.parametrize(
    ("tables", "path", "one"),
    [
        ((Extension, Employee), "/users", "user"),
        ((SipGroup,), "/groups", "group"),
        ((Queue,), "/queues", "queue"),
        ((SipPhone,), "/devices", "device"),
        ((TrustedNetwork,), "/trustedNetworks", "network"),
    ],
)
async def test_every_line_is_in_the_description_of_the_row_dialect(
    world: World, tables: tuple[type[DeclarativeBase], ...], path: str, one: str
) -> None:
    document = await described(world)
    item = document["paths"]
    create, update = item[DOMAIN + path]["post"], item[f"{DOMAIN}{path}/{{{one}}}"]["post"]
    for operation, new in ((create, True), (update, False)):
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        wishes = {field.path for field in ROW_FIELDS}  # they are in no table
        assert set(schema["properties"]) - wishes == {field.path for field in row_fields_of(*tables, new=new)}
    rows = item[DOMAIN + path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert {column.name for table in tables for column in columns_of(table)} <= names(document, rows["items"])


async def described(world: World) -> Json:
    async with world.client(None) as client:
        document: Json = (await client.get("/openapi.json")).json()
    return document


def names(document: Json, schema: Json, prefix: str = "") -> set[str]:
    """The dotted names of the properties of an object."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found: set[str] = set()
    for name, inner in schema.get("properties", {}).items():
        found |= {prefix + name} | names(document, inner, f"{prefix}{name}.")
    return found
