"""API documentation of a resource, built from its table of fields."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..operations.fields import Field
from .schema import (
    MOMENT,
    REMOVE,
    TAGGED,
    WRITE,
    Schema,
    an_id,
    answer,
    changes,
    form,
    of,
    operation,
    page,
    paging,
    query,
    some_id,
    sure,
)

if TYPE_CHECKING:
    from .resource import Resource

DELETE: Final = operation(answer("Success", {"success": sure("boolean", example=True)}), REMOVE)


def shown(field: Field) -> Schema:
    """Return the schema of a property in a response; one that has a default is never null."""
    about = field.about
    never_null = field.required or field.default is not None
    limits = dict(field.limits)
    if never_null:
        return sure(field.type, about, **limits, **_default(field))
    return of(field.type, about, **_or_null(limits))


def written(field: Field) -> Schema:
    """Return the schema of a property in a body; null means no value, or the default."""
    limits: Schema = {} if field.loose else dict(field.limits)
    if field.required:
        return sure(field.type, field.about, **limits)
    return of(field.type, field.about, **_or_null(limits), **_default(field))


def _default(field: Field) -> Schema:
    return {} if field.default is None else {"default": field.default}


def _or_null(limits: Schema) -> Schema:
    options = limits.get("enum")
    return limits | {"enum": [*options, None]} if isinstance(options, list) else limits


@dataclass(frozen=True, slots=True)
class ResourceDocs:
    """The API documentation of the routes of one resource."""

    list: Schema
    create: Schema
    show: Schema
    update: Schema
    delete: Schema


def resource(resource: "Resource") -> ResourceDocs:
    """Return the documentation of a resource, built from its table of fields."""
    name = resource.one.capitalize()
    references = {path: _reference(path, about) for path, about in resource.references.items()}
    body = {field.path: written(field) for field in resource.fields} | references | dict(resource.more)
    row: dict[str, Schema] = {"_id": an_id()}
    row |= {path: MOMENT if path.endswith("At") else sure(type) for path, type in resource.read_only.items()}
    row |= {field.path: _shown_example(field, resource) for field in resource.fields} | references
    row |= resource.more
    one = answer(name, {path: schema for path, schema in row.items() if path not in resource.secrets})
    required = [field.path for field in resource.fields if field.required]
    example = dict(resource.examples)
    change = {path: example[path] for path in list(example)[:1]}
    parameters = [
        *paging(resource.default_limit, resource.max_limit),
        query("filter", "string", f"Text in {resource.searched}"),
        query("sort", "string", "Order", enum=list(resource.sorts), default=resource.sorts[0]),
        query("customer", "string", resource.customer),
    ]
    return ResourceDocs(
        list=operation(page(resource.many.capitalize(), resource.many, one), TAGGED, parameters=parameters),
        create=operation(one, WRITE, form(f"New {resource.one}", body, required, example=example)),
        show=operation(one, TAGGED),
        update=operation(one, WRITE, changes(form(f"{name} change", body, example=change))),
        delete=DELETE,
    )


def _reference(path: str, about: str) -> Schema:
    return an_id(about) if path == "customer" else some_id(about)


def _shown_example(field: Field, resource: "Resource") -> Schema:
    schema = shown(field)
    return schema | {"example": resource.examples[field.path]} if field.path in resource.examples else schema
