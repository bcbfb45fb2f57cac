"""Bans as callers see, make and lift them. They are in Redis (decision 105)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.model import IpNetwork
from registrar.rules.access import network as parse_network
from registrar.rules.bans import ENDLESS, MAX_WHY, Ban, Kind
from registrar.store.bans_redis import RedisBans

from ..access import AccessLevel
from ..auth import Caller
from ..checks import as_integer, is_clean
from ..checks import moment as read_moment
from ..clock import epoch_now
from ..errors import Problem, Refused, level_too_low, not_found, refused
from ..tables import Customer, SipPhone
from .audit import Work, parse_oid
from .customers import ids_in_sight, one_or_all, visible
from .draft import Document

MAX_SECONDS: Final = 10 * 365 * 86_400
MAX_OF_CUSTOMER: Final = 200
"""Bans that people of a customer may have: one customer must not fill the store, which all share."""
LEAST_BITS: Final = {4: 8, 6: 19}
"""A larger network is a slip of the pen: the largest that a registry gives to one holder."""
WHAT: Final = "Ban"


@dataclass(frozen=True, slots=True)
class Spared:
    """The networks that are never banned."""

    exempt: Sequence[IpNetwork] = ()
    proxies: Sequence[IpNetwork] = ()


async def in_sight(session: AsyncSession, caller: Caller, bans: Sequence[Ban], wanted: object) -> list[Ban]:
    """Return the bans that a caller may see: those of its customers' phones, from RESELLER_ADMIN on all."""
    customer = await one_or_all(session, caller, wanted)
    if customer is None and caller.level >= AccessLevel.RESELLER_ADMIN:
        return list(bans)
    customers = set(await ids_in_sight(session, caller, customer))
    return [ban for ban in bans if ban.customer in customers]


async def find_ban(session: AsyncSession, caller: Caller, store: RedisBans, id: str) -> Ban:
    """Return a ban that the caller may lift. Raise Refused (404) if there is none."""
    ban = next((ban for ban in (await store.all()).bans if ban.id == id), None)
    if ban is None or not await _may_lift(session, caller, ban):
        raise not_found(WHAT)
    return ban


async def _may_lift(session: AsyncSession, caller: Caller, ban: Ban) -> bool:
    if caller.level >= AccessLevel.ADMIN:
        return True
    return bool(ban.customer) and ban.customer in await ids_in_sight(session, caller, None)


async def make_ban(work: Work, id: str, document: Document, store: RedisBans, spared: Spared) -> Ban:
    """Make a ban and write it to the store, as the last step of the change. Raise Refused.

    Raise StoreUnavailable if Redis is away; then nothing is written. A change may run twice, hence the `id`.
    """
    caller = work.caller
    sent = document.given("phone")
    address = _address(document.given("address"), spared)
    if sent is None and not address:
        raise refused("address", "Specify `address`, `phone` or both", "required", 400)
    if sent is None and caller.level < AccessLevel.ADMIN:
        raise level_too_low(AccessLevel.ADMIN.name)
    phone, customer = await _phone(work.session, caller, sent)
    if caller.level < AccessLevel.ADMIN:
        _refuse_more((await store.all()).bans, customer)
    ban = Ban(
        id,
        Kind.BAN,
        address,
        phone,
        customer,
        _why(document.given("why")),
        caller.employee or caller.level.name,
        int(epoch_now()),
        _until(document),
    )
    number = await _number(work.session, ban.customer)
    work.record("create", "ban", ban.id, customer=number, after=_told(ban))
    if not await store.put(ban):
        raise refused("ban", "There are too many bans: lift some first", "range")
    return ban


def _refuse_more(bans: Sequence[Ban], customer: str) -> None:
    """Raise Refused (409) if a customer has as many bans as it may have."""
    if sum(ban.customer == customer and not ban.is_automatic for ban in bans) >= MAX_OF_CUSTOMER:
        raise refused("ban", f"A customer may have {MAX_OF_CUSTOMER} bans: lift some first", "range")


async def lift_ban(work: Work, ban: Ban, store: RedisBans) -> None:
    """Lift a ban, as the last step of the change. Raise StoreUnavailable. It may be gone already."""
    number = await _number(work.session, ban.customer)
    work.record("delete", "ban", ban.id, customer=number, before=_told(ban))
    await store.lift(ban, work.caller.employee or work.caller.level.name)


def _told(ban: Ban) -> dict[str, object]:
    """Return a ban as the audit log shows it: what of it has a value, without the mark of the account."""
    return {name: value for name, value in asdict(ban).items() if value and name not in ("id", "mark")}


async def _number(session: AsyncSession, customer: str) -> int | None:
    """Return the number of the customer with this id, or None if there is none."""
    found: int | None = await session.scalar(select(Customer.id).where(Customer.oid == customer))
    return found


async def _phone(session: AsyncSession, caller: Caller, sent: object) -> tuple[str, str]:
    """Return the id of a phone that the caller may see and that of its customer; both empty for None."""
    if sent is None:
        return "", ""
    statement = (
        select(SipPhone.oid, Customer.oid)
        .join(Customer, Customer.id == SipPhone.customer_id)
        .where(SipPhone.oid == (parse_oid(sent) or ""), visible(caller))
    )
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise not_found()
    return found[0], found[1]


def _address(sent: object, spared: Spared) -> str:
    """Return the network in short. Raise Refused: 400 if it is none or too large, 409 if it is spared."""
    if sent is None:
        return ""
    try:
        network = parse_network(sent.strip()) if isinstance(sent, str) else None
    except ValueError:
        network = None
    if network is None or "%" in str(network):  # a zone is text that ends in the scripts of the export
        raise refused(
            "address", "address must be an IP address or a network such as 192.0.2.0/24", "format", 400
        )
    least = LEAST_BITS[network.version]
    if network.prefixlen < least:
        raise refused(
            "address", f"a network of IPv{network.version} needs at least {least} bits", "range", 400
        )
    for networks, name in (
        (spared.exempt, "REGISTRAR_LIMITS"),
        (spared.proxies, "REGISTRAR_TRUSTED_PROXIES"),
    ):
        if any(one.version == network.version and one.overlaps(network) for one in networks):
            raise refused("address", f"{name} names this address, so it is never banned", "allowed")
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _why(sent: object) -> str:
    if sent is None:
        return ""
    if not isinstance(sent, str) or len(sent) > MAX_WHY or not is_clean(sent):
        raise refused("why", f"why must be a text of at most {MAX_WHY} characters", "format", 400)
    return sent.strip()


def _until(document: Document) -> int:
    """Return the end of a ban. Raise Refused (400) if it is no time in the future."""
    seconds, until = document.given("seconds"), document.given("until")
    if seconds is not None and until is not None:
        raise refused("until", "Specify `seconds` or `until`, not both", "format", 400)
    if seconds is not None:
        number = as_integer(seconds)
        if number is None or not 1 <= number <= MAX_SECONDS:
            raise refused("seconds", f"seconds must be a number from 1 to {MAX_SECONDS}", "range", 400)
        return int(epoch_now()) + number
    if until is None:
        return ENDLESS
    moment = read_moment(until, "")
    if not isinstance(moment, datetime) or moment.timestamp() <= epoch_now():
        raise Refused(Problem(400, "until", "until must be a time in the future", "until", "range"))
    return int(moment.timestamp())
