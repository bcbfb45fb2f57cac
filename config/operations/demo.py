"""The demo tenant: created once and found later, so that a new installation has phones that can register."""

import hmac
from typing import Final, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.errors import ConfigurationError
from registrar.model import Change
from registrar.rules.features import reserved_words
from registrar.store.vault import Vault

from .. import clock
from ..access import AccessLevel
from ..audit.trail import Trail
from ..auth import Caller, issue_token
from ..database import writing
from ..errors import Refused
from ..models import GENERIC, MODELS, WEBRTC
from ..noted import note
from ..settings import ApiSettings, ice_servers
from ..tables import Customer, Employee, Extension, SipPhone
from .audit import Actor, new_oid
from .dial_plan import claim
from .passwords import Passwords
from .phones.write import new_phone
from .products import find_model

NAME: Final = "Demo"
PEOPLE: Final = (("200", "Anna Demo"), ("201", "Bent Demo"), ("202", "Carla Demo"), ("203", "Dora Demo"))
"""The extensions; the first one is the primary extension of the demo employee."""
EXAMPLES: Final = {"sipp": "203", "baresip": "202", "desk phone": "201"}
"""The examples of README.md; each has its own phone, as the first contact locks a phone to its address."""
INSTANCE: Final = "demo-browser"
"""Instance of the WebRTC phone of the first extension, for the page at /phone."""
PASSWORD_LENGTH: Final = 20
"""Hexadecimal digits of the password of the demo employee: 80 bits."""
TOKEN_MINUTES: Final = 24 * 60
LOGIN: Final = "demo"
"""Local part of the login of the demo employee."""

Json = dict[str, object]
Added = TypeVar("Added", Customer, Employee, Extension, SipPhone)


async def demo_tenant(engine: AsyncEngine, settings: ApiSettings, vault: Vault, by: str = "") -> Json:
    """Find or create the tenant of the SIP domain `settings.domain`, and return its description.

    A second call returns the same tenant, phones and passwords, and a new token. Raise ConfigurationError if
    a group or a queue has one of its numbers.
    """
    try:
        return await writing(engine, lambda session: _told(session, settings, vault, by))
    except Refused as refused:
        raise ConfigurationError(f"the demo tenant: {refused.problems[0].message}") from refused


async def _told(session: AsyncSession, settings: ApiSettings, vault: Vault, by: str) -> Json:
    """Make the tenant, and write to the audit log what is new; `by` is what it calls the command."""
    trail = Trail(session)
    tenant = await _demo(session, settings, vault)
    if await trail.write(Actor(Caller(AccessLevel.ADMIN, None, None, by), "").columns()):
        await note(session, Change(customer=str(tenant["customer"])))  # a process that runs already finds it
    return tenant


async def _demo(session: AsyncSession, settings: ApiSettings, vault: Vault) -> Json:
    customer = await _customer(session, settings.domain.lower())
    employee = await _employee(session, customer)
    extensions = [await _extension(session, customer, number, name) for number, name in PEOPLE]
    if extensions[0].employee_id is None:
        extensions[0].employee_id, extensions[0].is_primary = employee.id, True
        extensions[0].version += 1
    phones = [await _phone(session, extension, vault, GENERIC) for extension in extensions]
    browser = await _phone(session, extensions[0], vault, WEBRTC, INSTANCE)
    login = await _login(employee, settings)
    token = issue_token(
        settings.jwt_keys, AccessLevel.ADMIN, customer.oid, employee.oid, TOKEN_MINUTES, employee.version
    )
    ice = ice_servers(settings, browser.oid, clock.epoch_now())
    webrtc = _phone_json(browser, extensions[0], customer, vault)
    pairs = zip(phones, extensions, strict=True)
    shown = {extension.number: _phone_json(phone, extension, customer, vault) for phone, extension in pairs}
    return {
        "token": token,
        "login": login,
        "customer": customer.oid,
        "domain": customer.sip_domain,
        "domainId": str(customer.id),
        "models": {name: row["oid"] for name, row in MODELS.items()},
        "extensions": [{"_id": row.oid, "number": row.number, "name": row.name} for row in extensions],
        "phones": list(shown.values()),
        "examples": {example: shown[number] for example, number in EXAMPLES.items()},
        "webrtc": webrtc | ({"iceServers": ice} if ice else {}),
    }


def _phone_json(phone: SipPhone, extension: Extension, customer: Customer, vault: Vault) -> Json:
    return {
        "_id": phone.oid,
        "username": phone.username,
        "password": vault.open(phone.password_enc, phone.oid),
        "domain": customer.sip_domain,
        "extensionNumber": extension.number,
    }


async def _customer(session: AsyncSession, domain: str) -> Customer:
    there = select(Customer).where(Customer.sip_domain == domain)
    return await session.scalar(there) or await _added(
        session, Customer(oid=new_oid(), name=NAME, sip_domain=domain, sip_display_name=NAME)
    )


async def _employee(session: AsyncSession, customer: Customer) -> Employee:
    there = select(Employee).where(
        Employee.customer_id == customer.id, Employee.access_level == "ADMIN", Employee.state == "ACTIVE"
    )
    level = AccessLevel.ADMIN.name
    return await session.scalar(there.order_by(Employee.id).limit(1)) or await _added(
        session, Employee(oid=new_oid(), customer_id=customer.id, name=PEOPLE[0][1], access_level=level)
    )


async def _login(employee: Employee, settings: ApiSettings) -> Json:
    """Return the login of the demo employee; make it if there is none.

    The password follows from a secret of the installation, so each run can show it. It is None if the
    employee has another one by now.
    """
    passwords = Passwords()
    made = [_password(key) for key in settings.jwt_keys.secrets]
    password = made[0]
    if employee.login_email is None and employee.password_hash is None:
        employee.login_email = f"{LOGIN}@{settings.domain.lower()}"
        employee.password_hash = await passwords.hashed(password)
        employee.version += 1
    right = [one for one in made if await passwords.matches(employee.password_hash, one)]
    return {"username": employee.login_email, "password": right[0] if right else None}


def _password(key: str) -> str:
    return hmac.digest(key.encode(), b"demo login", "sha256").hex()[:PASSWORD_LENGTH]


async def _extension(session: AsyncSession, customer: Customer, number: str, name: str) -> Extension:
    there = select(Extension).where(Extension.customer_id == customer.id, Extension.number == number)
    found = await session.scalar(there)
    if found is not None:
        return found
    extension = Extension(oid=new_oid(), customer_id=customer.id, number=number, name=name)
    await claim(session, customer.id, number, "extension", extension.oid, reserved_words())
    return await _added(session, extension)


async def _phone(
    session: AsyncSession, extension: Extension, vault: Vault, key: str, instance: str | None = None
) -> SipPhone:
    """Find or create the phone of a WebRTC instance, or the plain one of the extension."""
    model = await find_model(session, key)
    if model is None:
        raise LookupError("the models are missing: run registrar migrate")
    own = {"extension_id": extension.id, "instance_id": instance}
    plain = {"model_id": model.id, "mac": None} if instance is None else {}
    there = select(SipPhone).filter_by(**own, **plain).order_by(SipPhone.id).limit(1)
    columns = {"customer_id": extension.customer_id, "model_id": model.id, "webrtc": instance is not None}
    return await session.scalar(there) or await _added(session, new_phone(vault, **columns, **own))


async def _added(session: AsyncSession, row: Added) -> Added:
    session.add(row)
    await session.flush()
    return row
