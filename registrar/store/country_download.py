"""Download of a new country file, kept beside the old one until it has passed its checks."""

import contextlib
import gzip
import http.client
import os
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from registrar.errors import StoreUnavailable
from registrar.model import Epoch, Mono

from .country_facts import CountryFacts, country_facts

FREE_FILE: Final = "https://download.db-ip.com/free/dbip-country-lite-{month}.mmdb.gz"
SILENCE_SECONDS: Final = 30.0
"""How long the server may send nothing."""
TOTAL_SECONDS: Final = 900.0
"""How long the whole download may take: a server may send only one octet a second."""
MAX_FILE: Final = 200 << 20
"""Limit of the downloaded file, and of the unpacked one; a city file has about 130 MB."""
PIECE: Final = 1 << 16
GZIP: Final = b"\x1f\x8b"
FUTURE_SECONDS: Final = 86_400
"""How far the date of a new file may be in the future: clocks differ."""
NOT_FOUND: Final = 404
REDIRECTS: Final = range(300, 400)
SCHEMES: Final = ("http", "https")
PUBLIC_MODE: Final = 0o644
"""A country file is no secret, and the server may run as another user."""
HEADERS: Final = {"User-Agent": "registrar geoip update", "Accept-Encoding": "identity"}

Clock = Callable[[], Mono]


@dataclass(frozen=True, slots=True)
class Fetched:
    """File that replaced the old one."""

    source: str
    """The address it came from, without secrets."""
    facts: CountryFacts


def free_files(now: Epoch) -> tuple[str, ...]:
    """Return the URL of this month's free file, and of last month's: the new one may not be out yet."""
    first = datetime.fromtimestamp(now, UTC).replace(day=1)
    months = (first, first - timedelta(days=1))
    return tuple(FREE_FILE.format(month=month.strftime("%Y-%m")) for month in months)


def fetch(urls: Sequence[str], target: Path, now: Epoch, mono: Clock, *, force: bool = False) -> Fetched:
    """Replace `target` by the first of `urls` that exists; `force` accepts an older file too.

    Raises StoreUnavailable with a message of one line; `target` is then unchanged.
    """
    target = target.resolve()  # a symbolic link stays one
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".geoip.") as folder:
            packed, unpacked = Path(folder) / "packed", Path(folder) / "unpacked"
            source = _download(urls, packed, mono)
            _unpack(packed, unpacked)
            facts = _approve(unpacked, target, now, force=force)
            _swap(unpacked, target)
    except OSError as error:
        raise StoreUnavailable(f"{target.parent}: {error.strerror or error}") from None
    return Fetched(source, facts)


def shown(url: str) -> str:
    """Return the address without parts that may hold a password or a licence key."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        text = f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return "the address"
    return "".join(letter for letter in text if letter.isprintable())


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Handler that follows redirects to http and https only, and never from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in SCHEMES or (old == "https" and new == "http"):
            fp.close()
            raise StoreUnavailable(f"{shown(req.full_url)} leads to {shown(newurl)}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https with the proxies of the environment, without files and FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _download(urls: Sequence[str], packed: Path, mono: Clock) -> str:
    """Fetch the first URL that exists, and return it without secrets."""
    end = mono() + TOTAL_SECONDS
    for number, url in enumerate(urls, 1):
        if not _is_web(url):
            raise StoreUnavailable(f"{shown(url)} is not an http or https address")
        try:
            _fetch(url, packed, mono, end)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == NOT_FOUND and number < len(urls):
                continue
            what = f"HTTP {error.code}"
            if error.code in REDIRECTS:
                what += ", a redirection that is not followed"
            raise StoreUnavailable(f"{shown(url)}: {what}") from None
        except urllib.error.URLError as error:
            raise StoreUnavailable(f"{shown(url)}: {_reason(error.reason)}") from None
        except (http.client.HTTPException, ValueError, TimeoutError, ConnectionError) as error:
            raise StoreUnavailable(f"{shown(url)}: {_reason(error)}") from None
        return shown(url)
    raise StoreUnavailable("there is no address to fetch from")


def _is_web(url: str) -> bool:
    try:
        return urlsplit(url).scheme in SCHEMES
    except ValueError:
        return False


def _fetch(url: str, packed: Path, mono: Clock, end: float) -> None:
    request = urllib.request.Request(url, headers=HEADERS)  # noqa: S310  # its scheme was checked
    with (
        contextlib.closing(_opener().open(request, timeout=SILENCE_SECONDS)) as answer,
        packed.open("wb") as file,
    ):
        announced = answer.headers.get("Content-Length", "")
        written = 0
        while piece := answer.read1(PIECE):
            written += len(piece)
            if written > MAX_FILE:
                raise StoreUnavailable(f"{shown(url)} is over {MAX_FILE >> 20} MB")
            if mono() > end:
                raise StoreUnavailable(f"{shown(url)} took longer than {TOTAL_SECONDS:.0f} s")
            file.write(piece)
    if announced.isdecimal() and written != int(announced):
        raise StoreUnavailable(f"{shown(url)} broke off after {written} of {announced} bytes")


def _reason(error: object) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def _unpack(packed: Path, unpacked: Path) -> None:
    """Unpack the fetched file if it is gzip. The first bytes decide, because the name says nothing."""
    with packed.open("rb") as file:
        is_packed = file.read(len(GZIP)) == GZIP
    if not is_packed:
        packed.replace(unpacked)
        return
    written = 0
    try:
        with gzip.open(packed) as source, unpacked.open("wb") as file:
            while piece := source.read(PIECE):
                written += len(piece)
                if written > MAX_FILE:
                    raise StoreUnavailable(f"the file unpacks to more than {MAX_FILE >> 20} MB")
                file.write(piece)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise StoreUnavailable("the file is a damaged gzip") from None


def _approve(unpacked: Path, target: Path, now: Epoch, *, force: bool) -> CountryFacts:
    """Return the facts of the new file. Raises StoreUnavailable if it may not replace the old one."""
    try:
        facts = country_facts(unpacked)
    except StoreUnavailable as error:
        raise StoreUnavailable(f"the file is not usable: {error}") from None
    if not facts.known:
        raise StoreUnavailable(f"the file knows the country of none of {facts.sampled} addresses")
    if facts.built > now + FUTURE_SECONDS:
        raise StoreUnavailable(f"the file says that it is of {day(facts.built)}, which is to come")
    if not force and facts.built < (old := _built(target)):
        raise StoreUnavailable(
            f"the file is of {day(facts.built)}, older than the one there, of {day(old)}; "
            "--force takes it all the same"
        )
    return facts


def _built(target: Path) -> Epoch:
    """Return the build time of the current file, or 0 if no usable file is there."""
    try:
        return country_facts(target).built
    except StoreUnavailable:
        return Epoch(0.0)


def day(moment: Epoch) -> str:
    """Return the day in UTC."""
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return "no day"


def _swap(unpacked: Path, target: Path) -> None:
    """Replace the old file in one step. The new one gets the owner and permissions of the old one."""
    with unpacked.open("rb") as file:
        os.fsync(file.fileno())
    mode = PUBLIC_MODE
    with contextlib.suppress(FileNotFoundError):
        old = target.stat()
        mode = old.st_mode & 0o777
        with contextlib.suppress(PermissionError):  # only root may give files away
            os.chown(unpacked, old.st_uid, old.st_gid)
    unpacked.chmod(mode)
    unpacked.replace(target)
