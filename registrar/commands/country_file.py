"""`registrar geoip update`: fetches a country file. A running server loads it by itself."""

from config import clock
from registrar.driver import mono
from registrar.errors import StoreUnavailable
from registrar.store.country_download import Fetched, day, fetch, free_files

from .installation import Installation


def update(installation: Installation, url: str | None, *, force: bool) -> Fetched:
    """Fetch a country file, check it, replace the old one, print what it is, and return it.

    Raise StoreUnavailable with a message of one line.
    """
    now = clock.epoch_now()
    target = installation.country_file
    try:
        fetched = fetch(free_files(now) if url is None else [url], target, now, mono, force=force)
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{error}; {target} is as it was") from None
    print(f"source   {fetched.source}")
    print(f"kind     {fetched.facts.kind}")
    print(f"built    {day(fetched.facts.built)}")
    print(f"file     {target}")
    print(f"licence  {_licence(fetched.facts.kind)}")
    return fetched


def _licence(kind: str) -> str:
    if kind.startswith("DBIP"):
        return "DB-IP Lite is CC BY 4.0: pages that show its data link back to https://db-ip.com"
    return "as its maker says"
