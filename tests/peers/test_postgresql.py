"""The PostgreSQL of the tests: what it remembers, and what it survives."""

import pytest

from tests.peers.postgresql import PostgresServer
from tests.peers.process import PeerFailed
from tests.wire.need import need_postgresql

pytestmark = pytest.mark.wire
ROWS = "SELECT id, word FROM thing ORDER BY id"


def test_a_database_goes_back_to_what_was_remembered(postgres: PostgresServer) -> None:
    name = postgres.create()
    postgres.sql("CREATE TABLE thing (id bigserial PRIMARY KEY, word text)", name)
    postgres.sql("INSERT INTO thing (word) VALUES ('Ærø'), ('two')", name)
    postgres.remember(name)
    before = postgres.sql(ROWS, name)
    for _ in range(2):
        postgres.sql("DELETE FROM thing WHERE word = 'two'", name)
        assert postgres.sql("INSERT INTO thing (word) VALUES ('three') RETURNING id", name) == [["3"]]
        postgres.rewind(name)
        assert postgres.sql(ROWS, name) == before == [["1", "Ærø"], ["2", "two"]]
    copy = postgres.create(template=name)
    assert postgres.sql(ROWS, copy) == before
    postgres.drop(copy)
    with pytest.raises(PeerFailed, match="does not exist"):
        postgres.sql(ROWS, copy)
    assert postgres.sql(ROWS, name) == before


def test_it_keeps_its_data_over_a_restart_and_ends_with_its_block() -> None:
    need_postgresql()
    with PostgresServer() as server:
        name = server.create()
        server.sql("CREATE TABLE thing AS SELECT 1 AS id, 'one' AS word", name)
        server.restart()
        assert server.sql(ROWS, name) == [["1", "one"]]
        server.kill9()
        assert not server.running
        server.start()
        assert server.sql(ROWS, name) == [["1", "one"]]
    assert not server.running
