"""`registrar doctor`: runs every check in order. It shows no secret; only `--repair` changes anything."""

import asyncio
import json
import re
import resource
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from config import clock
from registrar import settings as all_settings
from registrar.capacity import MOST_DESCRIPTORS, sip_places
from registrar.doctor import Finding, Level, fail, media, ok
from registrar.doctor.certificate import given_certificate, own_certificate
from registrar.doctor.files import country_file, data_directory
from registrar.doctor.machine import open_files
from registrar.doctor.ports import Listener, check
from registrar.errors import ConfigurationError
from registrar.settings import Settings
from registrar.store import certificate
from registrar.store.vault import derive

from .doctor_numbers import check_numbers
from .doctor_passwords import check_passwords
from .doctor_phones import check_phones
from .doctor_states import check_states
from .doctor_stores import check_database, check_redis, known_keys

VARIABLE: Final = re.compile(r"REGISTRAR_[A-Z0-9_]+")
PASSWORDS: Final = (re.compile(r"://[^/]*?:(.+)@"), re.compile(r"password=([^&]+)"))
SETTINGS: Final = "settings"
LISTENERS: Final = (
    *("sip_udp", "sip_tcp", "sip_tls", "sip_ws", "sip_wss", "http", "https", "sip_http"),
    *("prov_http", "prov_https", "prov_https_legacy"),
)


async def examine(environment: Mapping[str, str], *, repair: bool = False) -> list[Finding]:
    """Return all findings, in the order in which an operator would fix them.

    With `repair`, mend the index of states.
    """
    settings, findings = _settings(environment)
    directory = settings.data_dir.absolute()
    now = clock.epoch_now()
    findings += data_directory(directory)
    findings += await check_database(settings, directory)
    findings += await check_redis(settings, directory)
    findings += await check_states(settings, directory, repair=repair)
    findings += await check_passwords(settings, directory)
    findings += await check_numbers(settings, directory)
    findings.append(country_file(settings.geoip_database or directory / "geoip.mmdb", now))
    findings += _certificate(settings, directory)
    findings += await _ports(settings, directory)
    findings += await check_phones(settings, directory)
    findings += await media.check(settings.rtpengine, settings.media)
    findings.append(_open_files())
    return [_without(_secrets(settings), finding) for finding in findings]


def is_fit(findings: list[Finding]) -> bool:
    """Return whether no check failed."""
    return all(finding.level is not Level.FAIL for finding in findings)


def report(findings: list[Finding], *, as_json: bool) -> None:
    """Print one line for each finding, or one JSON object."""
    if as_json:
        print(json.dumps({"ok": is_fit(findings), "checks": [finding.json() for finding in findings]}))
        return
    for finding in findings:
        print("".join(letter if letter.isprintable() else "?" for letter in str(finding)))


def _settings(environment: Mapping[str, str]) -> tuple[Settings, list[Finding]]:
    """Return the usable settings and the findings about them.

    Each variable that cannot be used is left out and reported.
    """
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
            return settings, findings + _effect(settings, readable=not findings)


def _effect(settings: Settings, *, readable: bool) -> list[Finding]:
    chosen = len(settings.model_fields_set)
    found = [ok(SETTINGS, f"{chosen} chosen, {len(Settings.model_fields) - chosen} by default")]
    return found if readable else found[1:]


def _certificate(settings: Settings, directory: Path) -> list[Finding]:
    if not (settings.sip_tls or settings.sip_wss or settings.https or _phones_by_tls(settings)):
        return [ok("certificate", "not needed: no listener for TLS")]
    names = tuple(name for name in (settings.domain, settings.public_host) if name)
    if settings.tls_cert is None and settings.tls_key is None:
        pair = directory / certificate.CERTIFICATE, directory / certificate.KEY
        return own_certificate(*pair, names, clock.epoch_now())
    if settings.tls_cert is None or settings.tls_key is None:
        missing = "REGISTRAR_TLS_KEY" if settings.tls_key is None else "REGISTRAR_TLS_CERT"
        return [fail("certificate", f"{missing} is not given, the other one of the pair is", "give both")]
    return given_certificate(settings.tls_cert, settings.tls_key, names, clock.epoch_now())


def _phones_by_tls(settings: Settings) -> bool:
    return bool(settings.prov_https or settings.prov_https_legacy)


async def _ports(settings: Settings, directory: Path) -> list[Finding]:
    listeners = [
        Listener(f"REGISTRAR_{name.upper()}", name.removeprefix("sip_"), host, port)
        for name in LISTENERS
        for host, port in getattr(settings, name)
    ]
    tag_keys = [derive(key, "to-tags") for key in known_keys(settings, directory) or [""]]
    return await asyncio.gather(*(asyncio.to_thread(check, listener, *tag_keys) for listener in listeners))


def _open_files() -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    return open_files(limit, sip_places(limit))


def _secrets(settings: Settings) -> list[str]:
    """Return the texts that must not be shown, even if an error message contains them; the longest first."""
    values = [settings.secret_key, settings.jwt_secret, settings.turn_secret]
    values += [settings.secret_key_old, settings.jwt_secret_old]
    found = [value.get_secret_value() for value in values]
    for url in (settings.database_url.get_secret_value(), settings.redis_url.get_secret_value()):
        hidden = [url, *(part for pattern in PASSWORDS for part in pattern.findall(url))]
        found += [*hidden, *map(unquote, hidden)]
    return sorted({text for text in found if text}, key=len, reverse=True)


def _without(secrets: list[str], finding: Finding) -> Finding:
    """Return the finding without secrets. The text of an OK finding never contains one."""
    detail = finding.detail
    if finding.level is not Level.OK:
        for text in secrets:
            detail = detail.replace(text, "***")
    return replace(finding, detail=detail)
