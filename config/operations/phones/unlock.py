"""The address that a phone is locked to: opened for some minutes, or replaced by that of a refusal.

A phone that is unlocked for a time is OPEN without an address, and its next contact locks it (decision 90).
If none comes, it has its former mode and address again. They are in its row, so any process can end the time.
A ROAMING phone has no lock: its next contact would bind it to one address instead of its countries.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from registrar.model import Change, IpMode
from registrar.rules.status import LiveStatus

from ... import clock
from ...audit.system import by_itself
from ...changes import Noted
from ...checks import integer
from ...checks import ip as read_ip
from ...errors import refused
from ...noted import note
from ...tables import AuditLog, SipPhone
from ..audit import Work
from ..draft import Document, accepted
from .write import TABLE, lock_phone, touch

UNLOCK: Final = "unlock"
ACCEPT: Final = "acceptaddress"
LOCK: Final = "lock"
"""The action in the audit log when the time of an unlocked phone is over."""
DEFAULT_MINUTES: Final = 15
MAX_MINUTES: Final = 1_440
IP_LOCKED: Final = "ip-locked"
"""The reason of a refusal because a LOCKED phone came from another address."""
LOCKED_AGAIN: Final[dict[str, object]] = {"unlocked_until": None, "unlock_mode": None, "unlock_address": None}

_phone = SipPhone.__table__.c


def read_minutes(document: Document) -> int:
    """Return for how many minutes a phone is to be unlocked. Raise Refused (422) for another value."""
    sent = document.given("minutes")
    if sent is None:
        return DEFAULT_MINUTES
    message = f"minutes must be a whole number from 1 to {MAX_MINUTES}"
    value = accepted(integer(1, MAX_MINUTES)(sent, message), "minutes")
    return int(str(value))


async def unlock_phone(work: Work, oid: object, minutes: int) -> SipPhone:
    """Open a locked phone for some minutes; for a phone that is open for a time, set a new time.

    Raise Refused: 404, and 409 for a phone that has no lock.
    """
    phone, _ = await lock_phone(work.session, work.caller, oid)
    _refuse_networks(phone)
    _refuse_roaming(phone)
    if phone.ip_mode != IpMode.OPEN:
        phone.unlock_mode, phone.unlock_address = phone.ip_mode, phone.ip_address
        phone.ip_mode, phone.ip_address = IpMode.OPEN, None
    elif phone.unlocked_until is None:
        raise refused("ip.mode", "The phone is open already: its next registration locks it", "allowed")
    phone.unlocked_until = clock.utc_now() + timedelta(minutes=minutes)
    touch(phone)
    work.record(UNLOCK, TABLE, phone.oid)
    return phone


def rejected_from(live: LiveStatus) -> str | None:
    """Return the address of the last refusal of a phone, or None unless its lock was the reason."""
    return live.last_rejected_ip if live.last_rejected_reason == IP_LOCKED else None


def read_address(document: Document) -> str | None:
    """Return the address that the caller has seen, or None. Raise Refused (422) if it is no address."""
    sent = document.given("address")
    if sent is None:
        return None
    return str(accepted(read_ip(sent, "address is not an IP address"), "address"))


async def accept_address(work: Work, oid: object, last: str | None, seen: str | None) -> SipPhone:
    """Lock a phone to the address from which it was refused last.

    `seen` is the address that the caller means, if it names one. Raise Refused: 404, and 409 if there is no
    such refusal, if a newer one came from another address, or if the phone is not locked.
    """
    phone, _ = await lock_phone(work.session, work.caller, oid)
    _refuse_networks(phone)
    _refuse_roaming(phone)
    if phone.ip_mode != IpMode.LOCKED:
        raise refused("ip.mode", f"The phone is {phone.ip_mode}, not LOCKED to an address", "allowed")
    if last is None:
        raise refused("address", "The phone was not refused because of its address", "exists")
    if seen is not None and seen != last:
        raise refused("address", f"The last refusal came from {last}, not from {seen}", "allowed")
    if phone.ip_address == last:
        return phone  # it was accepted already
    phone.ip_address = last
    touch(phone)
    work.record(ACCEPT, TABLE, phone.oid)
    return phone


def _refuse_networks(phone: SipPhone) -> None:
    if phone.ip_policy != "PHONE":
        message = "The trusted networks of its domain decide from where the phone registers: it has no lock"
        raise refused("ip.policy", message, "allowed")


def _refuse_roaming(phone: SipPhone) -> None:
    if phone.ip_mode == IpMode.ROAMING:
        message = (
            f"The phone is ROAMING in {phone.ip_countries}, and has no lock to an address: "
            "add a country to ip.countries, or change ip.mode"
        )
        raise refused("ip.mode", message, "allowed")


async def any_due(engine: AsyncEngine, now: datetime) -> bool:
    """Return whether the time of a phone is over."""
    async with engine.connect() as connection:
        statement = select(_phone.id).where(_phone.unlocked_until <= now).limit(1)
        return (await connection.execute(statement)).first() is not None


async def end_unlocks(engine: AsyncEngine, now: datetime) -> tuple[list[str], Noted]:
    """Lock the phones again whose time is over without a contact; return their ids, and what to publish.

    The condition is part of the UPDATE: a phone is locked either by its contact or by this, and by one
    process.
    """
    due = _phone.unlocked_until <= now
    back = {"ip_mode": _phone.unlock_mode, "ip_address": _phone.unlock_address, "version": _phone.version + 1}
    ended = update(SipPhone).where(due, _phone.ip_mode == IpMode.OPEN, _phone.unlock_mode.is_not(None))
    async with engine.begin() as connection:
        statement = ended.values(back | LOCKED_AGAIN | {"updated_at": now})
        locked = _phone.oid, _phone.customer_id, _phone.ip_mode, _phone.ip_address
        rows = [_locked_again(*row) for row in await connection.execute(statement.returning(*locked))]
        await connection.execute(update(SipPhone).where(due).values(LOCKED_AGAIN))
        if rows:
            await connection.execute(insert(AuditLog), rows)
        oids = [str(row["row_oid"]) for row in rows]
        noted = await note(connection, Change(phones=tuple(oids)))
    return oids, noted


def _locked_again(oid: str, customer: int, mode: str, address: str | None) -> dict[str, object]:
    """Return the row of the audit log about a phone whose time is over."""
    after = {"ip_mode": mode, "ip_address": address}
    changes = {"before": {"ip_mode": str(IpMode.OPEN)}, "after": after}
    return by_itself(LOCK, TABLE, oid, customer, changes=changes)
