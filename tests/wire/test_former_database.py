"""A database that was made before the migrations became one: all of its phones still register."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from registrar.store.vault import Vault
from tests.peers.phone import Account, UdpPhone
from tests.wire.site import Site

pytestmark = pytest.mark.wire

DUMP = Path(__file__).parent.parent / "config" / "former" / "sqlite.sql"
SECRET_KEY = "the secret key of the test installation"


def test_twenty_phones_of_before_register(tmp_path: Path) -> None:
    path = tmp_path / "former.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(DUMP.read_text())
        rows = database.execute("SELECT oid, username, password_enc FROM sip_phone").fetchall()
    vault = Vault(SECRET_KEY)
    accounts = [Account(name, vault.open(sealed, oid), "acme.test") for oid, name, sealed in rows]
    assert len(accounts) == 20
    with Site(tmp_path, database_url=f"sqlite+aiosqlite:///{path}", secret_key=SECRET_KEY) as site:
        for account in accounts:
            with UdpPhone(account, site.sip) as phone:
                assert phone.register().status == 200
    with closing(sqlite3.connect(path)) as database:
        ((revision,),) = database.execute("SELECT version_num FROM alembic_version").fetchall()
        assert revision.startswith("schema_")
        assert database.execute("SELECT count(*) FROM sip_phone WHERE ip_mode = 'LOCKED'").fetchone() == (20,)
