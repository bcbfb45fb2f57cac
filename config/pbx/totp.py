"""The routes below /auth/totp: people set up an authenticator. Each proves the password again.

They need no token, so a person whose customer requires a second factor can set it up before the first login.
"""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ..deps import PartsDep, read_object
from ..errors import Refused, refused
from ..operations import second_factor
from ..operations.entrance import tell
from ..operations.people import Person
from ..provisioning.qr import svg
from .auth import read_login, visitor_of
from .schema import ASK, answer, array, form, operation, sure
from .shown import Json, json_answer

LOGIN: Final = "login"
"""What the audit log calls a login without a token."""

_BODY: Final = {
    "username": sure("string", "E-mail address"),
    "password": sure("string"),
    "code": sure("string", "Code of the authenticator, or a recovery code", example="123456"),
}
_EXAMPLE: Final = {"username": "anna@example.com", "password": "correct horse"}
_WITHOUT: Final = form("Proof of a login", _BODY, ("username", "password"), example=_EXAMPLE)
_WITH: Final = form(
    "Proof of a login with a code", _BODY, tuple(_BODY), example=_EXAMPLE | {"code": "123456"}
)
_ERRORS: Final = f"{ASK} 409"
_CODES: Final = array(sure("string"), "Each is good for one login; they are shown this once")
BEGIN: Final = operation(
    answer(
        "New authenticator",
        {
            "secret": sure("string", "For an authenticator without a camera, in base32"),
            "uri": sure("string", "otpauth://..., which an authenticator opens"),
            "qr": sure("string", "The same as an SVG, for its camera"),
        },
    ),
    _ERRORS,
    _WITHOUT,
)
CODES: Final = operation(answer("Recovery codes", {"recoveryCodes": _CODES}), _ERRORS, _WITH)
OFF: Final = operation(answer("Success of an authenticator", {"success": sure("boolean")}), _ERRORS, _WITH)

routes = APIRouter(prefix="/auth/totp", tags=["authentication"])


@routes.post("", summary="Set up an authenticator", openapi_extra=BEGIN)
async def begin_route(request: Request, parts: PartsDep) -> Response:
    """Return a new secret. Logins need a code after `/auth/totp/confirm` was told one."""
    login = read_login(await read_object(request))
    async with parts.entrance.proven(login, visitor_of(request, parts)) as (session, person):
        secret = await second_factor.begin(session, parts.vault, person)
        if secret is None:
            raise _already()
    uri = second_factor.address_of(secret, login.email)
    return json_answer({"secret": secret, "uri": uri, "qr": svg(uri)})


@routes.post("/confirm", summary="Confirm an authenticator", openapi_extra=CODES)
async def confirm_route(request: Request, parts: PartsDep) -> Response:
    """Let logins need a code from now on, and return the recovery codes. Tokens of before are void."""
    login, visitor = read_login(await read_object(request)), visitor_of(request, parts)
    async with parts.entrance.proven(login, visitor) as (session, person):
        if person.has_totp:
            raise _already()
        codes = await second_factor.confirm(session, parts.vault, person, login.code or "")
        if codes is None:
            raise refused("code", "The code is wrong: set up the authenticator again", "allowed")
        await tell(session, person, visitor, "totp-on", LOGIN)
    return _codes(codes)


@routes.post("/codes", summary="Make new recovery codes", openapi_extra=CODES)
async def codes_route(request: Request, parts: PartsDep) -> Response:
    """Return new recovery codes; those of before are void."""
    login, visitor = read_login(await read_object(request)), visitor_of(request, parts)
    async with parts.entrance.proven(login, visitor) as (session, person):
        _require(person)
        codes = await second_factor.new_codes(session, person)
        await tell(session, person, visitor, "totp-codes", LOGIN)
    return _codes(codes)


@routes.post("/off", summary="Remove one's authenticator", openapi_extra=OFF)
async def off_route(request: Request, parts: PartsDep) -> Response:
    """Let logins need the password alone. Tokens of before are void."""
    login, visitor = read_login(await read_object(request)), visitor_of(request, parts)
    async with parts.entrance.proven(login, visitor) as (session, person):
        _require(person)
        if person.totp_required:
            raise refused("totpRequired", "The customer requires an authenticator", "allowed")
        await second_factor.remove_from(session, person)
        await tell(session, person, visitor, "totp-off", LOGIN)
    return json_answer({"success": True})


def _already() -> Refused:
    return refused("totp", "There is an authenticator already: remove it first", "exists")


def _require(person: Person) -> None:
    if not person.has_totp:
        raise refused("totp", "There is no authenticator", "exists")


def _codes(codes: list[str]) -> Response:
    body: Json = {"recoveryCodes": codes}
    return json_answer(body)
