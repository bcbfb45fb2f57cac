"""The views of the dial plan: groups and queues with their members, and the extension of each phone."""

from importlib import import_module
from typing import Final

from alembic import op

revision = "schema_0002"
down_revision = "schema_0001"
branch_labels = None
depends_on = None

FORMER: Final = import_module("config.migrations.versions.0001_schema")

# One row for each word that reaches a destination of a customer, and what the destination is. `rank` decides
# between different kinds with the same word, `id` between equal kinds: the oldest wins. Each part is found by
# (customer, dialled) through an index of its own table, and has the same types of columns: otherwise
# PostgreSQL reads all rows before it looks at a condition.
CALLEES: Final = """
CREATE VIEW callee_v1 AS
SELECT
    customer.oid AS customer,
    extension.number AS dialled,
    'extension' AS kind,
    1 AS rank,
    extension.number AS number,
    extension.name AS name,
    extension.id AS extension_id,
    CAST(NULL AS VARCHAR(24)) AS phone,
    extension.id AS id,
    extension.oid AS ref,
    0 AS retries,
    0 AS is_exclusive,
    CAST('' AS VARCHAR(255)) AS caller_name
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE customer.state = 'ACTIVE'
UNION ALL
SELECT
    customer.oid AS customer,
    sip_group.number AS dialled,
    'group' AS kind,
    1 AS rank,
    {group}
UNION ALL
SELECT
    customer.oid AS customer,
    queue.number AS dialled,
    'queue' AS kind,
    1 AS rank,
    {queue}
UNION ALL
SELECT
    customer.oid AS customer,
    extension.sip_user AS dialled,
    'user' AS kind,
    2 AS rank,
    extension.number AS number,
    extension.name AS name,
    extension.id AS extension_id,
    CAST(NULL AS VARCHAR(24)) AS phone,
    extension.id AS id,
    extension.oid AS ref,
    0 AS retries,
    0 AS is_exclusive,
    CAST('' AS VARCHAR(255)) AS caller_name
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE customer.state = 'ACTIVE' AND extension.sip_user IS NOT NULL
UNION ALL
SELECT
    customer.oid AS customer,
    sip_group.name AS dialled,
    'group' AS kind,
    3 AS rank,
    {group}
UNION ALL
SELECT
    customer.oid AS customer,
    queue.name AS dialled,
    'queue' AS kind,
    4 AS rank,
    {queue}
UNION ALL
SELECT
    customer.oid AS customer,
    phone.username AS dialled,
    'phone' AS kind,
    5 AS rank,
    COALESCE(extension.number, '') AS number,
    COALESCE(extension.name, '') AS name,
    phone.extension_id AS extension_id,
    phone.oid AS phone,
    phone.id AS id,
    extension.oid AS ref,
    0 AS retries,
    0 AS is_exclusive,
    CAST('' AS VARCHAR(255)) AS caller_name
FROM sip_phone AS phone
JOIN customer ON customer.id = phone.customer_id
LEFT JOIN extension ON extension.id = phone.extension_id
WHERE customer.state = 'ACTIVE'
"""
GROUP: Final = """sip_group.number AS number,
    COALESCE(sip_group.display_name, sip_group.name) AS name,
    CAST(NULL AS BIGINT) AS extension_id,
    CAST(NULL AS VARCHAR(24)) AS phone,
    sip_group.id AS id,
    sip_group.oid AS ref,
    CASE WHEN sip_group.ring_retry THEN 1 ELSE 0 END AS retries,
    CASE WHEN sip_group.ring_exclusive THEN 1 ELSE 0 END AS is_exclusive,
    COALESCE(sip_group.caller_name_format, '') AS caller_name
FROM sip_group
JOIN customer ON customer.id = sip_group.customer_id
WHERE customer.state = 'ACTIVE'"""
QUEUE: Final = """queue.number AS number,
    COALESCE(queue.display_name, queue.name) AS name,
    CAST(NULL AS BIGINT) AS extension_id,
    CAST(NULL AS VARCHAR(24)) AS phone,
    queue.id AS id,
    queue.oid AS ref,
    0 AS retries,
    0 AS is_exclusive,
    COALESCE(queue.caller_name_format, '') AS caller_name
FROM queue
JOIN customer ON customer.id = queue.customer_id
WHERE customer.state = 'ACTIVE'"""
# One row for each extension that rings for a group or a queue. `member` is the row of the queue that names
# it, and `position` the place of that row. In a queue, a group without members has one row without an
# extension. External numbers are left out. Two customers never share a group or an extension. `joint` is the
# strategy of a queue that makes one window of extensions that follow each other; empty: each has its own.
MEMBERS: Final = """
CREATE VIEW member_v1 AS
SELECT
    'group' AS kind,
    sip_group.oid AS ref,
    0 AS position,
    sip_group.id AS member,
    CAST('all' AS VARCHAR(16)) AS strategy,
    1 AS attempts,
    0 AS seconds,
    CAST('' AS VARCHAR(255)) AS caller_name,
    0 AS permanent,
    extension.id AS extension_id,
    extension.oid AS person,
    extension.number AS number,
    extension.name AS name,
    CAST('' AS VARCHAR(16)) AS joint
FROM sip_group
JOIN sip_group_member ON sip_group_member.group_id = sip_group.id
JOIN extension ON extension.id = sip_group_member.extension_id
    AND extension.customer_id = sip_group.customer_id
UNION ALL
SELECT
    'queue' AS kind,
    queue.oid AS ref,
    queue_member.ring_order AS position,
    queue_member.id AS member,
    queue_member.ring_strategy AS strategy,
    queue_member.ring_attempts AS attempts,
    queue_member.ring_secs AS seconds,
    COALESCE(sip_group.caller_name_format, '') AS caller_name,
    CASE WHEN queue_member.permanent THEN 1 ELSE 0 END AS permanent,
    extension.id AS extension_id,
    extension.oid AS person,
    extension.number AS number,
    extension.name AS name,
    CAST('' AS VARCHAR(16)) AS joint
FROM queue
JOIN queue_member ON queue_member.queue_id = queue.id
JOIN sip_group ON sip_group.id = queue_member.group_id AND sip_group.customer_id = queue.customer_id
LEFT JOIN sip_group_member ON sip_group_member.group_id = sip_group.id
LEFT JOIN extension ON extension.id = sip_group_member.extension_id
    AND extension.customer_id = queue.customer_id
UNION ALL
SELECT
    'queue' AS kind,
    queue.oid AS ref,
    queue_member.ring_order AS position,
    queue_member.id AS member,
    queue_member.ring_strategy AS strategy,
    queue_member.ring_attempts AS attempts,
    queue_member.ring_secs AS seconds,
    CAST('' AS VARCHAR(255)) AS caller_name,
    CASE WHEN queue_member.permanent THEN 1 ELSE 0 END AS permanent,
    extension.id AS extension_id,
    extension.oid AS person,
    extension.number AS number,
    extension.name AS name,
    CASE UPPER(queue.strategy)
        WHEN 'CONCURRENT' THEN 'all'
        WHEN 'LONGEST_IDLE' THEN 'huntLongestIdle'
        ELSE ''
    END AS joint
FROM queue
JOIN queue_member ON queue_member.queue_id = queue.id
JOIN extension ON extension.id = queue_member.extension_id
    AND extension.customer_id = queue.customer_id
"""
# A person may pick up the calls of the other members of a group with `pickup`, those of the members of a
# group that it controls, and those of a person for whom a phone of it has a BLF key.
PICKUPS: Final = """
CREATE VIEW pickup_v1 AS
SELECT picker.oid AS picker, target.oid AS person
FROM sip_group
JOIN sip_group_member AS mine ON mine.group_id = sip_group.id
JOIN extension AS picker ON picker.id = mine.extension_id AND picker.customer_id = sip_group.customer_id
JOIN sip_group_member AS theirs ON theirs.group_id = sip_group.id AND theirs.extension_id <> mine.extension_id
JOIN extension AS target ON target.id = theirs.extension_id AND target.customer_id = sip_group.customer_id
WHERE sip_group.pickup
UNION
SELECT picker.oid AS picker, target.oid AS person
FROM sip_group
JOIN sip_group_controller ON sip_group_controller.group_id = sip_group.id
JOIN extension AS picker
    ON picker.id = sip_group_controller.extension_id AND picker.customer_id = sip_group.customer_id
JOIN sip_group_member ON sip_group_member.group_id = sip_group.id
JOIN extension AS target
    ON target.id = sip_group_member.extension_id AND target.customer_id = sip_group.customer_id
UNION
SELECT picker.oid AS picker, target.oid AS person
FROM extension AS picker
JOIN sip_phone ON sip_phone.extension_id = picker.id
JOIN sip_phone_softkey ON sip_phone_softkey.phone_id = sip_phone.id AND sip_phone_softkey.function = 'BLF'
JOIN extension AS target
    ON target.oid = sip_phone_softkey.value AND target.customer_id = picker.customer_id
"""
LAST_COLUMN: Final = "{table} AS extension_id\nFROM"
PERSON: Final = "{table} AS extension_id,\n    extension.oid AS person\nFROM"


def upgrade() -> None:
    """Make the views that show groups, queues and people."""
    for view in ("callee_v1", "phone_v1"):
        op.execute(f"DROP VIEW {view}")
    op.execute(_phones().replace(*_with_person("phone.extension_id")).replace(*_with_person("extension.id")))
    op.execute(CALLEES.format(group=GROUP, queue=QUEUE))
    op.execute(MEMBERS)
    op.execute(PICKUPS)


def downgrade() -> None:
    """Make the views of the schema before this one."""
    for view in ("pickup_v1", "member_v1", "callee_v1", "phone_v1"):
        op.execute(f"DROP VIEW {view}")
    op.execute(_phones())
    op.execute(FORMER.CALLEES)


def _phones() -> str:
    """Return the view `phone_v1` as it was."""
    joined = "group_concat" if op.get_bind().dialect.name == "sqlite" else "string_agg"
    networks = FORMER.NETWORKS.format(join=joined)
    return str(
        "CREATE VIEW phone_v1 AS"
        + FORMER.PHONES.format(networks=networks)
        + FORMER.USERS.format(networks=networks)
    )


def _with_person(column: str) -> tuple[str, str]:
    """Return the end of a list of columns as it was, and as it is with the column `person` appended."""
    return LAST_COLUMN.format(table=column), PERSON.format(table=column)
