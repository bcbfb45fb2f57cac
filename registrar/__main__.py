"""The command line. Each command imports what it needs when it runs; settings are read only here."""

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from registrar.commands.side import Side
from registrar.errors import AnotherNode, ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from registrar.commands.installation import Installation
    from registrar.logs import RequestLines
    from registrar.settings import Settings

EXIT_UNFIT: Final = 1
EXIT_CONFIGURATION: Final = 2
EXIT_ANOTHER_NODE: Final = 3

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="SIP registrar and WebRTC gateway: phones register, their live status is in Redis and in the API.",
)
geoip = typer.Typer(no_args_is_help=True, help="The country file, which ROAMING phones need.")
app.add_typer(geoip, name="geoip")
audit = typer.Typer(no_args_is_help=True, help="The audit log: who did what.")
app.add_typer(audit, name="audit")
login = typer.Typer(no_args_is_help=True, help="Logins of people, for the board and the API.")
app.add_typer(login, name="login")


keys = typer.Typer(no_args_is_help=True, help="The keys of the installation, and how to replace them.")
app.add_typer(keys, name="keys")


def install(*, demo: bool = False) -> "Installation":
    """Read the settings, and return the installation that belongs to them; make it if it is missing."""
    settings = _settings()
    from registrar.commands.installation import for_demo, installed

    return installed(for_demo(settings) if demo else settings)


def look_up() -> "Installation":
    """Read the settings, and return the installation that belongs to them; never make one."""
    settings = _settings()
    from registrar.commands.installation import existing

    return existing(settings)


def _settings() -> "Settings":
    from registrar.settings import read

    return read(os.environ)


def _log(level: str) -> "RequestLines":
    from registrar.logs import configure

    return configure(level, terminal=sys.stderr.isatty())


@app.command()
def serve(
    side: Annotated[Side, typer.Argument(help="One side only, for split deployments.")] = Side.ALL,
    demo: Annotated[
        bool, typer.Option("--demo", help="Make the demo tenant and print how to use it.")
    ] = False,
) -> None:
    """Run everything with embedded defaults: a process for the API, and one for phones on each core."""
    installation = install(demo=demo)
    lines = _log(installation.settings.log_level)
    from registrar.commands.division import divided
    from registrar.commands.key_watch import Again
    from registrar.commands.serve import run
    from registrar.settings import key_files

    part = divided(installation, side, demo=demo)  # the parent of several processes stays in there
    _run(run(installation, side, lines, Again(_settings, key_files(os.environ)), demo=demo, part=part))


@app.command()
def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make or find the demo tenant in the configured database."""
    installation = look_up()
    _log("warning")
    from config.operations.demo import demo_tenant
    from registrar.commands.audit import this_command
    from registrar.commands.first_steps import api_url, print_demo
    from registrar.commands.installation import opened

    async def make() -> dict[str, Any]:
        async with opened(installation, upgrade=False) as stores:
            return await demo_tenant(stores.writer, installation.api(), stores.vault, this_command())

    tenant = _run(make())
    if as_json:
        print(json.dumps({"api": api_url(installation.settings)} | tenant))
    else:
        print_demo(installation, tenant)


@app.command()
def token(
    level: Annotated[
        str, typer.Option(help="PERSONAL, VIEWER, MANAGER, OWNER, RESELLER, RESELLER_ADMIN or ADMIN.")
    ],
    customer: Annotated[
        str | None, typer.Option(help="Id, SIP domain or name of the customer it is for.")
    ] = None,
    employee: Annotated[str | None, typer.Option(help="Id of the person it is for.")] = None,
    minutes: Annotated[int, typer.Option(min=1, help="How long it is good.")] = 60,
) -> None:
    """Print a JWT for the API."""
    from config.access import AccessLevel

    if level.upper() not in AccessLevel.__members__:
        raise ConfigurationError(f"--level: {level!r} is none of {', '.join(AccessLevel.__members__)}")
    installation = look_up()
    _log("error")
    from registrar.commands.tokens import make

    print(_run(make(installation, AccessLevel[level.upper()], customer, employee, minutes)))


@login.command(name="create")
def login_create(
    email: Annotated[str, typer.Argument(help="The e-mail address to log in with.")],
    level: Annotated[
        str, typer.Option(help="PERSONAL, VIEWER, MANAGER, OWNER, RESELLER, RESELLER_ADMIN or ADMIN.")
    ] = "ADMIN",
    customer: Annotated[
        str | None,
        typer.Option(help="Id, SIP domain or name of the customer; not needed from RESELLER_ADMIN on."),
    ] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="Make a password and print it, instead of asking for one.")
    ] = False,
) -> None:
    """Make a login. The password is asked for, or read from standard input."""
    installation = look_up()
    _log("error")
    from config.operations.first_login import NewLogin
    from registrar.commands import login as logins

    chosen = logins.read_level(level)
    new = NewLogin(email, chosen, logins.read_password(generate=generate), customer)
    _run(logins.create(installation, new, show=generate))


@app.command(name="migrate")
def migrate_command() -> None:
    """Bring the database to the newest schema."""
    installation = install()
    _log("warning")
    from registrar.commands.audit import note
    from registrar.commands.installation import opened

    async def upgrade() -> None:
        async with opened(installation, upgrade=True) as stores:
            await note(stores.writer, "migrate")

    _run(upgrade())
    print("the schema is the newest", file=sys.stderr)


@app.command()
def bans(
    format: Annotated[str, typer.Option(help="table, json, nftables or fail2ban.")] = "table",
) -> None:
    """Show who is banned and why, or print the banned addresses for a packet filter."""
    installation = look_up()
    _log("error")
    from registrar.commands.bans import show

    _run(show(installation, format))


@app.command()
def status(
    phone: Annotated[str | None, typer.Argument(help="Id, username or extension number.")] = None,
    people: Annotated[
        bool, typer.Option("--people", help="Show extensions: what people are doing, DND and forwards.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on with a line for each event.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON array; with --watch one object a line.")
    ] = False,
) -> None:
    """Show the live status of the phones."""
    if people and watch:
        raise ConfigurationError("--people and --watch do not go together: leave one of them out")
    installation = look_up()
    _log("error")
    from registrar.commands import status as phones

    if people:
        from registrar.commands.people import show_people

        _run(show_people(installation, phone, as_json=as_json))
        return
    if not watch:
        _run(phones.show(installation, phone, as_json=as_json))
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also if the shell ignores the signal
    with suppress(KeyboardInterrupt):  # Ctrl-C ends the command
        _run(phones.watch(installation, phone, as_json=as_json, tell=_tell))


@app.command()
def queue(
    place: Annotated[str | None, typer.Argument(help="Number or id of a queue or a group.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Show what the members of queues are doing, and which calls wait."""
    installation = look_up()
    _log("error")
    from registrar.commands.people import show_places

    _run(show_places(installation, place, as_json=as_json))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend the index of states, if it is wrong.")
    ] = False,
) -> None:
    """Check everything that the server needs, and say how to fix each problem."""
    _log("error")
    from registrar.commands import doctor as checkup

    findings = _run(checkup.examine(os.environ, repair=repair))
    checkup.report(findings, as_json=as_json)
    if not checkup.is_fit(findings):
        sys.exit(EXIT_UNFIT)


@audit.command(name="verify")
def audit_verify(
    head: Annotated[
        str | None, typer.Option(help="A place and its hash that were noted before: 4711:5f0c...")
    ] = None,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="After a look at the fault: note it, and go on."),
    ] = False,
) -> None:
    """Check that no row of the audit log was changed or deleted, and print the head of its chain."""
    installation = look_up()
    _log("error")
    from registrar.commands import audit as trail

    if not _run(trail.verify(installation, trail.read_head(head), accept=accept)):
        sys.exit(EXIT_UNFIT)


@keys.command(name="status")
def keys_status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show which keys are in use, which process knows which, and what is sealed with an old one."""
    installation = look_up()
    _log("error")
    from registrar.commands import keys as commands

    _run(commands.show(installation, as_json=as_json))


@keys.command(name="rotate")
def keys_rotate(
    kind: Annotated[str, typer.Argument(help="secret, jwt or all: which key is replaced.")] = "all",
    force: Annotated[
        bool, typer.Option("--force", help="Also if the key of before was replaced less than a day ago.")
    ] = False,
) -> None:
    """Replace the keys while everything runs, and seal the stored passwords again."""
    installation = look_up()
    _log("warning")
    from registrar.commands import keys as commands

    _run(commands.rotate(installation, commands.kinds(kind), force=force))


@geoip.command(name="update")
def geoip_update(
    url: Annotated[
        str | None, typer.Option(help="Of an .mmdb file or one in gzip; the free file of DB-IP if none.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Take it when it is older, too.")] = False,
) -> None:
    """Fetch a country file; a running server reads it by itself."""
    installation = look_up()
    _log("error")
    from registrar.commands import country_file
    from registrar.commands.audit import note_country_file

    _run(note_country_file(installation, country_file.update(installation, url, force=force)))


def _tell(text: str) -> None:
    print(f"registrar: {text}", file=sys.stderr, flush=True)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    gc.enable()
    import uvloop
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(work)
        except (OperationalError, PoolTimeout) as error:
            raise StoreUnavailable(f"the database: {getattr(error, 'orig', None) or error}") from error


def main() -> None:
    """Run one command; show a mistake of the operator as one line, not as a traceback."""
    gc.disable()  # until the work begins: objects made by imports stay, and a collection of them is slow
    try:
        app()
    except (ConfigurationError, StoreUnavailable) as error:
        _end(error, EXIT_CONFIGURATION)
    except AnotherNode as error:
        _end(error, EXIT_ANOTHER_NODE)
    except ExceptionGroup as group:
        for kind, code in ((ConfigurationError, EXIT_CONFIGURATION), (AnotherNode, EXIT_ANOTHER_NODE)):
            found = _first(group, kind)
            if found is not None:
                _end(found, code)
        raise


def _first(group: ExceptionGroup[Exception], kind: type[Exception]) -> Exception | None:
    for error in group.exceptions:
        found = _first(error, kind) if isinstance(error, ExceptionGroup) else error
        if isinstance(found, kind):
            return found
    return None


def _end(error: Exception, code: int) -> None:
    print(f"registrar: {error}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
