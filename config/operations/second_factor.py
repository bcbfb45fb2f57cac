"""The second factor of a login: the codes of an authenticator (RFC 6238), and recovery codes.

The secret is sealed. A code is good for its 30 s and for those beside them, once. Ten wrong codes hold the
person for a quarter of an hour, from wherever they come: who tries codes knows the password already.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Final

import pyotp
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from registrar.store.vault import Vault

from .. import clock
from ..leases import changed
from ..tables import Employee, EmployeeTotp, RecoveryCode
from .people import Person

STEP_SECONDS: Final = 30
BESIDE: Final = 1
"""Steps before and after the present one: the clock of a telephone may be half a minute off."""
DIGITS: Final = 6
MAX_MISSES: Final = 10
HOLD: Final = timedelta(minutes=15)
CODES: Final = 10
CODE_BYTES: Final = 10
"""80 bits, 16 characters of base32."""
GROUP: Final = 4
ISSUER: Final = "SIP registrar"
MAX_CODE: Final = 64


async def begin(session: AsyncSession, vault: Vault, person: Person) -> str | None:
    """Give a person a new secret that waits to be confirmed, and return it; None: one is confirmed already.

    That is looked up here: it may have been confirmed while the password of this request was checked.
    """
    row = await _locked(session, person)
    if row is not None and row.confirmed_at is not None:
        return None
    secret = pyotp.random_base32()
    sealed = vault.seal(secret, _owner(person.employee))
    id = await _number(session, person.employee)
    await session.execute(delete(EmployeeTotp).where(EmployeeTotp.employee_id == id))
    session.add(EmployeeTotp(employee_id=id, secret_enc=sealed))
    return secret


def address_of(secret: str, login: str) -> str:
    """Return the text that an authenticator scans."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


async def held_seconds(session: AsyncSession, person: Person) -> int:
    """Return for how many seconds no code of the person is looked at; 0: they are."""
    row = await _locked(session, person)
    until = row.held_until if row is not None else None
    return 0 if until is None else max(0, round((until - clock.exact_now()).total_seconds()))


async def spend(session: AsyncSession, vault: Vault, person: Person, code: str) -> str | None:
    """Use up a code, and return which kind it was, `code` or `recovery-code`; None: it is wrong or used."""
    row = await _locked(session, person)
    if row is None:
        return None
    kind = _spent(row, vault, person, code) or await _recovered(session, row.employee_id, person, code)
    row.misses = 0 if kind else row.misses + 1
    if row.misses >= MAX_MISSES:
        row.misses, row.held_until = 0, clock.exact_now() + HOLD
    return kind


async def confirm(session: AsyncSession, vault: Vault, person: Person, code: str) -> list[str] | None:
    """Let logins of the person need a code from now on; return the recovery codes, or None for a wrong code.

    The tokens of before are void: they were given without a code.
    """
    row = await _locked(session, person)
    if row is None or row.confirmed_at is not None or _spent(row, vault, person, code) is None:
        return None
    row.confirmed_at = clock.utc_now()
    await _void_tokens(session, row.employee_id)
    return await new_codes(session, person)


async def new_codes(session: AsyncSession, person: Person) -> list[str]:
    """Return new recovery codes of a person; those of before are void."""
    id = await _number(session, person.employee)
    await session.execute(delete(RecoveryCode).where(RecoveryCode.employee_id == id))
    codes = [_new_code() for _ in range(CODES)]
    digests = (_digest(person.employee, code) for code in codes)
    session.add_all(RecoveryCode(employee_id=id, code_sha256=digest) for digest in digests)
    return codes


async def left(session: AsyncSession, employee: str) -> int:
    """Return how many recovery codes a person has not used."""
    mine = select(Employee.id).where(Employee.oid == employee).scalar_subquery()
    unused = RecoveryCode.employee_id == mine, RecoveryCode.used_at.is_(None)
    return await session.scalar(select(func.count()).select_from(RecoveryCode).where(*unused)) or 0


async def remove(session: AsyncSession, employee_id: int) -> bool:
    """Take the second factor from a person; return whether there was one."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.employee_id == employee_id))
    found = await session.get(EmployeeTotp, employee_id, with_for_update=True)
    if found is not None:
        await session.delete(found)
        await _void_tokens(session, employee_id)
    return found is not None


async def remove_from(session: AsyncSession, person: Person) -> bool:
    """Take the second factor from a person who has proven it; return whether there was one."""
    return await remove(session, await _number(session, person.employee))


def _spent(row: EmployeeTotp, vault: Vault, person: Person, code: str) -> str | None:
    """Use up a code of the authenticator; the time steps up to its own are refused from now on."""
    digits = "".join(code.split())
    if not (digits.isascii() and digits.isdigit() and len(digits) == DIGITS):
        return None
    totp = pyotp.TOTP(vault.open(row.secret_enc, _owner(person.employee)))
    present = int(clock.epoch_now()) // STEP_SECONDS
    for step in range(present - BESIDE, present + BESIDE + 1):
        is_right = hmac.compare_digest(totp.generate_otp(step), digits)
        if is_right and step > row.last_step:
            row.last_step = step
            return "code"
    return None


async def _recovered(session: AsyncSession, id: int, person: Person, code: str) -> str | None:
    unused = (
        RecoveryCode.employee_id == id,
        RecoveryCode.code_sha256 == _digest(person.employee, code),
        RecoveryCode.used_at.is_(None),
    )
    used = update(RecoveryCode).where(*unused).values(used_at=clock.utc_now())
    return "recovery-code" if await changed(session, used) else None


async def _locked(session: AsyncSession, person: Person) -> EmployeeTotp | None:
    mine = select(Employee.id).where(Employee.oid == person.employee).scalar_subquery()
    statement = select(EmployeeTotp).where(EmployeeTotp.employee_id == mine).with_for_update()
    found: EmployeeTotp | None = await session.scalar(statement)
    return found


async def _number(session: AsyncSession, employee: str) -> int:
    return (await session.scalars(select(Employee.id).where(Employee.oid == employee))).one()


async def _void_tokens(session: AsyncSession, id: int) -> None:
    statement = update(Employee).where(Employee.id == id).values(version=Employee.version + 1)
    await session.execute(statement)


def _owner(employee: str) -> str:
    return f"totp:{employee}"


def _new_code() -> str:
    text = base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().lower()
    return "-".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


def _digest(employee: str, code: str) -> str:
    plain = "".join(code[:MAX_CODE].lower().replace("-", "").split())
    return hashlib.sha256(f"{employee}:{plain}".encode()).hexdigest()
