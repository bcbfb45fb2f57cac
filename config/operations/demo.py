"""The demo tenant: created once and found later, so that a new installation has phones that can register."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from registrar.errors import ConfigurationError
from registrar.store.vault import Vault

from .. import clock
from ..access import AccessLevel
from ..auth import issue_token
from ..database import writing
from ..errors import Refused
from ..ice import ice_servers
from ..settings import ApiSettings
from ..tables import Customer, Employee, Extension, SipPhone
from . import numbers
from .ids import new_oid
from .models import GENERIC, MODELS, WEBRTC, find_model
from .phones.write import new_phone

NAME: Final = "Demo"
PEOPLE: Final = (("200", "Anna Demo"), ("201", "Bent Demo"), ("202", "Carla Demo"), ("203", "Dora Demo"))
"""The extensions; the first one is the primary extension of the demo employee."""
EXAMPLES: Final = {"sipp": "203", "baresip": "202", "desk phone": "201"}
"""The examples of README.md; each has its own phone, as the first contact locks a phone to its address."""
INSTANCE: Final = "demo-browser"
"""Instance of the WebRTC phone of the first extension, for the page at /phone."""
TOKEN_MINUTES: Final = 24 * 60

Json = dict[str, object]


async def demo_tenant(engine: AsyncEngine, settings: ApiSettings, vault: Vault) -> Json:
    """Find or create the tenant of the SIP domain `settings.domain`, and return its description.

    A second call returns the same tenant, phones and passwords, and a new token. Raise ConfigurationError if
    a group or a queue has one of its numbers.
    """
    try:
        return await writing(engine, lambda session: _demo(session, settings, vault))
    except Refused as refused:
        raise ConfigurationError(f"the demo tenant: {refused.problems[0].message}") from refused


async def _demo(session: AsyncSession, settings: ApiSettings, vault: Vault) -> Json:
    customer = await _customer(session, settings.domain.lower())
    employee = await _employee(session, customer)
    extensions = [await _extension(session, customer, number, name) for number, name in PEOPLE]
    if extensions[0].employee_id is None:
        extensions[0].employee_id, extensions[0].is_primary = employee.id, True
        extensions[0].version += 1
    phones = [await _phone(session, extension, vault) for extension in extensions]
    browser = await _webrtc_phone(session, extensions[0], vault)
    token = issue_token(
        settings.jwt_secret,
        AccessLevel.ADMIN,
        customer.oid,
        employee.oid,
        minutes=TOKEN_MINUTES,
        employee_version=employee.version,
    )
    ice = ice_servers(settings, browser.oid, clock.epoch_now())
    webrtc = _phone_json(browser, extensions[0], customer, vault)
    shown = [
        _phone_json(phone, extension, customer, vault)
        for phone, extension in zip(phones, extensions, strict=True)
    ]
    return {
        "token": token,
        "customer": customer.oid,
        "domain": customer.sip_domain,
        "domainId": str(customer.id),
        "models": {name: row["oid"] for name, row in MODELS.items()},
        "extensions": [{"_id": row.oid, "number": row.number, "name": row.name} for row in extensions],
        "phones": shown,
        "examples": {
            example: phone
            for example, number in EXAMPLES.items()
            for phone in shown
            if phone["extensionNumber"] == number
        },
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
    customer = await session.scalar(select(Customer).where(Customer.sip_domain == domain))
    if customer is None:
        customer = Customer(oid=new_oid(), name=NAME, sip_domain=domain, sip_display_name=NAME)
        session.add(customer)
        await session.flush()
    return customer


async def _employee(session: AsyncSession, customer: Customer) -> Employee:
    statement = (
        select(Employee)
        .where(
            Employee.customer_id == customer.id, Employee.access_level == "ADMIN", Employee.state == "ACTIVE"
        )
        .order_by(Employee.id)
        .limit(1)
    )
    employee = await session.scalar(statement)
    if employee is None:
        employee = Employee(
            oid=new_oid(), customer_id=customer.id, name=PEOPLE[0][1], access_level=AccessLevel.ADMIN.name
        )
        session.add(employee)
        await session.flush()
    return employee


async def _extension(session: AsyncSession, customer: Customer, number: str, name: str) -> Extension:
    statement = select(Extension).where(Extension.customer_id == customer.id, Extension.number == number)
    extension = await session.scalar(statement)
    if extension is None:
        extension = Extension(oid=new_oid(), customer_id=customer.id, number=number, name=name)
        await numbers.claim(session, customer.id, number, "extension", extension.oid)
        session.add(extension)
        await session.flush()
    return extension


async def _phone(session: AsyncSession, extension: Extension, vault: Vault) -> SipPhone:
    model = await _model(session, GENERIC)
    statement = (
        select(SipPhone)
        .where(SipPhone.extension_id == extension.id, SipPhone.model_id == model)
        .where(SipPhone.mac.is_(None), SipPhone.instance_id.is_(None))
        .order_by(SipPhone.id)
        .limit(1)
    )
    return await session.scalar(statement) or await _new_phone(session, extension, vault, model_id=model)


async def _webrtc_phone(session: AsyncSession, extension: Extension, vault: Vault) -> SipPhone:
    statement = select(SipPhone).where(
        SipPhone.extension_id == extension.id, SipPhone.instance_id == INSTANCE
    )
    phone = await session.scalar(statement)
    if phone is None:
        model = await _model(session, WEBRTC)
        phone = await _new_phone(session, extension, vault, model_id=model, instance_id=INSTANCE, webrtc=True)
    return phone


async def _new_phone(
    session: AsyncSession, extension: Extension, vault: Vault, **columns: object
) -> SipPhone:
    phone = new_phone(vault, customer_id=extension.customer_id, extension_id=extension.id, **columns)
    session.add(phone)
    await session.flush()
    return phone


async def _model(session: AsyncSession, key: str) -> int:
    model = await find_model(session, key)
    if model is None:
        raise LookupError("the models are missing: run registrar migrate")
    return model.id
