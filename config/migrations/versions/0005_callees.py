"""What a call needs to know: names and codecs in the view of phones, and a view of what can be dialled."""

from typing import Final

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Each column has one type in both halves, or PostgreSQL would read all rows before it looks at a condition.
PHONES: Final = """
SELECT
    phone.oid AS id,
    phone.version + customer.version + COALESCE(extension.version, 0) AS version,
    phone.username AS username,
    customer.sip_domain AS domain,
    phone.password_enc AS password_enc,
    CAST(NULL AS VARCHAR(64)) AS ha1_md5,
    CAST(NULL AS VARCHAR(64)) AS ha1_sha256,
    customer.oid AS customer,
    customer.state AS customer_state,
    COALESCE(extension.number, '') AS extension,
    phone.secret_version AS secret_version,
    phone.ip_mode AS ip_mode,
    phone.ip_countries AS ip_countries,
    COALESCE(phone.ip_address, '') AS ip_address,
    phone.ip_policy AS ip_policy,
    phone.pbx_cluster AS pbx_cluster,
    CASE WHEN phone.webrtc THEN 1 ELSE 0 END AS webrtc,
    COALESCE(phone.instance_id, '') AS instance_id,
    CASE WHEN phone.ip_policy = 'DOMAIN' THEN {networks} ELSE '' END AS networks,
    'phone' AS kind,
    CAST(NULL AS BIGINT) AS user_id{more}
FROM sip_phone AS phone
JOIN customer ON customer.id = phone.customer_id
LEFT JOIN extension ON extension.id = phone.extension_id
"""
USERS: Final = """
UNION ALL
SELECT
    CAST('u' || CAST(extension.id AS VARCHAR(20)) AS VARCHAR(24)) AS id,
    extension.version + customer.version AS version,
    extension.sip_user AS username,
    customer.sip_domain AS domain,
    CAST(NULL AS VARCHAR(255)) AS password_enc,
    extension.sip_ha1_md5 AS ha1_md5,
    extension.sip_ha1_sha256 AS ha1_sha256,
    customer.oid AS customer,
    customer.state AS customer_state,
    extension.number AS extension,
    extension.sip_secret_version AS secret_version,
    CAST('OPEN' AS VARCHAR(8)) AS ip_mode,
    CAST('' AS VARCHAR(1000)) AS ip_countries,
    CAST('' AS VARCHAR(45)) AS ip_address,
    CAST('DOMAIN' AS VARCHAR(8)) AS ip_policy,
    1 AS pbx_cluster,
    0 AS webrtc,
    CAST('' AS VARCHAR(255)) AS instance_id,
    {networks} AS networks,
    'user' AS kind,
    extension.id AS user_id{more}
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE extension.sip_ha1_md5 IS NOT NULL AND customer.sip_domain IS NOT NULL
"""
NETWORKS: Final = """COALESCE(
        (SELECT {join}(network, ',') FROM trusted_network WHERE customer_id = customer.id), ''
    )"""
MORE_OF_PHONES: Final = """,
    COALESCE(extension.name, '') AS name,
    CASE WHEN phone.codec_hd THEN 1 ELSE 0 END AS codec_hd,
    CASE WHEN phone.codec_video THEN 1 ELSE 0 END AS codec_video,
    phone.extension_id AS extension_id"""
# A SIP user has no settings of a device: it gets what a new phone has.
MORE_OF_USERS: Final = """,
    extension.name AS name,
    1 AS codec_hd,
    0 AS codec_video,
    extension.id AS extension_id"""
# One row for each word that reaches a phone of a customer. `rank`: who is meant when two are alike.
# Each third is found by (customer, dialled) through an index of its own table.
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
    CAST(NULL AS VARCHAR(24)) AS phone
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE customer.state = 'ACTIVE'
UNION ALL
SELECT
    customer.oid AS customer,
    extension.sip_user AS dialled,
    'user' AS kind,
    2 AS rank,
    extension.number AS number,
    extension.name AS name,
    extension.id AS extension_id,
    CAST(NULL AS VARCHAR(24)) AS phone
FROM extension
JOIN customer ON customer.id = extension.customer_id
WHERE customer.state = 'ACTIVE' AND extension.sip_user IS NOT NULL
UNION ALL
SELECT
    customer.oid AS customer,
    phone.username AS dialled,
    'phone' AS kind,
    3 AS rank,
    COALESCE(extension.number, '') AS number,
    COALESCE(extension.name, '') AS name,
    phone.extension_id AS extension_id,
    phone.oid AS phone
FROM sip_phone AS phone
JOIN customer ON customer.id = phone.customer_id
LEFT JOIN extension ON extension.id = phone.extension_id
WHERE customer.state = 'ACTIVE'
"""


def upgrade() -> None:
    """Create the view of phones with four more columns, and the view of callees."""
    _replace_view(MORE_OF_PHONES, MORE_OF_USERS)
    op.execute(CALLEES)


def downgrade() -> None:
    """As it was."""
    op.execute("DROP VIEW callee_v1")
    _replace_view("", "")


def _replace_view(more_of_phones: str, more_of_users: str) -> None:
    join = "group_concat" if op.get_bind().dialect.name == "sqlite" else "string_agg"
    networks = NETWORKS.format(join=join)
    op.execute("DROP VIEW phone_v1")
    op.execute(
        "CREATE VIEW phone_v1 AS"
        + PHONES.format(networks=networks, more=more_of_phones)
        + USERS.format(networks=networks, more=more_of_users)
    )
