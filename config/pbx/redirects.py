"""The routes that help to tell phones where their configuration is: redirections by hand, and DHCP."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ..database import reading
from ..deps import ActorDep, CallerDep, PartsDep
from ..errors import refused
from ..operations.redirects import MAX_ROWS, by_hand
from ..redirect.dhcp import SERVERS, Unquotable
from ..spreadsheet import MEDIA_TYPE, csv_line
from .linking import refuse_without_secrets
from .paging import flag, word
from .schema import READ, Schema, query, refusals, sure

HEAD: Final = ("mac", "url", "service", "customer")
FILE: Final = 'attachment; filename="redirects.csv"'
TEXT: Final = "text/plain; charset=utf-8"
DEFAULT: Final = "dnsmasq"
_EXAMPLE: Final = (
    "mac,url,service,customer\r\n"
    "00085D123456,https://prov.example/p/abcdefghijklmnopqrstuvwxyz/,manual,0123456789abcdef01234567\r\n"
)


def _text(media_type: str, about: str, example: str, errors: str, *parameters: Schema) -> Schema:
    """Return a route that responds 200 with text."""
    shown = {media_type: {"schema": sure("string", about), "example": example}}
    done = {"200": {"description": "Done", "content": shown}}
    return {"responses": done | refusals(errors), "parameters": list(parameters)}


LIST: Final = _text(
    "text/csv",
    f"RFC 4180; at most {MAX_ROWS} lines",
    _EXAMPLE,
    READ,
    query("customer", "string", "Id of the customer, or `all`; by default one's own"),
)
DHCP: Final = _text(
    "text/plain",
    "Part of a configuration file",
    'dhcp-mac=set:snom,00:04:13:*:*:*\ndhcp-option=tag:snom,66,"https://prov.example/"\n',
    f"{READ} 409",
    query("server", "string", "The DHCP server", enum=list(SERVERS), default=DEFAULT),
    query("legacy", "boolean", "For phones that know only TLS 1.0 or 1.1", default=False),
)

routes = APIRouter(prefix="/pbx/provisioning", tags=["Provisioning"])


@routes.get("/redirects.csv", summary="List redirections to make by hand", openapi_extra=LIST)
async def list_route(request: Request, actor: ActorDep, parts: PartsDep) -> Response:
    """Return the MAC addresses, and the URLs, that this server does not tell a redirect service by itself.

    A URL opens the configuration of its phone, so the level must be one that may read passwords.
    """
    caller = actor.caller
    refuse_without_secrets(caller, parts)
    customer = request.query_params.get("customer")
    async with reading(parts.read_engine) as session:
        rows = await by_hand(session, caller, parts.vault, parts.outbox, customer)
    parts.notes.export(actor.columns(), request.url.path, caller.customer, rows=len(rows), wanted=customer)
    lines = [csv_line(HEAD), *map(csv_line, rows)]
    body = "".join(f"{line}\r\n" for line in lines)
    return Response(body, headers={"Content-Disposition": FILE}, media_type=MEDIA_TYPE)


@routes.get("/dhcp", summary="Show options for a DHCP server", openapi_extra=DHCP)
async def dhcp_route(request: Request, caller: CallerDep, parts: PartsDep) -> Response:
    """Return lines for the configuration of a DHCP server, which tell phones where they are expected."""
    server = word(request.query_params, "server", SERVERS) or DEFAULT
    settings, is_legacy = parts.settings.provisioning, flag(request.query_params, "legacy")
    name, url = ("URL_LEGACY", settings.legacy_url) if is_legacy else ("URL", settings.url)
    if not url:
        missing = "HTTPS_LEGACY" if is_legacy else name
        message = f"These phones cannot load a configuration: REGISTRAR_PROV_{missing} is not set"
        raise refused("url", message, "exists")
    try:
        return Response(SERVERS[server](url, "" if is_legacy else settings.legacy_url), media_type=TEXT)
    except Unquotable as error:
        raise refused("url", f"REGISTRAR_PROV_{name}: {error}", "format") from None
