"""Each fault with the verdict that is expected of it; what was expected was written before its first run."""

from dataclasses import dataclass
from typing import Final

from tests.wire.chaos import faults
from tests.wire.chaos.faults import Fault
from tests.wire.chaos.scene import Needs

ORDINARY: Final = Needs()


@dataclass(frozen=True)
class Row:
    """One fault. In every row nothing is lost, nobody is blamed, and the status is right."""

    name: str
    fault: Fault
    recovers: float
    """Seconds after its end at most, until all is served again at both nodes."""
    expected: str
    """What phones and readers see meanwhile."""
    needs: Needs = ORDINARY


SLOW_REDIS: Final = Needs(redis_path=True)
FAILOVER: Final = Needs(redis_path=True, replica=True)
SQL: Final = Needs(postgresql=True)
SLOW_SQL: Final = Needs(postgresql=True, sql_path=True)
CLOCK: Final = Needs(clock=True)
DISK: Final = Needs(embedded=True)

ROWS: Final = (
    Row("Redis killed", faults.redis_killed, 2, "refreshes 200, new ones 503, status unknown"),
    Row("Redis frozen", faults.redis_frozen, 2, "as killed; no phone looks offline when its lease is back"),
    Row(
        "Redis slow", faults.redis_slow, 2, "everything is served, 200 ms later for each command", SLOW_REDIS
    ),
    Row("Redis full", faults.redis_full, 2, "refreshes 200, new ones 503"),
    Row("Redis read-only", faults.redis_read_only, 2, "refreshes 200, new ones 503"),
    Row(
        "Redis failing over",
        faults.redis_fails_over,
        5,
        "as killed; what the replica lacks is written again",
        FAILOVER,
    ),
    Row("SQL away", faults.sql_away, 2, "known phones 200, others 503, lists 503", SQL),
    Row("SQL slow", faults.sql_slow, 2, "everything is served", SLOW_SQL),
    Row("SQL locked (PostgreSQL)", faults.sql_locked, 2, "known phones 200, others 503, lists 503", SQL),
    Row(
        "SQL locked for writers (SQLite)", faults.sqlite_writers_locked, 2, "reads go on; first contacts 503"
    ),
    Row("SQL locked (SQLite)", faults.sqlite_locked, 2, "known phones 200, others 503, lists 503"),
    Row(
        "disk full", faults.disk_full, 2, "refreshes 200, new ones 503 while the embedded Redis refuses", DISK
    ),
    Row("descriptors gone", faults.descriptors_gone, 2, "UDP and open connections go on, new ones wait"),
    Row("clock an hour ahead", faults.clock_ahead, 2, "nothing is seen of it", CLOCK),
    Row("clock an hour behind", faults.clock_behind, 2, "nothing is seen of it", CLOCK),
    Row("event loop stalled", faults.loop_stalled, 2, "answers are 2 s late"),
    Row(
        "process frozen and thawed",
        faults.process_frozen,
        10,
        "its connections are lost, UDP phones stay bound",
    ),
    Row("node to Redis cut", faults.b_to_redis, 4, "node b as without Redis, node a as ever"),
    Row("Redis to node cut", faults.redis_to_b, 4, "node b as without Redis, node a as ever"),
    Row("node to SQL cut", faults.b_to_sql, 4, "known phones 200; lists of node b 503", SQL),
    Row("SQL to node cut", faults.sql_to_b, 4, "known phones 200; lists of node b 503", SQL),
    Row("node b to node a cut", faults.b_to_a, 4, "calls between the nodes fail with 408 or 5xx"),
    Row("node a to node b cut", faults.a_to_b, 4, "calls between the nodes fail with 408 or 5xx"),
    Row("20 % of packets lost", faults.packets_lost, 4, "retransmissions bring everything through"),
    Row("packets late and twice", faults.packets_jumbled, 2, "nothing is seen of it", Needs(jumble=True)),
    Row("certificate spoilt", faults.certificate_spoilt, 2, "nothing is seen of it"),
    Row("country file spoilt", faults.country_file_spoilt, 2, "nothing is seen of it"),
)
