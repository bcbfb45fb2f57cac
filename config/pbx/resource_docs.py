"""API documentation of a resource, built from its table of fields."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..properties import Field
from .schema import (
    MOMENT,
    READ,
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
    limits = dict(field.kind.limits)
    if never_null:
        return sure(field.kind.type, about, **limits, **_default(field))
    return of(field.kind.type, about, **_or_null(limits))


def written(field: Field) -> Schema:
    """Return the schema of a property in a body; null means no value, or the default."""
    if field.dependent:
        return shown(field)
    kind = field.kind
    limits: Schema = {} if kind.loose else dict(kind.limits)
    if field.required:
        return sure(kind.type, field.about, **limits)
    return of(kind.type, field.about, **_or_null(limits), **_default(field))


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
    live = resource.live
    body = {field.path: written(field) for field in resource.fields} | references | dict(resource.more)
    body |= live.written if live else {}
    row: dict[str, Schema] = {"_id": an_id()}
    row |= {path: MOMENT for path in resource.columns if path.endswith("At")}
    row |= {field.path: _shown_example(field, resource) for field in resource.fields if not field.secret}
    row |= references | dict(resource.more)
    extra: dict[str, Schema] = dict(live.shown) if live else {}
    is_always = live is not None and not live.flags
    one = answer(name, row | extra, () if is_always else tuple(extra))
    listed = one
    if live:
        listed = answer(f"{name} in a list", row | (extra if live.list_flag else {}), tuple(extra))
    required = [field.path for field in resource.fields if field.required]
    example = dict(resource.examples)
    change = {path: example[path] for path in list(example)[:1]}
    parameters = [
        *paging(resource.default_limit, resource.max_limit),
        query("filter", "string", f"Text in {resource.searched_names}"),
        query("sort", "string", "Order", enum=list(resource.sorts), default=next(iter(resource.sorts))),
        query("customer", "string", resource.customer),
    ]
    if live and live.list_flag:
        about = f"true: show {', '.join(extra)} too, as one object does"
        parameters.append(query(live.list_flag, "boolean", about))
    flags = [query(path, "boolean", about) for path, about in live.flags.items()] if live else []
    options: Schema = {"parameters": flags} if flags else {}
    return ResourceDocs(
        list=operation(
            page(resource.many.capitalize(), resource.many, listed), TAGGED, parameters=parameters
        ),
        create=operation(one, WRITE, form(f"New {resource.one}", body, required, example=example)),
        show=operation(one, READ if is_always else TAGGED) | options,
        update=operation(one, WRITE, changes(form(f"{name} change", body, example=change))),
        delete=DELETE,
    )


def _reference(path: str, about: str) -> Schema:
    return an_id(about) if path == "customer" else some_id(about)


def _shown_example(field: Field, resource: "Resource") -> Schema:
    schema = shown(field)
    return schema | {"example": resource.examples[field.path]} if field.path in resource.examples else schema
